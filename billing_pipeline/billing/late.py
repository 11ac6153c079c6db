"""Which rows a month bills, by what the ledger says: its own, late ones, those that wait, those billed already.

A month is closed for a customer once a file of it was committed for sending. A row that appears later is late: it is
billed once, in its customer's next open month. So is one that appears where a finished month had nothing to bill,
unless that month itself is billed first. Where the customer was blocked, failed, held or omitted, the rows stay in
their month.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass, field, replace
from hashlib import sha256
from typing import Any, Final, Self

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import (
    FLAG,
    INSTANT,
    TEXT,
    all_of,
    any_of,
    array,
    constant,
    frame_of,
    in_pairs,
    negation,
    where,
    with_columns,
)

# A character that no valid text contains.
_BETWEEN_CELLS = "\x1f"


@dataclass(frozen=True, slots=True)
class BilledSource:
    """An OMS row or adjustment that a delivery has billed and not released; one per (source_kind, source_id).

    `source_kind`: "service", "fee" or "adjustment". `customer_number`, `billed_month`: those of the delivery.
    `month` and `fingerprint`: those of the row at the time it was billed. `accepted`: how it looked when a person said
    that it stands as it was sent (`set_aside.state_fingerprints`, or `GONE`), None where nobody has.
    """

    source_kind: str
    source_id: str
    customer_number: str
    billed_month: str
    month: str
    order_number: str
    fingerprint: str
    accepted: str | None = None


GONE: Final = "gone"
"""What stands for the fingerprint of a row that the OMS has no more."""

BILLED: Final = pa.schema([(name, TEXT) for name in BilledSource.__slots__])

CENSUS: Final = pa.schema(
    [(name, TEXT) for name in ("source_kind", "source_id", "standing", "code", "fingerprint")]
)
"""What the ledger noted of an unbilled row: its standing, and how it looked (`set_aside.state_fingerprints`)."""

ADMITTED: Final = pa.schema(
    [(name, TEXT) for name in ("source_kind", "source_id", "fingerprint", "related_id")]
)
"""A row that a person lets be billed, as it looked then; `related_id`: the gone row for which it was set aside."""

GONE_ROWS: Final = pa.schema([*BILLED, pa.field("likeness", TEXT), pa.field("performed_at", INSTANT)])
"""`BILLED` of rows that the OMS has no more; what they looked like and when they were done, null where not known."""


def _empty(schema: pa.Schema) -> pd.DataFrame:
    frame: pd.DataFrame = schema.empty_table().to_pandas(types_mapper=pd.ArrowDtype)
    return frame


@dataclass(frozen=True)
class LedgerView:
    """What the ledger knows when a month is billed.

    `closed`: (customer_number, month) for which a file was committed. `billed`: `BilledSource` as a frame, of at least
    the months from which rows are extracted. `finished`: months that were delivered to everybody; `staying`:
    (customer_number, month) of these whose rows stay there, because the customer was blocked, failed, held or omitted.
    `census`: `CENSUS` of unbilled rows; `without_census`: finished months of which nothing was noted. `admitted`:
    `ADMITTED`. `gone`: `GONE_ROWS`.
    """

    closed: frozenset[tuple[str, str]]
    billed: pd.DataFrame
    finished: frozenset[str] = frozenset()
    staying: frozenset[tuple[str, str]] = frozenset()
    census: pd.DataFrame = field(default_factory=lambda: _empty(CENSUS))
    without_census: frozenset[str] = frozenset()
    admitted: pd.DataFrame = field(default_factory=lambda: _empty(ADMITTED))
    gone: pd.DataFrame = field(default_factory=lambda: _empty(GONE_ROWS))

    @classmethod
    def of(cls, closed: Iterable[tuple[str, str]], billed: Iterable[BilledSource], **others: Any) -> Self:
        """The view of these closed months and billed rows."""
        columns = list(zip(*(astuple(one) for one in billed), strict=True)) or [()] * len(BILLED)
        arrays = [pa.array(column, TEXT) for column in columns]
        return cls(frozenset(closed), frame_of(dict(zip(BILLED.names, arrays, strict=True))), **others)

    @classmethod
    def empty(cls) -> Self:
        """The view of a ledger that has billed nothing."""
        return cls.of((), ())

    def reopened(self, customer_numbers: Collection[str], month: str) -> LedgerView:
        """The view as if the month of these customers had not been delivered; a correction starts from it."""
        named = list(customer_numbers)

        def others(rows: pd.DataFrame) -> pd.DataFrame:
            kept = ~(rows["customer_number"].isin(named) & (rows["billed_month"] == month))
            return rows[kept].reset_index(drop=True)

        return replace(
            self,
            closed=self.closed - {(number, month) for number in named},
            billed=others(self.billed),
            gone=others(self.gone),
        )


def with_ledger_status(rows: pd.DataFrame, month: str, ledger: LedgerView) -> pd.DataFrame:
    """The source rows with flags that say how each stands to the billing of `month`; at most one of four is true:

    `billed_here`: billed by a delivery of this month. `billed_elsewhere`: billed by another one. `due`: to be billed
    now, as a row of the month or as a late row. `waiting`: too late for this month, which is closed. A row of an
    earlier month that is still open has none of them.

    Also `is_of_month`, true too for a row without a month (its instant is faulty), and `is_late`: of an earlier month.
    `own_closed`: its customer's own month is closed. `comes_late`: it would be late in any month after its own.
    """
    kinds, ids, numbers = (array(rows[name]) for name in ("source_kind", "source_id", "customer_number"))
    months = array(rows["month"])
    is_late = pc.less(months, month).fill_null(False)
    is_of_month = pc.equal(months, month).fill_null(True)
    target_closed = in_pairs(numbers, constant(month, TEXT, len(rows)), ledger.closed)
    own_closed = in_pairs(numbers, months, ledger.closed)
    finished = pc.is_in(months, pa.array(sorted(ledger.finished), TEXT))
    comes_late = any_of(own_closed, all_of(finished, negation(in_pairs(numbers, months, ledger.staying))))
    billed, customer_then, month_then = _billed(kinds, ids, ledger.billed)
    here = all_of(billed, pc.equal(customer_then, numbers), pc.equal(month_then, month))
    mine = all_of(negation(billed), any_of(is_of_month, all_of(is_late, comes_late)))
    return with_columns(
        rows,
        is_of_month=is_of_month,
        is_late=is_late,
        own_closed=own_closed,
        comes_late=comes_late,
        billed_here=here,
        billed_elsewhere=all_of(billed, negation(here)),
        due=all_of(mine, negation(target_closed)),
        waiting=all_of(mine, target_closed),
    )


def gone_of(billed: pd.DataFrame, months: Collection[str], present: Mapping[str, pa.Array]) -> pd.DataFrame:
    """`GONE_ROWS`: what is billed, has one of `months`, read whole, as its own, and an id that is not `present`.

    `present`: the ids that are there in these months, by source kind. What the rows looked like is not known here.
    """
    # In the chunks that they came in: of a million billed rows a copy of these columns is 50 MB.
    kinds, ids, own = (pa.array(billed[name]) for name in ("source_kind", "source_id", "month"))
    read = pc.is_in(own, pa.array(sorted(months), TEXT))
    of_oms = pc.is_in(kinds, pa.array(sorted(present), TEXT))
    found = constant(False, FLAG, len(billed))
    for kind, there in present.items():
        found = pc.or_(found, all_of(pc.equal(kinds, kind), pc.is_in(ids, there)))
    gone = where(billed, all_of(read, of_oms, negation(found)))
    unknown = {name: pa.nulls(len(gone), GONE_ROWS.field(name).type) for name in ("likeness", "performed_at")}
    return with_columns(gone, **unknown)


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
    place = index_of(kinds, ids, array(billed["source_kind"]), array(billed["source_id"]))
    return (
        pc.is_valid(place),
        array(billed["customer_number"]).take(place),
        array(billed["billed_month"]).take(place),
    )


def index_of(kinds: pa.Array, ids: pa.Array, known_kinds: pa.Array, known_ids: pa.Array) -> pa.Array:
    """For each (kind, id) its index among the known ones, or null."""
    wanted = pc.binary_join_element_wise(kinds, ids, "/")
    return pc.index_in(wanted, pc.binary_join_element_wise(known_kinds, known_ids, "/"))


def _as_text(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return column.cast(TEXT)
