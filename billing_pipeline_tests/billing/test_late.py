"""Rows that come to a closed month: left aside there, and billed once in the customer's next open month."""

from __future__ import annotations

import pytest

from billing_pipeline.billing.arrow import each_row
from billing_pipeline.billing.bill import BilledMonth
from billing_pipeline.billing.kept_back_text import kept_back_told
from billing_pipeline.billing.late import LedgerView
from billing_pipeline.billing.omissions import Omission
from billing_pipeline.problems import Code
from billing_pipeline_tests.support.billing import (
    MONTH,
    bill,
    billed_source,
    ledger,
    lines_of,
    outcomes,
    problems_in,
)
from billing_pipeline_tests.support.frames import Row, customer, faulty, fee, service, task

ME = "10023"
CLOSED_SEPTEMBER = ledger(closed=[(ME, "2026-09")])


def september(service_id: str = "S-9", **cells: object) -> Row:
    return service(service_id, completed_at="2026-09-28T10:00:00Z", **cells)


def late_rows(billed: BilledMonth) -> dict[str, int]:
    return dict(zip(billed.roster["customer_number"], billed.roster["late_rows"], strict=True))


def test_a_late_service_and_a_late_fee_join_the_next_open_month_with_their_own_dates() -> None:
    late_fee = fee("F-9", charged_at="2026-09-29T10:00:00Z")
    billed = bill(service(), september(), late_fee, ledger_view=CLOSED_SEPTEMBER)
    assert [(line.line_type, line.performed_month, line.source_ids) for line in lines_of(billed)] == [
        ("late_service", "2026-09", ["S-9"]),
        ("late_cancellation_fee", "2026-09", ["F-9"]),
        ("service", MONTH, ["S-1"]),
    ]
    assert lines_of(billed)[0].title.endswith("Leistungsdatum 28.09.2026")


def test_a_customer_with_late_rows_alone_is_billed_too() -> None:
    assert outcomes(bill(september(), ledger_view=CLOSED_SEPTEMBER)) == {ME: "to_bill"}


def test_a_row_of_an_open_earlier_month_stays_there() -> None:
    billed = bill(service(), september(), ledger_view=ledger(closed=[("other", "2026-09"), (ME, "2026-08")]))
    assert [line.source_ids for line in lines_of(billed)] == [["S-1"]]
    assert outcomes(bill(september())) == {}


def test_a_row_that_an_earlier_month_has_billed_is_not_billed_again() -> None:
    before = bill(september(), month="2026-09")
    view = ledger(billed_source(before, "S-9", billed_month="2026-09"), closed=[(ME, "2026-09")])
    billed = bill(service(), september(), ledger_view=view)
    assert [line.source_ids for line in lines_of(billed)] == [["S-1"]]
    assert len(billed.drift) == 0


def test_a_closed_month_is_made_again_as_it_was_and_late_rows_wait() -> None:
    first = bill(service(), september(), ledger_view=CLOSED_SEPTEMBER)
    delivered = ledger(
        *(billed_source(first, name) for name in ("S-1", "S-9")), closed=[(ME, "2026-09"), (ME, MONTH)]
    )
    rows = [service(), september(), service("S-2"), september("S-8"), service("S-3", status="open")]
    again = bill(*rows, ledger_view=delivered)
    assert again.lines.equals(first.lines)
    assert late_rows(again) == {ME: 2}
    november = bill(
        *rows, service("S-11", completed_at="2026-11-05T10:00:00Z"), month="2026-11", ledger_view=delivered
    )
    assert [line.source_ids for line in lines_of(november)] == [["S-8"], ["S-2"], ["S-11"]]
    assert late_rows(november) == {ME: 0}


def test_rows_of_a_later_month_are_not_ours_even_where_that_month_is_closed() -> None:
    november = service("S-11", completed_at="2026-11-05T10:00:00Z")
    billed = bill(service(), november, ledger_view=ledger(closed=[(ME, "2026-11")]))
    assert [line.source_ids for line in lines_of(billed)] == [["S-1"]]


def test_late_rows_are_not_grouped_with_those_of_the_month() -> None:
    rows = [service(), september("S-8"), september("S-9")]
    billed = bill(*rows, ledger_view=CLOSED_SEPTEMBER, rules="group_lines = true")
    assert [(line.line_type, line.source_ids) for line in lines_of(billed)] == [
        ("late_service", ["S-8", "S-9"]),
        ("service", ["S-1"]),
    ]


def test_a_row_that_was_left_out_does_not_wait() -> None:
    view = ledger(closed=[(ME, MONTH)])
    omission = Omission(reason="by hand", service_id="S-1")
    assert late_rows(bill(service(), ledger_view=view, omissions=[omission])) == {ME: 0}


def test_a_customer_who_had_nothing_to_bill_has_late_rows_waiting() -> None:
    billed = bill(service(), ledger_view=ledger(closed=[(ME, MONTH)]))
    assert (outcomes(billed), late_rows(billed)) == ({ME: "nothing_to_bill"}, {ME: 1})


def test_faults_of_a_row_that_waits_or_is_not_ours_block_nobody() -> None:
    broken = faulty(service("S-2"), "PRICE_INVALID", "unit_price_net", "-1")
    first = bill(service())
    delivered = ledger(billed_source(first, "S-1"), closed=[(ME, MONTH)])
    again = bill(service(), broken, ledger_view=delivered)
    assert (problems_in(again), late_rows(again)) == ([], {ME: 1})
    elsewhere = faulty(september(), "PRICE_INVALID", "unit_price_net", "-1")
    assert problems_in(bill(service(), elsewhere)) == []


@pytest.mark.parametrize(
    ("late", "code"),
    [
        (faulty(september(), "PRICE_INVALID", "unit_price_net", "-1"), Code.PRICE_INVALID),
        (september(currency="CHF"), Code.MIXED_CURRENCIES),
        (september(vat_percent="16"), Code.VAT_INVALID),
        (september(unit_price_net=None), Code.PRICE_MISSING),
    ],
)
def test_a_fault_of_a_late_row_keeps_that_row_alone_and_its_customers_month_goes(
    late: Row, code: Code
) -> None:
    billed = bill(service(), late, ledger_view=CLOSED_SEPTEMBER)
    assert problems_in(billed) == []
    assert outcomes(billed) == {ME: "to_bill"}
    assert [line.source_ids for line in lines_of(billed)] == [["S-1"]]
    (kept,) = each_row(billed.kept_back)
    assert (kept.standing, kept.source_id, kept.code, kept.month) == ("blocked", "S-9", code, "2026-09")
    (told,) = kept_back_told(each_row(billed.kept_back), "en")
    assert (told.code, told.customer_number) == (code, ME)
    assert "it alone is not billed" in told.message


def test_a_faulty_late_row_alone_makes_nobody_a_customer_of_the_month() -> None:
    closed = ledger(closed=[("404", "2026-09")])
    billed = bill(service(), september(customer_number="404"), customers=[customer()], ledger_view=closed)
    assert outcomes(billed) == {ME: "to_bill"}
    assert [row.code for row in each_row(billed.kept_back)] == [Code.CUSTOMER_UNKNOWN]


def test_a_fault_of_the_month_itself_still_blocks_beside_a_faulty_late_row() -> None:
    late = september(currency="CHF")
    billed = bill(service(unit_price_net=None), late, ledger_view=CLOSED_SEPTEMBER)
    assert [problem.source_id for problem in problems_in(billed)] == ["S-1"]
    assert outcomes(billed) == {ME: "blocked"}
    assert [row.source_id for row in each_row(billed.kept_back)] == ["S-9"]


def test_a_fault_that_may_be_the_late_rows_or_the_months_own_blocks_the_month() -> None:
    own = fee("S-9", amount_net="7.50", vat_percent=None)
    billed = bill(service(), september(), own, ledger_view=CLOSED_SEPTEMBER)
    assert {problem.source_id for problem in problems_in(billed)} == {"S-9"}
    assert outcomes(billed) == {ME: "blocked"}
    assert len(billed.kept_back) == 0


def test_a_row_that_moved_to_another_customer_is_not_billed_to_both() -> None:
    first = bill(service())
    delivered = ledger(billed_source(first, "S-1"), closed=[(ME, MONTH)])
    moved = bill(
        service(customer_number="20001"), service("S-2", customer_number="20001"), ledger_view=delivered
    )
    assert [line.source_ids for line in lines_of(moved, "20001")] == [["S-2"]]
    (told,) = moved.drift.to_dict("records")
    assert (told["code"], told["customer_number"], told["source_id"]) == ("CHANGED_AFTER_DELIVERY", ME, "S-1")


def test_drift_tells_of_rows_that_changed_are_not_billable_any_more_or_have_gone() -> None:
    rows = [service("S-1"), service("S-2"), service("S-3"), service("S-4"), fee("S-1")]
    tasks = [task("S-4", task_name="Check")]
    first = bill(*rows, tasks=tasks)
    view = ledger(
        *(billed_source(first, name) for name in ("S-1", "S-2", "S-3", "S-4")),
        billed_source(first, "S-1", source_kind="fee", fingerprint="another"),
        closed=[(ME, MONTH)],
    )
    now = [service("S-1", updated_at="2026-11-02T00:00:00Z"), service("S-2", status="cancelled"), fee("S-1")]
    again = bill(*now, service("S-4"), tasks=[task("S-4", task_name="Other")], ledger_view=view)
    told = [row["message"].split(" since order 2026-10-10023")[0] for row in again.drift.to_dict("records")]
    assert told == [
        "fee S-1 has changed",
        "service S-2 is not billable any more",
        "service S-3 is gone from the OMS",
        "service S-4 has changed",
    ]


def test_a_billed_row_of_an_earlier_month_that_is_not_in_the_extract_has_not_gone() -> None:
    before = bill(september(), month="2026-09")
    view = ledger(billed_source(before, "S-9", billed_month="2026-09"), closed=[(ME, "2026-09")])
    assert len(bill(service(), ledger_view=view).drift) == 0


def test_an_empty_cell_and_none_are_the_same_on_an_invoice_and_no_drift() -> None:
    first = bill(service(location=None))
    view = ledger(billed_source(first, "S-1"), closed=[(ME, MONTH)])
    assert len(bill(service(location=""), ledger_view=view).drift) == 0


def test_a_month_opened_for_a_correction_is_made_of_what_the_oms_says_now() -> None:
    first = bill(service(), service("S-2"))
    view = ledger(
        *(billed_source(first, name) for name in ("S-1", "S-2")), closed=[(ME, MONTH), ("2", MONTH)]
    )
    opened = view.reopened([ME], MONTH)
    assert opened.closed == {("2", MONTH)}
    now = bill(service(unit_price_net="99.00"), service("S-3"), ledger_view=opened)
    assert [(line.source_ids, line.net) for line in lines_of(now)] == [(["S-1"], 9900), (["S-3"], 15000)]
    assert len(now.drift) == 0


def test_an_empty_ledger_closes_nothing() -> None:
    assert LedgerView.empty().closed == frozenset()
    assert len(LedgerView.empty().billed) == 0


def test_a_blocked_customers_month_stays_open_for_the_rows_that_came_meanwhile() -> None:
    blocked = bill(service(unit_price_net=None))
    assert outcomes(blocked) == {ME: "blocked"}
    mended = bill(service(), service("S-2"), customers=[customer()])
    assert [line.line_type for line in lines_of(mended)] == ["service", "service"]
