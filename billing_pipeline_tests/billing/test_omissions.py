"""What a person leaves out."""

from __future__ import annotations

from typing import Any

import pytest

from billing_pipeline.billing.omissions import Omission
from billing_pipeline.problems import UsageError
from billing_pipeline_tests.support.billing import (
    MONTH,
    bill,
    billed_source,
    ledger,
    lines_of,
    outcomes,
    problems_in,
)
from billing_pipeline_tests.support.frames import faulty, fee, service

ME = "10023"


def omit(**cells: Any) -> Omission:
    said: dict[str, Any] = {"reason": "by hand", "author": "Kim", "month": MONTH}
    return Omission(**said | cells)


@pytest.mark.parametrize("month", [MONTH, None])
def test_an_omitted_customer_is_counted_with_the_reason_and_who_decided(month: str | None) -> None:
    rows = [service(), service("S-2", customer_number="2")]
    billed = bill(*rows, omissions=[omit(customer_number=ME, month=month)])
    assert outcomes(billed) == {ME: "omitted", "2": "to_bill"}
    assert billed.roster["reason"][0] == "by hand (Kim)"
    assert set(billed.lines["customer_number"]) == {"2"}


def test_an_omission_of_another_month_leaves_nothing_out() -> None:
    assert outcomes(bill(service(), omissions=[omit(customer_number=ME, month="2026-11")])) == {ME: "to_bill"}


def test_an_omitted_service_goes_with_its_fee_and_the_others_stay() -> None:
    rows = [service("S-1"), service("S-2"), fee("F-1", service_id="S-2"), fee("F-2")]
    billed = bill(*rows, omissions=[omit(service_id="S-2")])
    assert [line.source_ids for line in lines_of(billed)] == [["S-1"], ["F-2"]]
    assert outcomes(billed) == {ME: "to_bill"}


def test_a_customer_of_whom_every_row_is_left_out_is_omitted() -> None:
    billed = bill(service(), omissions=[omit(service_id="S-1", month=None)])
    assert (outcomes(billed), billed.roster["reason"][0]) == ({ME: "omitted"}, "S-1: by hand (Kim)")


def test_leaving_out_what_is_not_billable_omits_nobody() -> None:
    billed = bill(service(status="cancelled"), omissions=[omit(service_id="S-1")])
    assert outcomes(billed) == {ME: "nothing_to_bill"}


def test_a_late_row_can_be_left_out_of_the_month_that_it_joins() -> None:
    september = service("S-9", completed_at="2026-09-28T10:00:00Z")
    view = ledger(closed=[(ME, "2026-09")])
    billed = bill(service(), september, ledger_view=view, omissions=[omit(service_id="S-9")])
    assert [line.source_ids for line in lines_of(billed)] == [["S-1"]]


def test_leaving_out_a_row_leaves_out_its_faults() -> None:
    broken = faulty(service("S-2"), "PRICE_INVALID", "unit_price_net", "-1")
    assert outcomes(bill(service(), broken)) == {ME: "blocked"}
    assert outcomes(bill(service(), broken, omissions=[omit(service_id="S-2")])) == {ME: "to_bill"}
    assert outcomes(bill(broken, omissions=[omit(customer_number=ME)])) == {ME: "omitted"}


def test_an_unknown_customer_can_be_left_out() -> None:
    assert outcomes(bill(service(), customers=[], omissions=[omit(customer_number=ME)])) == {ME: "omitted"}


def test_what_was_left_out_of_its_month_does_not_come_back_as_a_late_row() -> None:
    september = service("S-9", completed_at="2026-09-28T10:00:00Z")
    view = ledger(closed=[(ME, "2026-09")])
    for omission in (omit(service_id="S-9", month="2026-09"), omit(customer_number=ME, month="2026-09")):
        billed = bill(service(), september, ledger_view=view, omissions=[omission])
        assert [line.source_ids for line in lines_of(billed)] == [["S-1"]]
        assert problems_in(billed) == []


def test_what_was_delivered_cannot_be_left_out_any_more() -> None:
    first = bill(service())
    delivered = ledger(billed_source(first, "S-1"), closed=[(ME, MONTH)])
    omission = omit(customer_number=ME)
    again = bill(service(), ledger_view=delivered, omissions=[omission])
    assert again.lines.equals(first.lines)
    corrected = bill(service(), ledger_view=delivered.reopened([ME], MONTH), omissions=[omission])
    assert outcomes(corrected) == {ME: "omitted"}


@pytest.mark.parametrize(
    "cells",
    [{}, {"customer_number": ME, "service_id": "S-1"}, {"customer_number": ME, "reason": " "}],
)
def test_an_omission_names_one_thing_and_a_reason(cells: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="an omission"):
        omit(**cells)
