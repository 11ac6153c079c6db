"""Statuses that no rule names are told and set aside; services without an instant block, or are nobody's business."""

from __future__ import annotations

import pytest

from billing_pipeline.billing.arrow import each_row
from billing_pipeline.billing.bill import BilledMonth
from billing_pipeline.billing.dispositions import reconcile
from billing_pipeline.billing.kept_back_text import kept_back_told
from billing_pipeline.billing.omissions import Omission
from billing_pipeline.problems import Code
from billing_pipeline_tests.support.billing import (
    MONTH,
    bill,
    ledger,
    lines_of,
    outcomes,
    problems_in,
    rules_of,
)
from billing_pipeline_tests.support.frames import Row, extract, faulty, fee, service


def set_aside(billed: BilledMonth) -> list[str]:
    assert {row.standing for row in each_row(billed.kept_back)} <= {"set_aside"}
    return [row.source_id for row in each_row(billed.kept_back)]


def undated(service_id: str = "S-2", **cells: object) -> Row:
    return faulty(service(service_id, completed_at=None, **cells), "TIMESTAMP_MISSING", "completed_at")


def test_a_misspelt_status_is_set_aside_and_changes_nobodys_outcome() -> None:
    billed = bill(
        service("S-1"),
        service("S-2", status="Completed "),
        service("S-3", status="Completed ", customer_number="20001"),
    )
    assert outcomes(billed) == {"10023": "to_bill", "20001": "nothing_to_bill"}
    assert [line.source_ids for line in lines_of(billed)] == [["S-1"]]
    assert set_aside(billed) == ["S-2", "S-3"]
    (row, _) = each_row(billed.kept_back)
    assert (row.code, row.net, row.currency, row.month) == (Code.STATUS_UNKNOWN, 15000, "EUR", MONTH)


def test_an_unknown_status_is_told_once_with_rows_money_and_remedy() -> None:
    rows = [service(f"S-{n}", status="Completed ", customer_number=f"{n:05}") for n in range(7)]
    (told,) = kept_back_told(
        each_row(bill(*rows, service("S-x", status="done", currency="CHF")).kept_back), "en"
    )[:1]
    assert told.code == Code.STATUS_UNKNOWN
    assert told.customer_number == ""
    assert "7 services have the status 'Completed ' (1,050.00 EUR net;" in told.message
    assert "and 2 more" in told.message
    assert "not_billable_statuses" in told.message


@pytest.mark.parametrize("status", ["cancelled", "planned", "in_progress", "draft"])
def test_a_status_that_is_known_not_to_be_billable_is_not_told(status: str) -> None:
    assert set_aside(bill(service("S-1", status=status))) == []


@pytest.mark.parametrize(
    "rules",
    [
        'not_billable_statuses = ["done"]',
        'billable_statuses = ["completed", "done"]\nnot_billable_statuses = ["done"]',
        'billable_sub_statuses = ["checked"]',
        'providers = ["own"]',
        'lines = "fees_only"',
        'customers."10023".not_billable_statuses = ["done"]',
    ],
)
def test_naming_a_status_or_a_filter_settles_it(rules: str) -> None:
    assert set_aside(bill(service(status="done"))) == ["S-1"]
    assert set_aside(bill(service(status="done"), rules=rules)) == []


def test_what_is_set_aside_is_not_judged_and_blocks_nobody() -> None:
    broken = faulty(service("S-2", status="done"), "QUANTITY_INVALID", "quantity", "0")
    billed = bill(service("S-1"), broken)
    assert problems_in(billed) == []
    (row,) = each_row(billed.kept_back)
    assert row.net is None


def test_an_omission_of_a_service_with_an_unknown_status_is_the_answer_to_it() -> None:
    billed = bill(service(status="done"), omissions=[Omission("not ours", service_id="S-1", month=MONTH)])
    assert set_aside(billed) == []
    assert outcomes(billed) == {"10023": "omitted"}


def test_the_reconciliation_has_a_disposition_for_what_is_set_aside() -> None:
    rows = extract(service("S-1"), service("S-2", status="done"), service("S-3", status="cancelled"))
    billed = bill(service("S-1"), service("S-2", status="done"), service("S-3", status="cancelled"))
    found = reconcile(rows, billed, MONTH, rules_of())
    counted = {one.name: one.rows for one in found.dispositions if one.rows}
    assert counted == {"billed": 1, "set aside": 1, "not billable": 1}
    assert found.faults == ()


def test_a_billable_service_without_an_instant_blocks_its_customer() -> None:
    billed = bill(service("S-1"), undated(), service("S-3", customer_number="20001"))
    assert [(p.code, p.source_id) for p in problems_in(billed)] == [(Code.TIMESTAMP_MISSING, "S-2")]
    assert outcomes(billed) == {"10023": "blocked", "20001": "to_bill"}


def test_a_service_without_an_instant_that_filters_leave_out_makes_nobody_a_customer() -> None:
    billed = bill(
        service("S-1"), undated(customer_number="20001"), rules='customers."20001".lines = "fees_only"'
    )
    assert outcomes(billed) == {"10023": "to_bill"}


def test_a_row_without_an_instant_leaves_a_closed_month_as_it_is() -> None:
    known = ledger(closed=[("10023", MONTH)])
    for row in (undated(), faulty(fee(charged_at=None), "TIMESTAMP_MISSING", "charged_at")):
        billed = bill(row, ledger_view=known)
        assert problems_in(billed) == []
        assert billed.roster["late_rows"].tolist() == [0]


def test_an_omission_lets_the_customer_go() -> None:
    omissions = [Omission("never done", service_id="S-2", month=MONTH)]
    assert outcomes(bill(service("S-1"), undated(), omissions=omissions)) == {"10023": "to_bill"}
