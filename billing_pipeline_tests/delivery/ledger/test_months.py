"""The current word on each customer's month, and the log beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from billing_pipeline.delivery.ledger import Ledger, Refusal, utc_now
from billing_pipeline.delivery.records import DeliveryResult, Export, Parcel
from billing_pipeline.problems import Code, Problem
from billing_pipeline_tests.support.ledgers import planned
from billing_pipeline_tests.support.parcels import MONTH, parcel, rendered, service

BLOCKED = Export(
    MONTH,
    "20001",
    "blocked",
    problems=(Problem(Code.PRICE_MISSING, "20001", "maintain a price", "S-1", "unit_price_net", "\0\ud800"),),
)


def test_an_export_is_read_back_as_it_was_recorded(ledger: Ledger) -> None:
    exports = [rendered(), BLOCKED, Export(MONTH, "30001", "omitted", reason="disputed", late_rows=2)]
    ledger.months.record_exports(exports, "run-1")
    rows = ledger.months.customers(MONTH)
    assert [row.export for row in rows] == exports
    assert {(row.export_run_id, row.delivery_outcome, row.closed_at) for row in rows} == {
        ("run-1", None, None)
    }


def test_times_are_read_back_as_utc_instants(ledger: Ledger) -> None:
    before = datetime.now(UTC)
    ledger.months.record_exports([rendered()], "run")
    [row] = ledger.months.customers(MONTH)
    assert before <= row.exported_at <= datetime.now(UTC)
    assert row.exported_at.tzinfo is UTC


def test_the_last_export_counts_and_the_delivery_outcome_stays(ledger: Ledger) -> None:
    ledger.months.record_exports([rendered()], "run-1")
    ledger.months.record_outcomes([DeliveryResult(MONTH, "10023", "delivered", sha256="a")], "run-1")
    ledger.months.record_exports([replace(rendered(), gross=1)], "run-2")
    [row] = ledger.months.customers(MONTH)
    assert (row.export.gross, row.export_run_id) == (1, "run-2")
    assert (row.delivery_outcome, row.delivery_sha256, row.delivery_run_id) == ("delivered", "a", "run-1")


def test_every_export_is_logged_with_its_outcome(ledger: Ledger) -> None:
    ledger.months.record_exports([rendered(), BLOCKED], "run-1")
    ledger.months.record_exports([rendered()], "run-2")
    assert [
        (event.customer_number, event.kind, event.action, event.outcome, event.run_id)
        for event in ledger.events.find(month=MONTH)
    ] == [
        ("10023", "export", "rendered", "success", "run-1"),
        ("20001", "export", "blocked", "failure", "run-1"),
        ("10023", "export", "rendered", "success", "run-2"),
    ]
    [event] = ledger.events.find(customer_number="20001")
    assert event.detail == "PRICE_MISSING: maintain a price"


def test_nothing_to_bill_closes_no_month_and_keeps_no_row_in_it(ledger: Ledger) -> None:
    ledger.months.record_exports(
        [Export(MONTH, "1", "nothing_to_bill"), Export(MONTH, "2", "omitted")], "run"
    )
    outcomes = [DeliveryResult(MONTH, "1", "nothing_to_bill"), DeliveryResult(MONTH, "2", "omitted")]
    ledger.months.record_outcomes(outcomes, "run")
    assert ledger.deliveries.closed([MONTH]) == frozenset()
    assert ledger.months.staying([MONTH]) == {("2", MONTH)}


def test_a_month_once_closed_keeps_the_time_at_which_it_was(ledger: Ledger) -> None:
    ledger.months.record_exports([Export(MONTH, "1", "nothing_to_bill")], "run")
    ledger.months.record_outcomes([DeliveryResult(MONTH, "1", "nothing_to_bill")], "run")
    [before] = ledger.months.customers(MONTH)
    ledger.months.record_outcomes([DeliveryResult(MONTH, "1", "nothing_to_bill")], "run")
    [after] = ledger.months.customers(MONTH)
    assert before.closed_at == after.closed_at is not None


@pytest.mark.parametrize("outcome", ["nothing_to_bill", "blocked", "omitted"])
def test_a_customer_without_a_file_gives_up_the_plan_and_its_rows(ledger: Ledger, outcome: str) -> None:
    stale = ledger.plans.plan(parcel("1", billed=(service("S-1"),)), run_id="a", lease_s=0, now=utc_now())
    assert not isinstance(stale, Refusal)
    ledger.months.record_exports([Export(MONTH, "1", outcome)], "b")  # type: ignore[arg-type]

    assert ledger.billed.rows([MONTH]) == []
    moved = parcel("1", month="2026-11", billed=(service("S-1", month="2026-11"),))
    assert not isinstance(ledger.plans.plan(moved, run_id="c", lease_s=0, now=utc_now()), Refusal)
    assert (
        ledger.transitions.take(
            stale,
            token="t",
            temporary_path="",
            remote_path="",
            remote_dir="",
            transport="",
            endpoint="",
            holder="",
            run_id="a",
        )
        is None
    )


def test_a_plan_that_was_given_up_is_made_anew(ledger: Ledger) -> None:
    again = parcel("1")
    ledger.plans.plan(again, run_id="a", lease_s=0, now=utc_now())
    ledger.months.record_exports([Export(MONTH, "1", "blocked")], "b")
    planned = ledger.plans.plan(again, run_id="c", lease_s=0, now=utc_now())
    assert not isinstance(planned, Refusal)
    assert planned.sha256 == again.export.sha256
    assert [row.source_id for row in ledger.billed.rows([MONTH])] == ["S-1"]


def test_recording_nothing_is_fine(ledger: Ledger) -> None:
    ledger.months.record_exports([], "run")
    ledger.months.record_outcomes([], "run")
    assert ledger.events.find() == []


def test_a_parcel_is_a_rendered_export() -> None:
    assert Parcel(rendered(), ()).revision == 1


def test_of_a_month_some_customers_can_be_asked_for_and_of_its_deliveries_some_orders(
    ledger: Ledger,
) -> None:
    parcels = [parcel(f"{number}", billed=(service(f"S-{number}"),)) for number in range(5)]
    ledger.months.record_exports([one.export for one in parcels], "run")
    deliveries = [planned(ledger, one) for one in parcels]
    assert ledger.months.customers(MONTH, ["3", "1", "unknown"]) == [
        ledger.months.customers(MONTH)[1],
        ledger.months.customers(MONTH)[3],
    ]
    assert ledger.months.customers(MONTH, []) == []
    wanted = [deliveries[4], deliveries[2]]
    found = ledger.deliveries.of_orders([one.order_number for one in wanted] + ["unknown"])
    assert sorted(one.id for one in found) == sorted(one.id for one in wanted)
    assert ledger.deliveries.of_orders([]) == []
