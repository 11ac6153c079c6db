"""Admissions: rows that were set aside, and that a person lets be billed after all; who, when and why.

An admission holds for the row as it looked: once the row has changed or gone, the admission has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database, insert
from billing_pipeline.delivery.ledger.events import Note, append, event_of, require_signature
from billing_pipeline.delivery.ledger.tables import admissions, billed_rows, row_standings
from billing_pipeline.delivery.records import Admission, RowStanding
from billing_pipeline.problems import UsageError

# It takes a second to load, and most who ask the ledger, such as `status`, want no columns.
if TYPE_CHECKING:
    import pandas as pd


class Admissions:
    """Admitting rows, and asking which are admitted."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, rows: Sequence[RowStanding], *, reason: str, author: str) -> None:
        """Let these rows be billed, as they were last seen. Raises: UsageError without a reason or a name."""
        require_signature(reason, author)
        at = self._db.now()
        with self._db.writing() as connection:
            for row in rows:
                _end(connection, row, at)
                _note(connection, row, "", reason, author, at, "admit")
                connection.execute(
                    sa.update(row_standings)
                    .where(
                        row_standings.c.source_kind == row.source_kind,
                        row_standings.c.source_id == row.source_id,
                    )
                    .values(ended_at=at)
                )

    def same_as(self, row: RowStanding, old_id: str, fingerprint: str, *, reason: str, author: str) -> None:
        """The row is the billed row `old_id` under another id: what billed that one bills this one from now on.

        `fingerprint`: of the row as the billed one is to have it (`billing.late`). Raises: UsageError where nothing of
        the customer's is billed under the old id.
        """
        require_signature(reason, author)
        at = self._db.now()
        with self._db.writing() as connection:
            old = connection.execute(
                sa.select(billed_rows)
                .where(
                    billed_rows.c.source_kind == row.source_kind,
                    billed_rows.c.source_id == old_id,
                    billed_rows.c.customer_number == row.customer_number,
                    billed_rows.c.released_at.is_(None),
                )
                .with_for_update()
            ).one_or_none()
            if old is None:
                raise UsageError(
                    f"--same-as {old_id}: no order bills {row.source_kind} {old_id} of customer "
                    f"{row.customer_number}; see `billing-pipeline status` for the row that has gone"
                )
            connection.execute(
                sa.update(billed_rows).where(billed_rows.c.id == old.id).values(released_at=at)
            )
            connection.execute(
                sa.insert(billed_rows).values(
                    source_kind=row.source_kind,
                    source_id=row.source_id,
                    fingerprint=fingerprint or old.fingerprint,
                    customer_number=old.customer_number,
                    month=row.month,
                    delivery_id=old.delivery_id,
                    taken_over_id=None,
                )
            )
            for source_id in (row.source_id, old_id):
                connection.execute(
                    sa.update(row_standings)
                    .where(
                        row_standings.c.source_kind == row.source_kind, row_standings.c.source_id == source_id
                    )
                    .values(ended_at=at)
                )
            _end(connection, row, at)
            _note(connection, row, old_id, reason, author, at, "admit as the same")

    def current(self) -> list[Admission]:
        """The admissions in force, by id."""
        query = sa.select(admissions).where(admissions.c.ended_at.is_(None), admissions.c.same_as == "")
        with self._db.reading() as connection:
            return [Admission(**row._mapping) for row in connection.execute(query.order_by(admissions.c.id))]

    def in_force(self) -> pd.DataFrame:
        """`late.ADMITTED` of all admissions in force."""
        import pandas as pd
        import pyarrow as pa

        from billing_pipeline.billing.late import ADMITTED

        rows = [{name: getattr(one, name) for name in ADMITTED.names} for one in self.current()]
        frame: pd.DataFrame = pa.Table.from_pylist(rows, schema=ADMITTED).to_pandas(
            types_mapper=pd.ArrowDtype
        )
        return frame

    def since(self, at: datetime) -> list[Admission]:
        """The admissions that were made after this instant."""
        query = sa.select(admissions).where(admissions.c.created_at > at)
        with self._db.reading() as connection:
            return [Admission(**row._mapping) for row in connection.execute(query)]

    def end(self, ids: Sequence[int]) -> None:
        """The rows of these admissions have changed or gone: should they come back, a person decides anew."""
        if ids:
            with self._db.writing() as connection:
                connection.execute(
                    sa.update(admissions).where(admissions.c.id.in_(ids)).values(ended_at=self._db.now())
                )


def _end(connection: sa.Connection, row: RowStanding, at: Any) -> None:
    connection.execute(
        sa.update(admissions)
        .where(
            admissions.c.source_kind == row.source_kind,
            admissions.c.source_id == row.source_id,
            admissions.c.ended_at.is_(None),
        )
        .values(ended_at=at)
    )


def _note(
    connection: sa.Connection,
    row: RowStanding,
    same_as: str,
    reason: str,
    author: str,
    at: Any,
    action: str,
) -> None:
    insert(
        connection,
        admissions,
        {
            "source_kind": row.source_kind,
            "source_id": row.source_id,
            "month": row.month,
            "customer_number": row.customer_number,
            "fingerprint": row.fingerprint,
            "related_id": row.related_id,
            "same_as": same_as,
            "reason": reason,
            "author": author,
            "created_at": at,
        },
    )
    what = f"{row.source_kind} {row.source_id}" + (f", the same as {same_as}" if same_as else "")
    note = Note(action, f"{author}: {reason} ({what})", kind="decision")
    append(connection, [event_of(note, at=at, month=row.month, customer_number=row.customer_number)])
