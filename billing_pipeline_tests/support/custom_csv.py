"""Custom CSV as a person would type it, for tests that must not depend on the product's renderer."""

from __future__ import annotations

from collections.abc import Mapping

ONE_ROW: Mapping[str, str] = {
    "order_number": "2026-10-10023",
    "purchase_date": "2026-10-31",
    "shipping_date": "",
    "payment_date": "",
    "currency": "EUR",
    "order_shipping_price": "",
    "payment_type": "",
    "customer_number": "10023",
    "email": "rechnung@example.com",
    "phone_number": "",
    "firstname": "",
    "lastname": "",
    "name": "Müller & Söhne GmbH",
    "street": "Düsselstr. 21",
    "zipcode": "01067",
    "city": "Dresden",
    "state": "",
    "country": "DE",
    "vat_id": "DE814878557",
    "tax_type": "",
    "shipping_firstname": "",
    "shipping_lastname": "",
    "shipping_name": "",
    "shipping_street": "",
    "shipping_zipcode": "",
    "shipping_city": "",
    "shipping_state": "",
    "shipping_country": "",
    "sku": "BATT-2",
    "item_number": "BATT-2",
    "item_type": "item",
    "title": "Battery change service",
    "quantity": "1",
    "item_price": "178.50",
    "vat_percent": "19.00",
}


def custom_csv(*rows: Mapping[str, str], columns: list[str] | None = None) -> bytes:
    """A file of one row per mapping, each `ONE_ROW` with what the mapping changes."""
    names = columns if columns is not None else list(ONE_ROW)
    lines = [";".join(names)]
    for changes in rows:
        row = {**ONE_ROW, **changes}
        lines.append(";".join('"' + row.get(name, "").replace('"', '""') + '"' for name in names))
    return ("\n".join(lines) + "\n").encode()
