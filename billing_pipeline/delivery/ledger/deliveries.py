"""Questions to the ledger about deliveries, closed months and billed rows. Nothing is written here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.planned_rows import is_among, portions
from billing_pipeline.delivery.ledger.plans import delivery_of
from billing_pipeline.delivery.ledger.tables import deliveries
from billing_pipeline.delivery.records import SENT_STATES, Delivery, Export, State

# They take a second to load, and most who ask the ledger, such as `status`, want no columns.
if TYPE_CHECKING:
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

    def of_orders(self, order_numbers: Collection[str]) -> list[Delivery]:
        """The deliveries with these order numbers, in no order."""
        found: list[Delivery] = []
        with self._db.reading() as connection:
            for part in portions(sorted(order_numbers)):
                among = is_among(deliveries.c.order_number, part, connection.dialect)
                found += map(delivery_of, connection.execute(sa.select(deliveries).where(among)))
        return found

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
            number: revision + (state == State.WITHDRAWN)
            for number, (revision, state) in self._last_revisions(month).items()
        }

    def withdrawn(self, month: str) -> frozenset[str]:
        """The customers whose last revision in the month was withdrawn."""
        last = self._last_revisions(month)
        return frozenset(number for number, (_, state) in last.items() if state == State.WITHDRAWN)

    def _last_revisions(self, month: str) -> dict[str, tuple[int, str]]:
        """Number and state of each customer's last revision, as `latest_of` has it; asked often, so not a whole row."""
        query = (
            sa.select(deliveries.c.customer_number, deliveries.c.revision, deliveries.c.state)
            .where(deliveries.c.month == month, deliveries.c.sha256 != "")
            .order_by(deliveries.c.revision)
        )
        with self._db.reading() as connection:
            return {row[0]: (row[1], row[2]) for row in connection.execute(query).all()}

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


def _maybe_rejected(endpoint: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        deliveries.c.state.in_((State.PUBLISHED, State.CONSUMED)),
        deliveries.c.endpoint == endpoint,
        deliveries.c.released_as != "delivered",
    )


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
