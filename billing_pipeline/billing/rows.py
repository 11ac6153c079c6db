"""The rows of a month on their way to lines: services, cancellation fees and adjustments in one frame.

Belongs here: which cells of each relation matter, and which rows are billable at all by their kind, status and
provider. Does not: judging the cells (`checks`), or what a row costs (`amounts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from typing import Final

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
    all_of,
    array,
    by_distinct,
    constant,
    frame_of,
)
from billing_pipeline.billing.dates import last_instant_of
from billing_pipeline.billing.fingerprints import fingerprints
from billing_pipeline.billing.rules import CustomerRules, FeeText, Rules
from billing_pipeline.billing.tasks import with_task_facts
from billing_pipeline.billing.texts import WORDS
from billing_pipeline.oms.extract import Extract

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
        ("item_number", TEXT),
        ("head", TEXT),  # the first part of the title
        ("description", TEXT),
        ("location", TEXT),
        ("quantity", QUANTITY),
        ("unit", TEXT),
        ("unit_price", PRICE),  # net, in major units
        ("vat_percent", PERCENT),
        ("currency", TEXT),
        ("task_count", pa.int64()),
        ("tasks_priced", pa.int64()),
        ("task_sum", pa.decimal128(38, 2)),  # of those that have a price; null where none has
        ("faults", TEXT),  # as the extract has them
        ("fingerprint", TEXT),
    ]
)
"""One row per service, fee and adjustment. Services first, then fees, then adjustments."""


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


def source_rows(
    extract: Extract, rules: Rules, month: str, timezone: str, adjustments: Iterable[Adjustment]
) -> pd.DataFrame:
    """All rows of the extract and the adjustments of `month`, whatever their state: `SOURCE_ROWS`."""
    parts = [
        _service_rows(extract, rules),
        _fee_rows(extract, rules),
        _adjustment_rows([one for one in adjustments if one.month == month], timezone),
    ]
    return frame_of(pa.concat_tables(parts).combine_chunks())


def service_ids(rows: pd.DataFrame) -> pa.Array:
    """Of each source row the service whose tasks it includes; null for fees and adjustments."""
    return pc.if_else(pc.equal(array(rows["source_kind"]), SERVICE), array(rows["source_id"]), None)


def _service_rows(extract: Extract, rules: Rules) -> pa.Table:
    services = extract.services
    ids = array(services["service_id"])
    numbers = array(services["customer_number"])
    with_tasks = with_task_facts(services, ids, extract.service_tasks)
    copied = ("month", "description", "location", "quantity", "unit", "vat_percent", "currency", "faults")
    columns = {name: array(services[name]) for name in copied} | {
        "source_kind": constant(SERVICE, TEXT, len(services)),
        "source_id": ids,
        "customer_number": numbers,
        "performed_at": array(services["completed_at"]),
        "service_id": ids,
        "billable": _is_billable(services, rules),
        "item_number": array(services["service_code"]),
        "head": array(services["service_name"]),
        "unit_price": array(services["unit_price_net"]),
        "task_count": array(with_tasks["task_count"]),
        "tasks_priced": array(with_tasks["tasks_priced"]),
        "task_sum": array(with_tasks["task_sum"]),
        "fingerprint": _service_fingerprints(with_tasks),
    }
    return _as_source_rows(columns)


def _service_fingerprints(with_tasks: pd.DataFrame) -> pa.Array:
    cells = (array(with_tasks[name]) for name in _FINGERPRINTED_OF_A_SERVICE)
    return fingerprints(constant(SERVICE, TEXT, len(with_tasks)), *cells)


def _fee_fingerprints(fees: pd.DataFrame) -> pa.Array:
    cells = (array(fees[name]) for name in _FINGERPRINTED_OF_A_FEE)
    return fingerprints(constant(FEE, TEXT, len(fees)), *cells)


def fingerprints_now(extract: Extract) -> dict[tuple[str, str], str]:
    """The fingerprint of every service and fee of an extract, by source kind and id."""
    services = with_task_facts(extract.services, array(extract.services["service_id"]), extract.service_tasks)
    return {
        (kind, source_id): fingerprint
        for kind, ids, prints in (
            (SERVICE, services["service_id"], _service_fingerprints(services)),
            (FEE, extract.cancellation_fees["fee_id"], _fee_fingerprints(extract.cancellation_fees)),
        )
        for source_id, fingerprint in zip(ids, prints.to_pylist(), strict=True)
    }


def _is_billable(services: pd.DataFrame, rules: Rules) -> pa.Array:
    """Whether each service is billed by its customer's rules: kind of row, status, sub-status, provider."""
    status, sub_status, provider = (array(services[name]) for name in ("status", "sub_status", "provider"))
    customers = array(services["customer_number"])
    filters = sorted({_service_filter(rules.for_customer(number)) for number in ["", *rules.customers]})
    # Few filters hold for many customers: each is asked of all services at once.
    whose = by_distinct(
        lambda number: filters.index(_service_filter(rules.for_customer(number))), pa.int32(), customers
    )
    result = constant(False, FLAG, len(services))
    for place, (lines, statuses, sub_statuses, providers) in enumerate(filters):
        if lines != "fees_only":
            asked = [pc.equal(whose, place), pc.is_in(status, pa.array(statuses, TEXT))]
            asked += [pc.is_in(sub_status, pa.array(sub_statuses, TEXT))] if sub_statuses else []
            asked += [pc.is_in(provider, pa.array(providers, TEXT))] if providers else []
            result = pc.or_(result, all_of(*asked))
    return result


def _service_filter(rules: CustomerRules) -> tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    return rules.lines, rules.billable_statuses, rules.billable_sub_statuses, rules.providers


def _fee_rows(extract: Extract, rules: Rules) -> pa.Table:
    fees = extract.cancellation_fees
    numbers, types = array(fees["customer_number"]), array(fees["fee_type"])
    copied = ("customer_number", "service_id", "month", "description", "vat_percent", "currency", "faults")
    # A fee of 0.00 is waived; one that could not be read is not, and is a problem.
    charged = pc.not_equal(array(fees["amount_net"]), pa.scalar(Decimal(0), PRICE)).fill_null(True)
    wanted = by_distinct(lambda number: rules.for_customer(number).lines != "services_only", FLAG, numbers)
    columns = {name: array(fees[name]) for name in copied} | {
        "source_kind": constant(FEE, TEXT, len(fees)),
        "source_id": array(fees["fee_id"]),
        "performed_at": array(fees["charged_at"]),
        "billable": pc.and_(charged, wanted),
        "item_number": by_distinct(partial(_fee_item_number, rules), TEXT, numbers, types),
        "head": by_distinct(partial(_fee_title, rules), TEXT, numbers, types),
        "quantity": constant(Decimal(1), QUANTITY, len(fees)),
        "unit_price": array(fees["amount_net"]),
        "fingerprint": _fee_fingerprints(fees),
    }
    return _as_source_rows(columns)


def _fee_item_number(rules: Rules, customer_number: str, fee_type: str | None) -> str | None:
    if fee_type is None:
        return None
    entry = rules.for_customer(customer_number).cancellation_fees.get(fee_type, FeeText())
    return entry.item_number or fee_type.upper()


def _fee_title(rules: Rules, customer_number: str, fee_type: str | None) -> str | None:
    if fee_type is None:
        return None
    mine = rules.for_customer(customer_number)
    entry = mine.cancellation_fees.get(fee_type, FeeText())
    return entry.title or f"{WORDS[mine.language].cancellation_fee} ({fee_type})"


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
    """The columns in the shape of `SOURCE_ROWS`; what a relation does not have is null, and 0 tasks."""
    length = len(columns["source_id"])
    filled = {
        field.name: columns.get(field.name, pa.nulls(length, field.type)).cast(field.type)
        for field in SOURCE_ROWS
    }
    for name, absent in (("customer_number", ""), ("task_count", 0), ("tasks_priced", 0)):
        filled[name] = filled[name].fill_null(absent)
    return pa.table(filled, schema=SOURCE_ROWS)
