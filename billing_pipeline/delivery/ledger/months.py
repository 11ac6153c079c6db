"""How each customer's month stands, for `status`: what the last export said, and how the last delivery ended."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.events import Note, append, event_of
from billing_pipeline.delivery.ledger.planned_rows import is_among
from billing_pipeline.delivery.ledger.plans import withdraw_plans
from billing_pipeline.delivery.ledger.tables import deliveries, finished_months, month_customers
from billing_pipeline.delivery.records import (
    DeliveryResult,
    Event,
    Export,
    MonthCustomer,
    State,
)
from billing_pipeline.problems import Problem, problem_of

_EXPORT_COLUMNS = tuple(field.name for field in fields(Export) if field.name not in {"outcome", "problems"})

_CLOSED_AT = month_customers.c.closed_at
_AT = sa.bindparam("at", type_=month_customers.c.delivered_at.type)
_OUTCOME = (
    sa.update(month_customers)
    .where(
        month_customers.c.month == sa.bindparam("of_month"),
        month_customers.c.customer_number == sa.bindparam("of_customer"),
    )
    .values(
        delivery_outcome=sa.bindparam("outcome"),
        delivery_problems=sa.bindparam("found", type_=month_customers.c.delivery_problems.type),
        delivery_sha256=sa.bindparam("bytes_sha256"),
        delivery_run_id=sa.bindparam("by_run"),
        delivered_at=_AT,
        closed_at=sa.case(
            (sa.bindparam("closes", type_=sa.Boolean()), sa.func.coalesce(_CLOSED_AT, _AT)), else_=_CLOSED_AT
        ),
    )
)


class Months:
    """Recording exports and outcomes, many customers in one transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def record_exports(self, exports: Sequence[Export], run_id: str) -> None:
        """Record what an export said of each customer, with an event each: all of them, or none.

        A customer has one entry in `exports`. How their last delivery ended stays as it is. A customer who
        now has no file gives up a plan of which nothing was sent, and the rows it was to bill.
        """
        if not exports:
            return
        at = self._db.now()
        rows = [_row(export, at, run_id) for export in exports]
        with self._db.writing() as connection:
            connection.execute(self._upsert(), rows)
            append(connection, [_event(export, at, run_id) for export in exports])
            withdraw_plans(
                connection,
                [
                    (export.month, export.customer_number)
                    for export in exports
                    if export.outcome != "rendered"
                ],
                at=at,
            )

    def record_roster(
        self, month: str, roster: Sequence[Export], run_id: str, *, covered: Collection[str] | None = None
    ) -> None:
        """Record who has rows in the month, before any file is made: their exports say "to_bill", or why not.

        From here on the month is finished only once each of them has an outcome. What an export has made of a
        customer who is still to be billed stands until their next export. Who was in the month before and has no row
        now is "absent", and no longer counts.

        `covered`: where only a part of the month was billed, the customers of that part. Of the others nothing is
        changed; those who were not known yet are added.
        """
        at = self._db.now()
        known = sa.select(month_customers.c.customer_number, month_customers.c.export_outcome).where(
            month_customers.c.month == month
        )
        of_customer = (
            month_customers.c.month == month,
            month_customers.c.customer_number == sa.bindparam("of_customer"),
        )
        with self._db.writing() as connection:
            before = {row.customer_number: row.export_outcome for row in connection.execute(known)}
            part = (
                before.keys() | {one.customer_number for one in roster} if covered is None else set(covered)
            )
            told = [
                one if one.customer_number in part else replace(one, billing_id=None)
                for one in roster
                if one.customer_number in part or one.customer_number not in before
            ]
            stands = [
                export
                for export in told
                if export.outcome == "to_bill" and before.get(export.customer_number) == "rendered"
            ]
            standing = {export.customer_number for export in stands}
            said = [export for export in told if export.customer_number not in standing]
            gone = (before.keys() & part) - {export.customer_number for export in roster}
            if gone:
                connection.execute(
                    sa.update(month_customers)
                    .where(*of_customer)
                    .values(export_outcome="absent", problems=[]),
                    [{"of_customer": number} for number in sorted(gone)],
                )
            if stands:
                connection.execute(
                    sa.update(month_customers).where(*of_customer).values(late_rows=sa.bindparam("waiting")),
                    [{"of_customer": one.customer_number, "waiting": one.late_rows} for one in stands],
                )
            if said:
                connection.execute(self._upsert(), [_row(export, at, run_id) for export in said])

    def log_exports(self, exports: Sequence[Export], run_id: str) -> None:
        """Log what a dry run made of each customer; nothing of it may be sent, so the log alone has it."""
        at = self._db.now()
        events = [_event(export, at, run_id) for export in exports]
        with self._db.writing() as connection:
            append(
                connection,
                [replace(event, action=f"{event.action} (dry run)") for event in events],
            )

    def record_outcomes(
        self, results: Sequence[DeliveryResult], run_id: str, *, close_months: bool = True
    ) -> None:
        """Record how each customer's month ended, and log a failure; their exports are recorded already.

        With `close_months`, it is noted since when a customer has nothing to bill. False for a month that is not over.
        """
        if not results:
            return
        at = self._db.now()
        with self._db.writing() as connection:
            connection.execute(
                _OUTCOME,
                [
                    {
                        "of_month": result.month,
                        "of_customer": result.customer_number,
                        "outcome": result.outcome,
                        "found": [problem.as_json() for problem in result.problems],
                        "bytes_sha256": result.sha256,
                        "by_run": run_id,
                        "at": at,
                        "closes": close_months and result.outcome == "nothing_to_bill",
                    }
                    for result in results
                ],
            )
            append(
                connection,
                [_failure(result, at, run_id) for result in results if result.outcome == "failed"],
            )

    def finish(self, month: str, run_id: str) -> None:
        """Say that the month's delivery has finished, if every customer with a row in it has an outcome.

        Said again, the first time stays: who turns up later comes late.
        """
        insert = postgresql.insert if self._db.is_postgresql else sqlite.insert
        at = self._db.now()
        values = {"month": month, "run_id": run_id, "finished_at": at, "census_at": at}
        unfinished = sa.select(month_customers.c.customer_number).where(
            month_customers.c.month == month,
            month_customers.c.export_outcome != "absent",
            month_customers.c.delivery_outcome.is_(None),
        )
        with self._db.writing() as connection:
            if connection.execute(unfinished.limit(1)).scalar() is None:
                connection.execute(insert(finished_months).values(values).on_conflict_do_nothing())

    def finished(self, months: Collection[str]) -> frozenset[str]:
        """Those of these months whose delivery has finished."""
        query = sa.select(finished_months.c.month).where(finished_months.c.month.in_(months))
        with self._db.reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def customers(self, month: str, numbers: Collection[str] | None = None) -> list[MonthCustomer]:
        """Every customer who has a row in the month, or those of them of these `numbers`, by customer number."""
        query = (
            sa.select(month_customers)
            .where(month_customers.c.month == month, month_customers.c.export_outcome != "absent")
            .order_by(month_customers.c.customer_number)
        )
        if numbers is not None:
            query = query.where(
                is_among(month_customers.c.customer_number, list(numbers), self._db.engine.dialect)
            )
        with self._db.reading() as connection:
            return [_month_customer(row._mapping) for row in connection.execute(query).all()]

    def staying(self, months: Collection[str]) -> frozenset[tuple[str, str]]:
        """(customer_number, month) of those with something to bill in these months, whether it was sent or not."""
        query = sa.select(month_customers.c.customer_number, month_customers.c.month).where(
            month_customers.c.month.in_(months),
            month_customers.c.export_outcome.in_(("to_bill", "rendered", "blocked", "omitted")),
        )
        with self._db.reading() as connection:
            return frozenset((row[0], row[1]) for row in connection.execute(query))

    def with_open_customers(self) -> dict[str, frozenset[str]]:
        """Month → the customers in it who may be blocked, failed or held, oldest month first; `month_status` decides.

        In the database, so that of years of months only these are looked at.
        """
        # What was last told of what was last made, and which is nobody's concern.
        settled = sa.and_(
            month_customers.c.delivery_outcome.in_(("delivered", "unchanged")),
            month_customers.c.delivered_at >= month_customers.c.exported_at,
        )
        waiting = sa.select(month_customers.c.month, month_customers.c.customer_number).where(
            month_customers.c.export_outcome != "absent",
            sa.or_(
                month_customers.c.export_outcome == "blocked",
                month_customers.c.delivery_outcome.in_(("blocked", "failed", "held")),
                sa.and_(
                    month_customers.c.export_outcome.in_(("to_bill", "rendered")),
                    sa.or_(month_customers.c.delivery_outcome.is_(None), ~settled),
                ),
            ),
        )
        # From the few deliveries in doubt to their months, not the other way round.
        in_doubt = sa.select(deliveries.c.month, deliveries.c.customer_number).where(
            sa.or_(deliveries.c.state == State.HELD, deliveries.c.held_code != "")
        )
        doubtful = sa.select(month_customers.c.month, month_customers.c.customer_number).where(
            month_customers.c.export_outcome != "absent",
            sa.tuple_(month_customers.c.month, month_customers.c.customer_number).in_(in_doubt),
        )
        query = sa.union(waiting, doubtful).order_by("month", "customer_number")
        found: dict[str, set[str]] = {}
        with self._db.reading() as connection:
            for row in connection.execute(query):
                found.setdefault(row.month, set()).add(row.customer_number)
        return {month: frozenset(numbers) for month, numbers in found.items()}

    def known(self) -> list[str]:
        """Every month that was billed here, oldest first."""
        query = sa.select(month_customers.c.month).distinct().order_by(month_customers.c.month)
        with self._db.reading() as connection:
            return list(connection.execute(query).scalars())

    def without_census(self, months: Collection[str]) -> frozenset[str]:
        """Those of these months that a release before 0.2 finished, so that nothing is known of their unbilled rows."""
        query = sa.select(finished_months.c.month).where(
            finished_months.c.month.in_(months), finished_months.c.census_at.is_(None)
        )
        with self._db.reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def last_finished(self) -> str | None:
        """The latest month that was delivered to everybody, None where there is none."""
        with self._db.reading() as connection:
            found: str | None = connection.execute(sa.select(sa.func.max(finished_months.c.month))).scalar()
        return found

    def export_of(self, order_number: str) -> Export | None:
        """The export that last made a file of that order number, None if there is none."""
        query = sa.select(month_customers).where(
            month_customers.c.order_number == order_number, month_customers.c.export_outcome == "rendered"
        )
        with self._db.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _month_customer(row._mapping).export

    def _upsert(self) -> sa.UpdateBase:
        insert = (postgresql.insert if self._db.is_postgresql else sqlite.insert)(month_customers)
        said_by_export = (*_EXPORT_COLUMNS, "export_outcome", "problems", "export_run_id", "exported_at")
        return insert.on_conflict_do_update(
            index_elements=["month", "customer_number"],
            set_={name: insert.excluded[name] for name in said_by_export},
        )


def _row(export: Export, at: datetime, run_id: str) -> dict[str, Any]:
    return {name: getattr(export, name) for name in _EXPORT_COLUMNS} | {
        "export_outcome": export.outcome,
        "problems": [problem.as_json() for problem in export.problems],
        "export_run_id": run_id,
        "exported_at": at,
        "delivery_problems": [],
        "delivery_sha256": "",
        "delivery_run_id": "",
    }


def _event(export: Export, at: datetime, run_id: str) -> Event:
    if export.outcome == "rendered":
        detail = f"{export.file_name}, lines: {export.line_count}, bytes: {export.size_bytes}, sha256 {export.sha256}"
    else:
        detail = _words(export.problems) or export.reason
    return event_of(
        Note(export.outcome, detail, "failure" if export.outcome == "blocked" else "success", "export"),
        at=at,
        month=export.month,
        customer_number=export.customer_number,
        order_number=export.order_number,
        run_id=run_id,
    )


def _failure(result: DeliveryResult, at: datetime, run_id: str) -> Event:
    return event_of(
        Note("deliver", _words(result.problems), "failure"),
        at=at,
        month=result.month,
        customer_number=result.customer_number,
        order_number=result.order_number,
        run_id=run_id,
    )


def _words(problems: tuple[Problem, ...]) -> str:
    return "; ".join(f"{problem.code}: {problem.message}" for problem in problems)


def _month_customer(row: Any) -> MonthCustomer:
    return MonthCustomer(
        export=Export(
            outcome=row["export_outcome"],
            problems=_problems(row["problems"]),
            **{name: row[name] for name in _EXPORT_COLUMNS},
        ),
        export_run_id=row["export_run_id"],
        exported_at=row["exported_at"],
        delivery_outcome=row["delivery_outcome"],
        delivery_problems=_problems(row["delivery_problems"]),
        delivery_sha256=row["delivery_sha256"],
        delivery_run_id=row["delivery_run_id"],
        delivered_at=row["delivered_at"],
        closed_at=row["closed_at"],
    )


def _problems(rows: list[dict[str, str]]) -> tuple[Problem, ...]:
    return tuple(map(problem_of, rows))
