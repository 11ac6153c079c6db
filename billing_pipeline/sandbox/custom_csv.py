"""Reads EASY Bill's Custom CSV, strictly: bytes to orders, or every fault with its row. No I/O, no money.

The format as EASY Bill's help gives it: `;`, UTF-8, the first line holds the field names in any order, decimals
`XXX.YY`, line breaks allowed inside quotes. Written from that description, and not from the renderer, so that
the two can disagree. What the format leaves open is refused: an unknown, missing or repeated field name, a
number in any other form, a control character.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a file. `row` 1 is the first after the header; 0 is the header or the file."""

    row: int
    column: str
    value: str
    message: str

    def __str__(self) -> str:
        where = f"row {self.row}" if self.row else "file"
        return (
            f"{where}, {self.column} = {self.value!r}: {self.message}"
            if self.column
            else f"{where}: {self.message}"
        )


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One row of an order. `price` is the unit price in the file's own unit (1.00 = one euro)."""

    item_number: str
    title: str
    quantity: Decimal
    price: Decimal
    vat_percent: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    """The rows of one order number, in file order; `cells` are those on which all its rows agree."""

    order_number: str
    purchase_date: date
    cells: Mapping[str, str]
    lines: tuple[OrderLine, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    pattern: re.Pattern[str]
    expected: str
    is_date: bool = False

    def objection(self, value: str) -> str:
        if not self.pattern.fullmatch(value):
            return f"expected {self.expected}"
        if self.is_date and value:
            try:
                date.fromisoformat(value)
            except ValueError:
                return "no such day"
        return ""


_PRINTABLE = r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TEXT = _Kind(re.compile(f"{_PRINTABLE}*"), "text without control characters")
_FILLED = _Kind(re.compile(rf"(?=.*\S){_PRINTABLE}+", re.DOTALL), "text, not empty, no control characters")
_DATE = _Kind(re.compile(_DAY), "a date such as 2026-10-31", is_date=True)
_DATE_OR_EMPTY = _Kind(re.compile(f"({_DAY})?"), "a date such as 2026-10-31, or nothing", is_date=True)
_PRICE = _Kind(re.compile(r"-?[0-9]{1,12}\.[0-9]{2}"), "a price such as 1234.50")
_RATE = _Kind(re.compile(r"(100\.00|[0-9]{1,2}\.[0-9]{2})"), "a rate from 0.00 to 100.00")
_QUANTITY = _Kind(
    re.compile(r"(?=.*[1-9])[0-9]{1,9}(\.[0-9]{1,3})?"), "a quantity above 0 such as 1 or 0.333"
)
_CURRENCY = _Kind(re.compile(r"[A-Z]{3}"), "a currency such as EUR")
_COUNTRY = _Kind(re.compile(r"([A-Z]{2})?"), "a country such as DE, or nothing")
_TAX_TYPE = _Kind(re.compile(r"(intra-community-trade|export)?"), "intra-community-trade, export, or nothing")
_ITEM = _Kind(re.compile(r"item"), "item")
_NO_SHIPPING = _Kind(re.compile(r"(0\.00)?"), "nothing: the sandbox charges no shipping")

ORDER_COLUMNS: Mapping[str, _Kind] = {
    "order_number": _FILLED,
    "purchase_date": _DATE,
    "shipping_date": _DATE_OR_EMPTY,
    "payment_date": _DATE_OR_EMPTY,
    "currency": _CURRENCY,
    "order_shipping_price": _NO_SHIPPING,
    "payment_type": _TEXT,
    "customer_number": _FILLED,
    "email": _TEXT,
    "phone_number": _TEXT,
    "firstname": _TEXT,
    "lastname": _TEXT,
    "name": _TEXT,
    "street": _TEXT,
    "zipcode": _TEXT,
    "city": _TEXT,
    "state": _TEXT,
    "country": _COUNTRY,
    "vat_id": _TEXT,
    "tax_type": _TAX_TYPE,
    "shipping_firstname": _TEXT,
    "shipping_lastname": _TEXT,
    "shipping_name": _TEXT,
    "shipping_street": _TEXT,
    "shipping_zipcode": _TEXT,
    "shipping_city": _TEXT,
    "shipping_state": _TEXT,
    "shipping_country": _COUNTRY,
}
LINE_COLUMNS: Mapping[str, _Kind] = {
    "sku": _TEXT,
    "item_number": _TEXT,
    "item_type": _ITEM,
    "title": _FILLED,
    "quantity": _QUANTITY,
    "item_price": _PRICE,
    "vat_percent": _RATE,
}
# Keeps every sum of cents within the database's 64-bit integers.
_TOO_MUCH = 10**12
COLUMNS: Mapping[str, _Kind] = {**ORDER_COLUMNS, **LINE_COLUMNS}


def read_orders(data: bytes) -> tuple[tuple[Order, ...], tuple[Fault, ...]]:
    """The orders of a file, in the order of their first rows, and every fault found.

    A file with a fault has no orders: nothing of it may be imported.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return (), (Fault(0, "", "", f"not UTF-8: byte {error.start} is {data[error.start]:#04x}"),)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";", strict=True)
    faults: list[Fault] = []
    rows: list[dict[str, str]] = []
    try:
        header = next(reader, [])
        faults += _header_faults(header)
        if not faults:
            for number, cells in enumerate(reader, start=1):
                if len(cells) == len(header):
                    rows.append(dict(zip(header, cells, strict=True)))
                    faults += _row_faults(number, rows[-1])
                else:
                    faults.append(Fault(number, "", "", f"{len(cells)} cells, the header has {len(header)}"))
    except csv.Error as error:
        faults.append(Fault(0, "", "", f"not CSV at line {reader.line_num}: {error}"))
    if not rows and not faults:
        faults.append(Fault(0, "", "", "no rows after the header"))
    if not faults:
        faults += _disagreements(rows)
    return (() if faults else tuple(_orders(rows))), tuple(faults)


def _header_faults(header: list[str]) -> Iterator[Fault]:
    for name in sorted(set(header) - set(COLUMNS)):
        yield Fault(0, name, "", "not a field of Custom CSV")
    for name in COLUMNS:
        if (count := header.count(name)) != 1:
            yield Fault(0, name, "", "field is missing" if count == 0 else f"field stands {count} times")


def _row_faults(number: int, row: Mapping[str, str]) -> Iterator[Fault]:
    for name, kind in COLUMNS.items():
        if objection := kind.objection(row[name]):
            yield Fault(number, name, row[name], objection)
    if _is_beyond_any_invoice(row["quantity"], row["item_price"]):
        yield Fault(number, "item_price", row["item_price"], "times the quantity it is beyond any invoice")
    if not row["name"].strip() and not row["lastname"].strip():
        yield Fault(number, "name", row["name"], "a company or a last name is needed")
    if row["tax_type"] and row["vat_percent"] != "0.00":
        yield Fault(
            number, "vat_percent", row["vat_percent"], f"with tax type {row['tax_type']} it must be 0.00"
        )


def _is_beyond_any_invoice(quantity: str, price: str) -> bool:
    if _QUANTITY.objection(quantity) or _PRICE.objection(price):
        return False  # said already
    return abs(Decimal(quantity) * Decimal(price)) >= _TOO_MUCH


def _disagreements(rows: list[dict[str, str]]) -> Iterator[Fault]:
    first_row: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        first = first_row.setdefault(row["order_number"], number)
        for name in ORDER_COLUMNS:
            if row[name] != rows[first - 1][name]:
                yield Fault(number, name, row[name], f"row {first} of the same order says otherwise")


def _orders(rows: list[dict[str, str]]) -> Iterator[Order]:
    by_number: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_number.setdefault(row["order_number"], []).append(row)
    for order_number, own in by_number.items():
        cells = {name: own[0][name] for name in ORDER_COLUMNS}
        lines = tuple(
            OrderLine(
                item_number=row["item_number"] or row["sku"],
                title=row["title"],
                quantity=Decimal(row["quantity"]),
                price=Decimal(row["item_price"]),
                vat_percent=Decimal(row["vat_percent"]),
            )
            for row in own
        )
        yield Order(order_number, date.fromisoformat(cells["purchase_date"]), cells, lines)
