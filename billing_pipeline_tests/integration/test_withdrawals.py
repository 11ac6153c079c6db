"""Deliveries that are undone, corrections that leave no old file behind, and what the audit says of all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing_pipeline.billing.standing import STANDINGS
from billing_pipeline.problems import Code
from billing_pipeline.steps.audit import audit
from billing_pipeline.steps.make_files import stored_exports
from billing_pipeline.steps.withdrawal import StillThere, withdraw_order
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


def taken(months: PlainMonths, name: str) -> None:
    """The receiver takes a file, and leaves no copy."""
    (months.installation.inbox / name).unlink()


def test_a_delivery_is_undone_only_once_its_file_is_not_there_any_more(months: PlainMonths) -> None:
    with pytest.raises(StillThere, match="its file lies in the inbox"):
        withdraw_order(months.wiring, "2026-09-10023", reason="wrong customer", author="Ann")
    taken(months, "easybill_2026-09_10023.csv")
    withdraw_order(months.wiring, "2026-09-10023", reason="draft deleted", author="Ann")
    assert months.status(SEPTEMBER).totals == {}
    assert months.billed() == {}
    assert [(item.month, item.code) for item in months.open()] == [(SEPTEMBER, Code.NOT_DELIVERED_YET)]
    months.run(OCTOBER)
    assert months.billed() == {}, "the rows are to be billed in their own month"
    customer = months.run(SEPTEMBER).customers[0]
    assert (customer.order_number, customer.outcome) == ("2026-09-10023-r2", "delivered")
    assert months.open() == ()
    months.ledger.releases.release("2026-09-10023", as_="withdrawn", reason="again", author="Ann")
    assert months.customer(SEPTEMBER).order_number == "2026-09-10023-r2"


def test_late_rows_of_a_withdrawn_delivery_are_late_again(months: PlainMonths) -> None:
    service(months, "S-late", SEPTEMBER, 20, unit_price_net="3.00")
    months.run(OCTOBER)
    assert months.billed()["S-late"] == "2026-10-10023"
    taken(months, "easybill_2026-10_10023.csv")
    withdraw_order(months.wiring, "2026-10-10023", reason="draft deleted", author="Ann")
    months.run(NOVEMBER)
    assert months.billed()["S-late"] == "2026-11-10023"


def test_a_correction_takes_back_the_file_that_nobody_has_taken(months: PlainMonths) -> None:
    months.oms.change_service("S-2", unit_price_net="21.00")
    corrected = months.correct(SEPTEMBER)
    assert corrected.taken_back
    assert list(months.installation.files()) == ["easybill_2026-09_10023_r2.csv"]
    assert months.open() == ()
    assert months.status(SEPTEMBER).totals == {"EUR": {"net": 17100, "vat": 3249, "gross": 20349}}


def test_the_draft_of_a_corrected_order_stays_on_the_list_until_it_is_said_to_be_gone(
    months: PlainMonths,
) -> None:
    taken(months, "easybill_2026-09_10023.csv")
    months.oms.change_service("S-2", unit_price_net="21.00")
    corrected = months.correct(SEPTEMBER)
    assert not corrected.taken_back
    (item,) = months.open()
    assert (item.code, item.order_number, item.net) == (Code.DRAFT_TO_REMOVE, "2026-09-10023", 17000)
    withdraw_order(months.wiring, "2026-09-10023", reason="deleted", author="Ann")
    assert months.open() == ()
    assert months.customer(SEPTEMBER).order_number == "2026-09-10023-r2"


def test_a_correction_with_nothing_left_to_bill_is_the_withdrawal(months: PlainMonths) -> None:
    months.oms.remove_service("S-1")
    months.oms.remove_service("S-2")
    assert months.correct(SEPTEMBER).is_settled
    assert months.installation.files() == {}
    assert (months.billed(), months.status(SEPTEMBER).totals) == ({}, {})
    service(months, "S-3", SEPTEMBER, 3)
    months.run(SEPTEMBER)
    assert months.billed() == {"S-3": "2026-09-10023-r2"}


def test_a_row_that_moves_to_another_customer_is_late_there_after_a_correction(months: PlainMonths) -> None:
    months.oms.customer("10024")
    service(months, "S-x", SEPTEMBER, customer_number="10024")
    months.run(SEPTEMBER)
    months.oms.change_service("S-2", customer_number="10024")
    months.run(OCTOBER)
    assert codes(months) == [(Code.CHANGED_AFTER_DELIVERY, "S-2")]
    months.correct(SEPTEMBER)
    months.run(OCTOBER)
    assert months.billed()["S-2"] == "2026-10-10024"
    assert months.open() == ()


def account(months: PlainMonths) -> dict[str, dict[str, int]]:
    """The audit of August to November; each month's standings add up to its rows."""
    found = audit(months.wiring, AUGUST, NOVEMBER)
    for one in found.months:
        assert sum(one.rows[name] for name in STANDINGS) == one.rows["rows"], one
    return {one.month: {name: count for name, count in one.rows.items() if count} for one in found.months}


def test_the_audit_gives_every_row_one_standing(months: PlainMonths) -> None:
    service(months, "S-late", SEPTEMBER, 20, unit_price_net="3.00")
    service(months, "S-open", SEPTEMBER, 20, status="open")
    service(months, "S-oct", OCTOBER, unit_price_net="4.00")
    months.oms.customer("10024", is_test=1)
    service(months, "S-test", SEPTEMBER, customer_number="10024")
    months.oms.customer("10025")
    service(months, "S-blocked", SEPTEMBER, customer_number="10025", unit_price_net=None)
    months.run(SEPTEMBER)
    months.oms.remove_service("S-2")
    service(months, "S-2b", SEPTEMBER, 11, unit_price_net="25.00")
    found = account(months)
    assert found[SEPTEMBER] == {
        "rows": 6, "billed": 1, "not_billable": 2, "set_aside": 2, "blocked": 1, "gone": 1
    }  # fmt: skip
    assert found[OCTOBER] == {"rows": 1, "to_bill": 1}
    assert set(codes(months)) == {
        (Code.PRICE_MISSING, ""),
        (Code.CHANGED_AFTER_DELIVERY, "S-2"),
        (Code.POSSIBLE_REPLACEMENT, "S-2b"),
        (Code.POSSIBLE_REPLACEMENT, "S-late"),
    }


def test_the_audit_finds_a_change_that_updated_at_does_not_tell(months: PlainMonths) -> None:
    months.oms.change_service("S-2", unit_price_net="21.00")
    assert account(months)[SEPTEMBER] == {"rows": 2, "billed": 2, "changed": 1}
    assert codes(months) == [(Code.CHANGED_AFTER_DELIVERY, "S-2")]


def test_the_audit_tells_a_row_that_has_moved_from_one_that_has_gone(months: PlainMonths) -> None:
    months.oms.change_service("S-2", completed_at="2026-10-05T08:00:00Z")
    found = account(months)
    assert found[SEPTEMBER] == {"rows": 1, "billed": 1, "changed": 1}
    assert found[OCTOBER] == {"rows": 1, "billed": 1}


def test_the_audit_finds_a_stored_file_that_is_damaged(months: PlainMonths) -> None:
    (stored,) = (months.installation.home / "store").rglob(f"{months.customer(SEPTEMBER).sha256}*")
    stored.write_bytes(b"something else")
    (september,) = (one for one in audit(months.wiring, SEPTEMBER, SEPTEMBER).months)
    assert [finding.code for finding in september.findings] == [Code.STORED_FILE_DAMAGED]


def test_the_file_of_a_withdrawn_order_is_never_sent_again_under_its_number(months: PlainMonths) -> None:
    taken(months, "easybill_2026-09_10023.csv")
    stored = stored_exports(["10023"], SEPTEMBER, months.wiring.ledger)
    withdraw_order(months.wiring, "2026-09-10023", reason="draft deleted", author="Ann")
    months.send(SEPTEMBER, stored)
    customer = months.customer(SEPTEMBER)
    assert (customer.outcome, customer.problems[0].code) == ("failed", Code.EXPORT_OUTDATED)
    assert months.installation.files() == {}


def test_the_age_of_what_is_open_is_kept_from_one_audit_to_the_next(months: PlainMonths) -> None:
    months.oms.remove_service("S-2")
    account(months)
    (before,) = months.open()
    account(months)
    (after,) = months.open()
    assert (after.source_id, after.since) == ("S-2", before.since)
