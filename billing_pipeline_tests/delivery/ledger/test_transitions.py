"""The edges between states: each is won by one, and lost by everybody else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import pytest
import sqlalchemy as sa

from billing_pipeline.delivery.ledger import Ledger, Note, open_ledger
from billing_pipeline.delivery.records import SENT_STATES, Delivery, State
from billing_pipeline.problems import Code
from billing_pipeline_tests.support.ledgers import DONE, committed, planned, published, taken
from billing_pipeline_tests.support.parcels import MONTH, parcel


def held(ledger: Ledger, delivery: Delivery | None) -> Delivery | None:
    return delivery and ledger.transitions.hold(delivery, Code.NAME_COLLISION, "a file is there", DONE)


def given_back(ledger: Ledger, delivery: Delivery | None) -> Delivery | None:
    return delivery and ledger.transitions.give_back(delivery, DONE)


def consumed(ledger: Ledger, delivery: Delivery | None) -> Delivery | None:
    return delivery and ledger.transitions.consumed(delivery, DONE)


def confirmed(ledger: Ledger, delivery: Delivery | None) -> Delivery | None:
    return delivery and ledger.transitions.confirm(
        delivery, DONE, draft_id=7, draft_net=15_000, draft_gross=17_850, run_id="run"
    )


def withdrawn(ledger: Ledger, delivery: Delivery | None) -> Delivery | None:
    return delivery and ledger.releases.release(
        delivery.order_number, as_="withdrawn", reason="the draft was deleted", author="Ann"
    )


TRANSITIONS: dict[str, Callable[[Ledger, Delivery | None], Delivery | None]] = {
    "take": lambda ledger, delivery: delivery and taken(ledger, delivery),
    "commit": committed,
    "adopt": lambda ledger, delivery: (
        delivery and ledger.transitions.adopt(delivery, holder="other", run_id="other")
    ),
    "publish": published,
    "hold": held,
    "give back": given_back,
    "consumed": consumed,
    "confirm": confirmed,
}

STATES: dict[State, Callable[[Ledger], Delivery | None]] = {
    State.PLANNED: lambda ledger: planned(ledger, parcel()),
    State.UPLOADING: lambda ledger: taken(ledger, planned(ledger, parcel()), holder="me"),
    State.COMMITTING: lambda ledger: committed(ledger, STATES[State.UPLOADING](ledger)),
    State.PUBLISHED: lambda ledger: published(ledger, STATES[State.COMMITTING](ledger)),
    State.CONSUMED: lambda ledger: consumed(ledger, STATES[State.PUBLISHED](ledger)),
    State.CONFIRMED: lambda ledger: confirmed(ledger, STATES[State.CONSUMED](ledger)),
    State.HELD: lambda ledger: held(ledger, STATES[State.COMMITTING](ledger)),
    State.WITHDRAWN: lambda ledger: withdrawn(ledger, STATES[State.CONSUMED](ledger)),
}

ALLOWED: dict[tuple[State, str], State] = {
    (State.PLANNED, "take"): State.UPLOADING,
    (State.UPLOADING, "take"): State.UPLOADING,
    (State.UPLOADING, "commit"): State.COMMITTING,
    (State.UPLOADING, "hold"): State.HELD,
    (State.UPLOADING, "give back"): State.PLANNED,
    (State.COMMITTING, "adopt"): State.COMMITTING,
    (State.COMMITTING, "publish"): State.PUBLISHED,
    (State.COMMITTING, "hold"): State.HELD,
    (State.COMMITTING, "give back"): State.COMMITTING,
    (State.PUBLISHED, "consumed"): State.CONSUMED,
    (State.PUBLISHED, "confirm"): State.CONFIRMED,
    (State.CONSUMED, "confirm"): State.CONFIRMED,
    (State.CONFIRMED, "confirm"): State.CONFIRMED,
}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("edge", list(TRANSITIONS))
def test_each_state_is_left_only_by_its_own_edges(sqlite_ledger: Ledger, state: State, edge: str) -> None:
    before = STATES[state](sqlite_ledger)
    assert before is not None
    assert before.state is state
    after = TRANSITIONS[edge](sqlite_ledger, before)
    assert (after and after.state) == ALLOWED.get((state, edge))
    assert sqlite_ledger.deliveries.of_order(before.order_number) == (after or before)


@pytest.mark.parametrize("edge", list(TRANSITIONS))
def test_an_edge_is_lost_with_a_token_that_is_no_longer_valid(ledger: Ledger, edge: str) -> None:
    stale = taken(ledger, planned(ledger, parcel()))
    assert stale is not None
    now = taken(ledger, stale)
    assert TRANSITIONS[edge](ledger, stale) is None
    assert ledger.deliveries.of_order(stale.order_number) == now
    assert ledger.events.find() == []


def test_every_edge_says_when_it_was_taken(ledger: Ledger) -> None:
    delivery = STATES[State.CONFIRMED](ledger)
    assert delivery is not None
    times = [delivery.created_at, delivery.committed_at, delivery.published_at, delivery.confirmed_at]
    assert None not in times
    assert times == sorted(time for time in times if time is not None)
    assert (delivery.draft_id, delivery.draft_net, delivery.draft_gross) == (7, 15_000, 17_850)


def test_what_an_edge_was_taken_for_is_logged_with_it(ledger: Ledger) -> None:
    delivery = taken(ledger, planned(ledger, parcel()))
    assert delivery is not None
    ledger.transitions.give_back(delivery, Note("attempt", "no space", outcome="failure"))
    [event] = ledger.events.find(customer_number="10023")
    assert (event.month, event.revision, event.order_number) == (MONTH, 1, "2026-10-10023")
    assert (event.kind, event.action, event.outcome, event.detail) == (
        "exchange",
        "attempt",
        "failure",
        "no space",
    )


def test_a_delivery_given_back_has_no_holder_and_keeps_its_token(ledger: Ledger) -> None:
    for state in (State.UPLOADING, State.COMMITTING):
        delivery = STATES[state](ledger)
        after = given_back(ledger, delivery)
        assert delivery is not None
        assert after is not None
        assert (after.token, after.holder) == (delivery.token, "")


def test_a_token_that_is_taken_over_leaves_its_temporary_file_to_be_removed(ledger: Ledger) -> None:
    first = taken(ledger, planned(ledger, parcel()))
    second = first and taken(ledger, first)
    third = second and taken(ledger, second)
    assert first is not None
    assert second is not None
    assert third is not None
    assert third.leftovers == (first.temporary_path, second.temporary_path)
    done = committed(ledger, third)
    assert done is not None
    assert done.leftovers == ()


def test_who_renamed_may_say_so_even_after_another_has_held_it(ledger: Ledger) -> None:
    asleep = STATES[State.COMMITTING](ledger)
    assert asleep is not None
    held(ledger, asleep)
    assert ledger.transitions.publish(asleep, DONE) is None
    after = ledger.transitions.publish(asleep, DONE, renamed=True)
    assert after is not None
    assert (after.state, after.held_code, after.held_reason) == (State.PUBLISHED, None, "")


def test_of_many_who_take_an_edge_at_once_one_wins(open_at: Callable[[], Ledger]) -> None:
    ledgers = [open_at() for _ in range(4)]
    together = threading.Barrier(len(ledgers))
    rounds = [planned(ledgers[0], parcel(str(number))) for number in range(25)]
    wins: list[int] = []

    def race(ledger: Ledger, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            together.wait()
            won = taken(ledger, delivery)
            if won is not None and committed(ledger, won) is not None:
                wins.append(delivery.id)

    threads = [threading.Thread(target=race, args=(ledger, rounds)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wins) == [delivery.id for delivery in rounds]
    assert {row.state for row in ledgers[0].deliveries.of_month()} == {State.COMMITTING}


def test_a_sent_state_is_closed_for_good() -> None:
    assert not any(edge in {"take", "commit"} for state, edge in ALLOWED if state in SENT_STATES)


def test_commits_are_durable(ledger_url: str) -> None:
    with open_ledger(ledger_url).database.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            assert connection.execute(sa.text("PRAGMA synchronous")).scalar() == 2
            assert connection.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"
        else:
            assert connection.execute(sa.text("SHOW synchronous_commit")).scalar() == "on"
            assert connection.execute(sa.text("SHOW transaction_isolation")).scalar() == "read committed"
