"""Delivering one parcel to a fake inbox, again and again, as runs on different days would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event

from billing_pipeline.delivery.context import DeliveryContext, Verify, unverified
from billing_pipeline.delivery.files.recovery import Places
from billing_pipeline.delivery.files.upload import deliver
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import Delivery, DeliveryResult, Parcel
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.inbox import FakeServer, FakeTransport


def hasty(ledger: Ledger) -> Ledger:
    """The SQLite ledger without waiting for the disk: enough where no machine loses its power."""

    def settle(connection: Any, record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    ledger.close()
    event.listen(ledger.database.engine, "connect", settle)
    return ledger


class Crash(BaseException):
    """The process dies: nothing of ours may catch it."""


@dataclass
class Bench:
    """A ledger, a store and a fake server; every `send` is a run of its own."""

    ledger: Ledger
    store: BlobStore
    server: FakeServer = field(default_factory=FakeServer)
    archive_dir: str | None = "/archive"
    error_dir: str | None = "/error"
    address: str = "fake://inbox"
    lease_s: float = 0.0
    patience_s: float = 30.0
    verify: Verify = unverified
    runs: int = 0

    def run(self, at_crash_point: Callable[[str], None] = lambda edge: None) -> DeliveryContext:
        self.runs += 1
        return DeliveryContext(
            ledger=self.ledger,
            store=self.store,
            places=Places("/import", self.archive_dir, self.error_dir),
            transport="fake",
            endpoint=self.address,
            run_id=f"run-{self.runs}",
            verify=self.verify,
            lease_s=self.lease_s,
            patience_s=self.patience_s,
            at_crash_point=at_crash_point,
        )

    def send(
        self, parcel: Parcel, *, at_crash_point: Callable[[str], None] = lambda edge: None
    ) -> DeliveryResult:
        with FakeTransport(self.server).connect() as inbox:
            return deliver(parcel, lambda: inbox, self.run(at_crash_point))

    def send_and_die_at(self, edge: str, parcel: Parcel) -> bool:
        """Whether the run came as far as to die there."""
        try:
            self.send(parcel, at_crash_point=dying_at(edge))
        except Crash:
            return True
        return False

    def row(self, parcel: Parcel) -> Delivery:
        found = self.ledger.deliveries.of_order(parcel.export.order_number)
        assert found is not None
        return found


def dying_at(edge: str) -> Callable[[str], None]:
    """Dies when it is told of that edge."""

    def die(reached: str) -> None:
        if reached == edge:
            raise Crash(edge)

    return die
