"""The standing of rows that are not simply billed, as each was last seen: the census of a month, and what is open.

`billing.standing` says what the standings are. A row has one entry, which follows it through the months.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.month_looks import record_looks
from billing_pipeline.delivery.ledger.tables import audits, row_standings
from billing_pipeline.delivery.records import MonthAudit, MonthLook, RowStanding, SourceKind
from billing_pipeline.problems import Problem, problem_of

# It takes a second to load, and most who ask the ledger, such as `status`, want no columns.
if TYPE_CHECKING:
    import pandas as pd


_PRESENT = row_standings.c.ended_at.is_(None)


class RowStandings:
    """Recording what became of rows, and asking what is known of them."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def record(
        self,
        standings: pd.DataFrame,
        months: Collection[str],
        run_id: str,
        *,
        judged: str,
        customers: Collection[str] | None = None,
        looks: Sequence[MonthLook] = (),
        spared: Collection[tuple[str, str]] = (),
    ) -> None:
        """Note the `standing.ROW_STANDINGS` of these months, all rows of which were looked at.

        What was known of them before, and is not among them any more, has ended: the row is billed now, or gone. With
        `customers`, of these customers only. `judged`: the month that was billed; why a row of another month is blocked
        there stays as it was told by that month. How long a row has had its standing is kept. `looks`: at these months;
        noted together with the entries, for what has none counts as simply billed from then on. `spared`: (kind, id) of
        rows of which it is not known yet what has become of them; their entries stay.
        """
        at = self._db.now()
        covered = None if customers is None else set(customers)
        entries = [
            {**entry, "run_id": run_id, "since": at, "seen_at": at, "ended_at": None}
            for entry in _records(standings)
            if covered is None or entry["customer_number"] in covered
        ]
        named = {(entry["source_kind"], entry["source_id"]) for entry in entries} | set(spared)
        of_months = sa.select(
            row_standings.c.source_kind,
            row_standings.c.source_id,
            row_standings.c.customer_number,
            row_standings.c.standing,
        ).where(row_standings.c.month.in_(sorted(months)), _PRESENT)
        end = (
            sa.update(row_standings)
            .where(
                row_standings.c.source_kind == sa.bindparam("kind"),
                row_standings.c.source_id == sa.bindparam("id"),
            )
            .values(ended_at=at)
        )
        with self._db.writing() as connection:
            known = connection.execute(of_months).all()
            blocked = {(row.source_kind, row.source_id) for row in known if row.standing == "blocked"}
            entries = [
                entry
                for entry in entries
                if entry["standing"] != "to_bill"
                or entry["month"] == judged
                or (entry["source_kind"], entry["source_id"]) not in blocked
            ]
            ended = [
                {"kind": row.source_kind, "id": row.source_id}
                for row in known
                if (row.source_kind, row.source_id) not in named
                and (covered is None or row.customer_number in covered)
            ]
            if ended:
                connection.execute(end, ended)
            if entries:
                connection.execute(self._upsert(), entries)
            record_looks(connection, looks, is_postgresql=self._db.is_postgresql)

    def note(self, standings: pd.DataFrame, run_id: str) -> None:
        """Note these `standing.ROW_STANDINGS`, and leave all others as they are."""
        at = self._db.now()
        entries = [
            {**entry, "run_id": run_id, "since": at, "seen_at": at, "ended_at": None}
            for entry in _records(standings)
        ]
        if entries:
            with self._db.writing() as connection:
                connection.execute(self._upsert(), entries)

    def census(self, months: Collection[str]) -> pd.DataFrame:
        """`late.CENSUS` of the rows of these months."""
        import pandas as pd
        import pyarrow as pa

        from billing_pipeline.billing.late import CENSUS

        query = sa.select(*(row_standings.c[name] for name in CENSUS.names)).where(
            _PRESENT, row_standings.c.month.in_(sorted(months))
        )
        with self._db.reading() as connection:
            found = [dict(row._mapping) for row in connection.execute(query)]
        frame: pd.DataFrame = pa.Table.from_pylist(found, schema=CENSUS).to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    def current(self, months: Collection[str] | None = None) -> list[RowStanding]:
        """The present entries, of these months or of all: by month, customer, kind and id."""
        return self._found() if months is None else self._found(row_standings.c.month.in_(sorted(months)))

    def unsettled(self) -> list[RowStanding]:
        """The present entries, of all months, of rows that may need a person; in the order of `current`.

        Without those that are left out for good, of which there are many, and more with each month.
        """
        return self._found(row_standings.c.standing.not_in(("omitted", "not_billable")))

    def changed(self) -> list[RowStanding]:
        """The present entries, of all months, of billed rows that have changed or gone; in the order of `current`."""
        return self._found(row_standings.c.standing == "billed")

    def of_row(self, kind: SourceKind, source_id: str) -> RowStanding | None:
        """The present entry of a row, None where it has none."""
        found = self._found(row_standings.c.source_kind == kind, row_standings.c.source_id == source_id)
        return found[0] if found else None

    def last_seen(self) -> datetime | None:
        """When a row was last looked at, None for never."""
        with self._db.reading() as connection:
            return connection.execute(
                sa.select(sa.func.max(row_standings.c.seen_at)).where(_PRESENT)
            ).scalar()

    def _found(self, *which: sa.ColumnElement[bool]) -> list[RowStanding]:
        order = ("month", "customer_number", "source_kind", "source_id")
        query = sa.select(row_standings).where(_PRESENT, *which)
        with self._db.reading() as connection:
            rows = connection.execute(query.order_by(*(row_standings.c[name] for name in order)))
            return [_standing(row) for row in rows]

    def record_audit(
        self,
        month: str,
        rows: Mapping[str, int],
        amounts: Mapping[str, Mapping[str, int]],
        findings: Sequence[Problem],
        run_id: str,
    ) -> None:
        """Keep the account of a month's rows; the one before it is replaced."""
        insert = (postgresql.insert if self._db.is_postgresql else sqlite.insert)(audits)
        values = {
            "month": month,
            "rows": dict(rows),
            "amounts": {currency: dict(sums) for currency, sums in amounts.items()},
            "findings": [problem.as_json() for problem in findings],
            "run_id": run_id,
            "at": self._db.now(),
        }
        upsert = insert.values(values).on_conflict_do_update(
            index_elements=["month"],
            set_={name: insert.excluded[name] for name in values if name != "month"},
        )
        with self._db.writing() as connection:
            connection.execute(upsert)

    def audited(self) -> list[MonthAudit]:
        """The last account of each month that was audited, by month."""
        with self._db.reading() as connection:
            return [
                MonthAudit(**{**row._mapping, "findings": tuple(map(problem_of, row.findings))})
                for row in connection.execute(sa.select(audits).order_by(audits.c.month))
            ]

    def _upsert(self) -> sa.UpdateBase:
        insert = (postgresql.insert if self._db.is_postgresql else sqlite.insert)(row_standings)
        same = sa.and_(
            row_standings.c.standing == insert.excluded.standing,
            row_standings.c.code == insert.excluded.code,
            _PRESENT,
        )
        changed = {
            column.name: insert.excluded[column.name]
            for column in row_standings.c
            if column.name not in {"source_kind", "source_id", "since"}
        }
        return insert.on_conflict_do_update(
            index_elements=["source_kind", "source_id"],
            set_={**changed, "since": sa.case((same, row_standings.c.since), else_=insert.excluded.since)},
        )


def end_accepted(connection: sa.Connection, order_number: str, *, at: datetime) -> None:
    """What has changed or gone of this order is no longer open."""
    connection.execute(
        sa.update(row_standings)
        .where(row_standings.c.order_number == order_number, row_standings.c.standing == "billed", _PRESENT)
        .values(ended_at=at)
    )


def _records(standings: pd.DataFrame) -> list[dict[str, Any]]:
    from billing_pipeline.billing.standing import ROW_STANDINGS

    columns = (standings[name].array.__arrow_array__().to_pylist() for name in ROW_STANDINGS.names)
    return [dict(zip(ROW_STANDINGS.names, row, strict=True)) for row in zip(*columns, strict=True)]


def _standing(row: Any) -> RowStanding:
    values = dict(row._mapping)
    values.pop("ended_at")
    return RowStanding(**values)
