"""Many files over a few connections: what is tried again, when it stops, and what is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from billing_pipeline.delivery.channel import FAILURES_IN_A_ROW
from billing_pipeline.delivery.context import Places
from billing_pipeline.delivery.files.pool import deliver_all
from billing_pipeline.delivery.ledger import Ledger, LedgerUnavailable, Note, PlanContended, Refusal
from billing_pipeline.delivery.ledger.first_plans import FirstPlans
from billing_pipeline.delivery.ledger.months import Months
from billing_pipeline.delivery.ledger.plans import Plans
from billing_pipeline.delivery.ledger.transitions import Transitions
from billing_pipeline.delivery.records import Delivery, DeliveryResult, Parcel
from billing_pipeline.delivery.transports.protocol import (
    ConnectionLost,
    DeliveryError,
    HostKeyUnknown,
    InboxBusy,
    InboxConnection,
    InboxTimeout,
    InboxUnavailable,
    LoginRefused,
    PermissionRefused,
    Transport,
)
from billing_pipeline.problems import Code
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.delivering import Bench, context_over
from billing_pipeline_tests.support.inbox import FakeServer, FakeTransport, refusing
from billing_pipeline_tests.support.ledgers import planned
from billing_pipeline_tests.support.parcels import MONTH, parcel, service


@pytest.fixture
def parcels(sqlite_ledger: Ledger, store: BlobStore) -> list[Parcel]:
    parcels = [parcel(f"{number:05}", f"file {number}".encode(), store=store) for number in range(12)]
    sqlite_ledger.months.record_exports([parcel.export for parcel in parcels], "run")
    return parcels


def delivering(
    parcels: list[Parcel],
    transport: Transport,
    ledger: Ledger,
    store: BlobStore,
    *,
    connections: int = 3,
    timeout_s: float = 5.0,
) -> Generator[DeliveryResult, None, None]:
    context = context_over(
        transport, ledger, store, places=Places("/import", "/archive"), timeout_s=timeout_s
    )
    return deliver_all(parcels, transport, context, connections=connections, timeout_s=timeout_s)


def until_it_ends(results: Iterator[DeliveryResult]) -> tuple[list[DeliveryResult], DeliveryError | None]:
    """What was told, and the error that came after it."""
    told: list[DeliveryResult] = []
    try:
        told.extend(results)
    except DeliveryError as error:
        return told, error
    return told, None


def had_enough(parcels: list[Parcel], ledger: Ledger, store: BlobStore) -> FakeServer:
    """The server, once the caller has heard one result and listens no more."""
    server = FakeServer()
    results = delivering(parcels, FakeTransport(server), ledger, store)
    next(results)
    results.close()
    return server


def test_every_parcel_is_delivered_once_and_recorded(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore
) -> None:
    server = FakeServer()
    results = list(delivering(parcels, FakeTransport(server), sqlite_ledger, store))
    assert {result.outcome for result in results} == {"delivered"}
    assert sorted(result.customer_number for result in results) == [p.export.customer_number for p in parcels]
    assert len(server.published) == len(parcels)
    assert {row.delivery_outcome for row in sqlite_ledger.months.customers(MONTH)} == {"delivered"}


def test_each_connection_serves_many_files(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore
) -> None:
    server = FakeServer()
    list(delivering(parcels, FakeTransport(server), sqlite_ledger, store))
    assert 1 <= server.connections <= 3


def test_no_connection_is_made_where_nothing_is_to_be_sent(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore
) -> None:
    list(delivering(parcels, FakeTransport(FakeServer()), sqlite_ledger, store))
    nobody = refusing(InboxUnavailable("must not be asked"))
    results = list(delivering(parcels, nobody, sqlite_ledger, store))
    assert {result.outcome for result in results} == {"unchanged"}
    assert nobody.server.asked == 0


def test_results_come_in_the_callers_thread_while_others_are_sent(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore
) -> None:
    server = FakeServer()
    results = delivering(parcels, FakeTransport(server), sqlite_ledger, store)
    next(results)
    assert threading.current_thread() is threading.main_thread()
    assert len(list(results)) == len(parcels) - 1


@pytest.mark.parametrize("edge", ["taken", "created", "committed", "renamed"])
def test_a_run_that_died_on_another_machine_is_outwaited(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore, edge: str
) -> None:
    """Nothing tells that it is dead; only that it has not moved for as long as nobody alive would stand still."""
    bench = Bench(sqlite_ledger, store)
    # This process lives on: to the ledger it is like one of which nothing can be known.
    assert bench.send_and_die_at(edge, parcels[0])
    told = delivering(parcels[:1], FakeTransport(bench.server), sqlite_ledger, store, timeout_s=0.2)
    assert [result.outcome for result in told] == ["delivered"]
    assert [path for path, _ in bench.server.published] == [f"/import/{parcels[0].export.file_name}"]


def test_nothing_to_deliver_is_fine(sqlite_ledger: Ledger, store: BlobStore) -> None:
    assert list(delivering([], FakeTransport(FakeServer()), sqlite_ledger, store)) == []


@pytest.mark.parametrize("error", [ConnectionLost, InboxTimeout, InboxBusy])
def test_a_transient_fault_is_tried_again(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore, error: type[DeliveryError]
) -> None:
    server = FakeServer()
    server.fail("rename", error("fake: renaming"), when="after", skip=3)
    server.fail("create", error("fake: creating"), when="midway", skip=5)
    results = list(delivering(parcels, FakeTransport(server), sqlite_ledger, store))
    assert {result.outcome for result in results} == {"delivered"}
    assert len(server.published) == len(parcels)


def test_a_broken_connection_is_made_anew_and_a_busy_server_is_not_left(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore
) -> None:
    broken, busy = FakeServer(), FakeServer()
    broken.fail("stat", ConnectionLost("fake: gone"), skip=4)
    busy.fail("stat", InboxBusy("fake: later"), skip=4)
    list(delivering(parcels[:6], FakeTransport(broken), sqlite_ledger, store, connections=1))
    list(delivering(parcels[6:], FakeTransport(busy), sqlite_ledger, store, connections=1))
    assert (broken.connections, busy.connections) == (2, 1)


def test_a_permanent_fault_fails_its_customer_alone_and_is_not_tried_again(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore
) -> None:
    server = FakeServer()
    server.fail("create", PermissionRefused("fake: may not write /import; ask its operator"), skip=4)
    results = list(delivering(parcels, FakeTransport(server), sqlite_ledger, store))
    [failed] = [result for result in results if result.outcome != "delivered"]
    assert [(problem.code, problem.message) for problem in failed.problems] == [
        (Code.DELIVERY_FAILED, "fake: may not write /import; ask its operator")
    ]
    events = sqlite_ledger.events.find(customer_number=failed.customer_number)
    assert [event.action for event in events if event.outcome == "failure"] == ["attempt", "deliver"]
    assert len(server.published) == len(parcels) - 1


@pytest.mark.parametrize("error", [LoginRefused, HostKeyUnknown])
def test_an_inbox_that_refuses_everybody_is_asked_once(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore, error: type[DeliveryError]
) -> None:
    class Slow(FakeTransport):
        @contextmanager
        def connect(self) -> Iterator[InboxConnection]:
            time.sleep(0.05)
            with super().connect() as inbox:
                yield inbox

    nobody = Slow(FakeServer())
    nobody.server.fail("connect", error("fake://inbox refuses; see BILLING_SFTP_PASSWORD"), times=-1)
    told, ended_by = until_it_ends(delivering(parcels, nobody, sqlite_ledger, store))
    assert isinstance(ended_by, error)
    assert nobody.server.asked == 1
    assert {result.outcome for result in told} == {"failed"}
    assert len(told) == len(parcels)
    assert {row.delivery_outcome for row in sqlite_ledger.months.customers(MONTH)} == {"failed"}


def test_an_inbox_out_of_reach_is_tried_a_few_times_and_then_ends_the_delivery(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore
) -> None:
    nobody = refusing(InboxUnavailable("fake://inbox: connection refused"))
    started = time.monotonic()
    told, ended_by = until_it_ends(delivering(parcels, nobody, sqlite_ledger, store, timeout_s=1.0))
    assert isinstance(ended_by, InboxUnavailable)
    assert len(told) == len(parcels)
    assert time.monotonic() - started < 6
    server = FakeServer()
    again = list(delivering(parcels, FakeTransport(server), sqlite_ledger, store))
    assert {result.outcome for result in again} == {"delivered"}


def test_a_server_that_lets_fewer_connections_in_still_gets_everything(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore
) -> None:
    class OneAtATime(FakeTransport):
        seats = threading.Semaphore(1)

        @contextmanager
        def connect(self) -> Iterator[InboxConnection]:
            if not self.seats.acquire(blocking=False):
                raise LoginRefused("fake: too many connections")
            try:
                with super().connect() as inbox:
                    yield inbox
            finally:
                self.seats.release()

    server = FakeServer(after_each=lambda *_: time.sleep(0.002))
    results = list(delivering(parcels, OneAtATime(server), sqlite_ledger, store, connections=4))
    assert {result.outcome for result in results} == {"delivered"}
    assert len(server.published) == len(results) == len(parcels)


def test_a_server_on_which_every_file_breaks_off_is_given_up(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore
) -> None:
    server = FakeServer()
    server.fail("create", InboxTimeout("fake: no answer within 1 s"), times=-1)
    told, ended_by = until_it_ends(
        delivering(parcels, FakeTransport(server), sqlite_ledger, store, timeout_s=0.1)
    )
    assert isinstance(ended_by, InboxTimeout)
    assert len(told) == len(parcels)
    given_up = [
        result for result in told if result.problems[0].message.startswith("not tried any more: fake")
    ]
    assert len(given_up) >= len(parcels) - FAILURES_IN_A_ROW - 3


def test_a_server_that_stalls_costs_twice_the_time_out_and_a_second(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore
) -> None:
    timeout_s = 0.5

    def stall(server: FakeServer, operation: str, path: str) -> None:
        time.sleep(timeout_s)
        raise InboxTimeout("fake: no answer")

    server = FakeServer(after_each=stall)
    started = time.monotonic()
    told, _ = until_it_ends(
        delivering(parcels[:1], FakeTransport(server), sqlite_ledger, store, timeout_s=timeout_s)
    )
    assert [result.outcome for result in told] == ["failed"]
    assert time.monotonic() - started <= 2 * timeout_s + 1


def test_after_a_time_out_the_next_try_comes_at_once(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore
) -> None:
    """Three pauses of the back-off would take more than a second, and so leave no time for a fourth try."""
    server = FakeServer()
    server.fail("rename", InboxTimeout("fake: no answer"), times=3)
    [result] = delivering(parcels[:1], FakeTransport(server), sqlite_ledger, store, timeout_s=0.3)
    assert result.outcome == "delivered"
    assert len(server.published) == 1


def test_a_ledger_out_of_reach_ends_it_at_once(
    parcels: list[Parcel], store: BlobStore, sqlite_ledger: Ledger
) -> None:
    class Broken(Transitions):
        def commit(self, delivery: Delivery, note: Note) -> Delivery | None:
            raise LedgerUnavailable("the ledger is out of reach")

    server = FakeServer()
    broken = Ledger(sqlite_ledger.database)
    broken.transitions = Broken(sqlite_ledger.database)
    with pytest.raises(LedgerUnavailable):
        list(delivering(parcels, FakeTransport(server), broken, store))
    assert server.published == []


def test_a_caller_who_has_had_enough_leaves_nothing_half_done(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore
) -> None:
    server = had_enough(parcels, sqlite_ledger, store)
    assert server.temporaries() == []
    list(delivering(parcels, FakeTransport(server), sqlite_ledger, store))
    assert len(server.published) == len(parcels)


def test_results_carry_the_time(parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore) -> None:
    before = datetime.now(UTC)
    for result in delivering(parcels, FakeTransport(FakeServer()), sqlite_ledger, store):
        assert result.at is not None
        assert before <= result.at <= datetime.now(UTC)


def test_a_plan_that_other_runs_keep_changing_fails_its_customer_and_nobody_else(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore
) -> None:
    class Contended(Plans):
        def plan(self, parcel: Parcel, *, run_id: str, lease_s: float, now: datetime) -> Delivery | Refusal:
            if parcel.export.customer_number == "00003":
                raise PlanContended("other runs keep changing the same rows; run the month again")
            return super().plan(parcel, run_id=run_id, lease_s=lease_s, now=now)

    class OneByOne(FirstPlans):
        def plan(self, parcels: Sequence[Parcel], *, run_id: str) -> dict[str, Delivery]:
            return {}

    ledger = Ledger(sqlite_ledger.database)
    ledger.plans, ledger.first_plans = Contended(sqlite_ledger.database), OneByOne(sqlite_ledger.database)
    told, ended_by = until_it_ends(delivering(parcels, FakeTransport(FakeServer()), ledger, store))
    assert ended_by is None
    assert {result.customer_number: result.outcome for result in told if result.outcome != "delivered"} == {
        "00003": "failed"
    }
    assert len(told) == len(parcels)


def test_results_that_come_together_are_recorded_together(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[list[str]] = []
    record = Months.record_outcomes

    def told(self: Months, results: Sequence[DeliveryResult], run_id: str) -> None:
        recorded.append([result.customer_number for result in results])
        record(self, results, run_id)
        time.sleep(0.05)

    monkeypatch.setattr(Months, "record_outcomes", told)
    results = delivering(parcels, FakeTransport(FakeServer()), sqlite_ledger, store)
    for result in results:
        assert any(result.customer_number in some for some in recorded)
    assert sorted(number for some in recorded for number in some) == [
        one.export.customer_number for one in parcels
    ]
    assert len([some for some in recorded if some]) < len(parcels)


def test_what_a_caller_who_has_had_enough_did_not_hear_is_recorded_too(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore
) -> None:
    server = had_enough(parcels, sqlite_ledger, store)
    delivered = [one for one in sqlite_ledger.months.customers(MONTH) if one.delivery_outcome == "delivered"]
    assert len(delivered) == len(server.published) > 1


def test_a_plan_that_somebody_has_changed_since_is_made_anew(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore
) -> None:
    class Overtaken(FirstPlans):
        def plan(self, parcels: Sequence[Parcel], *, run_id: str) -> dict[str, Delivery]:
            answer = super().plan(parcels, run_id=run_id)
            for one in parcels[:4]:
                planned(sqlite_ledger, replace(one, billed=(service(f"other {one.export.customer_number}"),)))
            return answer

    ledger = Ledger(sqlite_ledger.database)
    ledger.first_plans = Overtaken(sqlite_ledger.database)
    told, _ = until_it_ends(delivering(parcels, FakeTransport(FakeServer()), ledger, store))
    assert {result.outcome for result in told} == {"delivered"}
    rows = {row.source_id for row in ledger.billed.rows([MONTH])}
    assert rows == {row.source_id for one in parcels for row in one.billed}
