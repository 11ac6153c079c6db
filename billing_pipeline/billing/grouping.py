"""Grouping: like services of a month as one line with the summed quantity, where the rules say so.

Belongs here: which rows are alike, and adding them up. A line keeps the ids of all its rows, and the sum of their
amounts, so that grouping changes no total. Does not: the text of the line (`titles`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import MINOR, QUANTITY, TEXT, all_of, array, with_columns
from billing_pipeline.billing.fingerprints import cells_text
from billing_pipeline.billing.rows import SERVICE

_ALIKE: Final = (
    *("customer_number", "month", "item_number", "head", "description", "location", "tasks_text"),
    *("unit", "unit_price_net", "vat_basis_points"),
)
"""What is equal in the rows of one line; of its text only the date is not among it."""

_THOUSAND: Final = pa.scalar(Decimal(1000), pa.decimal128(4, 0))
_THOUSANDTH: Final = pa.scalar(Decimal("0.001"), pa.decimal128(3, 3))
_MOST_THOUSANDTHS: Final = 10**12 - 1
_MOST_MINOR: Final = 10**14

Codes = npt.NDArray[np.int64]


def grouped(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per line: `source_ids` and `source_fingerprints` of its rows in their order, `first_performed_on`,
    and the sums of `quantity`, `net` and `gross`. All else is that of its last row, and so is its place.

    Rows are in their final order. Rows of itemised services are not grouped.
    """
    thousandths = pc.multiply(array(rows["quantity"]), _THOUSAND).cast(MINOR).to_numpy()
    net, gross = (array(rows[name]).to_numpy() for name in ("net", "gross"))
    codes = _line_codes(rows)
    # What one line could not hold stays ungrouped.
    too_much = (_sums(thousandths, codes) > _MOST_THOUSANDTHS) | (_sums(gross, codes) > _MOST_MINOR)
    codes = _counted_up(pa.array(np.where(too_much[codes], len(rows) + np.arange(len(rows)), codes)))
    by_line = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes))
    starts = np.concatenate(([0], ends))[: len(ends)]
    lines = rows.take(by_line[ends - 1]).reset_index(drop=True)
    return with_columns(
        lines,
        source_ids=_lists(array(rows["source_id"]), by_line, ends),
        source_fingerprints=_lists(array(rows["fingerprint"]), by_line, ends),
        first_performed_on=array(rows["performed_on"]).take(pa.array(by_line[starts])),
        quantity=pc.multiply(
            pa.array(_sums(thousandths, codes)).cast(pa.decimal128(19, 0)).cast(pa.decimal128(12, 0)),
            _THOUSANDTH,
        ).cast(QUANTITY),
        net=pa.array(_sums(net, codes)),
        gross=pa.array(_sums(gross, codes)),
    )


def _line_codes(rows: pd.DataFrame) -> Codes:
    """The number of its line for each row: lines are counted in the order of their last rows."""
    alike = cells_text(*(array(rows[name]) for name in _ALIKE))
    groupable = all_of(
        array(rows["group_lines"]),
        pc.equal(array(rows["source_kind"]), SERVICE),
        pc.is_null(array(rows["part"])),
    )
    alone = pa.array(np.arange(len(rows))).cast(TEXT)
    return _counted_up(pc.if_else(groupable, alike, alone))


def _counted_up(keys: pa.Array) -> Codes:
    """The distinct keys as 0, 1 … in the order of their last places."""
    backwards: Codes = keys[::-1].dictionary_encode().indices.to_numpy().astype(np.int64)
    codes: Codes = (backwards.max(initial=-1) - backwards)[::-1]
    return codes


def _sums(values: Codes, codes: Codes) -> Codes:
    sums = np.zeros(codes.max(initial=-1) + 1, dtype=np.int64)
    np.add.at(sums, codes, values)
    return sums


def _lists(values: pa.Array, order: Codes, ends: Codes) -> pa.Array:
    offsets = pa.array(np.concatenate(([0], ends)), pa.int32())
    return pa.ListArray.from_arrays(offsets, values.take(pa.array(order)))
