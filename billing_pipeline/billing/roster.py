"""The customers of a month, and what becomes of each.

Belongs here: who counts, and the outcome before anything is sent. Does not: why a customer is blocked (`checks`), or
how their delivery ends (`delivery/`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import TEXT, array, frame_of, where

ROSTER: Final = pa.schema(
    [
        ("customer_number", TEXT),
        ("outcome", TEXT),  # to_bill, nothing_to_bill, omitted, blocked
        ("late_rows", pa.int32()),  # rows that came too late for this month, and wait for the next open one
        ("reason", TEXT),  # why the customer, or some of their rows, are left out; "" for nothing left out
    ]
)
"""One row per customer of the month, by customer_number (code point)."""


def members_of(rows: pd.DataFrame) -> list[str]:
    """The customers of the month, sorted: who has a row in it, or a late one that it bills."""
    return sorted(_numbers(rows, "is_of_month") | _numbers(rows, "is_billed"))


def omitted_of(rows: pd.DataFrame, reasons: Mapping[str, str]) -> dict[str, str]:
    """Of the customers who are left out as a whole those who are: what was delivered cannot be left out any more."""
    billed = _numbers(rows, "is_billed")
    return {number: reason for number, reason in reasons.items() if number not in billed}


def roster_of(
    rows: pd.DataFrame, members: Sequence[str], omitted: Mapping[str, str], blocked: Collection[str]
) -> pd.DataFrame:
    """`ROSTER` of these customers, by the verdicts on their rows."""
    waiting = Counter(array(rows["customer_number"]).filter(array(rows["is_waiting"])).to_pylist())
    to_bill = _numbers(rows, "is_billed")
    reasons: dict[str, set[str]] = {}
    left_out = where(rows, array(rows["is_left_out"]))
    for number, reason in zip(left_out["customer_number"], left_out["left_out"], strict=True):
        reasons.setdefault(number, set()).add(reason)

    def outcome(number: str) -> str:
        if number in omitted:
            return "omitted"
        if number in blocked:
            return "blocked"
        if number in to_bill:
            return "to_bill"
        return "omitted" if number in reasons else "nothing_to_bill"

    columns = (
        members,
        [outcome(number) for number in members],
        [waiting[number] for number in members],
        [omitted.get(number, "; ".join(sorted(reasons.get(number, ())))) for number in members],
    )
    return frame_of(
        {field.name: pa.array(column, field.type) for field, column in zip(ROSTER, columns, strict=True)}
    )


def _numbers(rows: pd.DataFrame, flag: str) -> set[str]:
    """The customers of the rows for which the flag is true."""
    return set(pc.unique(array(rows["customer_number"]).filter(array(rows[flag]))).to_pylist())
