"""EASY Bill's account, as the settings name it: a client when asked for one, its exchanges in the ledger's log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from billing_pipeline.delivery.ledger import Ledger, Note
from billing_pipeline.easybill.api import EasyBillApi, link_to, open_api
from billing_pipeline.easybill.api_http import Exchange, ExchangeLog
from billing_pipeline.problems import UsageError


@dataclass(frozen=True)
class EasyBillAccount:
    """The account behind `BILLING_EASYBILL_API_KEY`; `state` is where its requests a minute are shared."""

    url: str
    key: SecretStr | None
    requests_per_minute: int
    state: Path
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
        return link_to(self.url, document_id)

    def open(self, log: ExchangeLog | None = None) -> EasyBillApi:
        """A client of the account, to be closed. Raises: UsageError without a key, or for one that can be none."""
        return open_api(
            self.url,
            self.require().get_secret_value(),
            requests_per_minute=self.requests_per_minute,
            state=self.state,
            timeout_s=self.timeout_s,
            log=log,
        )

    def open_logged(self, ledger: Ledger, *, month: str, run_id: str) -> EasyBillApi:
        """A client whose every exchange is an event of the month. Raises: as `open`."""
        return self.open(_LedgerLog(ledger, month, run_id))


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
