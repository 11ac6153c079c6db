"""What EASY Bill keeps, as plain data: customers, documents and their items. No I/O.

Amounts are integer cents, prices `Decimal` cents on the document's basis (the API allows fractions of a cent),
quantities `Decimal`, instants UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from billing_pipeline.sandbox.receiver_amounts import Amounts, Basis

ItemType = Literal["POSITION", "POSITION_NOCALC", "TEXT"]

# EASY Bill's `vat_option` and `tax_options` for the tax types of Custom CSV.
TAX_OPTION = {"": None, "intra-community-trade": "IG", "export": "AL"}


@dataclass(frozen=True, slots=True)
class Item:
    """One row of a document. A TEXT row has no price and no amounts."""

    type: ItemType
    number: str | None
    description: str | None
    quantity: Decimal
    unit: str | None
    price: Decimal
    vat_percent: Decimal
    amounts: Amounts
    booking_account: str | None = None
    export_cost_1: str | None = None
    # EASY Bill's `itemType`: PRODUCT, SERVICE or UNDEFINED.
    kind: str = "UNDEFINED"


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to be kept. `details` are the further fields of the API, as they were sent."""

    customer_id: int | None
    order_number: str
    document_date: date
    currency: str
    basis: Basis
    items: tuple[Item, ...]
    amounts: Amounts
    details: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Draft:
    """A document that EASY Bill has; one per order number imported, or per document created by the API.

    `is_draft` is false only once somebody has finalised it; `number` is then the invoice number.
    """

    id: int
    origin: Literal["csv", "api"]
    is_draft: bool
    number: str | None
    order_number: str
    customer_id: int | None
    customer_number: str
    document_date: date
    currency: str
    basis: Basis
    amounts: Amounts
    items: tuple[Item, ...]
    details: Mapping[str, object]
    created_at: datetime
    edited_at: datetime

    @property
    def net(self) -> int:
        """The document's net, in cents."""
        return self.amounts.net

    @property
    def vat(self) -> int:
        """The document's VAT, in cents."""
        return self.amounts.vat

    @property
    def gross(self) -> int:
        """The document's gross, in cents."""
        return self.amounts.gross

    @property
    def external_id(self) -> str | None:
        """The caller's own id, where a document came by the API."""
        return _text(self.details.get("external_id"))

    @property
    def title(self) -> str | None:
        """The document's title, where a document came by the API."""
        return _text(self.details.get("title"))


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer or supplier. `number` is empty for those who are suppliers only; numbers may repeat."""

    id: int
    number: str
    card: Mapping[str, object]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """One line of the importer's own log: what became of one order of one file, or of a file that was wrong."""

    id: int
    at: datetime
    file_name: str
    sha256: str
    size_bytes: int
    outcome: Literal["imported", "skipped", "error"]
    order_number: str
    document_id: int | None
    message: str


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
