"""Rows that come after their month was closed, move to another, change or vanish: billed once, or told, never lost."""

from __future__ import annotations

import csv
import io
from itertools import permutations
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from billing_pipeline_tests.support.installation import Installation, customer_in, outcomes_in
from billing_pipeline_tests.support.plain_months import PlainMonths, run_plainly

SEPTEMBER, OCTOBER = "2026-09", "2026-10"
IN_SEPTEMBER, IN_OCTOBER = "2026-09-15T08:00:00Z", "2026-10-15T08:00:00Z"


@pytest.fixture
def months(tmp_path: Path) -> PlainMonths:
    """September and October of one customer, with one service in each; run without Dagster where nothing is its own."""
    months = PlainMonths(tmp_path)
    installation = months.installation
    installation.oms.customer("10023")
    installation.oms.service("S-sep", "10023", completed_at=IN_SEPTEMBER, unit_price_net="9.00")
    installation.oms.service("S-oct", "10023", completed_at=IN_OCTOBER, unit_price_net="10.00")
    return months


@pytest.fixture
def installation(months: PlainMonths) -> Installation:
    return months.installation


def titles(installation: Installation, month: str, customer_number: str = "10023") -> list[str]:
    """The first and the last line of each row's text in the customer's file."""
    text = installation.files().get(f"easybill_{month}_{customer_number}.csv", "")
    return [
        f"{row['title'].splitlines()[0]} {row['title'].split()[-1]}"
        for row in csv.DictReader(io.StringIO(text), delimiter=";")
    ]


def line_types(installation: Installation, order_number: str) -> list[str]:
    lines = installation.command("explain", order_number, "--json").json()["lines"]
    return [line["line_type"] for line in lines]


def test_a_row_that_comes_late_is_billed_once_with_the_next_month_under_its_own_date(
    months: PlainMonths,
    installation: Installation,
) -> None:
    months.run_json(SEPTEMBER)
    sent = installation.files()
    installation.oms.service("S-late", "10023", completed_at="2026-09-30T08:00:00Z")
    installation.oms.fee("F-late", "10023", charged_at="2026-09-29T08:00:00Z")

    again = customer_in(months.run_json(SEPTEMBER))
    assert (again["outcome"], again["late_rows"]) == ("unchanged", 2)
    assert customer_in(installation.command("status", SEPTEMBER, "--json").json())["late_rows"] == 2
    assert installation.files() == sent
    shown = installation.command("status", SEPTEMBER).out
    assert "[2 late, waiting for the next open month]" in shown

    october = customer_in(months.run_json(OCTOBER))
    assert (october["outcome"], october["lines"], october["net"]) == ("delivered", 3, 18500)
    assert line_types(installation, "2026-10-10023") == ["late_cancellation_fee", "late_service", "service"]
    assert titles(installation, OCTOBER)[1] == "Battery change service 30.09.2026"
    assert "late_rows" not in customer_in(months.run_json(SEPTEMBER))
    assert customer_in(months.run_json(OCTOBER))["outcome"] == "unchanged"
    november = installation.command("preview", "2026-11")
    assert november.out == ""


@pytest.mark.parametrize("rules", ["", "group_lines = true"])
def test_a_late_row_that_no_file_can_hold_waits_alone_until_it_is_shortened(
    tmp_path: Path, rules: str
) -> None:
    months = PlainMonths(tmp_path, rules=rules)
    oms = months.installation.oms
    oms.customer("10023")
    oms.service("S-sep", "10023", completed_at=IN_SEPTEMBER)
    months.run_json(SEPTEMBER)
    # Two like rows are one line, of which the fault names one row.
    for name in ("S-late", "S-later"):
        oms.service(name, "10023", completed_at=IN_SEPTEMBER, description="x" * 10_001)
    oms.service("S-oct", "10023", completed_at=IN_OCTOBER)

    october = months.run_json(OCTOBER)
    customer = customer_in(october)
    assert (customer["outcome"], customer["lines"]) == ("delivered", 1)
    assert {one["source_id"]: one["code"] for one in october["warnings"]} == {
        "S-late": "TEXT_TOO_LONG",
        "S-later": "TEXT_TOO_LONG",
    }
    assert all("it alone is not billed" in one["message"] for one in october["warnings"])
    listed = months.installation.command("status", "--json").json()["open"]
    assert {one["source_id"] for one in listed} == {"S-late", "S-later"}

    for name in ("S-late", "S-later"):
        oms.change_service(name, description="short")
    oms.service("S-nov", "10023", completed_at="2026-11-05T08:00:00Z")
    november = customer_in(months.run_json("2026-11"))
    assert (november["outcome"], november["net"]) == ("delivered", 3 * 15000)


def test_a_row_of_a_month_that_was_never_billed_is_not_late_and_stays_its_own(
    months: PlainMonths,
) -> None:
    october = customer_in(months.run_json(OCTOBER))
    assert (october["lines"], october["net"]) == (1, 1000)
    september = customer_in(months.run_json(SEPTEMBER))
    assert (september["outcome"], september["net"]) == ("delivered", 900)


@pytest.mark.parametrize("order", list(permutations(["2026-08", SEPTEMBER, OCTOBER]))[1::2])
def test_months_may_be_backfilled_in_any_order_and_each_row_is_billed_once(
    months: PlainMonths, installation: Installation, order: tuple[str, ...]
) -> None:
    installation.oms.service("S-aug", "10023", completed_at="2026-08-15T08:00:00Z", unit_price_net="8.00")
    nets = {month: customer_in(months.run_json(month))["net"] for month in order}
    assert nets == {"2026-08": 800, SEPTEMBER: 900, OCTOBER: 1000}


def test_a_customer_of_whom_a_finished_month_had_no_row_comes_late(
    months: PlainMonths, installation: Installation
) -> None:
    installation.oms.customer("10024")
    months.run_json(SEPTEMBER)
    installation.oms.service("S-late", "10024", completed_at=IN_SEPTEMBER)

    october = customer_in(months.run_json(OCTOBER), "10024")
    assert (october["outcome"], october["lines"]) == ("delivered", 1)
    assert line_types(installation, "2026-10-10024") == ["late_service"]


def test_a_month_of_which_only_some_were_delivered_is_open_for_the_others(installation: Installation) -> None:
    installation.oms.customer("10024")
    installation.oms.service("S-other", "10024", completed_at=IN_SEPTEMBER)
    installation.run_json(SEPTEMBER, "--customer", "10023")
    installation.oms.customer("10025")
    installation.oms.service("S-new", "10025", completed_at=IN_SEPTEMBER)
    result = installation.run_json(SEPTEMBER)
    assert outcomes_in(result) == {"10023": "unchanged", "10024": "delivered", "10025": "delivered"}


def test_a_blocked_customer_keeps_their_rows_in_their_month(
    months: PlainMonths, installation: Installation
) -> None:
    installation.oms.change_service("S-sep", unit_price_net=None)
    assert outcomes_in(months.run_json(SEPTEMBER)) == {"10023": "blocked"}
    assert customer_in(months.run_json(OCTOBER))["net"] == 1000
    installation.oms.change_service("S-sep", unit_price_net="9.00")
    assert customer_in(months.run_json(SEPTEMBER))["net"] == 900


@pytest.mark.parametrize(
    "moved_to", ["2026-10-20T08:00:00Z", "2026-09-01T08:00:00Z"], ids=["later month", "same month"]
)
def test_a_billed_row_that_moves_is_billed_nowhere_again_and_told(
    months: PlainMonths, installation: Installation, moved_to: str
) -> None:
    months.run_json(SEPTEMBER)
    installation.oms.change_service("S-sep", completed_at=moved_to)

    october = months.run_json(OCTOBER)
    assert (customer_in(october)["outcome"], customer_in(october)["net"]) == ("delivered", 1000)
    (told,) = october["changed_since_billed"]
    assert (told["code"], told["source_id"]) == ("CHANGED_AFTER_DELIVERY", "S-sep")
    assert "has changed since order 2026-09-10023 billed it" in told["message"]
    assert "S-sep has changed" in installation.command("status", OCTOBER).out
    september = customer_in(months.run_json(SEPTEMBER))
    assert september["outcome"] == "held"


def test_a_row_billed_long_ago_that_moves_into_the_month_is_billed_nowhere_again(tmp_path: Path) -> None:
    months = PlainMonths(tmp_path)
    installation = months.installation
    installation.oms.customer("10023")
    installation.oms.service("S-old", "10023", completed_at="2026-01-15T08:00:00Z")
    months.run_json("2026-01")
    installation.oms.change_service("S-old", completed_at=IN_OCTOBER)
    installation.oms.service("S-oct", "10023", completed_at=IN_OCTOBER, unit_price_net="10.00")

    october = months.run_json(OCTOBER)

    assert (customer_in(october)["outcome"], customer_in(october)["net"]) == ("delivered", 1000)
    assert [told["source_id"] for told in october["changed_since_billed"]] == ["S-old"]


def test_rows_that_vanish_are_held_with_the_difference(
    months: PlainMonths, installation: Installation
) -> None:
    installation.oms.service("S-two", "10023", completed_at=IN_SEPTEMBER, unit_price_net="5.00")
    months.run_json(SEPTEMBER)
    installation.oms.remove_service("S-two")
    held = customer_in(months.run_json(SEPTEMBER))
    assert held["outcome"] == "held"
    (problem,) = held["problems"]
    assert problem["code"] == "CHANGED_AFTER_DELIVERY"
    assert "net 14,00 EUR → 9,00 EUR" in problem["message"]
    assert "gone: line" in problem["message"]


def test_what_changed_in_an_earlier_month_is_told_and_blocks_nobody(installation: Installation) -> None:
    run_plainly(installation, SEPTEMBER)
    installation.oms.change_service("S-sep", unit_price_net="99.00")
    answer = installation.command("run", OCTOBER, "--json")
    assert answer.status == 1, "it is on the list until a person has decided"
    assert outcomes_in(answer.json()) == {"10023": "delivered"}
    assert customer_in(answer.json())["problems"] == []
    assert [told["source_id"] for told in answer.json()["changed_since_billed"]] == ["S-sep"]
    with dg.DagsterInstance.from_config(str(installation.home / "dagster")) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("billing_problems"))
    assert event is not None
    assert event.asset_materialization is not None
    table = event.asset_materialization.metadata["changed_since_billed"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["source_id"] for record in table.records] == ["S-sep"]


def test_late_months_says_how_far_back_is_looked(tmp_path: Path) -> None:
    found: dict[int, Any] = {}
    for months in (0, 1):
        folder = tmp_path / str(months)
        folder.mkdir()
        plain = PlainMonths(folder, rules=f"late_months = {months}\n")
        installation = plain.installation
        installation.oms.customer("10023")
        installation.oms.service("S-sep", "10023", completed_at=IN_SEPTEMBER)
        plain.run_json(SEPTEMBER)
        installation.oms.service("S-late", "10023", completed_at=IN_SEPTEMBER)
        installation.oms.service("S-oct", "10023", completed_at=IN_OCTOBER)
        found[months] = customer_in(plain.run_json(OCTOBER))["lines"]
    assert found == {0: 1, 1: 2}


def test_one_service_alone_is_billed_and_the_others_of_its_customer_come_late(
    installation: Installation,
) -> None:
    installation.oms.service("S-first", "10023", completed_at=IN_SEPTEMBER, unit_price_net="1.00")
    installation.oms.customer("10024")
    installation.oms.service("S-other", "10024", completed_at=IN_SEPTEMBER)

    result = installation.run_json(SEPTEMBER, "--service", "S-first")

    assert outcomes_in(result) == {"10023": "delivered"}
    assert customer_in(result)["net"] == 100
    whole = installation.run_json(SEPTEMBER)
    assert outcomes_in(whole) == {"10023": "unchanged", "10024": "delivered"}
    assert customer_in(whole)["late_rows"] == 1
    assert customer_in(installation.run_json(OCTOBER))["net"] == 1900


def test_a_service_that_the_month_does_not_have_is_a_usage_error(installation: Installation) -> None:
    answer = installation.command("run", SEPTEMBER, "--service", "S-oct")
    assert answer.status == 2
    assert "--service S-oct: 2026-09 has no such service" in answer.err
    installation.oms.customer("10024")
    installation.oms.service("S-other", "10024", completed_at=IN_SEPTEMBER)
    answer = installation.command("run", SEPTEMBER, "--service", "S-other", "--customer", "10023")
    assert answer.status == 2
    assert "none of the customers has one of the services" in answer.err
    assert installation.files() == {}
