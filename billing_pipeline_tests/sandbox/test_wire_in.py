"""What the API is sent, read strictly: amounts by the items, and every refusal with the field and the reason."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.sandbox.drafts import NewDocument
from billing_pipeline.sandbox.wire_in import Invalid, read_document, read_json

TODAY = date(2026, 11, 20)
POSITION: dict[str, Any] = {
    "type": "POSITION",
    "description": "Battery change service",
    "quantity": 1,
    "single_price_gross": 17850,
    "vat_percent": 19,
}


def read(**changes: object) -> NewDocument:
    sent = {"order_number": "2026-10-10023", "calc_vat_from": 1, "items": [POSITION], **changes}
    return read_document(read_json(json.dumps(sent).encode()), today=TODAY)


def test_what_is_not_sent_is_as_published() -> None:
    new = read_document({}, today=TODAY)
    assert (new.currency, new.basis, new.document_date, new.order_number) == ("EUR", "net", TODAY, "")
    assert (new.customer_id, new.items, new.details) == (None, (), {})
    (item,) = read(items=[{"single_price_gross": 100}]).items
    assert (item.type, item.kind) == ("POSITION", "UNDEFINED")
    assert (item.quantity, item.vat_percent) == (Decimal(1), Decimal(0))


@pytest.mark.parametrize(
    ("changes", "amount_net", "amount"),
    [
        ({}, 15000, 17850),
        ({"calc_vat_from": 0, "items": [{**POSITION, "single_price_net": 15000}]}, 15000, 17850),
        # One cent more than the sum of the lines: on the net basis VAT is computed once per rate.
        ({"calc_vat_from": 0, "items": [{"single_price_net": 3, "vat_percent": 19}] * 3}, 9, 11),
        ({"calc_vat_from": 1, "items": [{"single_price_net": 3, "vat_percent": 19}] * 3}, 9, 12),
        ({"items": [{"single_price_gross": 0.5, "quantity": 1}]}, 1, 1),
        ({"items": [{"single_price_gross": 100}]}, 100, 100),
        ({"items": [{**POSITION, "type": "POSITION_NOCALC"}]}, 0, 0),
        ({"items": [{**POSITION, "single_price_gross": -17850}]}, -15000, -17850),
        ({"items": []}, 0, 0),
    ],
)
def test_a_document_comes_to_what_its_items_say(
    changes: dict[str, object], amount_net: int, amount: int
) -> None:
    new = read(**changes)
    assert (new.amounts.net, new.amounts.gross) == (amount_net, amount)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"is_draft": True}, "document: is_draft is not published, is set by EASY Bill"),
        ({"amount": 17850}, "document: amount is not"),
        ({"customer_id": "1"}, "customer_id cannot be '1'"),
        ({"document_date": "31.10.2026"}, "document_date cannot be"),
        ({"type": "CREDIT"}, "type cannot be 'CREDIT'"),
        ({"calc_vat_from": True}, "calc_vat_from cannot be True"),
        ({"service_date": {"type": "SERVICE", "date_from": "2026-10-01"}}, "service_date cannot be"),
        ({"items": [{"type": "POSITION"}]}, "items[1]: single_price_net or single_price_gross is needed"),
        (
            {"items": [POSITION, {"type": "TEXT", "single_price_net": 1}]},
            "items[2]: a TEXT item has no price",
        ),
        ({"items": [{**POSITION, "vat_percent": 119}]}, "vat_percent 119 is not between"),
        ({"items": [{**POSITION, "vat_percent": "19"}]}, "vat_percent cannot be '19'"),
        ({"items": [{**POSITION, "price": 1}]}, "items[1]: price is not published"),
        ({"items": [{**POSITION, "position": 7}]}, "items[1]: position 7"),
        ({"items": [{**POSITION, "quantity": 10**9, "single_price_gross": 10**9}]}, "beyond any invoice"),
    ],
)
def test_a_document_that_is_not_as_published_is_refused_with_the_reason(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(Invalid, match=re.escape(message)):
        read(**changes)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"items": [{"single_price_net": NaN}]}', b"\xff"])
def test_a_body_that_is_not_a_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid, match="the body is not"):
        read_json(body)
