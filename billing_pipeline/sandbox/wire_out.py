"""Customers and documents as the API shows them: JSON objects with the published field names.

Amounts are integer cents. Prices and line totals are cents as JSON floats, as the real API has them: the only
place in this room where money is a float, and never one that is calculated with.
"""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from billing_pipeline.sandbox.drafts import Customer, Draft, Item

Json = dict[str, object]

_ZONE = ZoneInfo("Europe/Berlin")
_ADDRESS = ("first_name", "last_name", "company_name", "street", "zip_code", "city", "state", "country")


def page_json(items: list[Json], *, page: int, limit: int, total: int) -> Json:
    """One page of a list."""
    return {
        "page": page,
        "pages": max(1, math.ceil(total / limit)),
        "limit": limit,
        "total": total,
        "items": items,
    }


def login_json(email: str) -> Json:
    """The one login of the account."""
    return {
        "id": 1,
        "first_name": "EASY Bill",
        "last_name": "Sandbox",
        "display_name": "EASY Bill Sandbox",
        "email": email,
        "login_type": "ADMIN",
        "locale": "de",
        "time_zone": "Europe/Berlin",
        "security": {
            "two_factor_enabled": False,
            "recovery_codes_enabled": False,
            "notify_on_new_login_enabled": True,
        },
    }


def customer_json(customer: Customer) -> Json:
    """A customer; what is not known of them and cannot be null is left out."""
    card = {"company_name": None, "last_name": None, **customer.card}
    person = " ".join(str(card[name]) for name in ("first_name", "last_name") if card.get(name))
    return {
        **card,
        "id": customer.id,
        "number": customer.number,
        "display_name": str(card["company_name"] or person),
        "archived": False,
        "created_at": customer.created_at.astimezone(_ZONE).date().isoformat(),
        "updated_at": _local(customer.updated_at),
    }


def document_json(draft: Draft, customer: Customer | None, *, amount_off_by: int = 0) -> Json:
    """A document with its items, its customer, and the amounts to be reconciled."""
    snapshot = customer_json(customer) if customer else None
    shown: Json = {
        "title": None,
        "external_id": None,
        "vat_option": None,
        "status": None,
        **draft.details,
        "id": draft.id,
        "type": "INVOICE",
        "is_draft": draft.is_draft,
        "is_archive": False,
        "number": draft.number,
        "order_number": draft.order_number,
        "customer_id": draft.customer_id,
        "document_date": draft.document_date.isoformat(),
        "currency": draft.currency,
        "calc_vat_from": 1 if draft.basis == "gross" else 0,
        "amount": draft.gross + amount_off_by,
        "amount_net": draft.net,
        "items": [_item_json(draft, position, item) for position, item in enumerate(draft.items, start=1)],
        "created_at": _local(draft.created_at),
        "edited_at": _local(draft.edited_at),
    }
    if snapshot:
        shown["customer_snapshot"] = snapshot
        shown["address"] = {name: snapshot[name] for name in _ADDRESS if snapshot.get(name)}
    return shown


def _item_json(draft: Draft, position: int, item: Item) -> Json:
    factor = 1 + item.vat_percent / 100
    net, gross = (
        (item.price / factor, item.price) if draft.basis == "gross" else (item.price, item.price * factor)
    )
    priced = item.type != "TEXT"
    return {
        "type": item.type,
        "position": position,
        "number": item.number,
        "description": item.description,
        "quantity": _wire(item.quantity),
        "unit": item.unit,
        "single_price_net": _wire(net) if priced else None,
        **({"single_price_gross": _wire(gross)} if priced else {}),
        "vat_percent": _wire(item.vat_percent),
        "total_price_net": _wire(item.amounts.net),
        "total_price_gross": _wire(item.amounts.gross),
        "total_vat": _wire(item.amounts.vat),
        "booking_account": item.booking_account,
        "export_cost_1": item.export_cost_1,
        "itemType": item.kind,
    }


def _wire(number: Decimal | int) -> float:
    return float(number)


def _local(instant: datetime) -> str:
    return instant.astimezone(_ZONE).strftime("%Y-%m-%d %H:%M:%S")
