"""What does not fit a layout, said value by value over objects: what the columns of `easybill.fitness` must agree with.

Slow, and written for the eye. It shares no code with the columns but the layout itself.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from billing_pipeline.easybill.document import Document, DocumentLine
from billing_pipeline.easybill.layout import Column, Layout

Found = tuple[str, str, str, str]
"""Code, source id, field and value of a problem."""

MINOR_DIGITS = {"EUR": 2, "JPY": 0, "KWD": 3}


def plainly_unfit(document: Document, layout: Layout) -> list[Found]:
    """Every value that the layout cannot write, in the order of the file; a fault of one field is told once."""
    found: list[Found] = []
    if layout.price_basis not in ("rules", document.price_basis):
        found.append(("LAYOUT_INVALID", "", "price_basis", document.price_basis))
    for column in layout.columns:
        room, _, name = column.source.partition(".")
        if room == "line":
            for line in document.lines:
                source = line.sources[0].source_id if line.sources else ""
                value = _of_line(document, line, name)
                found += [(code, source, name, _shown(value)) for code in _faults(value, column, layout)]
        elif room in ("document", "customer"):
            value = document.customer.get(name, "") if room == "customer" else _of_document(document, name)
            found += [(code, "", name, _shown(value)) for code in _faults(value, column, layout)]
    told = set()
    once = []
    for one in found:
        if one[:3] not in told:
            told.add(one[:3])
            once.append(one)
    return once


def _of_document(document: Document, name: str) -> str | date:
    year, month = map(int, document.month.split("-"))
    if name == "period_start":
        return date(year, month, 1)
    if name == "period_end":
        return date(year, month, calendar.monthrange(year, month)[1])
    value: str | date = getattr(document, name)
    return value


def _of_line(document: Document, line: DocumentLine, name: str) -> str | Decimal | date:
    if name == "vat_percent":
        return Decimal(line.vat_basis_points) / 100
    value = getattr(line, name)
    if name in ("unit_price_net", "net", "vat", "gross"):
        return Decimal(value).scaleb(-MINOR_DIGITS[document.currency])
    return Decimal(value) if isinstance(value, int) else value


def _faults(value: str | Decimal | date, column: Column, layout: Layout) -> Iterator[str]:
    if isinstance(value, str):
        if column.required and not value.strip():
            yield "CUSTOMER_INCOMPLETE" if column.source.startswith("customer.") else "TEXT_INVALID"
            return
        if any(_is_forbidden(character) for character in value) or (
            layout.encoding == "iso-8859-1" and any(ord(character) > 0xFF for character in value)
        ):
            yield "TEXT_INVALID"
        if column.max_length is not None and len(value) > column.max_length:
            yield "TEXT_TOO_LONG"
    elif isinstance(value, Decimal):
        places = 2 if column.type == "decimal" else 3
        if column.decimals is not None:
            places = column.decimals
        if value != round(value, places):
            yield "LAYOUT_INVALID"


def _is_forbidden(character: str) -> bool:
    code = ord(character)
    return (
        (code < 0x20 and character not in "\t\n")
        or 0x7F <= code <= 0x9F
        or code in (0x2028, 0x2029, 0xFEFF)
        or 0xD800 <= code <= 0xDFFF
    )


def _shown(value: str | Decimal | date) -> str:
    """As a problem tells it, on at most 60 characters."""
    text = str(value)
    if isinstance(value, Decimal):
        text = f"{value:f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        text = "0" if text == "-0" else text
    return text if len(text) <= 60 else text[:59] + "…"
