"""The append-only log: who, when, what, and how it ended. Nothing here is ever changed or removed.

The other parts of the ledger append in the transaction of what they record, so that the log and the rows it
speaks of cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.tables import events
from billing_pipeline.delivery.records import Delivery, Event, EventKind, EventOutcome


@dataclass(frozen=True, slots=True)
class Note:
    """What an event says beside whom it is about: what was done, how it ended, and the details."""

    action: str
    detail: str
    outcome: EventOutcome = "success"
    kind: EventKind = "exchange"


def append(connection: sa.Connection, entries: Iterable[Event]) -> None:
    """Add the entries, in their order; their `id` is given by the database."""
    rows = [
        {column.name: getattr(entry, column.name) for column in events.c if column.name != "id"}
        for entry in entries
    ]
    if rows:
        connection.execute(sa.insert(events), rows)


def about(delivery: Delivery, note: Note, *, at: datetime, run_id: str) -> Event:
    """What the log says of one delivery."""
    return Event(
        id=0,
        at=at,
        month=delivery.month,
        customer_number=delivery.customer_number,
        revision=delivery.revision,
        order_number=delivery.order_number,
        kind=note.kind,
        action=note.action,
        outcome=note.outcome,
        detail=note.detail,
        run_id=run_id,
    )


class Events:
    """Reading the log, and adding what no other part of the ledger adds."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def record(self, entries: Iterable[Event]) -> None:
        """Log what changed no delivery, such as a file that no connection could be made for."""
        with self._db.writing() as connection:
            append(connection, entries)

    def record_exchange(self, delivery: Delivery, note: Note, *, run_id: str) -> None:
        """Log one exchange about a delivery, with the inbox or the API, that moved it nowhere."""
        self.record([about(delivery, note, at=self._db.now(), run_id=run_id)])

    def find(self, *, month: str | None = None, customer_number: str | None = None) -> list[Event]:
        """The log, oldest first, of one month or customer if named."""
        query = sa.select(events).order_by(events.c.id)
        if month is not None:
            query = query.where(events.c.month == month)
        if customer_number is not None:
            query = query.where(events.c.customer_number == customer_number)
        with self._db.reading() as connection:
            return [Event(**row._mapping) for row in connection.execute(query)]
