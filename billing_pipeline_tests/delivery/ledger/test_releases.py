"""What people decide: releases, omissions and adjustments, with author, reason and history."""

from __future__ import annotations

from decimal import Decimal

import pytest

from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.releases import NotHeld
from billing_pipeline.delivery.records import AdjustmentRecord, Delivery, DeliveryResult, State
from billing_pipeline.problems import Code, Problem, UsageError
from billing_pipeline_tests.support.ledgers import DONE, committed, planned, published, taken
from billing_pipeline_tests.support.parcels import MONTH, parcel, rendered, service

ORDER = "2026-10-10023"


def held(ledger: Ledger, *, after_commit: bool = False) -> Delivery:
    ledger.months.record_exports([rendered()], "run")
    delivery = taken(ledger, planned(ledger, parcel()))
    if after_commit:
        delivery = committed(ledger, delivery)
    assert delivery is not None
    result = ledger.transitions.hold(delivery, Code.NAME_COLLISION, "a file is there", DONE)
    assert result is not None
    ledger.months.record_outcomes([DeliveryResult(MONTH, "10023", "held", sha256=delivery.sha256)], "run")
    return result


def changed_after_delivery(ledger: Ledger) -> Delivery:
    ledger.months.record_exports([rendered()], "run")
    delivery = published(ledger, committed(ledger, taken(ledger, planned(ledger, parcel()))))
    assert delivery is not None
    ledger.months.record_exports([rendered(data=b"newer")], "run")
    problem = Problem(Code.CHANGED_AFTER_DELIVERY, "10023", "other content")
    ledger.months.record_outcomes(
        [DeliveryResult(MONTH, "10023", "held", (problem,), rendered(data=b"newer").sha256)], "run"
    )
    return delivery


@pytest.mark.parametrize("after_commit", [False, True])
def test_released_to_be_sent_it_is_a_plan_again(ledger: Ledger, after_commit: bool) -> None:
    before = held(ledger, after_commit=after_commit)
    after = ledger.releases.release(ORDER, as_="send", reason="removed the other file", author="Ann")
    assert (after.state, after.committed_at, after.released_as) == (State.PLANNED, None, "send")
    assert after.token != before.token
    assert after.temporary_path == before.temporary_path
    assert (after.held_code, after.held_reason) == (None, "")
    assert ledger.deliveries.closed([MONTH]) == frozenset()
    [row] = ledger.months.customers(MONTH)
    assert row.delivery_outcome is None


@pytest.mark.parametrize("after_commit", [False, True])
def test_released_as_delivered_it_is_published_and_the_month_closed(
    ledger: Ledger, after_commit: bool
) -> None:
    held(ledger, after_commit=after_commit)
    after = ledger.releases.release(ORDER, as_="delivered", reason="uploaded by hand", author="Ann")
    assert after.state is State.PUBLISHED
    assert after.published_at is not None
    assert ledger.deliveries.closed([MONTH]) == {("10023", MONTH)}
    [row] = ledger.months.customers(MONTH)
    assert (row.delivery_outcome, row.delivery_problems) == ("delivered", ())


def test_a_release_is_logged_with_author_and_reason(ledger: Ledger) -> None:
    held(ledger)
    ledger.releases.release(ORDER, as_="send", reason="removed the other file", author="Ann")
    [event] = [event for event in ledger.events.find() if event.kind == "decision"]
    assert (event.action, event.order_number) == ("release as send", ORDER)
    assert event.detail == "Ann: removed the other file (was held: a file is there)"


def test_a_difference_accepted_as_delivered_is_unchanged_from_then_on(ledger: Ledger) -> None:
    before = changed_after_delivery(ledger)
    after = ledger.releases.release(ORDER, as_="delivered", reason="only the phone number", author="Ann")
    assert (after.state, after.sha256) == (State.PUBLISHED, before.sha256)
    assert after.accepted_sha256 == rendered(data=b"newer").sha256
    [row] = ledger.months.customers(MONTH)
    assert (row.delivery_outcome, row.delivery_problems) == ("unchanged", ())


def test_a_difference_cannot_be_sent_over_what_was_delivered(ledger: Ledger) -> None:
    changed_after_delivery(ledger)
    with pytest.raises(NotHeld, match="use `billing-pipeline correct 2026-10 --customer 10023`"):
        ledger.releases.release(ORDER, as_="send", reason="r", author="Ann")


def test_what_is_not_held_is_not_released(ledger: Ledger) -> None:
    with pytest.raises(NotHeld, match="the ledger has no order 2026-10-10023"):
        ledger.releases.release(ORDER, as_="send", reason="r", author="Ann")
    delivery = planned(ledger, parcel())
    with pytest.raises(NotHeld, match="is not held but PLANNED: run 2026-10 again"):
        ledger.releases.release(ORDER, as_="send", reason="r", author="Ann")
    published(ledger, committed(ledger, taken(ledger, delivery)))
    with pytest.raises(NotHeld, match="is not held: it was delivered"):
        ledger.releases.release(ORDER, as_="delivered", reason="r", author="Ann")


def test_what_has_been_corrected_is_not_sent_any_more(ledger: Ledger) -> None:
    held(ledger, after_commit=True)
    planned(ledger, parcel(revision=2))
    with pytest.raises(NotHeld, match="has been corrected by 2026-10-10023-r2: sending it would bill twice"):
        ledger.releases.release(ORDER, as_="send", reason="r", author="Ann")


@pytest.mark.parametrize(("reason", "author"), [("", "Ann"), ("r", " "), ("\n", "Ann")])
def test_a_decision_needs_a_reason_and_a_name(ledger: Ledger, reason: str, author: str) -> None:
    with pytest.raises(UsageError, match="--reason TEXT --by NAME"):
        ledger.releases.release(ORDER, as_="send", reason=reason, author=author)
    with pytest.raises(UsageError, match="--reason TEXT --by NAME"):
        ledger.omissions.add(month=None, customer_number="1", reason=reason, author=author)


def test_omissions_are_listed_until_removed_and_kept_for_ever(ledger: Ledger) -> None:
    always = ledger.omissions.add(month=None, customer_number="1", reason="closed", author="Ann")
    once = ledger.omissions.add(month=MONTH, service_id="S-1", reason="disputed", author="Bob")
    assert ledger.omissions.current(month=MONTH) == [always, once]
    assert ledger.omissions.current(month="2026-11") == [always]
    removed = ledger.omissions.remove(once.id, reason="settled", author="Ann")
    assert (removed.reason, removed.removed_reason, removed.removed_by) == ("disputed", "settled", "Ann")
    assert ledger.omissions.current() == [always]
    assert ledger.omissions.current(removed=True) == [always, removed]
    assert [(event.action, event.month, event.detail) for event in ledger.events.find()] == [
        ("omit", "always", "Ann: closed (customer 1)"),
        ("omit", MONTH, "Bob: disputed (service S-1)"),
        ("omit remove", MONTH, "Ann: settled (service S-1)"),
    ]


def test_an_omission_names_a_customer_or_a_service_and_is_removed_once(ledger: Ledger) -> None:
    for named in ({}, {"customer_number": "1", "service_id": "S"}):
        with pytest.raises(UsageError, match="a customer, a service or a fee"):
            ledger.omissions.add(month=None, reason="r", author="Ann", **named)
    one = ledger.omissions.add(month=None, customer_number="1", reason="r", author="Ann")
    ledger.omissions.remove(one.id, reason="r", author="Ann")
    for unknown in (one.id, 999):
        with pytest.raises(UsageError, match="no omission"):
            ledger.omissions.remove(unknown, reason="r", author="Ann")


def discount(ledger: Ledger) -> AdjustmentRecord:
    return ledger.adjustments.add(
        month=MONTH,
        customer_number="10023",
        title="Discount",
        quantity=Decimal("1.000"),
        unit_price_net=Decimal("-5.00"),
        vat_percent=Decimal(19),
        reason="goodwill",
        author="Ann",
    )


def test_an_adjustment_keeps_every_version(ledger: Ledger) -> None:
    first = discount(ledger)
    assert ledger.adjustments.of_month(MONTH) == [first]
    edited = ledger.adjustments.edit(first.id, unit_price_net=Decimal("-7.50"), reason="more", author="Bob")
    deleted = ledger.adjustments.delete(first.id, reason="no", author="Ann")
    assert ledger.adjustments.of_month(MONTH) == []
    assert ledger.adjustments.of_month(MONTH, deleted=True) == [deleted]
    back = ledger.adjustments.undo(first.id, reason="yes", author="Ann")
    assert ledger.adjustments.of_month(MONTH) == [back]
    assert (back.version, back.unit_price_net, back.deleted, back.title) == (
        4,
        Decimal("-7.50"),
        False,
        "Discount",
    )
    assert ledger.adjustments.history(MONTH) == [first, edited, deleted, back]
    assert [event.action for event in ledger.events.find()] == [
        "adjust add",
        "adjust edit",
        "adjust delete",
        "adjust undo",
    ]


def test_undone_twice_it_is_as_it_was_and_an_addition_undone_is_deleted(ledger: Ledger) -> None:
    one = discount(ledger)
    assert ledger.adjustments.undo(one.id, reason="r", author="Ann").deleted
    assert not ledger.adjustments.undo(one.id, reason="r", author="Ann").deleted
    ledger.adjustments.edit(one.id, title="Rebate", reason="r", author="Ann")
    assert ledger.adjustments.undo(one.id, reason="r", author="Ann").title == "Discount"
    assert ledger.adjustments.undo(one.id, reason="r", author="Ann").title == "Rebate"


def test_a_deleted_adjustment_is_not_edited_nor_an_unknown_one(ledger: Ledger) -> None:
    one = discount(ledger)
    ledger.adjustments.delete(one.id, reason="r", author="Ann")
    with pytest.raises(UsageError, match="is deleted"):
        ledger.adjustments.edit(one.id, title="x", reason="r", author="Ann")
    with pytest.raises(UsageError, match="no adjustment 999"):
        ledger.adjustments.delete(999, reason="r", author="Ann")
    with pytest.raises(UsageError, match="changes something"):
        ledger.adjustments.edit(one.id, reason="r", author="Ann")


def test_an_adjustment_may_change_until_its_file_is_committed(ledger: Ledger) -> None:
    one = discount(ledger)
    row = service(str(one.id))
    billing = parcel(billed=(type(row)("adjustment", row.source_id, row.month, row.fingerprint),))
    delivery = planned(ledger, billing)
    ledger.adjustments.edit(one.id, title="Rebate", reason="r", author="Ann")
    committed(ledger, taken(ledger, delivery))
    with pytest.raises(UsageError, match="is billed by order 2026-10-10023 and can no longer change"):
        ledger.adjustments.undo(one.id, reason="r", author="Ann")


def test_what_is_on_its_way_cannot_be_withdrawn_for_its_file_may_come_in_this_very_moment(
    ledger: Ledger,
) -> None:
    sending = committed(ledger, taken(ledger, planned(ledger, parcel("10023"))))
    assert sending is not None
    with pytest.raises(NotHeld, match=r"is on its way .*run 2026-10 again first"):
        ledger.releases.release(sending.order_number, as_="withdrawn", reason="it is not there", author="Ann")
    assert published(ledger, sending) is not None
