"""Withdrawing what is published and not taken: who has the file, by the inbox; and what the ledger says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from billing_pipeline.delivery.channel import Withdrawal
from billing_pipeline.delivery.files.withdraw import withdraw_month
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import Delivery, State
from billing_pipeline.delivery.transports.protocol import ConnectionLost, InboxUnavailable, PermissionRefused
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.delivering import Bench, Crash, dying_at
from billing_pipeline_tests.support.inbox import FakeServer, FakeTransport, is_final
from billing_pipeline_tests.support.ledgers import DONE
from billing_pipeline_tests.support.parcels import MONTH, parcel, rendered

SIGNED = {"reason": "EASY Bill does not have it", "author": "Ann"}
NUMBERS = ("10021", "10022", "10023")
NAME = "/import/easybill_2026-10_10021.csv"


@pytest.fixture
def bench(sqlite_ledger: Ledger, store: BlobStore) -> Bench:
    """Three customers' files in the inbox."""
    bench = Bench(sqlite_ledger, store)
    sqlite_ledger.months.record_exports([rendered(number, number.encode()) for number in NUMBERS], "run")
    for number in NUMBERS:
        bench.send(parcel(number, number.encode(), store=store))
    return bench


def withdrawn(bench: Bench, *, dying: str = "") -> dict[str, Withdrawal]:
    run = bench.run(dying_at(dying))
    withdrawals = withdraw_month(MONTH, FakeTransport(bench.server), run, timeout_s=1.0, why="10024 failed")
    return {one.delivery.customer_number: one for one in withdrawals}


def states(bench: Bench) -> list[State]:
    return [delivery.state for delivery in bench.ledger.deliveries.of_month(MONTH)]


def visible(bench: Bench) -> list[str]:
    return sorted(path for path in bench.server.files if path.startswith("/import/") and is_final(path))


def first(bench: Bench) -> Delivery:
    return bench.ledger.deliveries.of_month(MONTH)[0]


def test_what_lies_in_the_inbox_is_hidden_not_removed_and_held_for_a_person(bench: Bench) -> None:
    assert [one.why_not for one in withdrawn(bench).values()] == ["", "", ""]
    assert states(bench) == [State.HELD] * 3
    assert visible(bench) == []
    assert [bench.server.files[path] for path in bench.server.temporaries()] == [b"10021", b"10022", b"10023"]
    assert "10024 failed" in first(bench).held_reason
    assert first(bench).temporary_path in bench.server.temporaries()


def test_a_withdrawn_file_is_sent_again_only_once_a_person_says_so_and_then_once(bench: Bench) -> None:
    again = parcel("10021", b"10021", store=bench.store)
    withdrawn(bench)
    assert bench.send(again).outcome == "held"
    bench.ledger.releases.release(again.export.order_number, as_="send", **SIGNED)
    assert [bench.send(again).outcome for _ in range(2)] == ["delivered", "unchanged"]
    assert visible(bench) == [NAME]
    assert len(bench.server.temporaries()) == 2


def test_what_the_receiver_has_taken_already_is_not_touched(bench: Bench) -> None:
    bench.server.poll("archive")
    assert {one.why_not for one in withdrawn(bench).values()} == {"the receiver had taken it"}
    assert states(bench) == [State.PUBLISHED] * 3


@pytest.mark.parametrize(
    ("move", "after"), [("archive", State.CONSUMED), ("delete", State.PUBLISHED), ("error", State.HELD)]
)
def test_what_the_receiver_takes_at_the_last_moment_is_what_the_inbox_says(
    bench: Bench, move: Literal["archive", "delete", "error"], after: State
) -> None:
    def poll(server: FakeServer, operation: str, path: str) -> None:
        if operation == "read":
            server.after_each = None
            server.poll(move)

    bench.server.after_each = poll
    withdrawals = withdrawn(bench)
    assert states(bench)[0] is after
    assert withdrawals["10021"].why_not == ("" if after is State.HELD else "the receiver had taken it")
    assert bench.server.temporaries() == []


@pytest.mark.parametrize("poller", ["archive", "ignore"])
@pytest.mark.parametrize("edge", ["withdrawing", "withdrawn"])
def test_a_run_that_dies_while_withdrawing_leaves_a_question_and_release_does_not_double(
    bench: Bench, edge: str, poller: str
) -> None:
    with pytest.raises(Crash):
        withdrawn(bench, dying=edge)
    if poller == "archive":
        bench.server.poll("archive")
    again = parcel("10021", b"10021", store=bench.store)
    assert bench.send(again).outcome == "held"
    if poller == "ignore":
        bench.ledger.releases.release(again.export.order_number, as_="send", **SIGNED)
        there = edge == "withdrawing"
        assert bench.send(again).outcome == ("held" if there else "delivered")
        assert visible(bench).count(NAME) == 1


def test_a_sleeper_who_renamed_before_cannot_undo_the_withdrawal(bench: Bench) -> None:
    asleep = replace(first(bench), state=State.COMMITTING)
    withdrawn(bench)
    assert bench.ledger.transitions.publish(asleep, DONE, renamed=True) is None
    assert states(bench)[0] is State.HELD


def test_another_file_of_the_name_is_left_alone(bench: Bench) -> None:
    bench.server.files[NAME] = b"somebody else's"
    assert withdrawn(bench)["10021"].why_not == "another file has its name in the inbox"
    assert bench.server.files[NAME] == b"somebody else's"
    assert states(bench) == [State.PUBLISHED, State.HELD, State.HELD]


def test_a_rename_whose_reply_was_lost_stays_held_and_the_rest_untouched(bench: Bench) -> None:
    bench.server.fail("rename", ConnectionLost("fake: gone"), when="after")
    withdrawals = withdrawn(bench)
    assert states(bench) == [State.HELD, State.PUBLISHED, State.PUBLISHED]
    assert [withdrawals[number].why_not for number in NUMBERS] == ["", "fake: gone", "fake: gone"]


def test_one_refused_file_does_not_keep_the_others(bench: Bench) -> None:
    bench.server.fail("read", PermissionRefused("fake: may not"))
    assert withdrawn(bench)["10021"].why_not == "fake: may not"
    assert states(bench) == [State.PUBLISHED, State.HELD, State.HELD]


def test_an_inbox_out_of_reach_is_told_and_nothing_is_held(bench: Bench) -> None:
    bench.server.fail("connect", InboxUnavailable("fake: refused"), times=-1)
    assert {one.why_not for one in withdrawn(bench).values()} == {"fake: refused"}
    assert states(bench) == [State.PUBLISHED] * 3


def test_corrections_and_what_a_person_accepted_are_left_alone(bench: Bench) -> None:
    bench.send(parcel("10022", b"better", revision=2, store=bench.store))
    withdrawn(bench)
    bench.ledger.releases.release("2026-10-10021", as_="delivered", **SIGNED)
    assert withdrawn(bench) == {}
    assert [(row.order_number, row.state) for row in bench.ledger.deliveries.of_month(MONTH)] == [
        ("2026-10-10021", State.PUBLISHED),
        ("2026-10-10022", State.PUBLISHED),
        ("2026-10-10022-r2", State.PUBLISHED),
        ("2026-10-10023", State.HELD),
    ]


def test_a_refused_withdrawal_is_not_told_as_done(bench: Bench) -> None:
    bench.server.fail("rename", PermissionRefused("fake: rename"), times=-1)
    withdrawn(bench)
    held = [one for one in bench.ledger.deliveries.of_month(MONTH) if one.state is State.HELD]
    assert held
    for delivery in held:
        assert "it was withdrawn" not in delivery.held_reason
        assert "is not known to have been done" in delivery.held_reason
