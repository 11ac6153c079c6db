"""The policy `all_or_nothing`: nothing is sent before all can be, and what was sent in vain is withdrawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from billing_pipeline.delivery.all_or_nothing import deliver_all_or_nothing
from billing_pipeline.delivery.inbox import ConnectionLost, DeliveryError, InboxUnavailable, PermissionRefused
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.machine import Verify, unverified
from billing_pipeline.delivery.records import DeliveryResult, Parcel, State
from billing_pipeline.delivery.recovery import Places
from billing_pipeline.delivery.store import Store
from billing_pipeline.delivery.withdrawal import withdraw
from billing_pipeline.delivery.worker import run_over
from billing_pipeline.problems import Code, Problem
from billing_pipeline_tests.support.delivering import Bench, Crash, dying_at
from billing_pipeline_tests.support.inbox import FakeInbox, FakeServer, FakeTransport
from billing_pipeline_tests.support.parcels import MONTH, parcel, service


@pytest.fixture
def parcels(sqlite_ledger: Ledger, store: Store) -> list[Parcel]:
    parcels = [parcel(str(number), f"file {number}".encode(), store=store) for number in range(1, 5)]
    sqlite_ledger.record_exports([parcel.export for parcel in parcels], "run")
    return parcels


def delivered(
    parcels: Sequence[Parcel],
    server: FakeServer,
    ledger: Ledger,
    store: Store,
    *,
    obstacles: Sequence[Problem] = (),
    verify: Verify = unverified,
) -> dict[str, DeliveryResult]:
    """By customer number."""
    transport = FakeTransport(server)
    places = Places("/import", "/archive")
    run = run_over(transport, ledger, store, run_id="run", places=places, verify=verify, timeout_s=1.0)
    results = deliver_all_or_nothing(
        parcels, transport, run, obstacles=obstacles, connections=1, timeout_s=1.0
    )
    return {result.customer_number: result for result in results}


def outcomes(results: dict[str, DeliveryResult]) -> list[str]:
    return [results[number].outcome for number in sorted(results)]


def test_a_month_without_obstacles_is_sent(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: Store
) -> None:
    server = FakeServer()
    assert outcomes(delivered(parcels, server, sqlite_ledger, store)) == ["delivered"] * 4
    assert len(server.published) == 4
    assert outcomes(delivered(parcels, server, sqlite_ledger, store)) == ["unchanged"] * 4


def test_nothing_is_sent_while_another_customer_is_blocked(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: Store
) -> None:
    server = FakeServer()
    blocked = Problem(Code.PRICE_MISSING, "20001", "maintain a price")
    results = delivered(parcels, server, sqlite_ledger, store, obstacles=[blocked])
    assert outcomes(results) == ["failed"] * 4
    [problem] = results["1"].problems
    assert problem.code is Code.NOT_DELIVERED_YET
    assert problem.message.endswith("(delivery policy all_or_nothing): 20001 (PRICE_MISSING)")
    assert server.asked == 0
    assert {row.delivery_outcome for row in sqlite_ledger.month_customers(MONTH)} == {"failed"}
    assert sqlite_ledger.closed([MONTH]) == frozenset()


def refuses_file_2(parcel: Parcel, data: bytes) -> list[str]:
    return ["a cell is too long"] if data == b"file 2" else []


@pytest.mark.parametrize("fault", ["check", "billed elsewhere", "held", "not stored"])
def test_nothing_is_sent_while_one_file_cannot_be(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: Store, fault: str
) -> None:
    server, verify = FakeServer(), refuses_file_2 if fault == "check" else unverified
    if fault == "billed elsewhere":
        parcels[1] = replace(parcels[1], billed=(service("S-1"),))
    elif fault == "held":
        server.files["/import/easybill_2026-10_2.csv"] = b"foreign"
        Bench(sqlite_ledger, store, server).send(parcels[1])
    elif fault == "not stored":
        parcels[1] = parcel("2", b"never stored")
    server.published.clear()
    results = delivered(parcels, server, sqlite_ledger, store, verify=verify)
    assert outcomes(results) == ["failed", "held" if fault == "held" else "failed", "failed", "failed"]
    assert server.published == []
    assert "2 (" in results["3"].problems[0].message


def test_what_was_sent_before_one_failed_is_withdrawn_and_sent_the_next_time(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: Store
) -> None:
    server = FakeServer()
    server.fail("create", PermissionRefused("fake: may not"), skip=2)
    results = delivered(parcels, server, sqlite_ledger, store)
    assert outcomes(results) == ["failed"] * 4
    assert results["3"].problems[0].code is Code.DELIVERY_FAILED
    assert (
        results["1"]
        .problems[0]
        .message.startswith("easybill_2026-10_1.csv was withdrawn: not all of the month")
    )
    assert server.files == {}
    assert sqlite_ledger.closed([MONTH]) == frozenset()
    assert [
        event.action for event in sqlite_ledger.events(customer_number="1") if event.kind == "exchange"
    ] == [
        "upload",
        "publish",
        "withdraw",
        "deliver",
    ]
    assert outcomes(delivered(parcels, server, sqlite_ledger, store)) == ["delivered"] * 4
    assert len(server.files) == 4


def test_what_the_receiver_has_already_stays_delivered_and_is_told(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: Store
) -> None:
    server = FakeServer(after_each=lambda server, *_: server.poll("archive"))
    server.fail("create", PermissionRefused("fake: may not"), skip=2)
    results = delivered(parcels, server, sqlite_ledger, store)
    assert outcomes(results) == ["delivered", "delivered", "failed", "delivered"]
    assert "was not withdrawn, for the receiver has it already" in results["1"].problems[0].message
    assert {row.state for row in sqlite_ledger.deliveries()} == {State.PUBLISHED, State.PLANNED}
    server.after_each = None
    assert outcomes(delivered(parcels, server, sqlite_ledger, store)) == [
        "unchanged",
        "unchanged",
        "delivered",
        "unchanged",
    ]


def test_a_connection_that_breaks_while_withdrawing_holds_one_file_and_touches_no_other(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: Store
) -> None:
    server = FakeServer()
    server.fail("create", PermissionRefused("fake: may not"), skip=3)
    server.fail("rename", ConnectionLost("fake: gone"), skip=4, when="after")
    results = delivered(parcels, server, sqlite_ledger, store)
    assert outcomes(results) == ["failed", "held", "delivered", "failed"]
    assert "it was being withdrawn" in results["2"].problems[0].message
    assert "was not withdrawn, for fake: gone" in results["3"].problems[0].message


def test_an_inbox_that_is_gone_when_it_comes_to_withdrawing_is_told(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: Store
) -> None:
    server = FakeServer()
    server.fail("create", ConnectionLost("fake: gone"), skip=2, times=-1)
    server.fail("connect", InboxUnavailable("fake: refused"), skip=1, times=-1)
    with pytest.raises(DeliveryError):
        delivered(parcels, server, sqlite_ledger, store)
    words = {row.export.customer_number: row for row in sqlite_ledger.month_customers(MONTH)}
    assert [words[number].delivery_outcome for number in "1234"] == [
        "delivered",
        "delivered",
        "failed",
        "failed",
    ]
    assert "was not withdrawn, for fake: refused" in words["1"].delivery_problems[0].message


@pytest.mark.parametrize("poller", ["archive", "ignore"])
@pytest.mark.parametrize("edge", ["withdrawing", "aside", "withdrawn"])
def test_a_withdrawal_that_dies_leaves_a_question_or_a_plan_never_a_file_nobody_knows(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: Store, edge: str, poller: str
) -> None:
    bench = Bench(sqlite_ledger, store)
    one = parcels[0]
    bench.send(one)
    with pytest.raises(Crash):
        withdraw(bench.row(one), FakeInbox(bench.server), bench.run(dying_at(edge)), why="a test")
    if poller == "archive":
        bench.server.poll("archive")
    result = bench.send(one)
    if edge == "withdrawn":
        assert result.outcome == "delivered"
        assert bench.server.temporaries() == []
    else:
        assert result.outcome == "held"
        assert "it was being withdrawn (a test)" in result.problems[0].message


def test_another_file_under_the_name_is_left_where_it_was(
    parcels: list[Parcel], sqlite_ledger: Ledger, store: Store
) -> None:
    bench = Bench(sqlite_ledger, store)
    one = parcels[0]
    final = bench.send(one).remote_path
    bench.server.poll("archive")
    bench.server.files[final] = b"foreign"
    assert not withdraw(bench.row(one), FakeInbox(bench.server), bench.run(), why="a test")
    assert bench.server.files[final] == b"foreign"
    assert bench.row(one).state is State.PUBLISHED
