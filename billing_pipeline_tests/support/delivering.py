"""Delivering one parcel to a fake inbox, again and again, as runs on different days would."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import event

from billing_pipeline.billing.rules import load_rules
from billing_pipeline.delivery.context import DeliveryContext, Destination, FileCheck, Places
from billing_pipeline.delivery.files.inbox import Inbox
from billing_pipeline.delivery.files.pool import deliver_all
from billing_pipeline.delivery.files.upload import move_on
from billing_pipeline.delivery.ledger import Ledger, utc_now
from billing_pipeline.delivery.parcel_delivery import ParcelDelivery
from billing_pipeline.delivery.records import Delivery, DeliveryResult, Parcel
from billing_pipeline.delivery.transports.protocol import InboxConnection, Transport
from billing_pipeline.problems import Problem
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.inbox import FakeServer, FakeTransport


def hasty(ledger: Ledger) -> Ledger:
    """The SQLite ledger without waiting for the disk: enough where no machine loses its power."""

    def settle(connection: Any, record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    ledger.close()
    event.listen(ledger.database.engine, "connect", settle)
    return ledger


INBOX = Places("/import")


class Unchecked(FileCheck):
    """For bytes that are no file of any layout: finds in them what a test tells it to find."""

    def __init__(self, *found: Problem) -> None:
        super().__init__({})
        object.__setattr__(self, "found", found)

    found: tuple[Problem, ...]

    def problems(self, parcel: Parcel, data: bytes, store: BlobStore) -> tuple[Problem, ...]:
        return self.found


def context_over(
    transport: Transport,
    ledger: Ledger,
    store: BlobStore,
    *,
    run_id: str = "run",
    places: Places = INBOX,
    timeout_s: float = 30.0,
    clock: Callable[[], datetime] = utc_now,
    at_crash_point: Callable[[str], None] = lambda edge: None,
) -> DeliveryContext:
    """A run over this transport that sends bytes as they are."""
    return DeliveryContext(
        ledger,
        store,
        Inbox(transport, places, load_rules(), store, timeout_s=timeout_s).destination,
        Unchecked(),
        run_id,
        clock=clock,
        at_crash_point=at_crash_point,
    )


def deliver_over(
    parcels: Sequence[Parcel],
    transport: Transport,
    context: DeliveryContext,
    *,
    connections: int = 4,
    timeout_s: float = 30.0,
) -> Generator[DeliveryResult, None, None]:
    """As `deliver_all`, with the usual number of connections."""
    return deliver_all(parcels, transport, context, connections=connections, timeout_s=timeout_s)


def deliver(parcel: Parcel, inbox: InboxConnection, context: DeliveryContext) -> DeliveryResult:
    """One parcel over an open connection, tried once."""
    delivery = ParcelDelivery(parcel, context)
    while (planned := delivery.next()) is not None:
        delivery.published_here |= move_on(planned, delivery.data, inbox, context)
    return delivery.result


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
    check: FileCheck = field(default_factory=Unchecked)
    runs: int = 0

    def run(self, at_crash_point: Callable[[str], None] = lambda edge: None) -> DeliveryContext:
        self.runs += 1
        return DeliveryContext(
            ledger=self.ledger,
            store=self.store,
            destination=Destination(
                "fake",
                self.address,
                Places("/import", self.archive_dir, self.error_dir),
                patience_s=self.patience_s,
                lease_s=self.lease_s,
            ),
            check=self.check,
            run_id=f"run-{self.runs}",
            at_crash_point=at_crash_point,
        )

    def send(
        self, parcel: Parcel, *, at_crash_point: Callable[[str], None] = lambda edge: None
    ) -> DeliveryResult:
        with FakeTransport(self.server).connect() as inbox:
            return deliver(parcel, inbox, self.run(at_crash_point))

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
