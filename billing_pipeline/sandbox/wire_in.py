"""Reads what the API is sent: JSON to a customer's card or a new document, or `Invalid` with field and reason.

Stricter than the real one is known to be: a field that is not published, that only EASY Bill sets, or that the
sandbox does not keep is refused and not ignored. Numbers are read as `Decimal`, never as floats.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import NoReturn

from billing_pipeline.sandbox.drafts import Item, NewDocument
from billing_pipeline.sandbox.receiver_amounts import Amounts, Basis, document_amounts, line_amounts

Json = Mapping[str, object]
Check = Callable[[object], bool]


class Invalid(Exception):
    """What was sent cannot be taken; the message names the field. Answered with 400."""


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_text_or_null(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_integer_or_null(value: object) -> bool:
    return value is None or _is_integer(value)


def _is_number(value: object) -> bool:
    return _is_integer(value) or isinstance(value, Decimal)


def _is_number_or_null(value: object) -> bool:
    return value is None or _is_number(value)


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool)


def _is_day(value: object) -> bool:
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_one_of(*words: object) -> Check:
    return lambda value: any(value is word or (type(value) is type(word) and value == word) for word in words)


def _is_service_date(value: object) -> bool:
    """SERVICE and DELIVERY need exactly one of: a day, a first and a last day, a text."""
    if not isinstance(value, dict) or set(value) - {"type", "date", "date_from", "date_to", "text"}:
        return False
    said = {name for name in ("date", "date_from", "date_to", "text") if value.get(name) is not None}
    if any(not _is_day(value[name]) for name in said - {"text"}):
        return False
    if value.get("type") == "DEFAULT":
        return not said
    return value.get("type") in {"SERVICE", "DELIVERY"} and said in (
        {"date"},
        {"date_from", "date_to"},
        {"text"},
    )


_TAX_OPTIONS = ("nStb", "nStbUstID", "nStbNoneUstID", "nStbIm", "revc", "IG", "AL", "sStfr", "NULL", None)

CUSTOMER_FIELDS: Mapping[str, Check] = {
    **dict.fromkeys(
        ("company_name", "last_name", "first_name", "street", "zip_code", "city"), _is_text_or_null
    ),
    **dict.fromkeys(
        ("suffix_1", "suffix_2", "phone_1", "vat_identifier", "info_1", "note"), _is_text_or_null
    ),
    **dict.fromkeys(("country", "state", "title", "number", "supplier_number"), _is_text),
    "emails": _is_texts,
    "tax_options": _is_one_of(*_TAX_OPTIONS),
    "personal": _is_boolean,
    "due_in_days": _is_integer_or_null,
}
DOCUMENT_FIELDS: Mapping[str, Check] = {
    **dict.fromkeys(("external_id", "title", "text_tax", "vat_country"), _is_text_or_null),
    **dict.fromkeys(("fulfillment_country", "shipping_country"), _is_text_or_null),
    **dict.fromkeys(("order_number", "buyer_reference", "text", "text_prefix", "pdf_template"), _is_text),
    "type": _is_one_of("INVOICE"),
    "customer_id": _is_integer_or_null,
    "document_date": _is_day,
    "currency": lambda value: isinstance(value, str) and len(value) == 3 and value.isupper(),
    "calc_vat_from": _is_one_of(0, 1),
    "vat_option": _is_one_of(*_TAX_OPTIONS, "smallBusiness"),
    "service_date": _is_service_date,
    "due_in_days": _is_integer_or_null,
    "items": _is_list,
}
ITEM_FIELDS: Mapping[str, Check] = {
    **dict.fromkeys(("number", "description", "unit", "booking_account", "export_cost_1"), _is_text_or_null),
    "type": _is_one_of("POSITION", "POSITION_NOCALC", "TEXT"),
    "itemType": _is_one_of("PRODUCT", "SERVICE", "UNDEFINED"),
    "position": _is_integer,
    "quantity": _is_number,
    "single_price_net": _is_number_or_null,
    "single_price_gross": _is_number,
    "vat_percent": _is_number,
}
# Of a document these have a place of their own; the rest is kept and shown as it was sent.
_KEPT_APART = ("type", "customer_id", "order_number", "document_date", "currency", "calc_vat_from", "items")
# Keeps every sum of cents within the database's 64-bit integers.
_TOO_MUCH = 10**14


def read_json(body: bytes) -> Json:
    """The JSON object of a request's body."""
    try:
        value = json.loads(body, parse_float=Decimal, parse_constant=_no_number)
    except ValueError as error:
        raise Invalid(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Invalid("the body is not a JSON object")
    return value


def read_customer(sent: Json) -> dict[str, object]:
    """A customer's card, with what was sent."""
    _check("customer", sent, CUSTOMER_FIELDS)
    for name in ("company_name", "last_name"):
        if name not in sent:
            raise Invalid(f"customer: {name} is required, null where there is none")
    if not (sent["company_name"] or sent["last_name"]):
        raise Invalid("customer: a company_name or a last_name is needed")
    return dict(sent)


def read_document(sent: Json, *, today: date) -> NewDocument:
    """A new document and what it comes to. `today` is the document's date where none was sent."""
    _check("document", sent, DOCUMENT_FIELDS)
    basis: Basis = "gross" if sent.get("calc_vat_from") == 1 else "net"
    raw_items = sent.get("items")
    items = tuple(
        _read_item(position, raw, basis)
        for position, raw in enumerate(raw_items if isinstance(raw_items, list) else [], start=1)
    )
    counted = ((item.vat_percent, item.amounts) for item in items if item.type == "POSITION")
    customer_id, day = sent.get("customer_id"), sent.get("document_date")
    return NewDocument(
        customer_id=customer_id if isinstance(customer_id, int) else None,
        order_number=_text(sent, "order_number") or "",
        document_date=date.fromisoformat(day) if isinstance(day, str) else today,
        currency=_text(sent, "currency") or "EUR",
        basis=basis,
        items=items,
        amounts=document_amounts(counted, basis),
        details={name: value for name, value in sent.items() if name not in _KEPT_APART},
    )


def _read_item(position: int, raw: object, basis: Basis) -> Item:
    where = f"items[{position}]"
    if not isinstance(raw, dict):
        raise Invalid(f"{where} is not an object")
    _check(where, raw, ITEM_FIELDS)
    if raw.get("position", position) != position:
        raise Invalid(f"{where}: position {raw['position']} is not where it stands")
    item_type = raw.get("type", "POSITION")
    quantity, vat_percent = _number(raw, "quantity", "1"), _number(raw, "vat_percent", "0")
    if not 0 <= vat_percent <= 100:
        raise Invalid(f"{where}: vat_percent {vat_percent} is not between 0 and 100")
    price = _price(where, raw, vat_percent, basis)
    if item_type == "TEXT":
        if price:
            raise Invalid(f"{where}: a TEXT item has no price")
    elif price is None:
        raise Invalid(f"{where}: single_price_net or single_price_gross is needed")
    price = price or Decimal(0)
    if abs(quantity * price) >= _TOO_MUCH:
        raise Invalid(f"{where}: quantity x price is beyond any invoice")
    return Item(
        type=item_type,
        number=_text(raw, "number"),
        description=_text(raw, "description"),
        quantity=quantity,
        unit=_text(raw, "unit"),
        price=price,
        vat_percent=vat_percent,
        amounts=line_amounts(quantity, price, vat_percent, basis) if price else Amounts(0, 0, 0),
        booking_account=_text(raw, "booking_account"),
        export_cost_1=_text(raw, "export_cost_1"),
        kind=_text(raw, "itemType") or "UNDEFINED",
    )


def _price(where: str, raw: Json, vat_percent: Decimal, basis: Basis) -> Decimal | None:
    """The price on the document's basis, in cents; from the other one where only that was sent."""
    factor = 1 + vat_percent / 100
    prices = {
        name: _number(raw, name)
        for name in ("single_price_net", "single_price_gross")
        if raw.get(name) is not None
    }
    if not prices:
        return None
    if basis == "gross":
        return prices.get("single_price_gross", prices.get("single_price_net", Decimal(0)) * factor)
    return prices.get("single_price_net", prices.get("single_price_gross", Decimal(0)) / factor)


def _check(what: str, sent: Json, fields: Mapping[str, Check]) -> None:
    for name, value in sent.items():
        if name not in fields:
            raise Invalid(
                f"{what}: {name} is not published, is set by EASY Bill, or is not kept by the sandbox"
            )
        if not fields[name](value):
            raise Invalid(f"{what}: {name} cannot be {value!r}")


def _number(sent: Json, name: str, default: str = "0") -> Decimal:
    value = sent.get(name, default)
    return value if isinstance(value, Decimal) else Decimal(str(value))


def _text(sent: Json, name: str) -> str | None:
    value = sent.get(name)
    return value if isinstance(value, str) else None


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")
