"""EASY Bill's API as assets and commands are given it: opened when asked, every exchange in the ledger's log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from billing_pipeline.delivery.ledger import Ledger, Note
from billing_pipeline.easybill.api import EasyBillApi, open_api
from billing_pipeline.easybill.api_http import Exchange
from billing_pipeline.settings import SettingsInvalid


@dataclass(frozen=True)
class EasyBill:
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
        """The key. Raises: SettingsInvalid where there is none."""
        if self.key is None:
            raise SettingsInvalid("BILLING_EASYBILL_API_KEY is not set: EASY Bill's API cannot be asked")
        return self.key

    def open(self, on_exchange: Callable[[Exchange], None] = lambda exchange: None) -> EasyBillApi:
        """A client of the account, to be closed. Raises: SettingsInvalid without a key; UsageError for a bad one."""
        return open_api(
            self.url,
            self.require().get_secret_value(),
            requests_per_minute=self.requests_per_minute,
            state=self.state,
            timeout_s=self.timeout_s,
            on_exchange=on_exchange,
        )

    @contextmanager
    def logged(self, ledger: Ledger, *, month: str, run_id: str) -> Iterator[EasyBillApi]:
        """A client whose every exchange is an event of the month. Raises: as `open`."""

        def log(exchange: Exchange) -> None:
            ledger.events.record(_note(exchange), month=month, run_id=run_id)

        with self.open(log) as api:
            yield api


def _note(exchange: Exchange) -> Note:
    path, _, query = exchange.path.partition("?")
    answered = "no answer" if exchange.status is None else str(exchange.status)
    parts = (query, f"{answered} in {exchange.duration_s:.2f} s", exchange.error)
    return Note(
        f"{exchange.method} {path}",
        "; ".join(part for part in parts if part),
        "failure" if exchange.error else "success",
    )
