"""Who is in a month, before any file is made of it, and when its delivery has finished."""

from __future__ import annotations

from dataclasses import replace

from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import DeliveryResult, Export
from billing_pipeline_tests.support.parcels import MONTH, rendered


def to_bill(customer_number: str, late_rows: int = 0) -> Export:
    return Export(MONTH, customer_number, "to_bill", late_rows=late_rows)


def test_a_file_that_was_made_stands_until_the_next_is(ledger: Ledger) -> None:
    ledger.months.record_exports([rendered("1")], "run-1")
    ledger.months.record_roster(MONTH, [to_bill("1", late_rows=2), to_bill("2")], "run-2")
    first, second = ledger.months.customers(MONTH)
    assert (first.export, first.export_run_id) == (replace(rendered("1"), late_rows=2), "run-1")
    assert (second.export.outcome, second.export_run_id) == ("to_bill", "run-2")


def test_what_is_not_billed_any_more_is_not_what_was_made(ledger: Ledger) -> None:
    ledger.months.record_exports([rendered("1"), rendered("2")], "run-1")
    ledger.months.record_roster(
        MONTH, [Export(MONTH, "1", "blocked"), Export(MONTH, "2", "omitted")], "run-2"
    )
    assert [row.export.outcome for row in ledger.months.customers(MONTH)] == ["blocked", "omitted"]


def test_who_has_no_row_any_more_is_no_longer_in_the_month(ledger: Ledger) -> None:
    ledger.months.record_roster(MONTH, [to_bill("1"), to_bill("2")], "run-1")
    ledger.months.record_roster(MONTH, [to_bill("2")], "run-2")
    assert [row.export.customer_number for row in ledger.months.customers(MONTH)] == ["2"]
    ledger.months.record_roster(MONTH, [to_bill("1"), to_bill("2")], "run-3")
    assert [row.export.customer_number for row in ledger.months.customers(MONTH)] == ["1", "2"]


def test_a_month_has_finished_once_everybody_has_an_outcome_and_stays_so(ledger: Ledger) -> None:
    ledger.months.record_roster(MONTH, [to_bill("1"), to_bill("2")], "run-1")
    ledger.months.record_outcomes([DeliveryResult(MONTH, "1", "delivered")], "run-1")
    ledger.months.finish(MONTH, "run-1")
    assert ledger.months.finished([MONTH]) == frozenset()
    ledger.months.record_outcomes([DeliveryResult(MONTH, "2", "blocked")], "run-1")
    ledger.months.finish(MONTH, "run-1")
    assert ledger.months.finished([MONTH, "2026-09"]) == {MONTH}
    ledger.months.record_roster(MONTH, [to_bill("1"), to_bill("3")], "run-2")
    assert ledger.months.finished([MONTH]) == {MONTH}


def test_who_left_the_month_does_not_keep_it_from_finishing(ledger: Ledger) -> None:
    ledger.months.record_roster(MONTH, [to_bill("1"), to_bill("2")], "run-1")
    ledger.months.record_roster(MONTH, [to_bill("2")], "run-2")
    ledger.months.record_outcomes([DeliveryResult(MONTH, "2", "delivered")], "run-2")
    ledger.months.finish(MONTH, "run-2")
    assert ledger.months.finished([MONTH]) == {MONTH}


def test_the_export_behind_an_order_number_is_found(ledger: Ledger) -> None:
    ledger.months.record_exports([rendered("1"), rendered("2")], "run")
    assert ledger.months.export_of("2026-10-2") == rendered("2")
    assert ledger.months.export_of("2026-10-3") is None
