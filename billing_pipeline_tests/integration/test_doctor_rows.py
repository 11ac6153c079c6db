"""`doctor` shows how the OMS's first rows are mapped, of which month, and what is wrong in them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from billing_pipeline.oms.period import last_complete_month, months_back, next_month
from billing_pipeline_tests.support.installation import Installation

MONTH = last_complete_month(datetime.now(UTC), "Europe/Berlin")


@pytest.fixture
def house(tmp_path: Path) -> Installation:
    house = Installation(tmp_path)
    house.oms.customer("10023", company_name="Muster & Söhne GmbH", email="anna@example.com")
    return house


def service(house: Installation, name: str, month: str, **cells: str | None) -> None:
    house.oms.service(name, "10023", completed_at=f"{month}-14T09:30:00Z", **cells)


def test_the_first_rows_are_shown_as_they_are_mapped_with_what_is_wrong(house: Installation) -> None:
    for number in range(5):
        service(house, f"S-{number}", MONTH)
    house.oms.change_service("S-1", quantity="0")
    answer = house.command("doctor")
    lines = [line.strip() for line in answer.out.splitlines()]
    assert f"services of {MONTH}, the first 3 of 5 rows as mapped:" in lines
    (price,) = (line.split() for line in lines if line.startswith("unit_price_net "))
    assert price == ["unit_price_net", "150.00", "150.00", "150.00"]
    (instant,) = (line for line in lines if line.startswith("completed_at "))
    assert f"{MONTH}-14 1" in instant, "by the clock of the billing"
    assert any(line.startswith("QUANTITY_INVALID: Service S-1") for line in lines)
    assert f"customers of {MONTH}, the only row as mapped:" in lines


def test_what_names_a_person_is_masked(house: Installation) -> None:
    service(house, "S-1", MONTH)
    out = house.command("doctor").out + house.command("doctor", "--json").out
    assert "M… (19 characters)" in out
    for personal in ("Muster", "anna@example.com"):
        assert personal not in out


def test_an_empty_month_is_named_and_another_one_shown(house: Installation) -> None:
    before = months_back(MONTH, 4)
    service(house, "S-1", before)
    service(house, "S-2", months_back(MONTH, 5))
    answer = house.command("doctor")
    (line,) = (line for line in answer.out.splitlines() if line.startswith("ok   OMS"))
    assert f"{MONTH} is empty, rows are there of 2 months from {months_back(MONTH, 5)} to {before}" in line
    assert f"services of {before}, the only row as mapped:" in answer.out


def test_where_only_the_running_month_has_rows_it_is_shown(house: Installation) -> None:
    running = next_month(MONTH)
    house.oms.service("S-1", "10023", completed_at=f"{running}-01T00:30:00Z")
    assert f"services of {running}, the only row as mapped:" in house.command("doctor").out


def test_where_no_month_has_a_row_doctor_says_where_to_look(house: Installation) -> None:
    answer = house.command("doctor")
    (line,) = (line for line in answer.out.splitlines() if line.startswith("ok   OMS"))
    assert "no month since 2025-01 has any: see whether completed_at" in line
