"""What others ask of the ledger: deliveries, closed months, billed rows. Nothing is written here."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.plans import delivery_of
from billing_pipeline.delivery.records import Delivery, RowInFile
from billing_pipeline.delivery.schema import billed_rows, deliveries, month_customers


class Reading(Database):
    """Questions to the ledger, each answered from one transaction."""

    def deliveries(self, month: str | None = None) -> list[Delivery]:
        """The deliveries of a month, or all: by month, customer number and revision."""
        query = sa.select(deliveries).order_by(
            deliveries.c.month, deliveries.c.customer_number, deliveries.c.revision
        )
        if month is not None:
            query = query.where(deliveries.c.month == month)
        with self._reading() as connection:
            return [delivery_of(row) for row in connection.execute(query)]

    def delivery(self, order_number: str) -> Delivery | None:
        """The delivery with that order number, None if there is none."""
        with self._reading() as connection:
            row = connection.execute(
                sa.select(deliveries).where(deliveries.c.order_number == order_number)
            ).one_or_none()
        return None if row is None else delivery_of(row)

    def revisions(self, month: str) -> dict[str, int]:
        """The latest revision of each customer who has a delivery in the month: the one that a run renders."""
        query = (
            sa.select(deliveries.c.customer_number, sa.func.max(deliveries.c.revision))
            .where(deliveries.c.month == month)
            .group_by(deliveries.c.customer_number)
        )
        with self._reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def closed(self, months: Collection[str]) -> frozenset[tuple[str, str]]:
        """The (customer_number, month)s that are closed: committed for sending, or over with nothing to bill."""
        committed = sa.select(deliveries.c.customer_number, deliveries.c.month).where(
            deliveries.c.month.in_(months), deliveries.c.committed_at.is_not(None)
        )
        nothing_to_bill = sa.select(month_customers.c.customer_number, month_customers.c.month).where(
            month_customers.c.month.in_(months), month_customers.c.closed_at.is_not(None)
        )
        with self._reading() as connection:
            return frozenset(
                (row[0], row[1]) for row in connection.execute(sa.union(committed, nothing_to_bill))
            )

    def finished_months(self, months: Collection[str]) -> frozenset[str]:
        """Those of these months whose delivery has finished: every customer with a row has an outcome."""
        open_rows = sa.func.sum(sa.case((month_customers.c.delivery_outcome.is_(None), 1), else_=0))
        query = (
            sa.select(month_customers.c.month)
            .where(month_customers.c.month.in_(months), month_customers.c.export_outcome != "absent")
            .group_by(month_customers.c.month)
            .having(open_rows == 0)
        )
        with self._reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def rows_in_files(self, months: Collection[str]) -> list[RowInFile]:
        """The rows of these months (their own) that a delivery bills, of whatever month; by kind and id."""
        query = (
            sa.select(
                billed_rows.c.source_kind,
                billed_rows.c.source_id,
                billed_rows.c.fingerprint,
                billed_rows.c.customer_number,
                billed_rows.c.month,
                deliveries.c.month.label("delivery_month"),
                deliveries.c.order_number,
                deliveries.c.committed_at.is_not(None).label("committed"),
            )
            .join(deliveries, deliveries.c.id == billed_rows.c.delivery_id)
            .where(billed_rows.c.month.in_(months), billed_rows.c.released_at.is_(None))
            .order_by(billed_rows.c.source_kind, billed_rows.c.source_id)
        )
        with self._reading() as connection:
            return [RowInFile(**row._mapping) for row in connection.execute(query)]
