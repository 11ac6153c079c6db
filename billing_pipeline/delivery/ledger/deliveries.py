"""What others ask of the ledger: deliveries, closed months, billed rows. Nothing is written here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.billed_rows import portions
from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.plans import delivery_of
from billing_pipeline.delivery.ledger.tables import billed_rows, deliveries, month_customers
from billing_pipeline.delivery.records import SENT_STATES, Delivery, RowInFile, State


class Deliveries:
    """Questions to the ledger, each answered from one transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def of_month(self, month: str | None = None) -> list[Delivery]:
        """The deliveries of a month, or all: by month, customer number and revision."""
        query = sa.select(deliveries).order_by(
            deliveries.c.month, deliveries.c.customer_number, deliveries.c.revision
        )
        if month is not None:
            query = query.where(deliveries.c.month == month)
        with self._db.reading() as connection:
            return [delivery_of(row) for row in connection.execute(query)]

    def of_order(self, order_number: str) -> Delivery | None:
        """The delivery with that order number, None if there is none."""
        with self._db.reading() as connection:
            row = connection.execute(
                sa.select(deliveries).where(deliveries.c.order_number == order_number)
            ).one_or_none()
        return None if row is None else delivery_of(row)

    def revisions(self, month: str) -> dict[str, int]:
        """The latest revision of each customer who has a delivery in the month: the one that a run renders.

        A plan that was given up, with nothing sent, is none.
        """
        query = (
            sa.select(deliveries.c.customer_number, sa.func.max(deliveries.c.revision))
            .where(deliveries.c.month == month, deliveries.c.sha256 != "")
            .group_by(deliveries.c.customer_number)
        )
        with self._db.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def open_corrections(self, month: str) -> frozenset[str]:
        """The customers of whose month a correction is planned that is not committed for sending yet."""
        query = sa.select(deliveries.c.customer_number).where(
            deliveries.c.month == month,
            deliveries.c.revision > 1,
            deliveries.c.committed_at.is_(None),
            deliveries.c.sha256 != "",
        )
        with self._db.reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def unconfirmed(self) -> list[Delivery]:
        """What was sent, and whose draft has not been seen, or is not right: the last revision of each customer's
        month, by month and customer number.
        """
        later = deliveries.alias("later")
        query = (
            sa.select(deliveries)
            .where(
                deliveries.c.state.in_(SENT_STATES),
                sa.or_(deliveries.c.state != State.CONFIRMED, deliveries.c.held_code != ""),
                ~sa.exists().where(
                    later.c.customer_number == deliveries.c.customer_number,
                    later.c.month == deliveries.c.month,
                    later.c.revision > deliveries.c.revision,
                ),
            )
            .order_by(deliveries.c.month, deliveries.c.customer_number)
        )
        with self._db.reading() as connection:
            return [delivery_of(row) for row in connection.execute(query)]

    def closed(self, months: Collection[str]) -> frozenset[tuple[str, str]]:
        """The (customer_number, month)s that are closed: committed for sending, or over with nothing to bill."""
        committed = sa.select(deliveries.c.customer_number, deliveries.c.month).where(
            deliveries.c.month.in_(months), deliveries.c.committed_at.is_not(None)
        )
        nothing_to_bill = sa.select(month_customers.c.customer_number, month_customers.c.month).where(
            month_customers.c.month.in_(months), month_customers.c.closed_at.is_not(None)
        )
        with self._db.reading() as connection:
            return frozenset(
                (row[0], row[1]) for row in connection.execute(sa.union(committed, nothing_to_bill))
            )

    def billed_rows(
        self, months: Collection[str], ids: Mapping[str, Sequence[str]] = MappingProxyType({})
    ) -> list[RowInFile]:
        """The rows of these months (their own) that a delivery bills, of whatever month, and, of whatever month,
        those of the `ids`, by source kind; by kind and id.
        """
        of_months = billed_rows.c.month.in_(months)
        by_name = [
            sa.and_(billed_rows.c.source_kind == kind, billed_rows.c.source_id.in_(portion))
            for kind, of_kind in ids.items()
            for portion in portions(of_kind)
        ]
        found: dict[tuple[str, str], RowInFile] = {}
        with self._db.reading() as connection:
            for which in (of_months, *by_name):
                for row in connection.execute(_IN_FILES.where(which)):
                    found[row.source_kind, row.source_id] = RowInFile(**row._mapping)
        return [found[name] for name in sorted(found)]


_IN_FILES = (
    sa.select(
        billed_rows.c.source_kind,
        billed_rows.c.source_id,
        billed_rows.c.fingerprint,
        billed_rows.c.customer_number,
        billed_rows.c.month,
        deliveries.c.month.label("delivery_month"),
        deliveries.c.order_number,
        sa.or_(deliveries.c.committed_at.is_not(None), deliveries.c.revision > 1).label("committed"),
    )
    .join(deliveries, deliveries.c.id == billed_rows.c.delivery_id)
    .where(billed_rows.c.released_at.is_(None))
)
