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
from billing_pipeline.problems import UsageError

_COLUMNS = tuple(column.name for column in events.c if column.name != "id")


@dataclass(frozen=True, slots=True)
class Note:
    """What an event says beside whom it is about: what was done, how it ended, and the details."""

    action: str
    detail: str
    outcome: EventOutcome = "success"
    kind: EventKind = "exchange"


def append(connection: sa.Connection, entries: Iterable[Event]) -> None:
    """Add the entries, in their order."""
    rows = [{name: getattr(entry, name) for name in _COLUMNS} for entry in entries]
    if rows:
        connection.execute(sa.insert(events), rows)


def event_of(
    note: Note,
    *,
    at: datetime,
    month: str,
    customer_number: str = "",
    revision: int = 0,
    order_number: str = "",
    run_id: str = "",
) -> Event:
    """The note as an entry of the log; its `id` is given by the database."""
    return Event(
        id=0,
        at=at,
        month=month,
        customer_number=customer_number,
        revision=revision,
        order_number=order_number,
        kind=note.kind,
        action=note.action,
        outcome=note.outcome,
        detail=note.detail,
        run_id=run_id,
    )


def about(delivery: Delivery, note: Note, *, at: datetime, run_id: str) -> Event:
    """The note as an entry about one delivery."""
    return event_of(
        note,
        at=at,
        month=delivery.month,
        customer_number=delivery.customer_number,
        revision=delivery.revision,
        order_number=delivery.order_number,
        run_id=run_id,
    )


class Events:
    """Reading the log, and adding what no other part of the ledger adds."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def record(self, note: Note, *, month: str, run_id: str) -> None:
        """Log what is about a month and no single delivery, such as a list that was asked of the API."""
        with self._db.writing() as connection:
            append(connection, [event_of(note, at=self._db.now(), month=month, run_id=run_id)])

    def record_exchange(self, delivery: Delivery, note: Note, *, run_id: str) -> None:
        """Log one exchange about a delivery, with the inbox or the API, that moved it nowhere."""
        with self._db.writing() as connection:
            append(connection, [about(delivery, note, at=self._db.now(), run_id=run_id)])

    def newest(self) -> int:
        """The number of the last entry; 0 where there is none."""
        with self._db.reading() as connection:
            return int(connection.execute(sa.select(sa.func.max(events.c.id))).scalar() or 0)

    def months_since(self, entry: int, *, most: int) -> tuple[list[str], int]:
        """The months that the entries after this one speak of, in order, and the last entry looked at.

        At most so many entries are looked at.
        """
        after = (
            sa.select(events.c.id, events.c.month)
            .where(events.c.id > entry)
            .order_by(events.c.id)
            .limit(most)
            .subquery()
        )
        query = sa.select(after.c.month, sa.func.max(after.c.id).label("last")).group_by(after.c.month)
        with self._db.reading() as connection:
            found = {row.month: row.last for row in connection.execute(query)}
        return sorted(filter(None, found)), max(found.values(), default=entry)

    def find(self, *, month: str | None = None, customer_number: str | None = None) -> list[Event]:
        """The log, oldest first, of one month or customer if named."""
        query = sa.select(events).order_by(events.c.id)
        if month is not None:
            query = query.where(events.c.month == month)
        if customer_number is not None:
            query = query.where(events.c.customer_number == customer_number)
        with self._db.reading() as connection:
            return [Event(**row._mapping) for row in connection.execute(query)]


def require_signature(reason: str, author: str) -> None:
    """Raises: UsageError where a decision has no reason or no name to it."""
    if not reason.strip() or not author.strip():
        raise UsageError("a decision needs a reason and a name: --reason TEXT --by NAME")
