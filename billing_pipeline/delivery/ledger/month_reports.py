"""Which facts the reports of a month have told: by them the next one says what has changed since."""

from __future__ import annotations

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.tables import month_reports
from billing_pipeline.delivery.records import ToldReport


class MonthReports:
    """The reports that told something new, of each month."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def last(self, month: str, *, other_than: str = "") -> ToldReport | None:
        """The last report of the month whose facts are not these; None where there is none."""
        query = (
            sa.select(month_reports)
            .where(month_reports.c.month == month, month_reports.c.facts_sha256 != other_than)
            .order_by(month_reports.c.id.desc())
            .limit(1)
        )
        with self._db.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else ToldReport(**row._mapping)

    def record(self, month: str, facts_sha256: str, page_sha256: str) -> None:
        """Notes a report; one with the facts of the month's last report is not noted again."""
        with self._db.writing() as connection:
            last = connection.execute(
                sa.select(month_reports.c.facts_sha256)
                .where(month_reports.c.month == month)
                .order_by(month_reports.c.id.desc())
                .limit(1)
            ).scalar()
            if last != facts_sha256:
                connection.execute(
                    sa.insert(month_reports).values(
                        month=month, facts_sha256=facts_sha256, page_sha256=page_sha256, at=self._db.now()
                    )
                )
