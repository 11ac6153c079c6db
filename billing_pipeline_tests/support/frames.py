"""Extracts by hand: builders of OMS rows with sensible cells, of which a test names only those it is about."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import pandas as pd

from billing_pipeline.oms.contract import (
    CANCELLATION_FEES,
    CUSTOMERS,
    SERVICE_TASKS,
    SERVICES,
    Relation,
    frame_of_rows,
)
from billing_pipeline.oms.extract import Extract
from billing_pipeline.oms.period import month_of

TIMEZONE = "Europe/Berlin"
Row = dict[str, Any]


def customer(customer_number: str = "10023", **cells: Any) -> Row:
    """A German company, billed in EUR."""
    return {
        "customer_number": customer_number,
        "company_name": "Rollerverleih Nord GmbH",
        "street": "Hafenstraße 1",
        "zip_code": "20457",
        "city": "Hamburg",
        "country": "DE",
        "currency": "EUR",
        "is_test": False,
    } | cells


def service(service_id: str = "S-1", **cells: Any) -> Row:
    """A completed service of 10023: 1 × 150.00 EUR at 19 %, done on 14 October 2026 in Berlin."""
    return _dated(
        {
            "service_id": service_id,
            "customer_number": "10023",
            "service_code": "BAT-2",
            "service_name": "Battery change service",
            "status": "completed",
            "completed_at": "2026-10-14T09:30:00Z",
            "quantity": "1",
            "unit": "Stück",
            "unit_price_net": "150.00",
            "vat_percent": "19",
            "currency": "EUR",
            "updated_at": "2026-10-14T10:00:00Z",
        }
        | cells,
        "completed_at",
    )


def task(service_id: str = "S-1", position: int = 1, **cells: Any) -> Row:
    """A task of a service, without a price."""
    return {"service_id": service_id, "position": position, "task_name": f"Task {position}"} | _typed(cells)


def fee(fee_id: str = "F-1", **cells: Any) -> Row:
    """A late cancellation of 10023: 25.00 EUR at 19 %, charged on 20 October 2026."""
    return _dated(
        {
            "fee_id": fee_id,
            "customer_number": "10023",
            "fee_type": "late_cancellation",
            "amount_net": "25.00",
            "vat_percent": "19",
            "currency": "EUR",
            "charged_at": "2026-10-20T08:00:00Z",
            "updated_at": "2026-10-20T08:00:00Z",
        }
        | cells,
        "charged_at",
    )


def faulty(row: Row, code: str, field: str, value: str = "") -> Row:
    """The row with a fault in one cell, as the OMS room marks it: the cell is null."""
    known = json.loads(row.get("faults") or "[]")
    fault = {"code": code, "field": field, "value": value, "message": f"{field} is {value!r}: correct it"}
    return row | {field: None, "faults": json.dumps([*known, fault])}


def extract(*rows: Row, customers: Iterable[Row] | None = None, tasks: Iterable[Row] = ()) -> Extract:
    """The extract of these services and fees; by default with one `customer()` for each number they name."""
    if customers is None:
        customers = [customer(number) for number in sorted({row["customer_number"] for row in rows})]
    return Extract(
        customers=_frame(CUSTOMERS, customers),
        services=_frame(SERVICES, (row for row in rows if "fee_id" not in row)),
        service_tasks=_frame(SERVICE_TASKS, tasks),
        cancellation_fees=_frame(CANCELLATION_FEES, (row for row in rows if "fee_id" in row)),
    )


def _frame(relation: Relation, rows: Iterable[Row]) -> pd.DataFrame:
    return frame_of_rows(relation, rows)


def _dated(row: Row, instant: str) -> Row:
    typed = _typed(row)
    if "month" not in typed:
        typed["month"] = month_of(typed[instant], TIMEZONE) if typed[instant] else None
    return typed


def _typed(cells: Mapping[str, Any]) -> Row:
    """Amounts and instants may be written as text."""
    typed: Row = {}
    for name, value in cells.items():
        if isinstance(value, str) and name.endswith("_at"):
            typed[name] = datetime.fromisoformat(value)
        elif isinstance(value, (str, int)) and name in _DECIMALS:
            typed[name] = Decimal(value)
        else:
            typed[name] = value
    return typed


_DECIMALS = frozenset({"quantity", "unit_price_net", "price_net", "amount_net", "vat_percent"})
