"""Questions to the ledger about deliveries, closed months and billed rows. Nothing is written here."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from billing_pipeline.billing.late import BILLED
from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.plans import delivery_of
from billing_pipeline.delivery.ledger.tables import billed_rows, deliveries, month_customers
from billing_pipeline.delivery.records import SENT_STATES, Delivery, Export, RowInFile, State


def latest_of(found: Iterable[Delivery]) -> dict[str, Delivery]:
    """The last revision of each customer among the deliveries of a month, sent or not.

    A plan that was given up, with nothing sent, is none.
    """
    in_order = sorted(found, key=lambda delivery: delivery.revision)
    return {delivery.customer_number: delivery for delivery in in_order if delivery.sha256}


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

    def count(self) -> int:
        """How many there are, of all months."""
        with self._db.reading() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(deliveries)).scalar_one())

    def of_order(self, order_number: str) -> Delivery | None:
        """The delivery with that order number, None if there is none."""
        with self._db.reading() as connection:
            row = connection.execute(
                sa.select(deliveries).where(deliveries.c.order_number == order_number)
            ).one_or_none()
        return None if row is None else delivery_of(row)

    def latest(self, month: str) -> dict[str, Delivery]:
        """The last revision of each customer's month, sent or not, as `latest_of` has it."""
        return latest_of(self.of_month(month))

    def revisions(self, month: str) -> dict[str, int]:
        """The number of each customer's last revision in the month: the one that a run renders."""
        return {number: delivery.revision for number, delivery in self.latest(month).items()}

    def last_sent(self, month: str) -> dict[str, Delivery]:
        """The last revision of each customer's month that was committed for sending: the one that stands."""
        return {
            delivery.customer_number: delivery
            for delivery in self.of_month(month)  # by revision, so that the last one stays
            if delivery.committed_at is not None
        }

    def next_revisions(self, month: str) -> dict[str, int]:
        """The revision with which each customer of the month would be corrected: the one after the last sent."""
        return {number: delivery.revision + 1 for number, delivery in self.last_sent(month).items()}

    def unsettled(self, month: str, exports: Iterable[Export]) -> frozenset[str]:
        """Those of these customers for whom a file of the month is still to be sent: neither sent nor held."""
        settled = {
            delivery.order_number
            for delivery in self.of_month(month)
            if delivery.state in SENT_STATES or delivery.state is State.HELD
        }
        return frozenset(
            export.customer_number
            for export in exports
            if export.outcome in {"to_bill", "rendered"} and export.order_number not in settled
        )

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

    def maybe_rejected(self, endpoint: str) -> dict[tuple[str, str, int], Delivery]:
        """What was published at that inbox and may still be rejected: by month, customer number and revision.

        Neither what EASY Bill has shown as a draft, nor what a person has accepted.
        """
        query = sa.select(deliveries).where(
            deliveries.c.state.in_((State.PUBLISHED, State.CONSUMED)),
            deliveries.c.endpoint == endpoint,
            deliveries.c.released_as != "delivered",
        )
        with self._db.reading() as connection:
            found = map(delivery_of, connection.execute(query))
            return {(one.month, one.customer_number, one.revision): one for one in found}

    def unconfirmed(self, *, since: str = "") -> list[Delivery]:
        """What was sent, and whose draft has not been seen, or is not right: the last revision of each customer's
        month, by month and customer number; of the months from `since` on.
        """
        later = deliveries.alias("later")
        query = (
            sa.select(deliveries)
            .where(
                deliveries.c.month >= since,
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

    def billed_rows(self, months: Collection[str]) -> list[RowInFile]:
        """The rows of these months (their own) that a delivery bills, of whatever month; by kind and id."""
        query = _BILLED.where(billed_rows.c.month.in_(months)).order_by(
            billed_rows.c.source_kind, billed_rows.c.source_id
        )
        with self._db.reading() as connection:
            return [RowInFile(**row._mapping) for row in connection.execute(query)]

    def billed_sources(self, months: Collection[str], ids: Mapping[str, Sequence[str]]) -> pd.DataFrame:
        """What is billed for good, as the frame of `billing.late.BilledSource`; no row twice.

        The rows of these months (their own), and, of whatever month, those of the `ids`, by source kind. In columns,
        and a portion at a time: a year of a large customer base is millions of rows.
        """
        of_months = billed_rows.c.month.in_(months)
        which = [of_months] + [
            sa.and_(billed_rows.c.source_kind == kind, ~of_months, self._is_among(of_kind))
            for kind, of_kind in ids.items()
            if of_kind
        ]
        portions = []
        with self._db.reading() as connection:
            for condition in which:
                query = _BILLED_FOR_GOOD.where(condition).execution_options(yield_per=_ROWS_PER_PORTION)
                for rows in connection.execute(query).partitions():
                    columns = zip(*rows, strict=True)
                    portions.append(
                        pa.table([pa.array(column, pa.string()) for column in columns], schema=BILLED)
                    )
        found = pa.concat_tables(portions) if portions else BILLED.empty_table()
        frame: pd.DataFrame = found.to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    def billed_with_other_months(self, month: str) -> set[tuple[str, str]]:
        """(kind, id) of the rows of this month that the file of another month bills for good."""
        query = _BILLED_FOR_GOOD.with_only_columns(billed_rows.c.source_kind, billed_rows.c.source_id).where(
            billed_rows.c.month == month, deliveries.c.month != month
        )
        with self._db.reading() as connection:
            return {(row[0], row[1]) for row in connection.execute(query)}

    def _is_among(self, ids: Sequence[str]) -> sa.ColumnElement[bool]:
        """Whether a row has one of these ids, however many: they are one parameter, not one each."""
        if self._db.is_postgresql:
            among = sa.cast(sa.bindparam(None, list(ids)), ARRAY(sa.Text))
            return billed_rows.c.source_id == sa.any_(among)
        listed = sa.func.json_each(json.dumps(list(ids))).table_valued("value")
        return billed_rows.c.source_id.in_(sa.select(listed.c.value))


_ROWS_PER_PORTION: Final = 50_000
# A correction takes its rows over from a file that was committed.
_IS_COMMITTED = sa.or_(deliveries.c.committed_at.is_not(None), deliveries.c.revision > 1)
_BILLED = (
    sa.select(
        billed_rows.c.source_kind,
        billed_rows.c.source_id,
        billed_rows.c.fingerprint,
        billed_rows.c.customer_number,
        billed_rows.c.month,
        deliveries.c.month.label("delivery_month"),
        deliveries.c.order_number,
        _IS_COMMITTED.label("committed"),
    )
    .join(deliveries, deliveries.c.id == billed_rows.c.delivery_id)
    .where(billed_rows.c.released_at.is_(None))
)
_BILLED_FOR_GOOD = _BILLED.where(_IS_COMMITTED).with_only_columns(
    billed_rows.c.source_kind,
    billed_rows.c.source_id,
    billed_rows.c.customer_number,
    deliveries.c.month,
    billed_rows.c.month,
    deliveries.c.order_number,
    billed_rows.c.fingerprint,
)
"""In the order of `billing.late.BILLED`."""
