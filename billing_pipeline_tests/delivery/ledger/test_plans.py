"""Plans and the rows they bill: in one transaction, superseded until committed, billed once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from billing_pipeline.delivery.ledger import Ledger, Refusal, utc_now
from billing_pipeline.delivery.records import Delivery, Parcel, State
from billing_pipeline.problems import Code
from billing_pipeline_tests.support.ledgers import committed, planned, published, taken
from billing_pipeline_tests.support.parcels import MONTH, parcel, service


def refused(ledger: Ledger, parcel: Parcel) -> list[Code]:
    answer = ledger.plans.plan(parcel, run_id="run", lease_s=0, now=utc_now())
    assert isinstance(answer, Refusal)
    return [problem.code for problem in answer.problems]


def billed(ledger: Ledger) -> dict[str, str]:
    """Order numbers by the row they bill."""
    return {row.source_id: row.order_number for row in ledger.billed.rows([MONTH, "2026-11"])}


def test_a_plan_says_what_the_parcel_says(ledger: Ledger) -> None:
    one = parcel(billed=(service("S-1"), service("S-2", month="2026-09", fingerprint="other")))
    delivery = planned(ledger, one)
    assert delivery.state is State.PLANNED
    for name in ("order_number", "file_name", "sha256", "document_sha256", "size_bytes", "net", "gross"):
        assert getattr(delivery, name) == getattr(one.export, name)
    assert ledger.deliveries.of_order(one.export.order_number) == delivery
    assert ledger.deliveries.of_month(MONTH) == ledger.deliveries.of_month() == [delivery]
    [row] = ledger.billed.rows(["2026-09"])
    assert (row.source_id, row.fingerprint, row.month, row.delivery_month, row.committed) == (
        "S-2",
        "other",
        "2026-09",
        MONTH,
        False,
    )


def test_the_same_plan_again_is_the_same_row(ledger: Ledger) -> None:
    assert planned(ledger, parcel()) == planned(ledger, parcel())


def test_a_plan_is_superseded_in_place_and_rows_it_no_longer_bills_are_free(ledger: Ledger) -> None:
    first = planned(ledger, parcel(data=b"1", billed=(service("S-1"), service("S-2"))))
    second = planned(ledger, parcel(data=b"2", billed=(service("S-2"), service("S-3"))))
    assert (second.id, second.state) == (first.id, State.PLANNED)
    assert second.sha256 != first.sha256
    assert billed(ledger) == {"S-2": "2026-10-10023", "S-3": "2026-10-10023"}
    planned(ledger, parcel("2", billed=(service("S-1"),)))


def test_whoever_read_the_plan_before_it_was_superseded_cannot_take_it(ledger: Ledger) -> None:
    stale = planned(ledger, parcel(data=b"1"))
    planned(ledger, parcel(data=b"2"))
    assert taken(ledger, stale) is None


def test_a_row_whose_fingerprint_changed_is_billed_anew(ledger: Ledger) -> None:
    planned(ledger, parcel(billed=(service("S-1", fingerprint="a"),)))
    planned(ledger, parcel(billed=(service("S-1", fingerprint="b"),)))
    assert [row.fingerprint for row in ledger.billed.rows([MONTH])] == ["b"]


def test_an_upload_at_work_is_not_superseded(ledger: Ledger) -> None:
    held_by_another = taken(ledger, planned(ledger, parcel(data=b"1")), holder="another-machine ? 1 1")
    answer = ledger.plans.plan(parcel(data=b"2"), run_id="run", lease_s=3600, now=utc_now())
    assert answer == held_by_another
    later = utc_now() + timedelta(seconds=3601)
    answer = ledger.plans.plan(parcel(data=b"2"), run_id="run", lease_s=3600, now=later)
    assert isinstance(answer, Delivery)
    assert (answer.state, answer.sha256) == (State.PLANNED, parcel(data=b"2").export.sha256)


def test_an_upload_nobody_is_at_work_on_is_superseded(ledger: Ledger) -> None:
    dead = taken(ledger, planned(ledger, parcel(data=b"1")))
    assert dead is not None
    again = planned(ledger, parcel(data=b"2"))
    assert (again.id, again.state) == (dead.id, State.PLANNED)
    assert again.temporary_path == dead.temporary_path
    assert committed(ledger, dead) is None


@pytest.mark.parametrize(
    "reached", [committed, lambda ledger, row: published(ledger, committed(ledger, row))]
)
def test_what_is_committed_is_never_superseded(
    ledger: Ledger, reached: Callable[[Ledger, Delivery | None], Delivery | None]
) -> None:
    before = reached(ledger, taken(ledger, planned(ledger, parcel(data=b"1", billed=(service("S-1"),)))))
    answer = ledger.plans.plan(parcel(data=b"2", billed=()), run_id="run", lease_s=0, now=utc_now())
    assert answer == before
    assert billed(ledger) == {"S-1": "2026-10-10023"}
    assert ledger.deliveries.closed([MONTH]) == {("10023", MONTH)}


def test_a_row_is_billed_by_one_file_only(ledger: Ledger) -> None:
    planned(ledger, parcel("1", billed=(service("S-1"), service("S-2"), service("S-3"))))
    assert refused(ledger, parcel("2", billed=(service("S-2"), service("S-9"), service("S-3")))) == [
        Code.ALREADY_BILLED,
        Code.ALREADY_BILLED,
    ]
    assert billed(ledger) == dict.fromkeys(["S-1", "S-2", "S-3"], "2026-10-1")
    assert ledger.deliveries.of_order("2026-10-2") is None


def test_a_service_and_a_fee_may_have_the_same_number(ledger: Ledger) -> None:
    fee = replace(service("7"), source_kind="fee")
    planned(ledger, parcel("1", billed=(service("7"),)))
    planned(ledger, parcel("2", billed=(fee,)))


def test_a_refused_change_leaves_the_plan_as_it_was(ledger: Ledger) -> None:
    planned(ledger, parcel("1", billed=(service("S-1"),)))
    before = planned(ledger, parcel("2", b"before", billed=(service("S-2"),)))
    assert refused(ledger, parcel("2", b"after", billed=(service("S-1"),))) == [Code.ALREADY_BILLED]
    assert ledger.deliveries.of_order("2026-10-2") == before
    assert billed(ledger) == {"S-1": "2026-10-1", "S-2": "2026-10-2"}


def test_an_order_number_belongs_to_one_customer(ledger: Ledger) -> None:
    one, other = parcel("1"), parcel("2")
    planned(ledger, one)
    clash = replace(other, export=replace(other.export, order_number=one.export.order_number))
    assert refused(ledger, clash) == [Code.DUPLICATE_KEY]


def test_a_correction_needs_what_it_corrects_to_be_sent(ledger: Ledger) -> None:
    assert refused(ledger, parcel(revision=2)) == [Code.NOT_DELIVERED_YET]
    first = planned(ledger, parcel())
    assert refused(ledger, parcel(revision=2)) == [Code.NOT_DELIVERED_YET]
    published(ledger, committed(ledger, taken(ledger, first)))
    second = planned(ledger, replace(parcel(revision=2), reason="wrong price", author="Ann"))
    assert (second.revision, second.reason, second.author) == (2, "wrong price", "Ann")
    assert billed(ledger) == {"S-10023": "2026-10-10023-r2"}
    assert refused(ledger, parcel(revision=4)) == [Code.NOT_DELIVERED_YET]
    assert ledger.deliveries.revisions(MONTH) == {"10023": 2}


def test_a_correction_planned_again_by_an_ordinary_run_keeps_its_reason(ledger: Ledger) -> None:
    published(ledger, committed(ledger, taken(ledger, planned(ledger, parcel()))))
    planned(ledger, replace(parcel(revision=2), reason="wrong price", author="Ann"))
    again = planned(ledger, parcel(data=b"newer", revision=2))
    assert (again.reason, again.author) == ("wrong price", "Ann")


def test_many_rows_are_billed_in_one_plan(ledger: Ledger) -> None:
    rows = tuple(service(f"S-{number}") for number in range(12_000))
    planned(ledger, parcel("1", billed=rows))
    assert len(ledger.billed.rows([MONTH])) == len(rows)
    assert refused(ledger, parcel("2", billed=rows[-1:])) == [Code.ALREADY_BILLED]


def test_two_who_bill_the_same_row_at_once_do_not_both_succeed(open_at: Callable[[], Ledger]) -> None:
    """Thirty pairs of customers; each pair wants one and the same row, at the same moment."""
    ledgers = [open_at(), open_at()]
    answers: dict[tuple[int, int], Delivery | Refusal] = {}
    together = threading.Barrier(2)

    def plan(side: int) -> None:
        for number in range(30):
            one = parcel(f"{number}-{side}", billed=(service(f"S-{number}"),))
            together.wait()
            answers[side, number] = ledgers[side].plans.plan(one, run_id=str(side), lease_s=0, now=utc_now())

    threads = [threading.Thread(target=plan, args=(side,)) for side in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(30):
        assert {isinstance(answers[side, number], Refusal) for side in (0, 1)} == {True, False}
    assert len(ledgers[0].deliveries.of_month()) == 30
