"""Questions to the ledger about deliveries, closed months and billed rows. Nothing is written here."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.plans import delivery_of, is_among, portions
from billing_pipeline.delivery.ledger.tables import billed_rows, deliveries
from billing_pipeline.delivery.records import SENT_STATES, Delivery, Export, RowInFile, State

# They take a second to load, and most who ask the ledger, such as `status`, want no columns.
if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from billing_pipeline.billing.unusual import CustomerMonth

_OF_ORDER = sa.select(deliveries).where(deliveries.c.order_number == sa.bindparam("order"))


def latest_of(found: Iterable[Delivery]) -> dict[str, Delivery]:
    """The last revision of each customer among the deliveries of a month, sent or not.

    A plan that was given up, with nothing sent, is none.
    """
    in_order = sorted(found, key=lambda delivery: delivery.revision)
    return {delivery.customer_number: delivery for delivery in in_order if delivery.sha256}


def standing_of(found: Iterable[Delivery]) -> dict[str, Delivery]:
    """By customer, what stands of the deliveries of a month: the last one committed for sending, unless withdrawn."""
    in_order = sorted(found, key=lambda delivery: delivery.revision)
    last = {one.customer_number: one for one in in_order if one.committed_at is not None}
    return {number: one for number, one in last.items() if one.state is not State.WITHDRAWN}


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
            return [delivery_of(row) for row in connection.execute(query).all()]

    def count(self) -> int:
        """How many there are, of all months."""
        with self._db.reading() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(deliveries)).scalar_one())

    def of_order(self, order_number: str) -> Delivery | None:
        """The delivery with that order number, None if there is none."""
        with self._db.reading() as connection:
            row = connection.execute(_OF_ORDER, {"order": order_number}).one_or_none()
        return None if row is None else delivery_of(row)

    def latest(self, month: str) -> dict[str, Delivery]:
        """The last revision of each customer's month, sent or not, as `latest_of` has it."""
        return latest_of(self.of_month(month))

    def draft_ids(self, order_numbers: Collection[str]) -> dict[str, int]:
        """The document in EASY Bill of each of these orders, as far as one was seen."""
        found: dict[str, int] = {}
        with self._db.reading() as connection:
            for part in portions(sorted(order_numbers)):
                query = sa.select(deliveries.c.order_number, deliveries.c.draft_id).where(
                    deliveries.c.order_number.in_(part), deliveries.c.draft_id.is_not(None)
                )
                found |= {row.order_number: row.draft_id for row in connection.execute(query)}
        return found

    def revisions(self, month: str) -> dict[str, int]:
        """The number of each customer's revision in the month that a run renders: the last one, or after a withdrawal
        the next.
        """
        return {
            number: delivery.revision + (delivery.state is State.WITHDRAWN)
            for number, delivery in self.latest(month).items()
        }

    def last_sent(self, month: str) -> dict[str, Delivery]:
        """The last revision of each customer's month that was committed for sending: the one that stands."""
        return {delivery.customer_number: delivery for delivery in self.standing(month)}

    def next_revisions(self, month: str) -> dict[str, int]:
        """The revision with which each customer of the month would be corrected: the one after the last sent."""
        return {number: delivery.revision + 1 for number, delivery in self.last_sent(month).items()}

    def unsettled(self, month: str, exports: Iterable[Export]) -> frozenset[str]:
        """Those of these customers for whom a file of the month is still to be sent: neither sent nor held."""
        query = sa.select(deliveries.c.order_number).where(
            deliveries.c.month == month, deliveries.c.state.in_((*SENT_STATES, State.HELD))
        )
        with self._db.reading() as connection:
            settled = set(connection.execute(query).scalars())
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

    def any_maybe_rejected(self, endpoint: str) -> bool:
        """Whether anything that was published at that inbox may still be rejected, as `maybe_rejected` has it."""
        query = sa.select(deliveries.c.id).where(*_maybe_rejected(endpoint)).limit(1)
        with self._db.reading() as connection:
            return connection.execute(query).scalar() is not None

    def maybe_rejected(
        self, endpoint: str, keys: Iterable[tuple[str, str, int]]
    ) -> dict[tuple[str, str, int], Delivery]:
        """Which of these, by month, customer number and revision, were published there and may still be rejected.

        Neither what EASY Bill has shown as a draft, nor what a person has accepted.
        """
        of_month: dict[str, set[tuple[str, str, int]]] = {}
        for key in keys:
            of_month.setdefault(key[0], set()).add(key)
        found = {}
        with self._db.reading() as connection:
            for month, wanted in sorted(of_month.items()):
                for portion in portions(sorted({number for _, number, _ in wanted})):
                    query = sa.select(deliveries).where(
                        deliveries.c.month == month,
                        deliveries.c.customer_number.in_(portion),
                        *_maybe_rejected(endpoint),
                    )
                    for one in map(delivery_of, connection.execute(query)):
                        if (month, one.customer_number, one.revision) in wanted:
                            found[month, one.customer_number, one.revision] = one
        return found

    def never_read(self, *, before: str) -> list[Delivery]:
        """What was sent in months before that one, and whose draft nobody has asked for: by month and customer number.

        Of the months from the first on of which EASY Bill has shown a draft: without a key no draft is ever read.
        """
        with self._db.reading() as connection:
            first = connection.execute(
                sa.select(sa.func.min(deliveries.c.month)).where(deliveries.c.draft_id.is_not(None))
            ).scalar()
            if first is None or first >= before:
                return []
            query = (
                sa.select(deliveries)
                .where(
                    deliveries.c.month.between(first, before),
                    deliveries.c.month != before,
                    *STANDS,
                    deliveries.c.state.in_((State.PUBLISHED, State.CONSUMED)),
                    deliveries.c.held_code == "",
                    deliveries.c.released_as != "delivered",
                    deliveries.c.presumed_at.is_(None),
                )
                .order_by(deliveries.c.month, deliveries.c.customer_number)
            )
            return [delivery_of(row) for row in connection.execute(query)]

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
        """The (customer_number, month)s that are closed: what stands there was committed for sending."""
        query = sa.select(deliveries.c.customer_number, deliveries.c.month).where(
            deliveries.c.month.in_(months), *STANDS
        )
        with self._db.reading() as connection:
            return frozenset((row[0], row[1]) for row in connection.execute(query))

    def standing(self, month: str | None = None) -> list[Delivery]:
        """What stands in EASY Bill as far as is known, of a month or of all: by month and customer number.

        That is the last revision that was committed for sending, unless it was withdrawn.
        """
        query = sa.select(deliveries).where(*STANDS)
        if month is not None:
            query = query.where(deliveries.c.month == month)
        query = query.order_by(deliveries.c.month, deliveries.c.customer_number)
        with self._db.reading() as connection:
            return [delivery_of(row) for row in connection.execute(query)]

    def stands(self, order_number: str) -> bool:
        """Whether the order was committed for sending, and is neither replaced nor withdrawn."""
        query = sa.select(deliveries.c.id).where(deliveries.c.order_number == order_number, *STANDS)
        with self._db.reading() as connection:
            return connection.execute(query).scalar() is not None

    def to_remove(self) -> list[Delivery]:
        """What a later revision has replaced, and of which it is not known that its draft is gone."""
        later = deliveries.alias("later")
        query = (
            sa.select(deliveries)
            .where(
                deliveries.c.committed_at.is_not(None),
                deliveries.c.state != State.WITHDRAWN,
                deliveries.c.gone_at.is_(None),
                # First those who have a later revision at all, which are few among years of deliveries.
                sa.tuple_(deliveries.c.customer_number, deliveries.c.month).in_(
                    sa.select(later.c.customer_number, later.c.month).where(later.c.revision > 1)
                ),
                _REPLACED,
            )
            .order_by(deliveries.c.month, deliveries.c.customer_number, deliveries.c.revision)
        )
        with self._db.reading() as connection:
            return [delivery_of(row) for row in connection.execute(query)]

    def presumed(self) -> list[Delivery]:
        """What stands, and nobody has seen arrive: by month and customer number."""
        query = (
            sa.select(deliveries)
            .where(*STANDS, deliveries.c.presumed_at.is_not(None))
            .order_by(deliveries.c.month, deliveries.c.customer_number)
        )
        with self._db.reading() as connection:
            return [delivery_of(row) for row in connection.execute(query)]

    def billed_rows(self, months: Collection[str]) -> list[RowInFile]:
        """The rows of these months (their own) that a delivery bills, of whatever month; by kind and id."""
        query = _BILLED.where(billed_rows.c.month.in_(months)).order_by(
            billed_rows.c.source_kind, billed_rows.c.source_id
        )
        with self._db.reading() as connection:
            return [RowInFile(**row._mapping) for row in connection.execute(query)]

    def billed_sources(
        self, months: Collection[str], ids: Mapping[str, Sequence[str] | pa.Array]
    ) -> pd.DataFrame:
        """What is billed for good, as the frame of `billing.late.BilledSource`; no row twice.

        The rows of these months (their own), and, of whatever month, those of the `ids`, by source kind. In columns,
        and a portion at a time: a year of a large customer base is millions of rows.
        """
        import pandas as pd
        import pyarrow as pa

        from billing_pipeline.billing.late import BILLED

        of_months = billed_rows.c.month.in_(months)
        which = itertools.chain(
            [of_months] if months else [],
            (
                sa.and_(
                    billed_rows.c.source_kind == kind,
                    ~of_months,
                    is_among(billed_rows.c.source_id, portion, self._db.engine.dialect),
                )
                for kind, of_kind in ids.items()
                for portion in _portions_of_ids(of_kind)
            ),
        )
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

    def amounts(self, months: Collection[str]) -> list[CustomerMonth]:
        """What stands billed of each customer in these months: by month and customer number."""
        from billing_pipeline.billing.unusual import CustomerMonth

        query = (
            sa.select(
                deliveries.c.month,
                deliveries.c.customer_number,
                deliveries.c.currency,
                deliveries.c.net,
                deliveries.c.line_count.label("lines"),
            )
            .where(deliveries.c.month.in_(months), *STANDS)
            .order_by(deliveries.c.month, deliveries.c.customer_number)
        )
        with self._db.reading() as connection:
            return [CustomerMonth(**row._mapping) for row in connection.execute(query)]

    def late_rows(self, month: str) -> list[RowInFile]:
        """The rows of other months, adjustments among them, that what stands of this month bills; by customer."""
        query = _BILLED.where(
            deliveries.c.month == month, billed_rows.c.month != month, IS_COMMITTED
        ).order_by(billed_rows.c.customer_number, billed_rows.c.month, billed_rows.c.source_id)
        with self._db.reading() as connection:
            return [RowInFile(**row._mapping) for row in connection.execute(query)]

    def rows_billed_by(self, month: str) -> dict[str, list[tuple[str, str]]]:
        """(kind, id) of the rows that deliveries of this month bill, by the rows' own month, without adjustments."""
        query = (
            sa.select(billed_rows.c.month, billed_rows.c.source_kind, billed_rows.c.source_id)
            .join(deliveries, deliveries.c.id == billed_rows.c.delivery_id)
            .where(
                deliveries.c.month == month,
                billed_rows.c.month != month,
                billed_rows.c.released_at.is_(None),
                billed_rows.c.source_kind != "adjustment",
            )
        )
        found: dict[str, list[tuple[str, str]]] = {}
        with self._db.reading() as connection:
            for own, kind, source_id in connection.execute(query):
                found.setdefault(own, []).append((kind, source_id))
        return found

    def ids_billed_of(self, month: str) -> dict[str, pa.Array]:
        """By source kind, the ids of the month's own rows that are billed for good."""
        import pyarrow as pa
        import pyarrow.compute as pc

        query = (
            _BILLED_FOR_GOOD.where(billed_rows.c.month == month)
            .with_only_columns(billed_rows.c.source_kind, billed_rows.c.source_id)
            .execution_options(yield_per=_ROWS_PER_PORTION)
        )
        found = {"kind": [pa.array([], pa.string())], "id": [pa.array([], pa.string())]}
        with self._db.reading() as connection:
            for rows in connection.execute(query).partitions():
                for name, column in zip(found, zip(*rows, strict=True), strict=True):
                    found[name].append(pa.array(column, pa.string()))
        kinds, ids = (pa.concat_arrays(arrays) for arrays in found.values())
        return {kind: ids.filter(pc.equal(kinds, kind)) for kind in pc.unique(kinds).to_pylist()}

    def count_billed(self, months: Collection[str]) -> int:
        """How many rows that have one of these months as their own are billed for good."""
        query = _BILLED_FOR_GOOD.where(billed_rows.c.month.in_(months)).with_only_columns(sa.func.count())
        with self._db.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def billings_of_orders(self, order_numbers: Sequence[str]) -> dict[int, list[str]]:
        """Which of these orders each billing made; of an order of a release before 0.2 none is known."""
        made: dict[int, list[str]] = {}
        with self._db.reading() as connection:
            for portion in portions(order_numbers):
                query = sa.select(deliveries.c.billing_id, deliveries.c.order_number).where(
                    deliveries.c.order_number.in_(portion), deliveries.c.billing_id.is_not(None)
                )
                for billing_id, order_number in connection.execute(query):
                    made.setdefault(billing_id, []).append(order_number)
        return made

    def billed_with_other_months(self, month: str) -> set[tuple[str, str]]:
        """(kind, id) of the rows of this month that the file of another month bills for good."""
        query = _BILLED_FOR_GOOD.with_only_columns(billed_rows.c.source_kind, billed_rows.c.source_id).where(
            billed_rows.c.month == month, deliveries.c.month != month
        )
        with self._db.reading() as connection:
            return {(row[0], row[1]) for row in connection.execute(query)}


def _maybe_rejected(endpoint: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        deliveries.c.state.in_((State.PUBLISHED, State.CONSUMED)),
        deliveries.c.endpoint == endpoint,
        deliveries.c.released_as != "delivered",
    )


_ROWS_PER_PORTION: Final = 10_000


def _portions_of_ids(ids: Sequence[str] | pa.Array) -> Iterator[list[str]]:
    """Some at a time: as Python's texts, the ids of a month take ten times the memory that they have in a column."""
    for start in range(0, len(ids), _ROWS_PER_PORTION):
        portion = ids[start : start + _ROWS_PER_PORTION]
        yield list(portion) if isinstance(portion, Sequence) else portion.to_pylist()


_later = deliveries.alias("later")
_REPLACED = sa.exists().where(
    _later.c.customer_number == deliveries.c.customer_number,
    _later.c.month == deliveries.c.month,
    _later.c.revision > deliveries.c.revision,
    _later.c.committed_at.is_not(None),
)
STANDS = (deliveries.c.committed_at.is_not(None), deliveries.c.state != State.WITHDRAWN, ~_REPLACED)
"""What was committed for sending, and neither replaced by a later revision nor withdrawn."""
# A correction takes its rows over from a file that was committed.
IS_COMMITTED = sa.or_(deliveries.c.committed_at.is_not(None), deliveries.c.revision > 1)
_BILLED = (
    sa.select(
        billed_rows.c.source_kind,
        billed_rows.c.source_id,
        billed_rows.c.fingerprint,
        billed_rows.c.customer_number,
        billed_rows.c.month,
        deliveries.c.month.label("delivery_month"),
        deliveries.c.order_number,
        IS_COMMITTED.label("committed"),
    )
    .join(deliveries, deliveries.c.id == billed_rows.c.delivery_id)
    .where(billed_rows.c.released_at.is_(None))
)
_BILLED_FOR_GOOD = _BILLED.where(IS_COMMITTED).with_only_columns(
    billed_rows.c.source_kind,
    billed_rows.c.source_id,
    billed_rows.c.customer_number,
    deliveries.c.month,
    billed_rows.c.month,
    deliveries.c.order_number,
    billed_rows.c.fingerprint,
    billed_rows.c.accepted,
)
"""In the order of `billing.late.BILLED`."""
