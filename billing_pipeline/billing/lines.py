"""Rows that passed every check become invoice lines: the pipe of all that happens to them.

Belongs here: the order of the steps, and the frame they end in. Does not: the steps.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.amounts import with_amounts, with_nets
from billing_pipeline.billing.arrow import (
    FILE_PRICE,
    FLAG,
    INSTANT,
    MINOR,
    QUANTITY,
    TEXT,
    array,
    by_distinct,
    frame_of,
    with_columns,
)
from billing_pipeline.billing.dates import local_dates
from billing_pipeline.billing.fold import with_file_prices
from billing_pipeline.billing.grouping import grouped
from billing_pipeline.billing.itemise import itemised
from billing_pipeline.billing.rows import ADJUSTMENT, FEE, SERVICE, service_ids
from billing_pipeline.billing.tasks import with_task_texts
from billing_pipeline.billing.titles import with_titles

LINES: Final = pa.schema(
    [
        ("customer_number", TEXT),
        ("position", pa.int32()),  # 1 … n in the customer's file
        ("line_type", TEXT),  # service, cancellation_fee, adjustment, late_service, late_cancellation_fee
        ("source_ids", pa.list_(TEXT)),
        ("source_fingerprints", pa.list_(TEXT)),  # parallel to source_ids
        ("item_number", TEXT),  # "" for none
        ("title", TEXT),
        ("quantity", QUANTITY),
        ("unit", TEXT),  # "" for none
        ("unit_price_net", MINOR),
        ("net", MINOR),
        ("vat", MINOR),
        ("gross", MINOR),
        ("vat_basis_points", pa.int32()),
        ("currency", TEXT),
        ("performed_at", INSTANT),  # of a grouped line the last
        ("performed_on", pa.date32()),
        ("performed_month", TEXT),
        ("price_basis", TEXT),
        ("file_quantity", QUANTITY),
        ("file_price", FILE_PRICE),  # major units, on the price basis
        ("folded", FLAG),
    ]
)
"""One row per line, by customer_number (code point) and position. Amounts in minor units of `currency`."""

_LINE_TYPES: Final = {
    (SERVICE, False): "service",
    (SERVICE, True): "late_service",
    (FEE, False): "cancellation_fee",
    (FEE, True): "late_cancellation_fee",
    (ADJUSTMENT, False): "adjustment",
}

LINE_TYPES: Final = tuple(_LINE_TYPES.values())


def invoice_lines(rows: pd.DataFrame, tasks: pd.DataFrame, timezone: str) -> pd.DataFrame:
    """`LINES` of the rows that are billed, which have passed every check. m:1 from rows, but for itemised tasks."""
    return (
        rows.pipe(itemised, tasks)
        .pipe(in_order)
        .pipe(with_nets)
        .pipe(with_amounts)
        .pipe(with_dates, timezone)
        .pipe(with_tasks, tasks)
        .pipe(grouped)
        .pipe(with_file_prices)
        .pipe(with_titles)
        .pipe(as_lines)
    )


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """By customer, instant, services before fees before adjustments, id by code point, part: the order of files."""
    kinds = pc.index_in(array(rows["source_kind"]), pa.array([SERVICE, FEE, ADJUSTMENT]))
    keys = {"kind": kinds} | {
        name: array(rows[name]) for name in ("customer_number", "performed_at", "source_id", "part")
    }
    order = pc.sort_indices(
        pa.table(keys),
        [(name, "ascending") for name in ("customer_number", "performed_at", "kind", "source_id", "part")],
    )
    return rows.take(order.to_numpy()).reset_index(drop=True)


def with_dates(rows: pd.DataFrame, timezone: str) -> pd.DataFrame:
    """The rows with `performed_on`, the local date."""
    return with_columns(rows, performed_on=local_dates(array(rows["performed_at"]), timezone))


def with_tasks(rows: pd.DataFrame, tasks: pd.DataFrame) -> pd.DataFrame:
    """The rows with `tasks_text`; empty where the tasks have rows of their own."""
    ids = pc.if_else(pc.is_null(array(rows["part"])), service_ids(rows), None)
    return with_task_texts(rows, ids, tasks)


def as_lines(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns of `LINES`, with positions; rows are in the order of the files."""
    numbers = array(rows["customer_number"])
    places = pa.array(np.arange(len(rows)), pa.int32())
    made = {
        "position": pc.add(pc.subtract(places, pc.index_in(numbers, numbers)), pa.scalar(1, pa.int32())),
        "line_type": by_distinct(
            lambda kind, is_late: _LINE_TYPES[kind, is_late],
            TEXT,
            array(rows["source_kind"]),
            array(rows["is_late"]),
        ),
        "item_number": array(rows["item_number"]).fill_null(""),
        "unit": array(rows["unit"]).fill_null(""),
        "vat": pc.subtract(array(rows["gross"]), array(rows["net"])),
        "performed_month": array(rows["month"]),
    }
    kept = {name: array(rows[name]) for name in LINES.names if name not in made}
    return frame_of({field.name: (made | kept)[field.name].cast(field.type) for field in LINES})
