"""The append-only log: who, when, what, and how it ended. Nothing here is ever changed or removed.

The other parts of the ledger append in the transaction of what they record, so that the log and the rows it
speaks of cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.records import Delivery, Event, EventKind, EventOutcome
from billing_pipeline.delivery.schema import events


def append(connection: sa.Connection, entries: Iterable[Event]) -> None:
    """Add the entries, in their order; their `id` is given by the database."""
    rows = [
        {column.name: getattr(entry, column.name) for column in events.c if column.name != "id"}
        for entry in entries
    ]
    if rows:
        connection.execute(sa.insert(events), rows)


def about(
    delivery: Delivery,
    *,
    at: datetime,
    kind: EventKind,
    action: str,
    outcome: EventOutcome,
    detail: str,
    run_id: str,
) -> Event:
    """An entry about one delivery."""
    return Event(
        id=0,
        at=at,
        month=delivery.month,
        customer_number=delivery.customer_number,
        revision=delivery.revision,
        order_number=delivery.order_number,
        kind=kind,
        action=action,
        outcome=outcome,
        detail=detail,
        run_id=run_id,
    )


class Events(Database):
    """Reading the log, and adding what no other part of the ledger adds."""

    def record_exchange(
        self, delivery: Delivery, action: str, outcome: EventOutcome, detail: str, *, run_id: str
    ) -> None:
        """Log one exchange about a delivery with the inbox or the API."""
        with self._writing() as connection:
            append(
                connection,
                [
                    about(
                        delivery,
                        at=self._now(),
                        kind="exchange",
                        action=action,
                        outcome=outcome,
                        detail=detail,
                        run_id=run_id,
                    )
                ],
            )

    def events(self, *, month: str | None = None, customer_number: str | None = None) -> list[Event]:
        """The log, oldest first, of one month or customer if named."""
        query = sa.select(events).order_by(events.c.id)
        if month is not None:
            query = query.where(events.c.month == month)
        if customer_number is not None:
            query = query.where(events.c.customer_number == customer_number)
        with self._reading() as connection:
            return [Event(**row._mapping) for row in connection.execute(query)]
