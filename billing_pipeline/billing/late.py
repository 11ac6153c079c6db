"""Which rows a month bills, by what the ledger says: rows of the month, late rows, rows that wait, rows done.

A month is closed for a customer once their file was committed for sending, or a delivery found nothing to bill. What
comes to a closed month later is late: it joins the customer's next open month, once. Belongs here: that decision,
and the facts from the ledger it needs. Does not: the ledger (`delivery/`), or whether a row is billable (`rows`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Final, Self

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import (
    TEXT,
    all_of,
    any_of,
    array,
    constant,
    frame_of,
    in_pairs,
    negation,
    with_columns,
)


@dataclass(frozen=True, slots=True)
class BilledSource:
    """An OMS row or adjustment that a delivery has billed and not released; one per (source_kind, source_id).

    `source_kind`: "service", "fee" or "adjustment". `customer_number` and `billed_month`: the delivery's.
    `month`: the row's own when it was billed. `fingerprint`: of its cells then.
    """

    source_kind: str
    source_id: str
    customer_number: str
    billed_month: str
    month: str
    order_number: str
    fingerprint: str


BILLED: Final = pa.schema([(name, TEXT) for name in BilledSource.__slots__])


@dataclass(frozen=True)
class LedgerView:
    """What the ledger knows when a month is billed.

    `closed`: (customer_number, month) for which no row may come any more. `billed`: `BilledSource` rows as a
    frame, at least of all months from which rows are extracted.
    """

    closed: frozenset[tuple[str, str]]
    billed: pd.DataFrame

    @classmethod
    def of(cls, closed: Iterable[tuple[str, str]], billed: Iterable[BilledSource]) -> Self:
        """The view of these closed months and billed rows."""
        columns = list(zip(*(astuple(one) for one in billed), strict=True)) or [()] * len(BILLED)
        arrays = [pa.array(column, TEXT) for column in columns]
        return cls(frozenset(closed), frame_of(dict(zip(BILLED.names, arrays, strict=True))))

    @classmethod
    def empty(cls) -> Self:
        """Of a ledger in which nothing has been billed."""
        return cls.of((), ())

    def reopened(self, customer_number: str, month: str) -> LedgerView:
        """As if this customer's month had not been delivered: what a correction starts from."""
        billed = self.billed
        kept = ~((billed["customer_number"] == customer_number) & (billed["billed_month"] == month))
        return LedgerView(self.closed - {(customer_number, month)}, billed[kept].reset_index(drop=True))


def with_standing(rows: pd.DataFrame, month: str, ledger: LedgerView) -> pd.DataFrame:
    """The source rows with their standing in `month`, which is billed; at most one of the four is true.

    `billed_here`: the month's own delivery billed it. `due`: its turn is now, as a row of the month, or as a
    late one. `waiting`: it came too late for this month. `billed_elsewhere`: another delivery billed it. None of them:
    a row of an earlier month that is still open. Beside them: `is_of_month`, which a row without a month, whose
    instant is faulty, is too, and `is_late`, of an earlier month.
    """
    kinds, ids, numbers = (array(rows[name]) for name in ("source_kind", "source_id", "customer_number"))
    months = array(rows["month"])
    is_late = pc.less(months, month).fill_null(False)
    is_of_month = pc.equal(months, month).fill_null(True)
    target_closed = in_pairs(numbers, constant(month, TEXT, len(rows)), ledger.closed)
    own_closed = in_pairs(numbers, months, ledger.closed)
    billed, customer_then, month_then = _billed(kinds, ids, ledger.billed)
    here = all_of(billed, pc.equal(customer_then, numbers), pc.equal(month_then, month))
    mine = all_of(negation(billed), any_of(is_of_month, all_of(is_late, own_closed)))
    return with_columns(
        rows,
        is_of_month=is_of_month,
        is_late=is_late,
        billed_here=here,
        billed_elsewhere=all_of(billed, negation(here)),
        due=all_of(mine, negation(target_closed)),
        waiting=all_of(mine, target_closed),
    )


def _billed(kinds: pa.Array, ids: pa.Array, billed: pd.DataFrame) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Whether each row is billed, and then for which customer and in which month. 1:1 by kind and id."""
    place = place_of(kinds, ids, array(billed["source_kind"]), array(billed["source_id"]))
    return (
        pc.is_valid(place),
        array(billed["customer_number"]).take(place),
        array(billed["billed_month"]).take(place),
    )


def place_of(kinds: pa.Array, ids: pa.Array, known_kinds: pa.Array, known_ids: pa.Array) -> pa.Array:
    """For each (kind, id) its place among the known ones, or null."""
    wanted = pc.binary_join_element_wise(kinds, ids, "/")
    return pc.index_in(wanted, pc.binary_join_element_wise(known_kinds, known_ids, "/"))
