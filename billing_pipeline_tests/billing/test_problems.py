"""What blocks a customer: every problem is found, with its row, field, value and remedy; others go on."""

from __future__ import annotations

from typing import Any

import pytest

from billing_pipeline.problems import Code
from billing_pipeline_tests.support.billing import bill, line_of, outcomes, problems_in
from billing_pipeline_tests.support.frames import Row, customer, faulty, fee, service, task


def codes(*rows: Row, customers: list[Row] | None = None, **others: Any) -> list[tuple[Code, str, str]]:
    billed = bill(*rows, customers=customers, **others)
    return [(problem.code, problem.source_id, problem.field) for problem in problems_in(billed)]


def test_a_missing_price_blocks_the_customer_and_names_the_row() -> None:
    billed = bill(
        service("S-1"), service("S-2", unit_price_net=None), service("S-3", customer_number="20001")
    )
    (problem,) = problems_in(billed)
    assert (problem.code, problem.customer_number) == (Code.PRICE_MISSING, "10023")
    assert (problem.source_id, problem.field) == ("S-2", "unit_price_net")
    assert "missing_price" in problem.message
    assert outcomes(billed) == {"10023": "blocked", "20001": "to_bill"}
    assert set(billed.lines["customer_number"]) == set(billed.totals["customer_number"]) == {"20001"}


def test_a_missing_price_may_be_a_row_of_0_with_its_text() -> None:
    tasks = [task(task_name="Check", price_net="12.00")]
    line = line_of(service(unit_price_net=None), tasks=tasks, rules='missing_price = "zero"')
    assert (line.net, line.gross, line.file_price, line.folded) == (0, 0, 0, False)
    assert line.title.endswith("- Check (12,00 EUR netto)")


def test_all_problems_of_a_customer_are_told_not_only_the_first() -> None:
    found = codes(
        service("S-1", unit_price_net=None, vat_percent=None, currency="CHF"),
        fee("F-1", vat_percent=None),
        customers=[customer(tax_type="reverse")],
    )
    assert found == [
        (Code.VAT_INVALID, "", "tax_type"),
        (Code.VAT_INVALID, "F-1", "vat_percent"),
        (Code.MIXED_CURRENCIES, "S-1", "currency"),
        (Code.PRICE_MISSING, "S-1", "unit_price_net"),
        (Code.VAT_INVALID, "S-1", "vat_percent"),
    ]


@pytest.mark.parametrize(
    "customers",
    [
        [customer(tax_type="intra-community-trade", country="AT", vat_id="ATU57194903")],
        [customer(tax_type="export", country="CH")],
    ],
)
def test_a_tax_type_makes_a_missing_rate_0_and_allows_no_other(customers: list[Row]) -> None:
    line = line_of(service(vat_percent=None), customers=customers)
    assert (line.vat_basis_points, line.vat, line.gross) == (0, 0, 15000)
    assert line_of(service(vat_percent="0"), customers=customers).gross == 15000
    (problem,) = problems_in(bill(service(vat_percent="7"), customers=customers))
    assert (problem.code, problem.value) == (Code.VAT_NOT_ALLOWED, "7.00")
    assert customers[0]["tax_type"] in problem.message


def test_the_tasks_of_a_service_must_add_up_where_all_have_a_price() -> None:
    tasks = [task(position=1, price_net="70.00"), task(position=2, price_net="79.99")]
    (problem,) = problems_in(bill(service(), tasks=tasks))
    assert (problem.code, problem.source_id, problem.value) == (Code.TASK_SUM_MISMATCH, "S-1", "149.99")
    assert "150,00 EUR" in problem.message
    assert codes(service(), tasks=[*tasks, task(position=3)]) == []


def test_tasks_add_up_to_the_net_of_all_pieces() -> None:
    assert codes(service(quantity="2"), tasks=[task(price_net="300.00")]) == []
    assert codes(service(quantity="2"), tasks=[task(price_net="150.00")]) != []


def test_a_task_that_the_currency_cannot_hold_is_a_problem() -> None:
    found = codes(
        service(currency="JPY"),
        customers=[customer(currency="JPY")],
        tasks=[task(position=1, price_net="100.50"), task(position=2, price_net="49.50")],
    )
    assert found == [(Code.PRICE_INVALID, "S-1", "price_net")]


@pytest.mark.parametrize("blank", ["", " \t\u00a0"])
def test_a_service_or_a_task_without_a_name_is_a_problem(blank: str) -> None:
    assert codes(service(service_name=blank)) == [(Code.TEXT_INVALID, "S-1", "service_name")]
    assert codes(service(), tasks=[task(task_name=blank)]) == [(Code.TEXT_INVALID, "S-1", "task_name")]


def test_what_is_not_billable_is_not_judged() -> None:
    assert codes(service(), service("S-2", status="cancelled", unit_price_net=None, currency="CHF")) == []


def test_faults_of_any_row_of_the_month_block_its_customer_whatever_its_status() -> None:
    broken = faulty(service("S-2", status="cancelled"), "QUANTITY_INVALID", "quantity", "0")
    assert codes(service(), broken) == [(Code.QUANTITY_INVALID, "S-2", "quantity")]


def test_faults_of_tasks_fees_and_customers_are_problems_too() -> None:
    found = codes(
        service(),
        faulty(fee(), "VAT_INVALID", "vat_percent", "abc"),
        customers=[faulty(customer(), "COUNTRY_INVALID", "country", "XX")],
        tasks=[faulty(task(), "PRICE_INVALID", "price_net", "-1")],
    )
    assert found == [
        (Code.COUNTRY_INVALID, "", "country"),
        (Code.VAT_INVALID, "F-1", "vat_percent"),
        (Code.PRICE_INVALID, "S-1", "price_net"),
    ]


def test_a_cell_with_a_fault_is_told_once_and_its_other_cells_too() -> None:
    broken = faulty(service(vat_percent=None), "PRICE_INVALID", "unit_price_net", "-1.00")
    assert codes(broken) == [
        (Code.PRICE_INVALID, "S-1", "unit_price_net"),
        (Code.VAT_INVALID, "S-1", "vat_percent"),
    ]


def test_a_row_whose_instant_is_faulty_blocks_its_customer() -> None:
    broken = faulty(
        service(completed_at=None), "TIMESTAMP_WITHOUT_ZONE", "completed_at", "2026-10-14T09:30:00"
    )
    assert codes(broken) == [(Code.TIMESTAMP_WITHOUT_ZONE, "S-1", "completed_at")]


def test_a_number_that_the_customers_do_not_know_is_blocked() -> None:
    billed = bill(service(), service("S-2", customer_number="404"), customers=[customer()])
    (problem,) = problems_in(billed)
    assert (problem.code, problem.customer_number, problem.source_id) == (Code.CUSTOMER_UNKNOWN, "404", "S-2")
    assert outcomes(billed) == {"10023": "to_bill", "404": "blocked"}


def test_a_row_without_a_customer_blocks_the_empty_number() -> None:
    nobody = faulty(service("S-2"), "CUSTOMER_UNKNOWN", "customer_number")
    billed = bill(service(), nobody, customers=[customer()])
    assert outcomes(billed) == {"": "blocked", "10023": "to_bill"}


def test_a_row_that_stands_twice_blocks_its_customers_and_breaks_nothing() -> None:
    twice = [
        faulty(service("S-1", customer_number=number), "DUPLICATE_KEY", "description")
        for number in ("1", "2")
    ]
    billed = bill(*twice, tasks=[task("S-1")])
    assert outcomes(billed) == {"1": "blocked", "2": "blocked"}
