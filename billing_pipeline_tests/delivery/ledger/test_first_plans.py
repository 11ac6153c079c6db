"""Parcels that are planned together: as they would be one by one, or left to be planned so."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.delivery.ledger import Ledger, open_ledger
from billing_pipeline.delivery.ledger import first_plans as module
from billing_pipeline.delivery.records import Delivery, Parcel, State
from billing_pipeline_tests.support.ledgers import committed, planned, published, taken
from billing_pipeline_tests.support.parcels import MONTH, parcel, service

SIX = [
    parcel(f"{number}", f"file {number}".encode(), billed=(service(f"S-{number}"), service(f"T-{number}")))
    for number in range(6)
]


def plan(ledger: Ledger, parcels: list[Parcel]) -> dict[str, Delivery]:
    return ledger.first_plans.plan(parcels, run_id="run")


def billed(ledger: Ledger) -> list[tuple[Any, ...]]:
    return sorted(
        (row.source_id, row.fingerprint, row.month, row.delivery_month, row.order_number, row.customer_number)
        for row in ledger.billed.rows([MONTH])
    )


def said(delivery: Delivery) -> dict[str, Any]:
    """All but what differs from plan to plan."""
    names = {field.name for field in fields(Delivery)} - {"id", "token", "created_at", "updated_at"}
    return {name: getattr(delivery, name) for name in names}


@pytest.mark.parametrize("rows_together", [1, 5, 5_000])
def test_parcels_that_are_planned_together_say_what_they_say_planned_one_by_one(
    open_at: Callable[[], Ledger], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_together: int
) -> None:
    monkeypatch.setattr(module, "_ROWS_TOGETHER", rows_together)
    together, one_by_one = open_at(), open_ledger(f"sqlite:///{tmp_path}/other.db")
    answer = plan(together, SIX)
    expected = {one.export.order_number: planned(one_by_one, one) for one in SIX}
    assert {order: said(one) for order, one in answer.items()} == {
        order: said(one) for order, one in expected.items()
    }
    assert billed(together) == billed(one_by_one)
    assert together.deliveries.of_month(MONTH) == sorted(answer.values(), key=lambda one: one.customer_number)
    assert len({one.token for one in answer.values()}) == len(SIX)
    one_by_one.close()


def test_what_was_planned_together_is_found_so_and_sent_under_its_token(ledger: Ledger) -> None:
    answer = plan(ledger, SIX)
    for one in SIX:
        assert planned(ledger, one) == answer[one.export.order_number]
    sent = published(ledger, committed(ledger, taken(ledger, answer[SIX[0].export.order_number])))
    assert sent is not None
    assert sent.state is State.PUBLISHED


def test_a_customer_of_whom_there_is_a_delivery_is_left_to_be_planned_alone(ledger: Ledger) -> None:
    before = planned(ledger, SIX[2])
    renamed = replace(SIX[2].export, order_number="numbered otherwise since")
    answer = plan(ledger, [replace(SIX[2], export=renamed, billed=(service("other"),)), SIX[3]])
    assert list(answer) == [SIX[3].export.order_number]
    assert ledger.deliveries.of_order(before.order_number) == before


def test_a_correction_is_left_to_be_planned_alone(ledger: Ledger) -> None:
    published(ledger, committed(ledger, taken(ledger, planned(ledger, parcel("1")))))
    correction = replace(parcel("1", revision=2), reason="wrong price", author="Ann")
    assert plan(ledger, [correction, parcel("2", revision=2)]) == {}
    assert len(ledger.deliveries.of_month(MONTH)) == 1


def test_an_order_number_that_is_taken_is_left_to_be_refused_and_nobody_else(ledger: Ledger) -> None:
    planned(ledger, SIX[0])
    export = replace(SIX[1].export, order_number=SIX[0].export.order_number)
    assert list(plan(ledger, [replace(SIX[1], export=export), SIX[2]])) == [SIX[2].export.order_number]


def test_who_bills_a_row_that_is_billed_is_left_to_be_refused_and_nobody_else(ledger: Ledger) -> None:
    planned(ledger, parcel("elsewhere", billed=(service("T-4"),)))
    answer = plan(ledger, SIX)
    assert set(answer) == {one.export.order_number for one in SIX if one is not SIX[4]}
    assert "S-4" not in {row[0] for row in billed(ledger)}


def test_where_two_of_them_want_the_same_row_nothing_is_planned_together(ledger: Ledger) -> None:
    assert plan(ledger, [SIX[0], replace(SIX[1], billed=SIX[0].billed)]) == {}
    assert ledger.deliveries.of_month(MONTH) == []
    assert billed(ledger) == []


def test_two_runs_that_plan_the_same_month_at_once_plan_each_delivery_once(
    open_at: Callable[[], Ledger],
) -> None:
    parcels = [parcel(f"{number}", billed=(service(f"S-{number}"),)) for number in range(200)]
    ledgers = [open_at(), open_at()]
    answers: list[dict[str, Delivery]] = []
    together = threading.Barrier(2)

    def run(ledger: Ledger) -> None:
        together.wait()
        answers.append(ledger.first_plans.plan(parcels, run_id="run"))

    threads = [threading.Thread(target=run, args=(ledger,)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = answers
    assert not first.keys() & second.keys()
    assert len(ledgers[0].deliveries.of_month(MONTH)) == len(first) + len(second) == len(parcels)
    assert len(billed(ledgers[0])) == len(parcels)


def test_nothing_to_plan_is_fine(ledger: Ledger) -> None:
    assert plan(ledger, []) == {}
