"""Which rows a month bills, by what the ledger says: its own, late ones, those that wait, those billed already.

A month is closed for a customer once their file was committed for sending, or a delivery found nothing to bill. A row
that appears later is late: it is billed once, in its customer's next open month. A row that has changed since it was
billed is reported, and never billed again silently.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from hashlib import sha256
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
    each_row,
    frame_of,
    in_pairs,
    negation,
    where,
    with_columns,
)
from billing_pipeline.problems import Code, Problem

# A character that no valid text contains.
_BETWEEN_CELLS = "\x1f"


@dataclass(frozen=True, slots=True)
class BilledSource:
    """An OMS row or adjustment that a delivery has billed and not released; one per (source_kind, source_id).

    `source_kind`: "service", "fee" or "adjustment". `customer_number`, `billed_month`: those of the delivery.
    `month` and `fingerprint`: those of the row at the time it was billed.
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

    `closed`: (customer_number, month) that take no more rows. `billed`: `BilledSource` as a frame, of at least the
    months from which rows are extracted.
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
        """The view of a ledger that has billed nothing."""
        return cls.of((), ())

    def reopened(self, customer_number: str, month: str) -> LedgerView:
        """The view as if this customer's month had not been delivered; a correction starts from it."""
        billed = self.billed
        kept = ~((billed["customer_number"] == customer_number) & (billed["billed_month"] == month))
        return LedgerView(self.closed - {(customer_number, month)}, billed[kept].reset_index(drop=True))


def with_ledger_status(rows: pd.DataFrame, month: str, ledger: LedgerView) -> pd.DataFrame:
    """The source rows with flags that say how each stands to the billing of `month`; at most one of four is true:

    `billed_here`: billed by a delivery of this month. `billed_elsewhere`: billed by another one. `due`: to be billed
    now, as a row of the month or as a late row. `waiting`: too late for this month, which is closed. A row of an
    earlier month that is still open has none of them.

    Also `is_of_month`, true too for a row without a month (its instant is faulty), and `is_late`: of an earlier month.
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


def drift(rows: pd.DataFrame, month: str, ledger: LedgerView) -> list[Problem]:
    """One CHANGED_AFTER_DELIVERY per billed row that has changed since, is no longer billable, or has disappeared.

    `rows`: all source rows of the extract and the adjustments. Only rows of `month` can be found to have disappeared:
    of earlier months the extract has only some rows. The customer is the one who was billed.
    """
    billed = ledger.billed
    place = _index_of(
        *(array(billed["source_kind"]), array(billed["source_id"])),
        *(array(rows["source_kind"]), array(rows["source_id"])),
    )
    found = pc.is_valid(place)
    same = pc.equal(array(rows["fingerprint"]).take(place), array(billed["fingerprint"]))
    still_billable = array(rows["billable"]).take(place)
    told = with_columns(
        billed,
        says=pc.case_when(
            pc.make_struct(
                all_of(found, negation(same)),
                all_of(found, negation(still_billable)),
                all_of(negation(found), pc.equal(array(billed["month"]), month)),
            ),
            pa.scalar("has changed"),
            pa.scalar("is not billable any more"),
            pa.scalar("is no longer among the rows of its month"),
        ),
    ).pipe(lambda frame: where(frame, pc.is_valid(array(frame["says"]))))
    return [
        Problem(
            code=Code.CHANGED_AFTER_DELIVERY,
            customer_number=row.customer_number,
            source_id=row.source_id,
            message=f"{row.source_kind} {row.source_id} {row.says} since order {row.order_number} billed it, and is "
            f"not billed again: correct {row.billed_month} for customer {row.customer_number}, or leave it",
        )
        for row in each_row(told)
    ]


def cells_text(*cells: pa.Array, between: str = _BETWEEN_CELLS) -> pa.Array:
    """The cells of each row as one text. Instants are microseconds UTC; null is like an empty text.

    Different valid cells give different texts, null and empty aside, which look the same on an invoice.
    """
    texts = [_as_text(column).fill_null("") for column in cells]
    return pc.binary_join_element_wise(*texts, between)


def fingerprints(*cells: pa.Array) -> pa.Array:
    """The SHA-256 (hex) of each row's billing-relevant cells; status is not among them.

    The ledger keeps fingerprints: how they are made must not change without a migration.
    """
    return pa.array([sha256(text.encode()).hexdigest() for text in cells_text(*cells).to_pylist()], TEXT)


def _billed(kinds: pa.Array, ids: pa.Array, billed: pd.DataFrame) -> tuple[pa.Array, pa.Array, pa.Array]:
    """For each row: whether it is billed, for which customer, in which month. 1:1 by kind and id."""
    place = _index_of(kinds, ids, array(billed["source_kind"]), array(billed["source_id"]))
    return (
        pc.is_valid(place),
        array(billed["customer_number"]).take(place),
        array(billed["billed_month"]).take(place),
    )


def _index_of(kinds: pa.Array, ids: pa.Array, known_kinds: pa.Array, known_ids: pa.Array) -> pa.Array:
    """For each (kind, id) its index among the known ones, or null."""
    wanted = pc.binary_join_element_wise(kinds, ids, "/")
    return pc.index_in(wanted, pc.binary_join_element_wise(known_kinds, known_ids, "/"))


def _as_text(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return column.cast(TEXT)
