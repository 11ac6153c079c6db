"""What the ledger keeps of drafts: the edges of a delivery through the API, and what EASY Bill shows of any."""

from __future__ import annotations

import pytest

from billing_pipeline.delivery.ledger import Ledger, Note
from billing_pipeline.delivery.ledger.releases import NotHeld
from billing_pipeline.delivery.records import Delivery, State
from billing_pipeline.problems import Code
from billing_pipeline_tests.support.ledgers import DONE, committed, planned, published, taken
from billing_pipeline_tests.support.parcels import parcel

OFF = "the draft has 178.51 EUR, delivered were 178.50"


def in_committing(ledger: Ledger, customer_number: str = "10023") -> Delivery:
    delivery = committed(ledger, taken(ledger, planned(ledger, parcel(customer_number))))
    assert delivery is not None
    return delivery


def sent(ledger: Ledger, customer_number: str = "10023", revision: int = 1) -> Delivery:
    first = planned(ledger, parcel(customer_number, revision=revision))
    delivery = published(ledger, committed(ledger, taken(ledger, first)))
    assert delivery is not None
    return delivery


def mismatch(ledger: Ledger, delivery: Delivery) -> Delivery:
    note = Note("reconcile", OFF, outcome="failure")
    found = ledger.transitions.object_to_draft(
        delivery, Code.DRAFT_MISMATCH, OFF, note, draft_id=7, draft_net=15_001, draft_gross=17_851, run_id="r"
    )
    assert found is not None
    return found


def test_a_created_draft_is_published_with_its_id_and_link(ledger: Ledger) -> None:
    delivery = ledger.transitions.created(
        in_committing(ledger), DONE, draft_id=7, link="https://x/documents/7"
    )
    assert delivery is not None
    assert (delivery.state, delivery.draft_id, delivery.remote_path) == (
        State.PUBLISHED,
        7,
        "https://x/documents/7",
    )


def test_a_creation_that_is_certain_overrules_a_doubt(ledger: Ledger) -> None:
    delivery = in_committing(ledger)
    assert ledger.transitions.hold(delivery, Code.DELIVERY_FAILED, "in doubt", DONE) is not None
    after = ledger.transitions.created(delivery, DONE, draft_id=7, link="x")
    assert after is not None
    assert (after.state, after.held_code) == (State.PUBLISHED, None)


def test_a_refused_creation_is_a_plan_again_under_another_token(ledger: Ledger) -> None:
    delivery = in_committing(ledger)
    after = ledger.transitions.refused(delivery, DONE)
    assert after is not None
    assert (after.state, after.committed_at, after.holder) == (State.PLANNED, None, "")
    assert after.token != delivery.token
    assert ledger.transitions.created(delivery, DONE, draft_id=7, link="x") is None


def test_what_is_wrong_with_a_draft_stands_until_it_is_right(ledger: Ledger) -> None:
    wrong = mismatch(ledger, sent(ledger))
    assert (wrong.state, wrong.held_code, wrong.held_reason) == (State.PUBLISHED, Code.DRAFT_MISMATCH, OFF)
    assert [delivery.order_number for delivery in ledger.deliveries.unconfirmed()] == [wrong.order_number]
    right = ledger.transitions.confirm(
        wrong, DONE, draft_id=7, draft_net=15_000, draft_gross=17_850, run_id="r"
    )
    assert right is not None
    assert (right.state, right.held_code, right.held_reason) == (State.CONFIRMED, None, "")
    assert ledger.deliveries.unconfirmed() == []


def test_a_confirmed_draft_may_turn_out_changed_later(ledger: Ledger) -> None:
    right = ledger.transitions.confirm(
        sent(ledger), DONE, draft_id=7, draft_net=15_000, draft_gross=17_850, run_id="r"
    )
    assert right is not None
    assert mismatch(ledger, right).state is State.CONFIRMED
    assert len(ledger.deliveries.unconfirmed()) == 1


def test_a_person_may_accept_a_draft_that_differs_but_not_send_again(ledger: Ledger) -> None:
    wrong = mismatch(ledger, sent(ledger))
    with pytest.raises(NotHeld, match="correct 2026-10 --customer 10023"):
        ledger.releases.release(wrong.order_number, as_="send", reason="again", author="Ada")
    accepted = ledger.releases.release(
        wrong.order_number, as_="delivered", reason="discount given", author="Ada"
    )
    assert (accepted.state, accepted.held_code, accepted.draft_gross) == (State.CONFIRMED, None, 17_851)
    assert ledger.deliveries.unconfirmed() == []
    last = ledger.events.find()[-1]
    assert (last.kind, last.action) == ("decision", "release as delivered")
    assert "discount given" in last.detail
    assert OFF in last.detail


def test_only_what_was_sent_can_have_a_wrong_draft(ledger: Ledger) -> None:
    delivery = in_committing(ledger)
    assert (
        ledger.transitions.object_to_draft(
            delivery,
            Code.DRAFT_MISSING,
            "x",
            DONE,
            draft_id=None,
            draft_net=None,
            draft_gross=None,
            run_id="r",
        )
        is None
    )


def test_of_a_corrected_month_only_the_correction_awaits_its_draft(ledger: Ledger) -> None:
    sent(ledger)
    second = sent(ledger, revision=2)
    sent(ledger, "10024")
    assert [delivery.order_number for delivery in ledger.deliveries.unconfirmed()] == [
        second.order_number,
        "2026-10-10024",
    ]
