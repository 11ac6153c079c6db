"""The state machine under faults and deaths: published at most once, and once while somebody tries again.

Judged by the server's own log of publications, never by the ledger.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal

import pytest

from billing_pipeline.delivery.files.upload import CRASH_POINTS
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.transitions import Transitions
from billing_pipeline.delivery.records import SENT_STATES, Parcel, State
from billing_pipeline.delivery.transports.protocol import (
    ConnectionLost,
    DeliveryError,
    InboxBusy,
    InboxTimeout,
    NoSpace,
    Permanent,
    PermissionRefused,
)
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.delivering import Bench, Crash
from billing_pipeline_tests.support.extent import FULL
from billing_pipeline_tests.support.inbox import FakeServer, Operation
from billing_pipeline_tests.support.parcels import parcel

DATA = b"order_number\n2026-10-10023\n"
FINAL = "/import/easybill_2026-10_10023.csv"

Poller = Literal["archive", "delete", "ignore"]
When = Literal["before", "midway", "after"]


@pytest.fixture
def one(store: BlobStore) -> Parcel:
    return parcel(data=DATA, store=store)


def polling(poller: Poller) -> Callable[[FakeServer, str, str], None] | None:
    """A receiver that looks after every single operation: the fastest there can be."""
    if poller == "ignore":
        return None
    return lambda server, operation, path: server.poll(poller)


def archive_with(poller: Poller) -> str | None:
    """A receiver that deletes what it took has no archive; what it has taken is then presumed, not held."""
    return None if poller == "delete" else "/archive"


def assert_published_once(bench: Bench, one: Parcel) -> None:
    """By the server's log, whole, and the ledger knows; and nothing is left lying about."""
    assert_known_to_be_published_once(bench, one)
    assert bench.server.temporaries() == []


def assert_known_to_be_published_once(bench: Bench, one: Parcel) -> None:
    assert bench.server.published == [(f"/import/{one.export.file_name}", DATA)]
    assert bench.row(one).state in SENT_STATES


@pytest.mark.parametrize("poller", ["archive", "delete", "ignore"])
@pytest.mark.parametrize("edge", CRASH_POINTS)
def test_a_run_that_dies_at_an_edge_is_finished_by_the_next(
    sqlite_ledger: Ledger, store: BlobStore, one: Parcel, edge: str, poller: Poller
) -> None:
    bench = Bench(sqlite_ledger, store, archive_dir=archive_with(poller))
    bench.server.after_each = polling(poller)
    bench.send_and_die_at(edge, one)
    assert bench.send(one).outcome in {"delivered", "unchanged"}
    assert bench.send(one).outcome == "unchanged"
    assert_published_once(bench, one)


@pytest.mark.parametrize("poller", ["archive", "delete", "ignore"])
def test_two_deaths_in_a_row_are_survived_too(
    sqlite_ledger: Ledger, store: BlobStore, poller: Poller
) -> None:
    for number, (first, second) in enumerate(product(CRASH_POINTS, CRASH_POINTS)):
        one = parcel(str(number), DATA, store=store)
        bench = Bench(sqlite_ledger, store, archive_dir=archive_with(poller))
        bench.server.after_each = polling(poller)
        bench.send_and_die_at(first, one)
        bench.send_and_die_at(second, one)
        assert bench.send(one).outcome in {"delivered", "unchanged"}
        assert_published_once(bench, one)


@pytest.mark.parametrize("poller", ["archive", "delete", "ignore"])
@pytest.mark.parametrize("operation", ["stat", "create", "read", "rename", "remove"])
def test_a_fault_in_any_operation_ends_published_once(
    sqlite_ledger: Ledger, store: BlobStore, operation: Operation, poller: Poller
) -> None:
    whens: list[When] = ["before", "midway", "after"]
    errors = [ConnectionLost, InboxTimeout, InboxBusy, NoSpace, PermissionRefused]
    for number, (when, error, archive_dir) in enumerate(product(whens, errors, {archive_with(poller), None})):
        one = parcel(f"{operation}{number}", DATA, store=store)
        bench = Bench(sqlite_ledger, store, archive_dir=archive_dir)
        bench.server.after_each = polling(poller)
        bench.server.fail(operation, error(f"fake: {operation}"), when=when)
        for _ in range(3):
            try:
                bench.send(one)
            except DeliveryError:
                continue
        assert_published_once(bench, one)


@pytest.mark.parametrize("operation", ["create", "rename"])
@pytest.mark.parametrize("when", ["before", "midway"])
def test_a_server_that_silently_does_nothing_is_found_out(
    sqlite_ledger: Ledger, store: BlobStore, one: Parcel, operation: Operation, when: When
) -> None:
    bench = Bench(sqlite_ledger, store)
    bench.server.fail(operation, None, when=when)
    with pytest.raises(DeliveryError):
        bench.send(one)
    for _ in range(3):
        bench.send(one)
    assert_published_once(bench, one)


@pytest.mark.parametrize("archive_dir", ["/archive", None])
@pytest.mark.parametrize("refusal", [PermissionRefused, InboxBusy, Permanent])
def test_a_refused_rename_published_nothing_whoever_removes_the_temporary_file(
    sqlite_ledger: Ledger,
    store: BlobStore,
    one: Parcel,
    refusal: type[DeliveryError],
    archive_dir: str | None,
) -> None:
    bench = Bench(sqlite_ledger, store, archive_dir=archive_dir)
    bench.server.fail("rename", refusal("fake: the right to rename is missing"))
    with pytest.raises(refusal):
        bench.send(one)
    assert bench.row(one).state is State.PLANNED
    for temporary in bench.server.temporaries():
        del bench.server.files[temporary]
    assert bench.send(one).outcome == "delivered"
    assert_published_once(bench, one)


def test_a_refused_rename_is_not_certain_once_somebody_else_is_at_work_on_it(
    sqlite_ledger: Ledger, store: BlobStore, one: Parcel
) -> None:
    """Both hold the same token: what the one was refused, the other may be allowed a moment later."""
    bench = Bench(sqlite_ledger, store, archive_dir=None)
    bench.server.fail("rename", PermissionRefused("fake: rename"))

    def adopted_meanwhile(reached: str) -> None:
        if reached == "committed":
            bench.send_and_die_at("adopted", one)

    with contextlib.suppress(DeliveryError):
        bench.send(one, at_crash_point=adopted_meanwhile)
    assert bench.row(one).state is State.COMMITTING


@pytest.mark.parametrize(
    ("archive_dir", "outcome", "state"),
    [("/archive", "held", State.HELD), (None, "delivered", State.PUBLISHED)],
)
def test_what_is_gone_everywhere_is_held_where_the_archive_can_be_read_and_otherwise_presumed(
    sqlite_ledger: Ledger,
    store: BlobStore,
    one: Parcel,
    archive_dir: str | None,
    outcome: str,
    state: State,
) -> None:
    bench = Bench(sqlite_ledger, store, archive_dir=archive_dir)
    bench.send_and_die_at("committed", one)
    [temporary] = bench.server.temporaries()
    del bench.server.files[temporary]
    result = bench.send(one)
    assert (result.outcome, bench.row(one).state) == (outcome, state)
    presumed = [event for event in bench.ledger.events.find(month="2026-10") if event.action == "presume"]
    assert len(presumed) == (archive_dir is None)


def test_where_a_rename_is_two_steps_a_temporary_file_alone_is_held(
    sqlite_ledger: Ledger, store: BlobStore, one: Parcel
) -> None:
    """We may have died between link and unlink, and the receiver may have taken and deleted the file since."""
    bench = Bench(sqlite_ledger, store, archive_dir=None)
    bench.server.one_step = False
    bench.server.die_between_link_and_unlink = True
    bench.send_and_die_at("renamed", one)
    bench.server.die_between_link_and_unlink = False
    bench.server.poll("delete")
    result = bench.send(one)
    assert (result.outcome, bench.row(one).state) == ("held", State.HELD)
    assert "two steps" in result.problems[0].message
    assert len(bench.server.published) == 1


def test_where_a_rename_is_two_steps_both_names_are_one_published_file(
    sqlite_ledger: Ledger, store: BlobStore, one: Parcel
) -> None:
    bench = Bench(sqlite_ledger, store, archive_dir=None)
    bench.server.one_step = False
    bench.server.die_between_link_and_unlink = True
    bench.send_and_die_at("renamed", one)
    bench.server.die_between_link_and_unlink = False
    assert bench.send(one).outcome == "delivered"
    assert_published_once(bench, one)


def test_a_file_that_the_receiver_rejected_is_held(
    sqlite_ledger: Ledger, store: BlobStore, one: Parcel
) -> None:
    bench = Bench(sqlite_ledger, store)
    bench.send_and_die_at("renamed", one)
    bench.server.poll("error")
    result = bench.send(one)
    assert result.outcome == "held"
    assert "the receiver moved the file to its error directory" in result.problems[0].message
    assert bench.ledger.deliveries.closed(["2026-10"]) == {("10023", "2026-10")}


def test_a_damaged_temporary_file_is_never_published(
    sqlite_ledger: Ledger, store: BlobStore, one: Parcel
) -> None:
    bench = Bench(sqlite_ledger, store)
    bench.send_and_die_at("committed", one)
    [temporary] = bench.server.temporaries()
    bench.server.files[temporary] = DATA[:5]
    assert bench.send(one).outcome == "held"
    assert bench.server.published == []
    assert bench.row(one).state is State.HELD


def test_a_receiver_that_takes_the_file_at_once_is_noted_as_such(
    sqlite_ledger: Ledger, store: BlobStore, one: Parcel
) -> None:
    bench = Bench(sqlite_ledger, store)
    bench.send_and_die_at("renamed", one)
    bench.server.poll("archive")
    assert bench.send(one).outcome == "delivered"
    assert bench.row(one).state is State.CONSUMED


@pytest.mark.parametrize("poller", ["archive", "delete", "ignore"])
@pytest.mark.parametrize("sleeps", CRASH_POINTS)
def test_a_run_that_wakes_up_late_publishes_nothing_more(
    sqlite_ledger: Ledger, store: BlobStore, sleeps: str, poller: Poller
) -> None:
    """Asleep at each edge, while a second run dies at each edge and a third one does the work.

    Every sleep, death and awakening before one of the pollers; before each of them with FULL_TESTS=1.
    """
    deaths, pollers = (*CRASH_POINTS, "never"), ("archive", "delete", "ignore")
    turn = CRASH_POINTS.index(sleeps) + pollers.index(poller)
    for number, (dies, wakes) in enumerate(product(deaths, CRASH_POINTS)):
        if not FULL and (turn + deaths.index(dies) + CRASH_POINTS.index(wakes)) % len(pollers):
            continue
        one = parcel(f"{sleeps}{number}", DATA, store=store)
        bench = Bench(sqlite_ledger, store, archive_dir=archive_with(poller))
        bench.server.after_each = polling(poller)
        bench.send(one, at_crash_point=asleep(bench, one, sleeps=sleeps, dies=dies, wakes=wakes))
        assert bench.send(one).outcome == "unchanged"
        assert_published_once(bench, one)


@pytest.mark.parametrize("poller", ["archive", "delete", "ignore"])
def test_a_recovery_that_is_overtaken_by_one_that_dies_looks_again(
    sqlite_ledger: Ledger, store: BlobStore, one: Parcel, poller: Poller
) -> None:
    """It has seen the temporary file and is about to rename it; another recovery has, and died before it noted so."""
    bench = Bench(sqlite_ledger, store, archive_dir=archive_with(poller))
    bench.server.after_each = polling(poller)
    bench.send_and_die_at("committed", one)
    overtaking = asleep(bench, one, sleeps="looked", dies="renamed", wakes="never")
    assert bench.send(one, at_crash_point=overtaking).outcome == "delivered"
    assert_published_once(bench, one)


def asleep(bench: Bench, one: Parcel, *, sleeps: str, dies: str, wakes: str) -> Callable[[str], None]:
    """What happens while a run sleeps: once at edge `sleeps`, and once more when it comes to `wakes`."""
    slept: list[str] = []

    def at_crash_point(reached: str) -> None:
        if reached == sleeps and not slept:
            slept.append(reached)
            bench.send_and_die_at(dies, one)
        elif reached == wakes and len(slept) == 1:
            slept.append(reached)
            bench.send(one)

    return at_crash_point


@pytest.mark.parametrize("seed", range(4))
def test_whatever_fails_and_dies_in_whatever_order_it_is_published_once(
    sqlite_ledger: Ledger, store: BlobStore, seed: int
) -> None:
    """Random faults, deaths, sleepers within sleepers, and pollers; in the end one quiet run."""
    for number in range(100):
        chance = random.Random(f"{seed} {number}")
        one = parcel(str(number), DATA, store=store)
        poller: Poller = chance.choice(["archive", "delete", "ignore"])
        bench = Bench(sqlite_ledger, store, archive_dir=chance.choice([archive_with(poller), None]))
        life = Life(bench, one, chance, poller)
        for _ in range(chance.randrange(1, 5)):
            life.attempt(depth=0)
        bench.server.faults.clear()
        bench.send(one)
        # A sleeper who dies before it has removed its own temporary file leaves it; no poller takes such a name.
        assert_known_to_be_published_once(bench, one)


@dataclass
class Life:
    """What happens to one file, by chance."""

    bench: Bench
    one: Parcel
    chance: random.Random
    poller: Poller

    def __post_init__(self) -> None:
        self.bench.server.after_each = self._poll_now_and_then

    def attempt(self, depth: int) -> None:
        operations: list[Operation] = ["stat", "create", "read", "rename", "remove"]
        whens: list[When] = ["before", "midway", "after"]
        for operation in operations:
            if self.chance.random() < 0.1:
                error = self.chance.choice([ConnectionLost, InboxTimeout, NoSpace])("fake")
                skip = self.chance.randrange(3)
                self.bench.server.fail(operation, error, when=self.chance.choice(whens), skip=skip)
        try:
            self.bench.send(self.one, at_crash_point=lambda edge: self._something_happens(edge, depth))
        except (Crash, DeliveryError):
            return

    def _something_happens(self, edge: str, depth: int) -> None:
        if self.chance.random() < 0.15:
            raise Crash(edge)
        if self.chance.random() < 0.2 and depth < 3:
            self.attempt(depth + 1)

    def _poll_now_and_then(self, server: FakeServer, operation: str, path: str) -> None:
        if self.poller != "ignore" and self.chance.random() < 0.3:
            server.poll(self.poller)


@pytest.mark.parametrize("edge", ["created", "verified", "committed", "renamed"])
def test_the_judge_finds_a_run_that_does_not_commit_before_it_renames(
    sqlite_ledger: Ledger, store: BlobStore, one: Parcel, monkeypatch: pytest.MonkeyPatch, edge: str
) -> None:
    """The negative control: the same deaths and the same judge, with a ledger that forgets the commit."""
    monkeypatch.setattr(Transitions, "commit", lambda self, delivery, note: delivery)
    bench = Bench(sqlite_ledger, store, archive_dir=None, patience_s=0.2)
    bench.server.after_each = polling("delete")
    bench.send_and_die_at(edge, one)
    bench.send(one)
    with pytest.raises(AssertionError):
        assert_published_once(bench, one)
