"""The last look at each month: which rows it had, and what was billed of them, so that the next look may be short.

Where neither has changed, only rows that are not simply billed, or that have changed since, are read in full again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.deliveries import IS_COMMITTED
from billing_pipeline.delivery.ledger.tables import billed_rows, deliveries, month_looks
from billing_pipeline.delivery.records import MonthLook

NOTHING_BILLED = "0 rows"


class MonthLooks:
    """Asking for the last look at a month, and what it is held against. `record_looks` keeps them."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def of(self, months: Collection[str]) -> dict[str, MonthLook]:
        """The last look at each of these months that was looked at."""
        query = sa.select(month_looks).where(month_looks.c.month.in_(sorted(months)))
        with self._db.reading() as connection:
            return {row.month: _look(row) for row in connection.execute(query)}

    def billed_states(self, months: Collection[str]) -> dict[str, str]:
        """What is billed for good of each month's own rows, as a text that differs where anything of it does."""
        # Entries are never changed but released and taken back, so that their numbers say which they are.
        query = (
            sa.select(billed_rows.c.month, sa.func.count(), sa.func.sum(billed_rows.c.id))
            .join(deliveries, deliveries.c.id == billed_rows.c.delivery_id)
            .where(billed_rows.c.month.in_(sorted(months)), billed_rows.c.released_at.is_(None), IS_COMMITTED)
            .group_by(billed_rows.c.month)
        )
        with self._db.reading() as connection:
            found = {
                month: f"{count} rows, sum of ids {int(total)}"
                for month, count, total in connection.execute(query)
            }
        return {month: found.get(month, NOTHING_BILLED) for month in months}


def record_looks(connection: sa.Connection, looks: Sequence[MonthLook], *, is_postgresql: bool) -> None:
    """Note these looks; the ones before are replaced."""
    if not looks:
        return
    insert = (postgresql.insert if is_postgresql else sqlite.insert)(month_looks)
    values = [
        {
            "month": look.month,
            "row_count": look.row_count,
            "digest": look.digest,
            "billed_state": look.billed_state,
            "absent": [list(one) for one in look.absent],
            "looked_at": look.looked_at,
        }
        for look in looks
    ]
    replaced = {
        column.name: insert.excluded[column.name] for column in month_looks.c if column.name != "month"
    }
    connection.execute(insert.on_conflict_do_update(index_elements=["month"], set_=replaced), values)


def _look(row: Any) -> MonthLook:
    values = dict(row._mapping)
    return MonthLook(**{**values, "absent": tuple((kind, one) for kind, one in values["absent"])})
