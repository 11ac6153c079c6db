"""The fields a layout may name as the source of a column, and how each is taken from a document.

Belongs here: the vocabulary shared by every layout. Does not: how a value is written (`render`) or read back
(`check`): both take the typed value from here and do their own half.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, Literal

from billing_pipeline import money
from billing_pipeline.easybill.document import CUSTOMER_FIELDS, Document, DocumentLine

Kind = Literal["text", "decimal", "quantity", "date"]
Value = str | Decimal | date | None

EMPTY: Final = "empty"
"""The source of a column that EASY Bill knows and that this product leaves empty."""


@dataclass(frozen=True, slots=True)
class Field:
    """One source field: of what kind its values are, and how a document (and one of its lines) gives it.

    `of_document` is set where the value is the same for every line, else `of_line`. Decimals are in major units.
    """

    kind: Kind
    meaning: str
    of_document: Callable[[Document], Value] | None = None
    of_line: Callable[[Document, DocumentLine], Value] | None = None


def _customer_field(name: str) -> Callable[[Document], Value]:
    return lambda document: document.customer.get(name, "")


def _period_start(document: Document) -> date:
    return date.fromisoformat(f"{document.month}-01")


def _period_end(document: Document) -> date:
    return (_period_start(document).replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _document_fields() -> dict[str, Field]:
    return {
        "document.order_number": Field("text", "the order number", lambda document: document.order_number),
        "document.customer_number": Field(
            "text", "the customer number, as it is", lambda document: document.customer_number
        ),
        "document.month": Field("text", "the month, YYYY-MM", lambda document: document.month),
        "document.currency": Field("text", "ISO 4217 code", lambda document: document.currency),
        "document.purchase_date": Field(
            "date", "the date of the order", lambda document: document.purchase_date
        ),
        "document.period_start": Field("date", "first day of the month", _period_start),
        "document.period_end": Field("date", "last day of the month", _period_end),
    }


def _customer_fields() -> dict[str, Field]:
    return {
        f"customer.{name}": Field("text", f"the customer's {name.replace('_', ' ')}", _customer_field(name))
        for name in CUSTOMER_FIELDS
    }


def _line_fields() -> dict[str, Field]:
    def amount(minor: Callable[[DocumentLine], int]) -> Callable[[Document, DocumentLine], Value]:
        return lambda document, line: money.from_minor(minor(line), document.currency)

    def line_field(kind: Kind, meaning: str, of_line: Callable[[Document, DocumentLine], Value]) -> Field:
        return Field(kind, meaning, of_line=of_line)

    return {
        "line.position": line_field("quantity", "1, 2, 3 …", lambda _, line: Decimal(line.position)),
        "line.line_type": line_field("text", "service, cancellation_fee …", lambda _, line: line.line_type),
        "line.item_number": line_field("text", "article number", lambda _, line: line.item_number),
        "line.title": line_field("text", "the text on the invoice", lambda _, line: line.title),
        "line.unit": line_field("text", "unit of the quantity", lambda _, line: line.unit),
        "line.performed_on": line_field(
            "date", "local date of the service", lambda _, line: line.performed_on
        ),
        "line.quantity": line_field("quantity", "quantity before folding", lambda _, line: line.quantity),
        "line.unit_price_net": line_field(
            "decimal", "net unit price before folding", amount(lambda line: line.unit_price_net)
        ),
        "line.net": line_field("decimal", "net amount of the line", amount(lambda line: line.net)),
        "line.vat": line_field("decimal", "VAT of the line", amount(lambda line: line.vat)),
        "line.gross": line_field("decimal", "gross amount of the line", amount(lambda line: line.gross)),
        "line.file_quantity": line_field(
            "quantity", "quantity; 1 where the line is folded", lambda _, line: line.file_quantity
        ),
        "line.file_price": line_field(
            "decimal", "unit price on the price basis", lambda _, line: line.file_price
        ),
        "line.vat_percent": line_field(
            "decimal", "VAT rate in percent", lambda _, line: Decimal(line.vat_basis_points).scaleb(-2)
        ),
    }


FIELDS: Final[Mapping[str, Field]] = _document_fields() | _customer_fields() | _line_fields()
"""Every source field by the name a layout uses."""
