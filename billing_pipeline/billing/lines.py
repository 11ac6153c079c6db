"""Rows without problems become invoice lines: split, ordered, priced, dated, grouped and titled, then validated."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.amounts import (
    PER_WHOLE,
    minor_units_per_whole,
    with_amounts,
    with_file_prices,
    with_nets,
)
from billing_pipeline.billing.arrow import (
    FILE_PRICE,
    FLAG,
    INSTANT,
    MINOR,
    PRICE,
    QUANTITY,
    TEXT,
    all_of,
    array,
    by_distinct,
    constant,
    frame_of,
    where,
    with_columns,
)
from billing_pipeline.billing.dates import local_dates
from billing_pipeline.billing.late import cells_text
from billing_pipeline.billing.rows import ADJUSTMENT, FEE, SERVICE, service_ids, tasks_of
from billing_pipeline.billing.titles import with_task_texts, with_titles
from billing_pipeline.money import exponent_of, round_half_up_array
from billing_pipeline.problems import PipelineError

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
        ("performed_at", INSTANT),  # of a grouped line: that of its last row
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
    (ADJUSTMENT, True): "late_adjustment",
}

LINE_TYPES: Final = tuple(_LINE_TYPES.values())

_WITHOUT_IN_TASK_ROWS: Final = ("item_number", "description", "location", "unit")
_ALIKE: Final = (
    *("customer_number", "month", "item_number", "head", "description", "location", "tasks_text"),
    *("unit", "unit_price_net", "vat_basis_points"),
)
"""The columns that are equal in all rows of a grouped line. Of its text only the date may differ."""

_THOUSAND: Final = pa.scalar(Decimal(1000), pa.decimal128(4, 0))
_THOUSANDTH: Final = pa.scalar(Decimal("0.001"), pa.decimal128(3, 3))
_MOST_THOUSANDTHS: Final = 10**12 - 1
_MOST_MINOR: Final = 10**14

Codes = npt.NDArray[np.int64]


class LinesInvalid(PipelineError):
    """A line is wrong: a bug of this program, so nothing may be made of the month."""


def invoice_lines(rows: pd.DataFrame, tasks: pd.DataFrame, timezone: str) -> pd.DataFrame:
    """`LINES` of the rows to bill, which must have no problems. m:1, or 1:n where tasks are itemised."""
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


def itemised(rows: pd.DataFrame, tasks: pd.DataFrame) -> pd.DataFrame:
    """The rows, and a row for each task of an itemised service, whose own row then costs 0.

    A service is itemised if its customer's rules say so and it and all of its tasks have a price. `part`: null; of an
    itemised service 0 for its own row, 1, 2 … for its tasks, which have quantity 1. All keep the service as source.
    """
    is_split = all_of(
        pc.equal(array(rows["tasks"]), "itemised"),
        pc.is_valid(array(rows["unit_price"])),
        pc.greater(array(rows["task_count"]), 0),
        pc.equal(array(rows["tasks_priced"]), array(rows["task_count"])),
    )
    rows = with_columns(
        rows,
        part=pc.if_else(is_split, pa.scalar(0, pa.int32()), None),
        unit_price=pc.if_else(is_split, pa.scalar(Decimal(0), PRICE), array(rows["unit_price"])),
    )
    services = where(rows, is_split)
    mine = tasks_of(array(services["source_id"]), tasks)
    place = array(mine["row"])
    task_rows = services.take(place.to_numpy()).reset_index(drop=True)
    task_rows = with_columns(
        task_rows,
        part=_counted(place),
        head=array(mine["task_name"]),
        quantity=constant(Decimal(1), QUANTITY, len(mine)),
        unit_price=array(mine["price_net"]),
        **{name: constant(None, TEXT, len(mine)) for name in _WITHOUT_IN_TASK_ROWS},
    )
    return pd.concat([rows, task_rows], ignore_index=True)


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Sorted as in files: customer, instant, kind (services, fees, adjustments), id by code point, part."""
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
    """The rows with `performed_on` and `cancelled_on`, the local dates of `performed_at` and `cancelled_at`."""
    return with_columns(
        rows,
        performed_on=local_dates(array(rows["performed_at"]), timezone),
        cancelled_on=local_dates(array(rows["cancelled_at"]), timezone),
    )


def with_tasks(rows: pd.DataFrame, tasks: pd.DataFrame) -> pd.DataFrame:
    """The rows with `tasks_text`, empty for itemised services, whose tasks are rows."""
    ids = pc.if_else(pc.is_null(array(rows["part"])), service_ids(rows), None)
    return with_task_texts(rows, ids, tasks)


def grouped(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per line: like services of a month are one line where the customer's rules say so.

    A line has the `source_ids` and `source_fingerprints` of its rows, `first_performed_on`, and the sums of `quantity`,
    `net` and `gross`, so that grouping changes no total. Everything else, and its place, is that of its last row. Rows
    must be in the order of files. Rows of itemised services are not grouped.
    """
    thousandths = pc.multiply(array(rows["quantity"]), _THOUSAND).cast(MINOR).to_numpy()
    net, gross = (array(rows[name]).to_numpy() for name in ("net", "gross"))
    codes = _line_codes(rows)
    # Rows whose sum is too large for one line stay ungrouped.
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


def as_lines(rows: pd.DataFrame) -> pd.DataFrame:
    """`LINES` with their positions, of rows in the order of files."""
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


def validated(lines: pd.DataFrame) -> pd.DataFrame:
    """The same lines. Raises LinesInvalid, naming rule, customer and line, where one breaks a rule of all lines."""
    # pandera's price is by column, not by row: it is asked where there is something to name.
    if _is_sound(lines):
        return lines
    try:
        _SCHEMA.validate(lines, lazy=True)
    except pandera.errors.SchemaErrors as fault:
        # A rule of one column is more specific than one of the whole line, which it makes fail too.
        first = fault.failure_cases.sort_values("column", kind="stable", na_position="last").iloc[0]
        subject = "a line" if pd.isna(first["column"]) else first["column"]
        place = ""
        if not pd.isna(first["index"]):
            line = lines.iloc[int(first["index"])]
            place = f" in line {line['position']} of customer {line['customer_number']}"
        raise LinesInvalid(
            f"invoice lines: {subject} breaks the rule {first['check']!r}{place}; "
            "nothing was made of the month: report this as a fault of the program"
        ) from None
    return lines


def _is_sound(lines: pd.DataFrame) -> bool:
    """Whether the columns are those of lines, typed and without NULL, and every check of `_SCHEMA` passes."""
    return (
        list(lines.dtypes.items()) == [(field.name, pd.ArrowDtype(field.type)) for field in LINES]
        and not any(array(lines[name]).null_count for name in LINES.names)
        and all(
            check(lines[name]).check_passed for name, checks in _COLUMN_CHECKS.items() for check in checks
        )
        and all(check(lines).check_passed for check in _SCHEMA.checks)
    )


def _counted(rows: pa.Array) -> pa.Array:
    """1, 2 … within each run of equal values."""
    places = pa.array(np.arange(len(rows)), pa.int32())
    starts = pc.index_in(rows, rows)
    return pc.add(pc.subtract(places, starts), 1).cast(pa.int32())


def _line_codes(rows: pd.DataFrame) -> Codes:
    """For each row the number of its line; lines are counted in the order of their last rows."""
    groupable = all_of(
        array(rows["group_lines"]),
        pc.equal(array(rows["source_kind"]), SERVICE),
        pc.is_null(array(rows["part"])),
    )
    if not pc.any(groupable).as_py():
        return np.arange(len(rows))
    alike = cells_text(*(array(rows[name]) for name in _ALIKE))
    alone = pa.array(np.arange(len(rows))).cast(TEXT)
    return _counted_up(pc.if_else(groupable, alike, alone))


def _counted_up(keys: pa.Array) -> Codes:
    """For each key a number: distinct keys are 0, 1 … in the order of their last occurrence."""
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


def _of_lines(flags: pa.Array, lines: pd.DataFrame) -> pd.Series[bool]:
    return pd.Series(flags.fill_null(False).to_numpy(zero_copy_only=False), index=lines.index)


def _positions_count_up(lines: pd.DataFrame) -> pd.Series[bool]:
    numbers = array(lines["customer_number"])
    counted = pc.add(
        pc.subtract(pa.array(np.arange(len(lines)), pa.int32()), pc.index_in(numbers, numbers)), 1
    )
    return _of_lines(pc.equal(array(lines["position"]), counted), lines)


def _adds_up(lines: pd.DataFrame) -> pd.Series[bool]:
    return _of_lines(pc.equal(array(lines["gross"]), pc.add(array(lines["net"]), array(lines["vat"]))), lines)


def _file_price_fits(lines: pd.DataFrame) -> pd.Series[bool]:
    exponents = by_distinct(exponent_of, pa.int8(), array(lines["currency"]))
    major = pc.multiply(array(lines["file_quantity"]), array(lines["file_price"]))
    product = round_half_up_array(pc.multiply(major, minor_units_per_whole(exponents)), 0)
    is_gross = pc.equal(array(lines["price_basis"]), "gross")
    amount = pc.if_else(is_gross, array(lines["gross"]), array(lines["net"]))
    return _of_lines(pc.equal(product, amount.cast(pa.decimal128(19, 0))), lines)


def _has_sources(lines: pd.DataFrame) -> pd.Series[bool]:
    ids, fingerprints = (
        pc.list_value_length(array(lines[name])) for name in ("source_ids", "source_fingerprints")
    )
    return _of_lines(pc.and_(pc.greater(ids, 0), pc.equal(ids, fingerprints)), lines)


_COLUMN_CHECKS: Final[dict[str, list[Any]]] = {
    "line_type": [pandera.Check.isin(LINE_TYPES)],
    "vat_basis_points": [pandera.Check.in_range(0, PER_WHOLE)],
    "price_basis": [pandera.Check.isin(["gross", "net"])],
}

_SCHEMA: Final = pandera.DataFrameSchema(
    {
        field.name: pandera.Column(pd.ArrowDtype(field.type), checks=_COLUMN_CHECKS.get(field.name, []))
        for field in LINES
    },
    checks=[
        pandera.Check(_positions_count_up, name="positions count up from 1 within each customer"),
        pandera.Check(_adds_up, name="gross = net + vat"),
        pandera.Check(_file_price_fits, name="file_quantity × file_price is the amount on the price basis"),
        pandera.Check(_has_sources, name="every line has its source rows, each with a fingerprint"),
    ],
    strict=True,
    ordered=True,
)
