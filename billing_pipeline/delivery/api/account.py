"""EASY Bill's account, as the settings name it: a client when asked for one, its exchanges in the ledger's log."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import SecretStr

from billing_pipeline.delivery.ledger import Ledger, Note
from billing_pipeline.easybill.rate_limit import Allowance
from billing_pipeline.problems import UsageError
from billing_pipeline.store.blobs import sha256_of

# httpx takes a fifth of a second to load, and who delivers files asks nothing of the API.
if TYPE_CHECKING:
    from billing_pipeline.easybill.api import EasyBillApi
    from billing_pipeline.easybill.api_http import Exchange, ExchangeLog


@dataclass(frozen=True)
class EasyBillAccount:
    """The account behind `BILLING_EASYBILL_API_KEY`; its requests a minute are shared through the ledger."""

    url: str
    key: SecretStr | None
    requests_per_minute: int
    timeout_s: float = 30.0

    @property
    def is_configured(self) -> bool:
        """Whether there is a key at all."""
        return self.key is not None

    def require(self) -> SecretStr:
        """The key. Raises: UsageError where there is none."""
        if self.key is None:
            raise UsageError("BILLING_EASYBILL_API_KEY is not set: EASY Bill's API cannot be asked")
        return self.key

    def link_to(self, document_id: int) -> str:
        """Where a person sees a document of the account."""
        from billing_pipeline.easybill.api import link_to

        return link_to(self.url, document_id)

    def open(self, ledger: Ledger, log: ExchangeLog | None = None) -> EasyBillApi:
        """A client of the account, to be closed. Raises: UsageError without a key, or for one that can be none."""
        from billing_pipeline.easybill.api import open_api

        key = self.require().get_secret_value()
        return open_api(
            self.url,
            key,
            rate_limit=_SharedLimit(ledger, _row_of(self.url, key), Allowance(self.requests_per_minute)),
            timeout_s=self.timeout_s,
            log=log,
        )

    def open_logged(self, ledger: Ledger, *, month: str, run_id: str) -> EasyBillApi:
        """A client whose every exchange is an event of the month. Raises: as `open`."""
        return self.open(ledger, _LedgerLog(ledger, month, run_id))


def _row_of(url: str, key: str) -> str:
    """Which account that is, to the ledger: a hash, from which nobody gets the key."""
    return sha256_of(f"{url.rstrip('/')} {key.rpartition(':')[2]}".encode())


@dataclass(frozen=True)
class _SharedLimit:
    """The account's turns, booked in the ledger by whoever uses it."""

    ledger: Ledger
    account: str
    allowance: Allowance

    def wait(self) -> None:
        """Returns when a request may be sent. Raises: RateLimitExhausted, LedgerUnavailable."""
        wait_s = self.ledger.requests.book(
            self.account, self.allowance.next_turn, kept=self.allowance.requests
        )
        if wait_s > 0:
            time.sleep(wait_s)


@dataclass(frozen=True)
class _LedgerLog:
    """Each exchange is in the ledger's log as soon as it is over, whatever becomes of the process."""

    ledger: Ledger
    month: str
    run_id: str

    def record(self, exchange: Exchange) -> None:
        path, _, query = exchange.path.partition("?")
        answered = "no answer" if exchange.status is None else str(exchange.status)
        parts = (query, f"{answered} in {exchange.duration_s:.2f} s", exchange.error)
        note = Note(
            f"{exchange.method} {path}",
            "; ".join(part for part in parts if part),
            "failure" if exchange.error else "success",
        )
        self.ledger.events.record(note, month=self.month, run_id=self.run_id)
