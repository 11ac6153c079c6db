"""Rows that could be billed and are not: set aside until a person decides, or blocked alone by a problem of their own.

Neither changes what becomes of their customer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import MINOR, TEXT, array, each_row, where
from billing_pipeline.billing.kept_back_text import NAME_IT
from billing_pipeline.billing.standing import net_amounts
from billing_pipeline.problems import Code, Problem

SET_ASIDE: Final = "set_aside"
BLOCKED: Final = "blocked"

KEPT_BACK: Final = pa.schema(
    [
        ("standing", TEXT),  # SET_ASIDE or BLOCKED
        ("source_kind", TEXT),
        ("source_id", TEXT),
        ("customer_number", TEXT),
        ("month", TEXT),  # the row's own
        ("code", TEXT),
        ("field", TEXT),
        ("value", TEXT),
        ("net", MINOR),  # null where quantity, price or currency is unknown
        ("currency", TEXT),  # the row's own; "" where it has none
        ("message", TEXT),
    ]
)
"""One row per problem of such a row, by customer_number (code point), kind and id."""


def unknown_statuses(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The source rows flagged `is_set_aside`, as `KEPT_BACK`."""
    found = where(rows, array(rows["is_set_aside"]))
    for row, net in zip(each_row(found), net_amounts(found), strict=True):
        yield {
            "standing": SET_ASIDE,
            **_facts(row, net),
            "code": Code.STATUS_UNKNOWN,
            "field": "status",
            "value": row.unknown_status,
            "message": f"Service {row.source_id} has the status {row.unknown_status!r}, {NAME_IT}",
        }


def blocked_alone(rows: pd.DataFrame, problems: Iterable[Problem]) -> Iterator[dict[str, Any]]:
    """These problems, each of one late row of `rows` that it alone keeps from being billed, as `KEPT_BACK`."""
    listed = list(problems)
    ids = pa.array([problem.source_id for problem in listed], TEXT)
    found = where(rows, pc.is_in(array(rows["source_id"]), ids))
    known = {
        (row.customer_number, row.source_id): (row, net)
        for row, net in zip(each_row(found), net_amounts(found), strict=True)
    }
    for problem in listed:
        row, net = known[problem.customer_number, problem.source_id]
        yield {
            "standing": BLOCKED,
            **_facts(row, net),
            "code": problem.code,
            "field": problem.field,
            "value": problem.value,
            "message": f"{problem.message} (late, of {row.month}: it alone is not billed)",
        }


def kept_back_frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """`KEPT_BACK` of these rows."""
    listed = sorted(
        rows,
        key=lambda row: tuple(str(row[name]) for name in ("customer_number", "source_kind", "source_id")),
    )
    frame: pd.DataFrame = pa.Table.from_pylist(listed, schema=KEPT_BACK).to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def _facts(row: Any, net: int | None) -> dict[str, Any]:
    """What a source row brings along, and its net."""
    return {
        "source_kind": row.source_kind,
        "source_id": row.source_id,
        "customer_number": row.customer_number,
        "month": row.month,
        "net": net,
        "currency": row.currency or "",
    }
