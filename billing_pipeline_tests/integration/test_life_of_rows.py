"""What becomes of a row over the months: replaced, renamed, moved, forgotten. Each once cost or doubled money."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.problems import Code
from billing_pipeline.steps.admit import admit_renamed, admit_rows
from billing_pipeline.steps.past import OmsIdentityChanged
from billing_pipeline_tests.support.plain_months import PlainMonths
from billing_pipeline_tests.support.sent_september import (
    AUGUST,
    NOVEMBER,
    OCTOBER,
    SEPTEMBER,
    codes,
    sent_september,
    service,
)


@pytest.fixture
def months(tmp_path: Path) -> PlainMonths:
    return sent_september(tmp_path)


def test_a_row_that_replaces_a_billed_one_is_not_billed_again_until_a_person_says_so(
    months: PlainMonths,
) -> None:
    months.oms.remove_service("S-2")
    service(months, "S-2b", SEPTEMBER, 11, unit_price_net="25.00")
    service(months, "S-oct", OCTOBER, unit_price_net="7.00")
    assert months.run(OCTOBER).customers[0].net == 700
    items = {item.source_id: item for item in months.open()}
    assert {name: item.code for name, item in items.items()} == {
        "S-2": Code.CHANGED_AFTER_DELIVERY,
        "S-2b": Code.POSSIBLE_REPLACEMENT,
    }
    assert "service S-2, which order 2026-09-10023 billed" in items["S-2b"].message
    admit_rows(months.wiring, SEPTEMBER, "10023", services=["S-2b"], reason="other work", author="Ann")
    assert codes(months) == [(Code.CHANGED_AFTER_DELIVERY, "S-2")]
    assert months.run(NOVEMBER).customers[0].net == 2500
    assert months.billed()["S-2b"] == "2026-11-10023"


def test_a_correction_bills_the_month_as_it_now_is_and_settles_both_rows(months: PlainMonths) -> None:
    months.oms.remove_service("S-2")
    service(months, "S-2b", SEPTEMBER, 11, unit_price_net="25.00")
    months.run(OCTOBER)
    assert months.correct(SEPTEMBER).has_arrived
    assert months.billed() == {"S-1": "2026-09-10023-r2", "S-2b": "2026-09-10023-r2"}
    months.run(OCTOBER)
    assert (Code.CHANGED_AFTER_DELIVERY, "S-2") not in codes(months)
    assert (Code.POSSIBLE_REPLACEMENT, "S-2b") not in codes(months)


def test_an_omission_is_the_other_answer_to_a_possible_replacement(months: PlainMonths) -> None:
    months.oms.remove_service("S-2")
    service(months, "S-2b", SEPTEMBER, 11, unit_price_net="25.00")
    months.run(OCTOBER)
    months.ledger.omissions.add(month=SEPTEMBER, service_id="S-2b", reason="the same work", author="Ann")
    months.run(OCTOBER)
    assert codes(months) == [(Code.CHANGED_AFTER_DELIVERY, "S-2")]
    months.run(NOVEMBER)
    assert "S-2b" not in months.billed()


def test_a_row_that_equals_one_that_has_gone_is_set_aside_in_whatever_month_once(months: PlainMonths) -> None:
    months.oms.remove_service("S-1")
    service(months, "S-1b", OCTOBER, 3)
    service(months, "S-1c", OCTOBER, 20)
    assert months.run(OCTOBER).customers[0].lines == 1
    assert (Code.POSSIBLE_REPLACEMENT, "S-1b") in codes(months)
    assert months.billed()["S-1c"] == "2026-10-10023"
    admit_rows(months.wiring, OCTOBER, "10023", reason="done twice", author="Ann")
    service(months, "S-1d", NOVEMBER, 3)
    november = months.run(NOVEMBER)
    assert november.customers[0].lines == 2
    assert {"S-1b", "S-1d"} <= months.billed().keys()


def test_thirty_renamed_customers_are_not_billed_a_second_time(tmp_path: Path) -> None:
    months = PlainMonths(tmp_path)
    for number in range(30):
        months.oms.customer(f"{number:05d}")
        service(months, f"S-{number}", SEPTEMBER, customer_number=f"{number:05d}")
    months.run(SEPTEMBER)
    for number in range(30):
        months.oms.change_service(f"S-{number}", service_id=f"T-{number}")
    service(months, "S-oct", OCTOBER, customer_number="00001", unit_price_net="7.00")
    with pytest.raises(OmsIdentityChanged, match="OMS_IDENTITY_CHANGED: 30 of 30 rows"):
        months.run(OCTOBER)
    assert len(months.billed()) == 30
    assert len(admit_renamed(months.wiring, reason="the OMS was migrated", author="Ann")) == 30
    october = months.run(OCTOBER)
    assert {customer.net for customer in october.customers} == {700}
    assert months.open() == ()
    assert {"T-7", "S-7"} & months.billed().keys() == {"T-7"}


def test_new_ids_may_be_accepted_and_every_new_row_of_a_closed_month_is_then_set_aside(
    tmp_path: Path,
) -> None:
    months = PlainMonths(tmp_path)
    for number in range(30):
        months.oms.customer(f"{number:05d}")
        service(months, f"S-{number}", SEPTEMBER, customer_number=f"{number:05d}")
    months.run(SEPTEMBER)
    for number in range(30):
        months.oms.change_service(f"S-{number}", service_id=f"T-{number}")
    months.run(OCTOBER, accept_new_ids=True)
    assert {code for code, name in codes(months) if name.startswith("T-")} == {Code.POSSIBLE_REPLACEMENT}
    assert months.run(NOVEMBER).customers == ()


def test_a_row_that_moves_out_of_a_sent_month_is_told_and_billed_once_after_a_correction(
    months: PlainMonths,
) -> None:
    months.oms.change_service("S-2", completed_at="2026-10-05T08:00:00Z")
    months.run(OCTOBER)
    assert codes(months) == [(Code.CHANGED_AFTER_DELIVERY, "S-2")]
    assert months.correct(SEPTEMBER).has_arrived
    assert "S-2" not in months.billed()
    months.run(OCTOBER)
    assert months.billed() == {"S-1": "2026-09-10023-r2", "S-2": "2026-10-10023"}


def test_the_same_row_under_another_id_is_billed_as_that_one(months: PlainMonths) -> None:
    months.oms.change_service("S-2", service_id="S-2b")
    months.run(OCTOBER)
    admit_rows(
        months.wiring, SEPTEMBER, "10023", services=["S-2b"], same_as="S-2", reason="renamed", author="Ann"
    )
    months.run(OCTOBER)
    assert months.open() == ()
    assert months.billed() == {"S-1": "2026-09-10023", "S-2b": "2026-09-10023"}


def test_a_row_that_is_the_same_and_costs_otherwise_is_told_as_changed(months: PlainMonths) -> None:
    months.oms.change_service("S-2", service_id="S-2b", unit_price_net="99.00")
    months.run(OCTOBER)
    admit_rows(
        months.wiring, SEPTEMBER, "10023", services=["S-2b"], same_as="S-2", reason="renamed", author="Ann"
    )
    months.run(OCTOBER)
    assert codes(months) == [(Code.CHANGED_AFTER_DELIVERY, "S-2b")]


def test_a_rule_that_changes_bills_no_closed_month(months: PlainMonths) -> None:
    service(months, "S-3", SEPTEMBER, 12, status="open", unit_price_net="5.00")
    months.run(SEPTEMBER)
    months.rules('billable_statuses = ["completed", "open"]\n')
    months.run(OCTOBER)
    assert codes(months) == [(Code.RULE_CHANGED, "S-3")]
    assert "S-3" not in months.billed()
    months.oms.change_service("S-3", unit_price_net="6.00")
    months.run(OCTOBER)
    assert months.open() == ()
    assert months.billed()["S-3"] == "2026-10-10023"


def test_where_nothing_was_sent_a_run_of_the_month_bills_what_is_billable_now(tmp_path: Path) -> None:
    months = PlainMonths(tmp_path)
    months.oms.customer("10023")
    service(months, "S-3", SEPTEMBER, status="open")
    assert months.run(SEPTEMBER).customers[0].outcome == "nothing_to_bill"
    months.rules('billable_statuses = ["completed", "open"]\n')
    months.run(OCTOBER)
    assert codes(months) == [(Code.RULE_CHANGED, "S-3")]
    months.run(SEPTEMBER)
    assert months.billed() == {"S-3": "2026-09-10023"}
    assert months.open() == ()


def test_a_test_customer_who_becomes_real_is_billed_for_no_month_that_is_over(months: PlainMonths) -> None:
    months.oms.customer("10024", is_test=1)
    service(months, "S-t", SEPTEMBER, customer_number="10024")
    months.run(SEPTEMBER)
    months.oms.change_customer("10024", is_test=0)
    months.run(OCTOBER)
    assert codes(months) == [(Code.RULE_CHANGED, "S-t")]


def test_nothing_to_bill_can_be_undone_by_the_month_itself(months: PlainMonths) -> None:
    months.oms.customer("10024")
    service(months, "S-x", SEPTEMBER, customer_number="10024")
    months.run(SEPTEMBER)
    assert months.billed()["S-x"] == "2026-09-10024"
    months.run(OCTOBER)
    assert "2026-10-10024" not in months.billed().values()


def test_a_customer_who_was_blocked_once_stays_on_the_list_with_the_money(months: PlainMonths) -> None:
    months.oms.customer("10024")
    service(months, "S-n", SEPTEMBER, customer_number="10024", unit_price_net=None)
    service(months, "S-m", SEPTEMBER, customer_number="10024", unit_price_net="30.00")
    months.run(SEPTEMBER)
    months.run(OCTOBER)
    months.run(NOVEMBER)
    (item,) = months.open()
    assert (item.month, item.customer_number, item.code, item.source_id, item.net) == (
        SEPTEMBER,
        "10024",
        Code.PRICE_MISSING,
        "",
        3000,
    )
    months.oms.change_service("S-n", unit_price_net="1.00")
    months.run(NOVEMBER)
    assert "S-m" not in months.billed(), "no later month takes the rows of a blocked customer"
    months.run(SEPTEMBER)
    assert (months.open(), months.billed()["S-m"]) == ((), "2026-09-10024")


def test_what_a_run_of_one_service_leaves_out_is_late_once_the_file_is_sent(tmp_path: Path) -> None:
    months = PlainMonths(tmp_path)
    months.oms.customer("10023")
    service(months, "S-1", SEPTEMBER)
    service(months, "S-2", SEPTEMBER, unit_price_net="20.00")
    months.oms.fee("F-1", "10023", charged_at="2026-09-20T08:00:00Z")
    months.ledger.adjustments.add(
        month=SEPTEMBER,
        customer_number="10023",
        title="Discount",
        quantity=Decimal(1),
        unit_price_net=Decimal("-5.00"),
        vat_percent=Decimal(19),
        reason="goodwill",
        author="Ann",
    )
    months.run(SEPTEMBER, services=("S-1",))
    assert months.customer(SEPTEMBER).lines == 1
    months.run(SEPTEMBER)
    assert months.customer(SEPTEMBER).late_rows == 3
    october = months.run(OCTOBER)
    assert (october.customers[0].lines, october.customers[0].net) == (3, 2000 + 2500 - 500)
    assert months.open() == ()


def test_a_billed_row_that_changed_is_on_the_list_until_it_is_accepted_and_again_when_it_changes_again(
    months: PlainMonths,
) -> None:
    months.oms.change_service("S-2", unit_price_net="21.00")
    months.run(OCTOBER)
    assert codes(months) == [(Code.CHANGED_AFTER_DELIVERY, "S-2")]
    months.ledger.releases.release("2026-09-10023", as_="delivered", reason="agreed", author="Ann")
    assert months.open() == ()
    months.run(OCTOBER)
    assert months.open() == ()
    months.oms.change_service("S-2", unit_price_net="22.00")
    months.run(OCTOBER)
    assert codes(months) == [(Code.CHANGED_AFTER_DELIVERY, "S-2")]


def test_late_rows_that_no_open_month_will_take_are_on_the_list_and_admitted_all_the_same(
    tmp_path: Path,
) -> None:
    months = PlainMonths(tmp_path, rules="late_months = 1\n")
    months.oms.customer("10023")
    service(months, "S-1", AUGUST)
    months.run(AUGUST)
    service(months, "S-late", AUGUST, unit_price_net="3.00")
    months.run(AUGUST)
    assert months.open() == ()
    service(months, "S-oct", OCTOBER)
    months.run(OCTOBER)
    assert codes(months) == [(Code.LATE_OUT_OF_REACH, "S-late")]
    admit_rows(months.wiring, AUGUST, "10023", services=["S-late"], reason="bill it", author="Ann")
    service(months, "S-nov", NOVEMBER)
    months.run(NOVEMBER)
    assert months.billed()["S-late"] == "2026-11-10023"
    assert months.open() == ()


def test_what_was_sent_counts_whatever_has_become_of_its_customer(months: PlainMonths) -> None:
    totals = months.status(SEPTEMBER).totals
    service(months, "S-3", SEPTEMBER, 12)
    months.oms.change_customer("10023", currency="CHF")
    months.run(SEPTEMBER)
    customer = months.customer(SEPTEMBER)
    assert customer.outcome == "blocked"
    assert (customer.order_number, customer.file) == ("2026-09-10023", "easybill_2026-09_10023.csv")
    assert months.status(SEPTEMBER).totals == totals


def test_a_decision_after_billing_and_before_sending_makes_the_file_outdated(tmp_path: Path) -> None:
    months = PlainMonths(tmp_path)
    months.oms.customer("10023")
    service(months, "S-1", SEPTEMBER)
    service(months, "S-2", SEPTEMBER, unit_price_net="20.00")
    billing = months.bill(SEPTEMBER)
    months.ledger.omissions.add(month=SEPTEMBER, service_id="S-2", reason="by hand", author="Ann")
    months.deliver(SEPTEMBER, billing)
    customer = months.customer(SEPTEMBER)
    assert (customer.outcome, customer.problems[0].code) == ("failed", Code.EXPORT_OUTDATED)
    assert months.installation.files() == {}
    months.run(SEPTEMBER, customers=("10023",))
    assert months.customer(SEPTEMBER).lines == 1
    assert months.billed() == {"S-1": "2026-09-10023"}


def test_an_omission_that_ends_before_sending_makes_the_file_outdated_too(tmp_path: Path) -> None:
    months = PlainMonths(tmp_path)
    months.oms.customer("10023")
    service(months, "S-1", SEPTEMBER)
    service(months, "S-2", SEPTEMBER, unit_price_net="20.00")
    omitted = months.ledger.omissions.add(month=SEPTEMBER, service_id="S-2", reason="by hand", author="Ann")
    billing = months.bill(SEPTEMBER)
    months.ledger.omissions.remove(omitted.id, reason="no, it was not", author="Ann")
    months.deliver(SEPTEMBER, billing)
    assert months.customer(SEPTEMBER).problems[0].code == Code.EXPORT_OUTDATED
    months.run(SEPTEMBER)
    assert months.customer(SEPTEMBER).lines == 2


def test_a_fee_alone_may_be_left_out(tmp_path: Path) -> None:
    months = PlainMonths(tmp_path)
    months.oms.customer("10023")
    service(months, "S-1", SEPTEMBER)
    months.oms.fee("F-1", "10023", charged_at="2026-09-20T08:00:00Z", service_id="S-1")
    months.ledger.omissions.add(month=SEPTEMBER, fee_id="F-1", reason="goodwill", author="Ann")
    months.run(SEPTEMBER)
    assert months.billed() == {"S-1": "2026-09-10023"}


def test_a_row_with_a_status_that_no_rule_names_is_billed_once_it_is_admitted(months: PlainMonths) -> None:
    service(months, "S-3", SEPTEMBER, 12, status="Completed ", unit_price_net="5.00")
    service(months, "S-oct", OCTOBER, status="Completed ", unit_price_net="7.00")
    months.run(OCTOBER)
    assert codes(months) == [(Code.STATUS_UNKNOWN, "S-3"), (Code.STATUS_UNKNOWN, "S-oct")]
    admit_rows(months.wiring, SEPTEMBER, "10023", services=["S-3"], reason="it was done", author="Ann")
    admit_rows(months.wiring, OCTOBER, "10023", services=["S-oct"], reason="it was done", author="Ann")
    months.run(OCTOBER)
    assert months.open() == ()
    assert {"S-3", "S-oct"} <= months.billed().keys()
