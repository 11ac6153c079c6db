from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.billing.tax import TAX_TYPES
from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.draft_request import draft_request
from billing_pipeline_tests.golden.documents import CASES
from billing_pipeline_tests.support.documents import a_customer, a_document, a_line
from billing_pipeline_tests.support.easybill_swagger import require_published_api

VAT_OPTIONS = (
    "NULL",
    "nStb",
    "nStbUstID",
    "nStbNoneUstID",
    "nStbIm",
    "revc",
    "IG",
    "AL",
    "sStfr",
    "smallBusiness",
)
"""Those of the API's description, version 1.92.3."""


def items_of(document: Document) -> Any:
    return draft_request(document, customer_id=77)["items"]


def test_a_draft_says_who_what_and_when() -> None:
    request = draft_request(a_document(), customer_id=77)
    assert request == {
        "type": "INVOICE",
        "customer_id": 77,
        "external_id": "2026-10-10023",
        "order_number": "2026-10-10023",
        "document_date": "2026-10-31",
        "service_date": {"type": "SERVICE", "date_from": "2026-10-01", "date_to": "2026-10-31"},
        "currency": "EUR",
        "calc_vat_from": 1,
        "vat_option": None,
        "items": [
            {
                "position": 1,
                "type": "POSITION",
                "itemType": "SERVICE",
                "number": "BAT-CHG",
                "description": "Battery change service\nLeistungsdatum 14.10.2026, Berlin Mitte",
                "quantity": 1,
                "unit": "Stück",
                "single_price_gross": 17850,
                "vat_percent": 19,
            }
        ],
    }
    assert draft_request(a_document(), customer_id=77, template="12345")["pdf_template"] == "12345"


@pytest.mark.parametrize("name", CASES)
def test_every_draft_is_as_published(name: str) -> None:
    body = json.dumps(draft_request(CASES[name][0], customer_id=77, template="DE")).encode()
    assert require_published_api().request_faults("POST", "/documents", "", body) == []


def test_tasks_follow_their_service_as_text_rows() -> None:
    title = "Wechsel\n- kein Auftrag, nur Text\nLeistungsdatum 14.10.2026\n- vorn (70,00 EUR)\n- hinten (80,00 EUR)"
    items = items_of(a_document(a_line(1, title=title), a_line(2, title="- nur eine Zeile")))
    assert [(item["position"], item["type"], item["description"]) for item in items] == [
        (1, "POSITION", "Wechsel\n- kein Auftrag, nur Text\nLeistungsdatum 14.10.2026"),
        (2, "TEXT", "- vorn (70,00 EUR)"),
        (3, "TEXT", "- hinten (80,00 EUR)"),
        (4, "POSITION", "- nur eine Zeile"),
    ]
    assert "single_price_gross" not in items[1]


def test_prices_are_cents_on_the_basis_of_the_document() -> None:
    request = draft_request(CASES["net_basis"][0], customer_id=77)
    items: Any = request["items"]
    assert request["calc_vat_from"] == 0
    assert [item["single_price_net"] for item in items] == [15000, 1680, 999]
    assert [item["vat_percent"] for item in items] == [19, 19, 7]
    assert items_of(a_document(a_line(file_price=Decimal("-0.5"), vat_basis_points=770)))[0] | {
        "position": 0
    } == {
        **items_of(a_document())[0],
        "position": 0,
        "single_price_gross": -50,
        "vat_percent": 7.7,
    }


def test_hundredths_are_counted_even_of_yen_and_thousandths_refused() -> None:
    assert items_of(CASES["correction_in_yen"][0])[0]["single_price_gross"] == 1_250_000
    with pytest.raises(ValueError, match="has more decimals"):
        items_of(a_document(a_line(file_price=Decimal("0.125")), currency="KWD"))


def test_a_folded_line_is_one_of_no_unit_and_a_fraction_keeps_its_decimals() -> None:
    items = items_of(CASES["folded"][0])
    assert [(item["quantity"], item["unit"]) for item in items] == [(1, None), (0.333, "h"), (1500.5, "m")]


@pytest.mark.parametrize(
    ("tax_type", "option"),
    [
        ("", None),
        ("NULL", None),
        ("intra-community-trade", "IG"),
        ("export", "AL"),
        *((name, name) for name in sorted(set(VAT_OPTIONS) - {"NULL"})),
    ],
)
def test_the_tax_type_becomes_the_vat_option(tax_type: str, option: str | None) -> None:
    document = a_document(a_line(vat_basis_points=0), customer=a_customer(tax_type=tax_type))
    request = draft_request(document, customer_id=77)
    assert request["vat_option"] == option
    assert items_of(document)[0]["vat_percent"] == 0


def test_every_vat_option_of_the_api_can_be_named_in_tax_type() -> None:
    assert set(VAT_OPTIONS) == {*TAX_TYPES} - {"intra-community-trade", "export"}


def test_an_unknown_tax_type_makes_no_draft() -> None:
    with pytest.raises(ValueError, match="'exprt' has no vat_option"):
        draft_request(a_document(customer=a_customer(tax_type="exprt")), customer_id=77)


def test_the_service_period_covers_late_lines() -> None:
    late = a_line(2, line_type="late_service", performed_on=date(2026, 9, 28))
    request = draft_request(a_document(a_line(1), late), customer_id=77)
    assert request["service_date"] == {"type": "SERVICE", "date_from": "2026-09-28", "date_to": "2026-10-31"}
