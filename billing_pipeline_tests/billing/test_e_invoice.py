"""What an e-invoice would lack is told per gap; who needs none, or lacks nothing, is not mentioned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from billing_pipeline.billing.e_invoice import UNIT_CODES, e_invoice_gaps
from billing_pipeline.billing.rules import RulesInvalid, load_rules
from billing_pipeline.oms.contract import CUSTOMERS, frame_of_rows

WHOLE = {
    "customer_number": "10023",
    "company_name": "Musterbau GmbH",
    "country": "DE",
    "email": "rechnung@example.com",
    "vat_id": "DE136695976",
    "currency": "EUR",
    "is_test": False,
}


def gaps(
    tmp_path: Path, *, rules: str = "", unit: str = "Std", rate: int = 1900, **cells: object
) -> list[str]:
    (tmp_path / "rules.toml").write_text(rules, encoding="utf-8")
    customers = frame_of_rows(CUSTOMERS, [{**WHOLE, **cells}])
    line = pa.table(
        {
            "customer_number": ["10023"],
            "unit": [unit],
            "vat_basis_points": [rate],
            "item_number": [""],
            "title": ["Cleaning\nOctober"],
        }
    ).to_pandas(types_mapper=pd.ArrowDtype)
    return [one.field for one in e_invoice_gaps(customers, line, load_rules(tmp_path / "rules.toml"))]


def test_who_lacks_nothing_is_not_mentioned(tmp_path: Path) -> None:
    assert gaps(tmp_path) == []


@pytest.mark.parametrize(
    ("cells", "missing"),
    [
        ({"vat_id": None}, ["vat_id"]),
        ({"email": ""}, ["email"]),
        ({"vat_id": "", "email": None}, ["vat_id", "email"]),
    ],
)
def test_what_the_customer_lacks_is_told(tmp_path: Path, cells: dict[str, Any], missing: list[str]) -> None:
    assert gaps(tmp_path, **cells) == missing


@pytest.mark.parametrize("cells", [{"country": "CH"}, {"company_name": None}])
def test_who_is_abroad_or_no_business_needs_no_e_invoice(tmp_path: Path, cells: dict[str, Any]) -> None:
    assert gaps(tmp_path, vat_id=None, email=None, **cells) == []


def test_a_unit_without_a_code_is_told_until_the_rules_name_one(tmp_path: Path) -> None:
    assert gaps(tmp_path, unit="Fahrt") == ["unit"]
    assert gaps(tmp_path, unit="Fahrt", rules='[unit_codes]\n"FAHRT" = "C62"\n') == []


@pytest.mark.parametrize("unit", ["Std.", " std", "STUNDEN", "m²", "Stk.", ""])
def test_units_are_known_as_people_write_them(tmp_path: Path, unit: str) -> None:
    assert gaps(tmp_path, unit=unit) == []


def test_no_vat_needs_a_reason(tmp_path: Path) -> None:
    assert gaps(tmp_path, rate=0) == ["tax_type"]
    assert gaps(tmp_path, rate=0, tax_type="revc") == []


def test_a_public_body_needs_a_buyer_reference(tmp_path: Path) -> None:
    assert gaps(tmp_path, rules='[public_bodies]\n10023 = ""\n', company_name=None) == ["buyer_reference"]
    assert gaps(tmp_path, rules='[public_bodies]\n10023 = "04011000-12345-06"\n') == []


def test_a_code_that_can_be_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RulesInvalid, match=r"line 2: unit_codes\.Fahrt is 'hour'"):
        gaps(tmp_path, rules='[unit_codes]\nFahrt = "hour"\n')


def test_every_code_has_the_form_of_the_recommendation() -> None:
    assert all(code.isalnum() and code.isupper() and len(code) in (2, 3) for code in UNIT_CODES.values())
