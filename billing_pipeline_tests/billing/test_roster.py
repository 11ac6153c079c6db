"""Who is in a month, and what becomes of them: every customer with a row has one outcome."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from billing_pipeline.billing.lines import LINES
from billing_pipeline.problems import PROBLEM_COLUMNS
from billing_pipeline_tests.support.billing import bill, line_of, lines_of, outcomes, problems_in
from billing_pipeline_tests.support.frames import customer, faulty, fee, service


def test_a_month_without_rows_is_a_month_without_anything() -> None:
    billed = bill()
    assert all(len(getattr(billed, name)) == 0 for name in ("lines", "totals", "roster", "problems", "drift"))
    assert list(billed.lines.columns) == LINES.names
    assert [billed.lines[field.name].dtype for field in LINES] == [
        pd.ArrowDtype(field.type) for field in LINES
    ]
    assert list(billed.problems.columns) == list(PROBLEM_COLUMNS)


def test_a_customer_with_rows_but_none_billable_has_nothing_to_bill() -> None:
    billed = bill(service(status="cancelled"), fee(amount_net="0.00"))
    assert outcomes(billed) == {"10023": "nothing_to_bill"}


def test_test_customers_are_left_out_with_their_faults() -> None:
    customers = [customer(), customer("T-1", is_test=True, currency="XXX", tax_type="?")]
    broken = faulty(service("S-9", customer_number="T-1"), "PRICE_INVALID", "unit_price_net", "-1")
    billed = bill(service(), broken, customers=customers)
    assert outcomes(billed) == {"10023": "to_bill"}
    assert problems_in(billed) == []


def test_a_customer_of_whom_it_is_not_known_whether_they_are_a_test_is_blocked() -> None:
    unclear = faulty(customer(), "CUSTOMER_INCOMPLETE", "is_test", "maybe")
    assert outcomes(bill(service(), customers=[unclear])) == {"10023": "blocked"}
    both = [customer(is_test=True), faulty(customer(), "DUPLICATE_KEY", "street")]
    assert outcomes(bill(service(), customers=both)) == {"10023": "blocked"}


def test_every_frame_is_by_customer_number_and_lines_by_instant_services_first_then_id() -> None:
    at = {"completed_at": "2026-10-14T09:30:00Z"}
    billed = bill(
        service("S-b", **at),
        service("S-B", **at),
        service("S-ä", **at),
        service("S-0", completed_at="2026-10-14T09:30:00.000001Z"),
        fee("A", charged_at="2026-10-14T09:30:00Z"),
        service("S-9", customer_number="9"),
        service("S-é", customer_number="é"),
    )
    assert [line.source_ids[0] for line in lines_of(billed)] == ["S-B", "S-b", "S-ä", "A", "S-0"]
    assert [line.position for line in lines_of(billed)] == [1, 2, 3, 4, 5]
    assert list(billed.roster["customer_number"]) == ["10023", "9", "é"]
    assert list(billed.totals["customer_number"]) == ["10023", "9", "é"]
    assert list(billed.totals["line_count"]) == [5, 1, 1]


def test_statuses_sub_statuses_and_providers_say_what_is_billable() -> None:
    rows = [
        service("S-1", sub_status="checked", provider="Ost"),
        service("S-2", status="invoiced", sub_status="checked", provider="Ost"),
        service("S-3", sub_status="open", provider="Ost"),
        service("S-4", sub_status="checked", provider="West"),
        service("S-5"),
    ]

    def billed_ids(rules: str) -> list[str]:
        return [line.source_ids[0] for line in lines_of(bill(*rows, rules=rules))]

    assert billed_ids("") == ["S-1", "S-3", "S-4", "S-5"]
    assert billed_ids('billable_statuses = ["invoiced"]') == ["S-2"]
    assert billed_ids('billable_sub_statuses = ["checked"]') == ["S-1", "S-4"]
    assert billed_ids('providers = ["Ost"]') == ["S-1", "S-3"]
    both = 'billable_sub_statuses = ["checked"]\n[customers."10023"]\nproviders = ["West"]'
    assert billed_ids(both) == ["S-4"]


@pytest.mark.parametrize(
    ("lines", "types"),
    [
        ("all", ["service", "cancellation_fee"]),
        ("services_only", ["service"]),
        ("fees_only", ["cancellation_fee"]),
    ],
)
def test_a_class_of_lines_can_be_billed_alone(lines: str, types: list[str]) -> None:
    assert [line.line_type for line in lines_of(bill(service(), fee(), rules=f'lines = "{lines}"'))] == types


def test_only_the_customers_of_the_rules_are_billed_others_count_as_omitted() -> None:
    billed = bill(service(), service("S-2", customer_number="20001"), rules='only_customers = ["20001"]')
    assert outcomes(billed) == {"10023": "omitted", "20001": "to_bill"}
    assert "only_customers" in billed.roster["reason"][0]


def test_a_customer_of_whom_no_row_is_asked_for_is_omitted_and_not_closed_by_having_nothing() -> None:
    rows = [service("S-1"), service("S-2"), fee(service_id="S-2"), service("S-3", customer_number="20001")]
    billed = bill(*rows, only_services=["S-2"])
    assert outcomes(billed) == {"10023": "to_bill", "20001": "omitted"}
    assert [line.source_ids for line in lines_of(billed)] == [["S-2"], ["F-1"]]


def test_rows_of_a_later_month_are_not_ours() -> None:
    november = service(completed_at="2026-10-31T23:30:00Z")
    assert outcomes(bill(november)) == {}
    assert line_of(november, month="2026-11").performed_month == "2026-11"


def test_source_ids_and_fingerprints_are_lists_of_text() -> None:
    billed = bill(service())
    assert billed.lines["source_ids"].dtype == pd.ArrowDtype(pa.list_(pa.string()))
    (line,) = lines_of(billed)
    assert line.source_ids == ["S-1"]
    assert [len(fingerprint) for fingerprint in line.source_fingerprints] == [64]
