"""A document as the fields of `POST /documents`, by which EASY Bill makes a draft of it; nothing is worked out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from billing_pipeline.billing.tax import tax_type_of
from billing_pipeline.easybill.document import Document, DocumentLine

TASK_MARK: Final = "- "
"""How the lines of a title begin that name a task."""


def draft_request(document: Document, *, customer_id: int, template: str = "") -> dict[str, object]:
    """The body of `POST /documents`. `customer_id` is EASY Bill's own; `template` a PDF template, empty for its own.

    The draft adds up as the file does: prices are on the document's basis, in hundredths of the currency, and
    `vat_percent` is always there (EASY Bill would take 0). Tasks follow their service as TEXT rows. Raises ValueError
    for a price that EASY Bill cannot hold (thousandths), or a tax type it does not know.
    """
    tax_type = document.customer.get("tax_type", "")
    try:
        vat_option = tax_type_of(tax_type).vat_option
    except KeyError:
        raise ValueError(f"tax type {tax_type!r} has no vat_option in EASY Bill") from None
    first, last = _service_period(document)
    request: dict[str, object] = {
        "type": "INVOICE",
        "customer_id": customer_id,
        "external_id": document.order_number,
        "order_number": document.order_number,
        "document_date": document.purchase_date.isoformat(),
        "service_date": {"type": "SERVICE", "date_from": first.isoformat(), "date_to": last.isoformat()},
        "currency": document.currency,
        "calc_vat_from": 1 if document.price_basis == "gross" else 0,
        "vat_option": vat_option,
        "items": [{"position": position, **item} for position, item in enumerate(_items(document), start=1)],
    }
    if template:
        request["pdf_template"] = template
    return request


def _service_period(document: Document) -> tuple[date, date]:
    """The month, widened where a line (a late one) was performed outside it."""
    first = date.fromisoformat(f"{document.month}-01")
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    days = [line.performed_on for line in document.lines]
    return min(first, *days), max(last, *days)


def _items(document: Document) -> Iterator[dict[str, object]]:
    for line in document.lines:
        description, tasks = _without_tasks(line.title)
        yield _position(document, line, description)
        for task in tasks:
            yield {"type": "TEXT", "description": task}


def _without_tasks(title: str) -> tuple[str, list[str]]:
    """The title, and the tasks at its end."""
    lines = title.split("\n")
    end = len(lines)
    while end > 1 and lines[end - 1].startswith(TASK_MARK):
        end -= 1
    return "\n".join(lines[:end]), lines[end:]


def _position(document: Document, line: DocumentLine, description: str) -> dict[str, object]:
    is_folded = line.file_quantity != line.quantity
    return {
        "type": "POSITION",
        "itemType": "SERVICE",
        "number": line.item_number or None,
        "description": description,
        "quantity": _number(line.file_quantity),
        # A folded line's title says quantity and unit; its quantity is 1 of nothing.
        "unit": None if is_folded else line.unit or None,
        f"single_price_{document.price_basis}": _price(line, document.currency),
        "vat_percent": _number(Decimal(line.vat_basis_points).scaleb(-2)),
    }


def _price(line: DocumentLine, currency: str) -> int:
    cents = line.file_price.scaleb(2)
    if cents != cents.to_integral_value():
        raise ValueError(
            f"EASY Bill counts in hundredths, and {line.file_price} {currency} has more decimals"
        )
    return int(cents)


def _number(value: Decimal) -> int | float:
    """A JSON number; at most twelve digits, which a float keeps exactly."""
    return int(value) if value == value.to_integral_value() else float(value)
