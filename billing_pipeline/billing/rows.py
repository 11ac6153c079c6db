"""The rows of a month on their way to lines: services, cancellation fees and adjustments in one frame.

Each row is brought together with its tasks, its customer and its customer's rules; the rules say which are billable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.adjustments import Adjustment
from billing_pipeline.billing.arrow import (
    FLAG,
    INSTANT,
    PERCENT,
    PRICE,
    QUANTITY,
    TEXT,
    any_of,
    array,
    by_distinct,
    constant,
    frame_of,
    negation,
    where,
    with_columns,
)
from billing_pipeline.billing.late import cells_text, fingerprints
from billing_pipeline.billing.rules import CustomerRules, Rules
from billing_pipeline.billing.statuses import billable_services, lacks_instant
from billing_pipeline.billing.tax import TAX_FREE
from billing_pipeline.money import exponent_of
from billing_pipeline.oms.extract import Extract
from billing_pipeline.oms.period import period_of

SERVICE: Final = "service"
FEE: Final = "fee"
ADJUSTMENT: Final = "adjustment"

SOURCE_ROWS: Final = pa.schema(
    [
        ("source_kind", TEXT),  # SERVICE, FEE or ADJUSTMENT
        ("source_id", TEXT),
        ("customer_number", TEXT),
        ("month", TEXT),  # the row's own; null where its instant is faulty
        ("performed_at", INSTANT),
        ("service_id", TEXT),  # a service's own, or the one a fee is for; null for none
        ("billable", FLAG),  # by kind, status, provider; a waived fee is not
        (
            "unknown_status",
            TEXT,
        ),  # a service's, where no rule names it and nothing else speaks against billing it
        ("item_number", TEXT),
        ("head", TEXT),  # the name, with which the title begins
        ("description", TEXT),
        ("location", TEXT),
        ("cancelled_service", TEXT),  # of a fee: the name of what was cancelled, where the OMS says so …
        ("cancelled_at", INSTANT),  # … and when
        ("quantity", QUANTITY),
        ("unit", TEXT),
        ("unit_price", PRICE),  # net, in major units
        ("vat_percent", PERCENT),
        ("currency", TEXT),
        ("task_count", pa.int64()),
        ("tasks_priced", pa.int64()),
        ("task_sum", pa.decimal128(38, 2)),  # of the tasks with a price; null where none has one
        ("tasks_text", TEXT),  # all of the tasks, to tell whether two services have the same
        ("status", TEXT),
        ("sub_status", TEXT),
        ("provider", TEXT),
        ("faults", TEXT),  # as the extract has them
        ("fingerprint", TEXT),
    ]
)
"""One row per service, fee and adjustment, in this order."""

_FINGERPRINTED_OF_A_SERVICE: Final = (
    *("service_id", "customer_number", "service_code", "service_name", "description", "completed_at"),
    *("quantity", "unit", "unit_price_net", "vat_percent", "currency", "location", "task_cells"),
)
_FINGERPRINTED_OF_AN_ADJUSTMENT: Final = (
    *("source_kind", "source_id", "customer_number", "performed_at", "item_number", "head"),
    *("quantity", "unit", "unit_price", "vat_percent"),
)
_FINGERPRINTED_OF_A_FEE: Final = (
    *("fee_id", "customer_number", "fee_type", "description", "amount_net", "vat_percent", "currency"),
    "charged_at",
)

MAX_EXPONENT: Final = 3
"""The most decimals that the price column of a file can have."""

# Characters that no valid text contains.
_BETWEEN_TASK_CELLS: Final = "\x1e"
_BETWEEN_TASKS: Final = "\x1d"


def source_rows(
    extract: Extract, rules: Rules, month: str, timezone: str, adjustments: Iterable[Adjustment]
) -> pd.DataFrame:
    """`SOURCE_ROWS`: all rows of the extract, billable or not, and the adjustments of `month` and of those before."""
    parts = [
        _service_rows(extract, rules),
        _fee_rows(extract, rules),
        _adjustment_rows([one for one in adjustments if one.month <= month], timezone),
    ]
    return frame_of(pa.concat_tables(parts).combine_chunks())


def service_ids(rows: pd.DataFrame) -> pa.Array:
    """For each source row the service whose tasks it has; null for fees and adjustments."""
    return pc.if_else(pc.equal(array(rows["source_kind"]), SERVICE), array(rows["source_id"]), None)


def without_test_customers(frame: pd.DataFrame, customers: pd.DataFrame) -> pd.DataFrame:
    """The rows without those of test customers: customers all of whose rows say `is_test`."""
    is_test = array(customers["is_test"])
    numbers = array(customers["customer_number"])
    real = numbers.filter(negation(is_test))
    test = numbers.filter(is_test.fill_null(False))
    test = test.filter(negation(pc.is_in(test, real)))
    return where(frame, negation(pc.is_in(array(frame["customer_number"]), test)))


def supported_exponent(currency: str | None) -> int | None:
    """The decimals of the currency's minor unit; None where no file can be written in it."""
    try:
        exponent = exponent_of(currency or "")
    except ValueError:
        return None
    return exponent if exponent <= MAX_EXPONENT else None


def with_customers(rows: pd.DataFrame, customers: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """The rows with what their customer says: `customer_currency` and its `exponent`, `tax_type`, `tax_free`; and with
    the customer's rules: `language`, `tasks`, `price_basis`, `zero_price`, `group_lines`.

    m:1; master data are null for an unknown customer. An adjustment takes its customer's currency.
    """
    numbers = array(rows["customer_number"])
    # A customer number that occurs twice is a fault, and its customer is not billed: either row will do.
    place = pc.index_in(numbers, array(customers["customer_number"]))
    currency = array(customers["currency"]).take(place)
    tax_type = array(customers["tax_type"]).take(place)
    is_adjustment = pc.equal(array(rows["source_kind"]), ADJUSTMENT)
    mine = {number: rules.for_customer(number) for number in pc.unique(numbers).to_pylist()}
    plain_units_of = {number: one.plain for number, one in mine.items()}
    return with_columns(
        rows,
        currency=pc.if_else(is_adjustment, currency, array(rows["currency"])),
        customer_currency=currency,
        exponent=by_distinct(supported_exponent, pa.int8(), currency),
        tax_type=tax_type,
        tax_free=pc.is_in(tax_type, pa.array(TAX_FREE, TEXT)),
        language=by_distinct(lambda number: mine[number].language, TEXT, numbers),
        tasks=by_distinct(lambda number: mine[number].tasks, TEXT, numbers),
        price_basis=by_distinct(lambda number: mine[number].price_basis, TEXT, numbers),
        zero_price=by_distinct(lambda number: mine[number].missing_price == "zero", FLAG, numbers),
        # The unit is told in the text where it is not a piece.
        told_unit=by_distinct(
            lambda number, unit: (
                None if unit is None or unit.casefold() in plain_units_of[number] else unit.strip()
            ),
            TEXT,
            numbers,
            array(rows["unit"]),
        ),
        group_lines=by_distinct(lambda number: mine[number].group_lines, FLAG, numbers),
    )


def tasks_of(service_ids: pa.Array, tasks: pd.DataFrame) -> pd.DataFrame:
    """The tasks of these services, with `row`, the index of the service in `service_ids`; by row and position.

    Tasks of other services are left out; a null id has none. m:1 to the services.
    """
    table = pa.table(
        {name: array(tasks[name]) for name in ("service_id", "position", "task_name", "price_net")}
    )
    table = table.append_column("row", pc.index_in(table["service_id"], service_ids, skip_nulls=True))
    table = table.filter(pc.is_valid(table["row"])).sort_by([("row", "ascending"), ("position", "ascending")])
    return frame_of({name: table[name] for name in table.column_names})


def with_task_facts(rows: pd.DataFrame, service_ids: pa.Array, tasks: pd.DataFrame) -> pd.DataFrame:
    """The rows with `task_count`, `tasks_priced`, `task_sum` (null without any price) and `task_cells`, the tasks as
    text for the fingerprint. `service_ids`: one for each row, null where it can have no tasks.
    """
    mine = tasks_of(service_ids, tasks)
    sums = (
        pa.table({"row": array(mine["row"]), "price_net": array(mine["price_net"])})
        .group_by("row")
        .aggregate([([], "count_all"), ("price_net", "count"), ("price_net", "sum")])
    )
    place = pc.index_in(pa.array(np.arange(len(rows)), sums["row"].type), sums["row"].combine_chunks())
    cells = cells_text(
        array(mine["position"]),
        array(mine["task_name"]),
        array(mine["price_net"]),
        between=_BETWEEN_TASK_CELLS,
    )
    return with_columns(
        rows,
        task_count=sums["count_all"].combine_chunks().take(place).fill_null(0),
        tasks_priced=sums["price_net_count"].combine_chunks().take(place).fill_null(0),
        task_sum=sums["price_net_sum"].combine_chunks().take(place),
        task_cells=joined_per_row(cells, array(mine["row"]), len(rows), _BETWEEN_TASKS),
    )


def fingerprints_now(extract: Extract) -> dict[tuple[str, str], str]:
    """The fingerprint of every service and fee of an extract, by (source kind, id)."""
    services = with_task_facts(extract.services, array(extract.services["service_id"]), extract.service_tasks)
    return {
        (kind, source_id): fingerprint
        for kind, ids, prints in (
            (SERVICE, services["service_id"], _service_fingerprints(services)),
            (FEE, extract.cancellation_fees["fee_id"], _fee_fingerprints(extract.cancellation_fees)),
        )
        for source_id, fingerprint in zip(ids, prints.to_pylist(), strict=True)
    }


def last_instant_of(month: str, timezone: str) -> datetime:
    """The last microsecond of a month in that time zone, UTC: the instant of adjustments, which have none."""
    return period_of(month, timezone).end - timedelta(microseconds=1)


def joined_per_row(texts: pa.Array, rows: pa.Array, length: int, separator: str) -> pa.Array:
    """The texts of each of `length` rows, joined; `rows`: each text's row, ascending. A row without texts gets ""."""
    counts = np.bincount(rows.to_numpy(zero_copy_only=False), minlength=length)
    offsets = pa.array(np.concatenate(([0], np.cumsum(counts))), pa.int32())
    return pc.binary_join(pa.ListArray.from_arrays(offsets, texts), separator)


def _service_rows(extract: Extract, rules: Rules) -> pa.Table:
    billable, unknown = billable_services(extract.services, rules)
    # Without an instant a service belongs to no month: one that is not billable is nobody's business.
    counts = any_of(billable, negation(lacks_instant(extract.services)))
    services = where(extract.services, counts)
    billable, unknown = billable.filter(counts), unknown.filter(counts)
    ids = array(services["service_id"])
    numbers = array(services["customer_number"])
    with_tasks = with_task_facts(services, ids, extract.service_tasks)
    copied = (
        *("month", "description", "location", "quantity", "unit", "vat_percent", "currency", "faults"),
        *("status", "sub_status", "provider"),
    )
    columns = {name: array(services[name]) for name in copied} | {
        "source_kind": constant(SERVICE, TEXT, len(services)),
        "source_id": ids,
        "customer_number": numbers,
        "performed_at": array(services["completed_at"]),
        "service_id": ids,
        "billable": billable,
        "unknown_status": pc.if_else(unknown, array(services["status"]), None),
        "item_number": array(services["service_code"]),
        "head": array(services["service_name"]),
        "unit_price": array(services["unit_price_net"]),
        "task_count": array(with_tasks["task_count"]),
        "tasks_priced": array(with_tasks["tasks_priced"]),
        "task_sum": array(with_tasks["task_sum"]),
        "tasks_text": array(with_tasks["task_cells"]),
        "fingerprint": _service_fingerprints(with_tasks),
    }
    return _as_source_rows(columns)


def _service_fingerprints(with_tasks: pd.DataFrame) -> pa.Array:
    cells = (array(with_tasks[name]) for name in _FINGERPRINTED_OF_A_SERVICE)
    return fingerprints(constant(SERVICE, TEXT, len(with_tasks)), *cells)


def _fee_fingerprints(fees: pd.DataFrame) -> pa.Array:
    cells = (array(fees[name]) for name in _FINGERPRINTED_OF_A_FEE)
    return fingerprints(constant(FEE, TEXT, len(fees)), *cells)


def _fee_rows(extract: Extract, rules: Rules) -> pa.Table:
    fees = extract.cancellation_fees
    numbers, types = array(fees["customer_number"]), array(fees["fee_type"])
    copied = ("customer_number", "service_id", "month", "description", "vat_percent", "currency", "faults")
    # A fee of 0.00 is waived. An unreadable amount is not: it is a problem.
    charged = pc.not_equal(array(fees["amount_net"]), pa.scalar(Decimal(0), PRICE)).fill_null(True)
    wanted = by_distinct(lambda number: rules.for_customer(number).lines != "services_only", FLAG, numbers)
    columns = {name: array(fees[name]) for name in copied} | {
        "source_kind": constant(FEE, TEXT, len(fees)),
        "source_id": array(fees["fee_id"]),
        "performed_at": array(fees["charged_at"]),
        "billable": pc.and_(charged, wanted),
        "item_number": _fee_texts(numbers, types, rules, CustomerRules.fee_item_number),
        "head": _fee_texts(numbers, types, rules, CustomerRules.fee_title),
        "cancelled_service": array(fees["service_name"]),
        "cancelled_at": array(fees["cancelled_at"]),
        "quantity": constant(Decimal(1), QUANTITY, len(fees)),
        "unit_price": array(fees["amount_net"]),
        "fingerprint": _fee_fingerprints(fees),
    }
    return _as_source_rows(columns)


def _fee_texts(
    numbers: pa.Array, types: pa.Array, rules: Rules, text_of: Callable[[CustomerRules, str], str]
) -> pa.Array:
    return by_distinct(
        lambda number, fee_type: None if fee_type is None else text_of(rules.for_customer(number), fee_type),
        TEXT,
        numbers,
        types,
    )


def _adjustment_rows(adjustments: Iterable[Adjustment], timezone: str) -> pa.Table:
    rows = [
        {
            "source_kind": ADJUSTMENT,
            "source_id": one.adjustment_id,
            "customer_number": one.customer_number,
            "month": one.month,
            "performed_at": last_instant_of(one.month, timezone),
            "billable": True,
            "item_number": one.item_number,
            "head": one.title,
            "quantity": one.quantity,
            "unit": one.unit,
            "unit_price": one.unit_price_net,
            "vat_percent": one.vat_percent,
        }
        for one in adjustments
    ]
    table = pa.Table.from_pylist(rows, schema=SOURCE_ROWS)
    columns = {name: table[name].combine_chunks() for name in SOURCE_ROWS.names}
    return _as_source_rows(
        columns | {"fingerprint": fingerprints(*(columns[name] for name in _FINGERPRINTED_OF_AN_ADJUSTMENT))}
    )


def _as_source_rows(columns: Mapping[str, pa.Array]) -> pa.Table:
    """The columns as `SOURCE_ROWS`; columns that a relation does not have are null, numbers of tasks 0."""
    length = len(columns["source_id"])
    filled = {
        field.name: columns.get(field.name, pa.nulls(length, field.type)).cast(field.type)
        for field in SOURCE_ROWS
    }
    for name, absent in (("customer_number", ""), ("task_count", 0), ("tasks_priced", 0)):
        filled[name] = filled[name].fill_null(absent)
    return pa.table(filled, schema=SOURCE_ROWS)
