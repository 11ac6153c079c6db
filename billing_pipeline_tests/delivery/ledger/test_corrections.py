"""Which rows a correction bills, and what becomes of those it leaves out, on the way from plan to sending."""

from __future__ import annotations

import pytest

from billing_pipeline.delivery.ledger import Ledger, Note, Refusal, utc_now
from billing_pipeline.delivery.ledger.planned_rows import billed_elsewhere
from billing_pipeline.delivery.records import BilledRow, Delivery, Export, Parcel
from billing_pipeline.problems import Code
from billing_pipeline_tests.support.parcels import MONTH, parcel, rendered, service

NEXT = "2026-11"


def planned(ledger: Ledger, one: Parcel) -> Delivery:
    delivery = ledger.plans.plan(one, run_id="run", lease_s=0, now=utc_now())
    assert isinstance(delivery, Delivery), delivery
    return delivery


def sent(ledger: Ledger, one: Parcel) -> Delivery:
    """The parcel, published."""
    taken = ledger.transitions.take(
        planned(ledger, one),
        token=f"token of {one.export.order_number}",
        temporary_path="/import/.tmp",
        remote_path=f"/import/{one.export.file_name}",
        remote_dir="/import",
        transport="fake",
        endpoint="fake://inbox",
        holder="",
        run_id="run",
    )
    assert taken is not None
    committed = ledger.transitions.commit(taken, Note("upload", ""))
    assert committed is not None
    published = ledger.transitions.publish(committed, Note("publish", ""))
    assert published is not None
    return published


def correction(*billed: BilledRow, data: bytes = b"second") -> Parcel:
    return Parcel(rendered("1", data, revision=2), billed, 2, "price was wrong", "Ann")


def orders(ledger: Ledger, month: str = MONTH) -> dict[str, tuple[str, bool]]:
    """By which order each row of the month is billed, and whether for good."""
    return {row.source_id: (row.order_number, row.committed) for row in ledger.billed.rows([month])}


@pytest.fixture
def first(ledger: Ledger) -> Delivery:
    """A customer's October, sent with S-1 and S-2."""
    return sent(ledger, parcel("1", billed=(service("S-1"), service("S-2"))))


def test_a_planned_correction_leaves_the_sent_file_what_it_drops(ledger: Ledger, first: Delivery) -> None:
    planned(ledger, correction(service("S-1", fingerprint="new"), service("S-3")))
    assert orders(ledger) == {
        "S-1": ("2026-10-1-r2", True),
        "S-2": ("2026-10-1", True),
        "S-3": ("2026-10-1-r2", True),
    }
    elsewhere = ledger.plans.plan(
        parcel("2", month=NEXT, billed=(service("S-2"),)), run_id="run", lease_s=0, now=utc_now()
    )
    assert isinstance(elsewhere, Refusal)


def test_the_file_that_is_corrected_may_not_bill_again_what_its_correction_bills(
    ledger: Ledger, first: Delivery
) -> None:
    planned(ledger, correction(service("S-1", fingerprint="new")))
    again = parcel("1", billed=(service("S-1"), service("S-2")))
    with ledger.database.reading() as connection:
        (found,) = billed_elsewhere(connection, again)
    assert (found.code, found.source_id) == (Code.ALREADY_BILLED, "S-1")
    assert "2026-10-1-r2" in found.message


def test_what_a_correction_drops_is_free_once_it_is_sent(ledger: Ledger, first: Delivery) -> None:
    sent(ledger, correction(service("S-1", fingerprint="new")))
    assert orders(ledger) == {"S-1": ("2026-10-1-r2", True)}
    sent(ledger, parcel("1", b"late", month=NEXT, billed=(service("S-2"),)))
    assert orders(ledger)["S-2"] == ("2026-11-1", True)


def test_a_correction_given_up_leaves_everything_as_it_was_sent(ledger: Ledger, first: Delivery) -> None:
    before = ledger.billed.rows([MONTH])
    planned(ledger, correction(service("S-1", fingerprint="new"), service("S-3")))
    assert ledger.deliveries.open_corrections(MONTH) == {"1"}
    ledger.months.record_exports([Export(MONTH, "1", "blocked")], "run")
    assert ledger.billed.rows([MONTH]) == before
    assert ledger.deliveries.open_corrections(MONTH) == frozenset()
    assert ledger.deliveries.revisions(MONTH) == {"1": 1}


def test_a_correction_planned_anew_gives_back_what_it_no_longer_bills(
    ledger: Ledger, first: Delivery
) -> None:
    planned(ledger, correction(service("S-1"), service("S-2"), service("S-3")))
    planned(ledger, correction(service("S-1"), data=b"third"))
    assert orders(ledger) == {"S-1": ("2026-10-1-r2", True), "S-2": ("2026-10-1", True)}
    sent(ledger, correction(service("S-1"), data=b"third"))
    assert orders(ledger) == {"S-1": ("2026-10-1-r2", True)}


def test_what_a_sent_correction_dropped_does_not_come_back_with_the_next_one(
    ledger: Ledger, first: Delivery
) -> None:
    sent(ledger, correction(service("S-1")))
    third = rendered("1", b"third", revision=3)
    planned(ledger, Parcel(third, (service("S-1"), service("S-2")), 3, "again", "Ann"))
    planned(ledger, Parcel(third, (service("S-1"),), 3, "again", "Ann"))
    assert orders(ledger) == {"S-1": ("2026-10-1-r3", True)}


def test_a_correction_is_logged_with_author_reason_and_the_order_it_replaces(
    ledger: Ledger, first: Delivery
) -> None:
    sent(ledger, correction(service("S-1")))
    [event] = [event for event in ledger.events.find(month=MONTH) if event.kind == "decision"]
    assert (event.action, event.order_number, event.revision) == ("correct", "2026-10-1-r2", 2)
    assert event.detail == "Ann: price was wrong (in place of 2026-10-1)"


def test_a_plan_of_a_first_file_that_was_given_up_is_no_revision(ledger: Ledger) -> None:
    planned(ledger, parcel("1"))
    assert ledger.deliveries.revisions(MONTH) == {"1": 1}
    ledger.months.record_exports([Export(MONTH, "1", "nothing_to_bill")], "run")
    assert ledger.deliveries.revisions(MONTH) == {}


def test_a_billed_row_is_found_by_its_name_whatever_its_month_was(ledger: Ledger) -> None:
    sent(ledger, parcel("1", billed=(service("S-1"), service("S-2"))))
    found = ledger.billed.sources([NEXT], {"service": ["S-2", "S-9"], "fee": ["S-1"]})
    assert found.astype(object).where(found.notna(), None).to_dict("records") == [
        {
            "source_kind": "service",
            "source_id": "S-2",
            "customer_number": "1",
            "billed_month": MONTH,
            "month": MONTH,
            "order_number": f"{MONTH}-1",
            "fingerprint": "f",
            "accepted": None,
        }
    ]


def test_a_row_of_the_months_and_among_the_ids_is_found_once_however_many_ids_there_are(
    ledger: Ledger,
) -> None:
    sent(ledger, parcel("1", billed=(service("S-1"), service("S-2"))))
    many = [f"X-{number}" for number in range(120_000)]
    found = ledger.billed.sources([MONTH], {"service": ["S-1", 'it\'s "S" \\ {,}', *many]})
    assert sorted(found["source_id"]) == ["S-1", "S-2"]
    assert list(ledger.billed.sources([NEXT], {"service": many, "fee": []})["source_id"]) == []


def test_a_plan_that_is_not_committed_bills_nothing_for_good(ledger: Ledger) -> None:
    planned(ledger, parcel("1", billed=(service("S-1"),)))
    assert len(ledger.billed.rows([MONTH])) == 1
    assert len(ledger.billed.sources([MONTH], {"service": ["S-1"]})) == 0


def test_what_the_file_of_another_month_bills_is_told_apart(ledger: Ledger) -> None:
    sent(ledger, parcel("1", billed=(service("S-1"), service("S-0", month="2026-09"))))
    assert ledger.billed.with_other_months("2026-09") == {("service", "S-0")}
    assert ledger.billed.with_other_months(MONTH) == set()


def test_a_correction_accepted_as_delivered_frees_what_it_drops(ledger: Ledger, first: Delivery) -> None:
    taken = ledger.transitions.take(
        planned(ledger, correction(service("S-1"))),
        token="t",
        temporary_path="/import/.tmp",
        remote_path="/import/f",
        remote_dir="/import",
        transport="fake",
        endpoint="fake://inbox",
        holder="",
        run_id="run",
    )
    assert taken is not None
    ledger.transitions.hold(taken, Code.NAME_COLLISION, "it is there already", Note("hold", ""))
    assert orders(ledger)["S-2"] == ("2026-10-1", True)
    ledger.releases.release("2026-10-1-r2", as_="delivered", reason="I put it there", author="Ann")
    assert orders(ledger) == {"S-1": ("2026-10-1-r2", True)}
