"""Looking back over earlier months reads only what it must, and loses nothing by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing_pipeline.problems import Code
from billing_pipeline.steps.audit import audit
from billing_pipeline.steps.bill_month import extract_of_month
from billing_pipeline_tests.support.plain_months import PlainMonths

AUGUST, SEPTEMBER, OCTOBER, NOVEMBER = "2026-08", "2026-09", "2026-10", "2026-11"
LONG_AGO = "2026-09-01T00:00:00Z"


@pytest.fixture
def months(tmp_path: Path) -> PlainMonths:
    """August and September of a customer with ten services each, sent, and looked at from October."""
    months = PlainMonths(tmp_path)
    months.oms.customer("10023")
    for month in (AUGUST, SEPTEMBER, OCTOBER):
        for number in range(10):
            months.oms.service(
                f"{month}-{number}", completed_at=f"{month}-1{number}T08:00:00Z", updated_at=LONG_AGO
            )
    for month in (AUGUST, SEPTEMBER):
        months.run(month)
    return months


def read_of_earlier_months(months: PlainMonths, month: str) -> list[str]:
    """The services of months before this one that a run of it would read in full."""
    extract, _ = extract_of_month(months.wiring.oms, months.ledger, month, months.wiring.billing)
    services = extract.services
    return sorted(services[services["month"] != month]["service_id"].tolist())


def test_of_months_that_are_billed_nothing_is_read_again(months: PlainMonths) -> None:
    assert read_of_earlier_months(months, OCTOBER) == []
    months.run(OCTOBER)
    assert read_of_earlier_months(months, NOVEMBER) == []


def test_new_changed_and_vanished_rows_are_seen(months: PlainMonths) -> None:
    months.run(OCTOBER)
    months.oms.service("late", completed_at="2026-08-20T08:00:00Z", updated_at=LONG_AGO)
    months.oms.change_service(f"{SEPTEMBER}-3", unit_price_net="1.00")
    months.oms.remove_service(f"{AUGUST}-4")
    assert read_of_earlier_months(months, NOVEMBER) == [f"{SEPTEMBER}-3", "late"]
    months.run(NOVEMBER)
    expected = {f"{SEPTEMBER}-3", f"{AUGUST}-4"}
    drift = {item.source_id for item in months.open() if item.code == Code.CHANGED_AFTER_DELIVERY}
    assert expected <= drift
    months.run(NOVEMBER)
    drift = {item.source_id for item in months.open() if item.code == Code.CHANGED_AFTER_DELIVERY}
    assert expected <= drift, "what is not read again keeps its entry"


def test_a_change_that_updated_at_hides_is_found_by_the_audit_alone(months: PlainMonths) -> None:
    months.run(OCTOBER)
    months.oms.change_service(f"{SEPTEMBER}-3", unit_price_net="1.00", updated_at=LONG_AGO)
    months.run(OCTOBER)
    assert months.open() == ()
    audit(months.wiring, AUGUST, OCTOBER)
    assert [item.source_id for item in months.open()] == [f"{SEPTEMBER}-3"]
    months.run(OCTOBER)
    assert [item.source_id for item in months.open()] == [f"{SEPTEMBER}-3"]


def test_late_rows_whose_file_was_not_sent_are_read_until_it_is(months: PlainMonths) -> None:
    months.oms.service("late", completed_at="2026-08-20T08:00:00Z", updated_at=LONG_AGO)
    months.bill(OCTOBER)
    months.bill(OCTOBER)
    own = {f"{OCTOBER}-{number}" for number in range(10)}
    assert set(read_of_earlier_months(months, NOVEMBER)) - own == {"late"}
    months.run(OCTOBER)
    assert months.billed()["late"] == "2026-10-10023"
    assert read_of_earlier_months(months, OCTOBER) == ["late"], "the file of October has it"
