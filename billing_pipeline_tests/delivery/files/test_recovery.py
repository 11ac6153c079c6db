"""The table of recovery, row by row, and what it says of everything that is not in it."""

from __future__ import annotations

from itertools import product

import pytest

from billing_pipeline.delivery.context import Places
from billing_pipeline.delivery.files.recovery import Action, FileState, FileStates, decide, inspect
from billing_pipeline.delivery.ledger import Ledger, Refusal, utc_now
from billing_pipeline.delivery.records import Delivery
from billing_pipeline.delivery.transports.protocol import InboxUnavailable, NotFound, PermissionRefused
from billing_pipeline.problems import Code
from billing_pipeline_tests.support.inbox import FakeInbox, FakeServer
from billing_pipeline_tests.support.parcels import parcel

GONE, SAME, OTHER = FileState.GONE, FileState.SAME, FileState.OTHER
UNREADABLE, HIDDEN, UNKNOWN = FileState.UNREADABLE, FileState.HIDDEN, FileState.UNKNOWN


@pytest.mark.parametrize(
    ("states", "action"),
    [
        (FileStates(GONE, SAME, GONE, GONE), Action.PUBLISHED),
        (FileStates(GONE, SAME, UNKNOWN, UNKNOWN), Action.PUBLISHED),
        (FileStates(GONE, GONE, SAME, GONE), Action.CONSUMED),
        (FileStates(GONE, GONE, UNKNOWN, UNKNOWN), Action.PRESUMED),
        (FileStates(GONE, GONE, UNKNOWN, GONE), Action.PRESUMED),
        (FileStates(GONE, GONE, HIDDEN, HIDDEN), Action.PRESUMED),
        (FileStates(SAME, GONE, GONE, GONE), Action.RENAME),
        (FileStates(SAME, GONE, UNKNOWN, UNKNOWN), Action.RENAME),
        (FileStates(SAME, SAME, GONE, GONE), Action.PUBLISHED),
        (FileStates(SAME, GONE, SAME, GONE), Action.CONSUMED),
    ],
)
def test_each_row_of_the_table_that_decides(states: FileStates, action: Action) -> None:
    assert decide(states).action is action


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (FileStates(GONE, GONE, GONE, SAME), Code.REJECTED_BY_RECEIVER),
        (FileStates(GONE, GONE, UNKNOWN, OTHER), Code.REJECTED_BY_RECEIVER),
        (FileStates(GONE, GONE, GONE, UNREADABLE), Code.REJECTED_BY_RECEIVER),
        (FileStates(GONE, GONE, GONE, GONE), Code.DELIVERY_FAILED),
        (FileStates(GONE, GONE, GONE, UNKNOWN), Code.DELIVERY_FAILED),
        (FileStates(GONE, OTHER, GONE, GONE), Code.NAME_COLLISION),
        (FileStates(SAME, OTHER, GONE, GONE), Code.NAME_COLLISION),
        (FileStates(SAME, GONE, OTHER, GONE), Code.NAME_COLLISION),
        (FileStates(SAME, GONE, GONE, SAME), Code.DELIVERY_FAILED),
        (FileStates(SAME, GONE, HIDDEN, GONE), Code.DELIVERY_FAILED),
        (FileStates(OTHER, GONE, GONE, GONE), Code.DELIVERY_FAILED),
        (FileStates(UNREADABLE, GONE, GONE, GONE), Code.DELIVERY_FAILED),
        (FileStates(GONE, UNREADABLE, GONE, GONE), Code.DELIVERY_FAILED),
        (FileStates(SAME, HIDDEN, GONE, GONE), Code.DELIVERY_FAILED),
    ],
)
def test_what_a_person_must_decide_is_held_with_its_reason(states: FileStates, code: Code) -> None:
    decision = decide(states)
    assert (decision.action, decision.code) == (Action.HOLD, code)
    assert decision.reason


def test_nothing_is_renamed_but_a_whole_temporary_file_that_is_seen_nowhere_else() -> None:
    for states in (FileStates(*places) for places in product(FileState, repeat=4)):
        if decide(states).action is Action.RENAME:
            assert states.temporary is SAME
            assert states.inbox is GONE
            assert {states.archive, states.error} <= {GONE, UNKNOWN}


def test_nothing_counts_as_delivered_while_another_file_has_its_name() -> None:
    for states in (FileStates(*places) for places in product(FileState, repeat=4)):
        if states.inbox is OTHER or (states.inbox is GONE and states.archive is OTHER):
            assert decide(states).action is Action.HOLD


def test_every_sight_is_decided_and_every_hold_says_why() -> None:
    for states in (FileStates(*places) for places in product(FileState, repeat=4)):
        decision = decide(states)
        assert (decision.action is Action.HOLD) == bool(decision.reason) == (decision.code is not None)


@pytest.fixture
def delivery(sqlite_ledger: Ledger) -> Delivery:
    planned = sqlite_ledger.plans.plan(parcel(data=b"bytes"), run_id="run", lease_s=0, now=utc_now())
    assert not isinstance(planned, Refusal)
    taken = sqlite_ledger.transitions.take(
        planned,
        token="t",
        temporary_path="/import/.NAME.t.tmp",
        remote_path=f"/import/{planned.file_name}",
        remote_dir="/import",
        transport="fake",
        endpoint="fake://inbox",
        holder="",
        run_id="run",
    )
    assert taken is not None
    return taken


PLACES = Places("/import", "/archive", "/error")


def seen(server: FakeServer, delivery: Delivery, places: Places = PLACES) -> FileStates:
    return inspect(delivery, FakeInbox(server), places)


def test_looking_tells_the_same_bytes_from_others_by_their_hash(delivery: Delivery) -> None:
    name = delivery.file_name
    server = FakeServer(
        {"/import/.NAME.t.tmp": b"bytes", f"/archive/{name}": b"BYTES", f"/error/{name}": b"b"}
    )
    assert seen(server, delivery) == FileStates(SAME, GONE, OTHER, OTHER)


def test_a_file_of_another_size_is_not_read(delivery: Delivery) -> None:
    server = FakeServer({delivery.remote_path: b"longer than ours"})
    assert seen(server, delivery).inbox is OTHER
    assert ("read", delivery.remote_path) not in server.calls


def test_directories_that_are_not_known_are_not_asked_for(delivery: Delivery) -> None:
    server = FakeServer({delivery.remote_path: b"bytes"})
    assert seen(server, delivery, Places("/import")) == FileStates(GONE, SAME, UNKNOWN, UNKNOWN)


def test_a_file_that_moves_while_it_is_looked_at_is_seen_at_the_later_place(delivery: Delivery) -> None:
    server = FakeServer({delivery.remote_path: b"bytes"})

    def poll_after_stat(server: FakeServer, operation: str, path: str) -> None:
        if (operation, path) == ("stat", delivery.remote_path):
            server.poll("archive")

    server.after_each = poll_after_stat
    assert seen(server, delivery) == FileStates(GONE, GONE, SAME, GONE)


def test_what_may_not_be_looked_at_is_not_taken_for_absent(delivery: Delivery) -> None:
    server = FakeServer({delivery.remote_path: b"bytes"})
    server.fail("stat", PermissionRefused("stat"))
    server.fail("read", PermissionRefused("read"))
    assert seen(server, delivery) == FileStates(HIDDEN, UNREADABLE, GONE, GONE)


def test_a_directory_that_has_vanished_is_not_taken_for_an_empty_one(delivery: Delivery) -> None:
    server = FakeServer()
    server.fail("list", NotFound("/import is not on fake"), times=3)
    with pytest.raises(InboxUnavailable, match="has no directory /import any more"):
        seen(server, delivery)
