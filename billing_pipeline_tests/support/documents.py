"""Documents for tests, made by hand: a plain customer and plain lines, of which a test changes what it is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from billing_pipeline.easybill.document import CUSTOMER_FIELDS, Document, DocumentLine, Source, file_name
from billing_pipeline.easybill.document_columns import DocumentColumns
from billing_pipeline.easybill.file_check import check_csv
from billing_pipeline.easybill.layout import Layout

ADDRESS: Final = {
    "company_name": "Müller & Söhne GmbH",
    "first_name": "Jörg",
    "last_name": "Weiß",
    "street": "Straße des 17. Juni 135",
    "zip_code": "10623",
    "city": "Berlin",
    "country": "DE",
    "email": "rechnung@mueller-soehne.example",
    "phone": "+49 30 1234567",
    "vat_id": "DE123456789",
    "currency": "EUR",
    "payment_type": "invoice",
}


def a_customer(**changed: str) -> dict[str, str]:
    """A customers row as text; what is not given is that of a company in Berlin, or empty."""
    return dict.fromkeys(CUSTOMER_FIELDS, "") | ADDRESS | changed


def a_line(position: int = 1, **changed: Any) -> DocumentLine:
    """One service of 150.00 net, 178.50 gross."""
    line = DocumentLine(
        position=position,
        line_type="service",
        sources=(Source(f"SV-{position:04}", f"{position:064x}"),),
        item_number="BAT-CHG",
        title="Battery change service\nLeistungsdatum 14.10.2026, Berlin Mitte",
        quantity=Decimal("1"),
        unit="Stück",
        unit_price_net=15000,
        net=15000,
        vat=2850,
        gross=17850,
        vat_basis_points=1900,
        performed_on=date(2026, 10, 14),
        file_quantity=Decimal("1"),
        file_price=Decimal("178.50"),
    )
    return replace(line, **changed)


def a_document(*lines: DocumentLine, **changed: Any) -> Document:
    """The document of customer 10023 for October 2026; its totals are the sums of its lines (gross basis)."""
    lines = lines or (a_line(),)
    number, month = changed.get("customer_number", "10023"), changed.get("month", "2026-10")
    document = Document(
        customer_number=number,
        month=month,
        revision=1,
        order_number=f"{month}-{number}",
        file_name=file_name(month, number),
        currency="EUR",
        price_basis="gross",
        customer=a_customer(),
        purchase_date=date(2026, 10, 31),
        lines=tuple(lines),
        net=sum(line.net for line in lines),
        vat=sum(line.vat for line in lines),
        gross=sum(line.gross for line in lines),
    )
    return replace(document, **changed)


def as_stored(document: Document) -> DocumentColumns:
    """The document as the check before sending reads it from the store."""
    return DocumentColumns.from_json(document.to_json())


def check_file(data: bytes, document: Document, layout: Layout) -> list[str]:
    """What the check before sending finds."""
    return check_csv(data, as_stored(document), layout)
