"""One file through the state machine: what is sent, what is recorded, and what people are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import chain, repeat

import pytest

from billing_pipeline.delivery.context import FileCheck
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import Parcel, State
from billing_pipeline.delivery.transports.protocol import PermissionRefused
from billing_pipeline.problems import Code, Problem
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.delivering import Bench, Unchecked, deliver
from billing_pipeline_tests.support.inbox import FakeServer, FakeTransport
from billing_pipeline_tests.support.parcels import MONTH, parcel, service

DATA = b"order_number\n2026-10-10023\n"
FINAL = "/import/easybill_2026-10_10023.csv"


@pytest.fixture
def bench(sqlite_ledger: Ledger, store: BlobStore) -> Bench:
    return Bench(sqlite_ledger, store)


@pytest.fixture
def one(store: BlobStore) -> Parcel:
    return parcel(data=DATA, store=store)


def test_a_file_is_written_beside_read_back_and_renamed(bench: Bench, one: Parcel) -> None:
    result = bench.send(one)
    assert (result.outcome, result.remote_path, result.problems) == ("delivered", FINAL, ())
    assert bench.server.files == {FINAL: DATA}
    temporary = bench.row(one).temporary_path
    assert temporary.startswith("/import/.easybill_2026-10_10023.csv.")
    assert temporary.endswith(".tmp")
    assert [call for call in bench.server.calls if call[0] != "stat"] == [
        ("create", temporary),
        ("read", temporary),
        ("rename", temporary),
    ]


def test_the_ledger_has_what_was_delivered_and_the_log_how(bench: Bench, one: Parcel) -> None:
    bench.send(one)
    row = bench.row(one)
    assert (row.state, row.sha256, row.run_id) == (State.PUBLISHED, one.export.sha256, "run-1")
    assert row.committed_at is not None
    assert row.published_at is not None
    assert row.committed_at <= row.published_at
    assert (row.transport, row.endpoint, row.remote_path) == ("fake", "fake://inbox", FINAL)
    assert [(event.kind, event.action, event.outcome) for event in bench.ledger.events.find()] == [
        ("exchange", "upload", "success"),
        ("exchange", "publish", "success"),
    ]


def test_the_same_bytes_are_unchanged_and_nothing_is_asked_of_the_inbox(bench: Bench, one: Parcel) -> None:
    bench.send(one)
    bench.server.calls.clear()
    assert bench.send(one).outcome == "unchanged"
    assert bench.server.calls == []


def test_the_stored_bytes_are_checked_anew_before_they_are_sent(bench: Bench, one: Parcel) -> None:
    fault = Problem(Code.LAYOUT_INVALID, "10023", "one byte too many")
    bench.check = Unchecked(fault)
    result = bench.send(one)
    assert (result.outcome, result.problems) == ("failed", (fault,))
    assert bench.server.calls == []
    bench.check = Unchecked()
    assert bench.send(one).outcome == "delivered"


def test_bytes_that_are_missing_from_the_store_fail_their_customer_alone(bench: Bench) -> None:
    result = bench.send(parcel(data=b"never stored"))
    assert result.outcome == "failed"
    [problem] = result.problems
    assert problem.code is Code.DELIVERY_FAILED
    assert "export the month again" in problem.message


def test_a_file_whose_document_is_missing_from_the_store_fails_its_customer_alone(
    bench: Bench, one: Parcel
) -> None:
    bench.check = FileCheck({})
    result = bench.send(one)
    assert (result.outcome, [problem.code for problem in result.problems]) == (
        "failed",
        [Code.DELIVERY_FAILED],
    )
    assert bench.server.calls == []


@pytest.mark.parametrize("data", [b"somebody else's", DATA])
def test_a_final_name_that_is_there_already_is_held(bench: Bench, one: Parcel, data: bytes) -> None:
    bench.server = FakeServer({FINAL: data})
    result = bench.send(one)
    assert result.outcome == "held"
    [problem] = result.problems
    assert problem.code is Code.NAME_COLLISION
    assert "billing-pipeline release 2026-10-10023 --as send|delivered" in problem.message
    assert bench.server.files == {FINAL: data}
    assert bench.row(one).state is State.HELD
    assert bench.ledger.deliveries.closed([MONTH]) == frozenset()


def test_a_file_of_that_name_in_the_archive_is_held_for_an_unknown_one_went_before(
    bench: Bench, one: Parcel
) -> None:
    bench.server = FakeServer({"/archive/easybill_2026-10_10023.csv": b"old"})
    assert bench.send(one).outcome == "held"
    bench.ledger.releases.release("2026-10-10023", as_="send", reason="a test import", author="Ann")
    assert bench.send(one).outcome == "delivered"


def test_what_is_held_stays_held_until_a_person_decides(bench: Bench, one: Parcel) -> None:
    bench.server = FakeServer({FINAL: b"foreign"})
    bench.send(one)
    bench.server.files.clear()
    assert bench.send(one).outcome == "held"
    bench.ledger.releases.release("2026-10-10023", as_="send", reason="removed it", author="Ann")
    assert bench.send(one).outcome == "delivered"
    assert bench.server.files == {FINAL: DATA}


def test_what_is_held_may_be_accepted_as_delivered(bench: Bench, one: Parcel) -> None:
    bench.server = FakeServer({FINAL: DATA})
    bench.send(one)
    bench.ledger.releases.release("2026-10-10023", as_="delivered", reason="I put it there", author="Ann")
    bench.server.calls.clear()
    assert bench.send(one).outcome == "unchanged"
    assert bench.server.calls == []
    assert bench.ledger.deliveries.closed([MONTH]) == {("10023", MONTH)}


def test_other_bytes_before_anything_was_sent_replace_the_plan(
    bench: Bench, one: Parcel, store: BlobStore
) -> None:
    bench.send_and_die_at("planned", one)
    newer = parcel(data=b"newer", billed=(service("S-9"),), store=store)
    assert bench.send(newer).outcome == "delivered"
    assert bench.server.files == {FINAL: b"newer"}
    assert [row.source_id for row in bench.ledger.billed.rows([MONTH])] == ["S-9"]


def test_other_bytes_after_delivery_are_held_and_what_was_sent_stands(
    bench: Bench, one: Parcel, store: BlobStore
) -> None:
    bench.send(one)
    newer = parcel(data=b"newer", store=store)
    result = bench.send(newer)
    assert result.outcome == "held"
    [problem] = result.problems
    assert problem.code is Code.CHANGED_AFTER_DELIVERY
    assert "billing-pipeline correct 2026-10 --customer 10023" in problem.message
    row = bench.row(one)
    assert (row.state, row.sha256) == (State.PUBLISHED, one.export.sha256)
    assert bench.server.published == [(FINAL, DATA)]
    assert [event.action for event in bench.ledger.events.find() if event.outcome == "failure"] == ["hold"]


def test_a_correction_is_delivered_beside_what_was_sent(bench: Bench, one: Parcel, store: BlobStore) -> None:
    bench.send(one)
    corrected = replace(parcel(data=b"newer", revision=2, store=store), reason="wrong price", author="Ann")
    result = bench.send(corrected)
    assert (result.outcome, result.order_number) == ("delivered", "2026-10-10023-r2")
    assert sorted(bench.server.files) == [FINAL, "/import/easybill_2026-10_10023_r2.csv"]
    assert bench.ledger.deliveries.revisions(MONTH) == {"10023": 2}
    assert [row.order_number for row in bench.ledger.billed.rows([MONTH])] == ["2026-10-10023-r2"]
    assert (bench.row(corrected).reason, bench.row(corrected).author) == ("wrong price", "Ann")
    assert bench.send(replace(corrected, reason="", author="")).outcome == "unchanged"


def test_a_correction_of_what_was_never_delivered_is_refused(bench: Bench, store: BlobStore) -> None:
    result = bench.send(parcel(revision=2, store=store))
    assert result.outcome == "failed"
    assert [problem.code for problem in result.problems] == [Code.NOT_DELIVERED_YET]


def test_a_row_that_another_file_bills_fails_the_customer_and_names_the_order(
    bench: Bench, one: Parcel, store: BlobStore
) -> None:
    bench.send(one)
    again = parcel("20001", b"again", billed=(service("S-10023"), service("S-2")), store=store)
    result = bench.send(again)
    assert result.outcome == "failed"
    [problem] = result.problems
    assert (problem.code, problem.source_id) == (Code.ALREADY_BILLED, "S-10023")
    assert "2026-10-10023" in problem.message
    assert bench.ledger.deliveries.of_order("2026-10-20001") is None


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b.csv"])
def test_a_file_name_cannot_lead_out_of_the_directory(bench: Bench, one: Parcel, name: str) -> None:
    with pytest.raises(Exception, match="would leave /import"):
        bench.send(replace(one, export=replace(one.export, file_name=name)))
    assert bench.server.calls == []


def test_a_failed_exchange_is_logged_and_the_next_run_need_not_wait(bench: Bench, one: Parcel) -> None:
    bench.lease_s = 3600
    bench.server.fail("create", PermissionRefused("fake: may not write to /import"))
    with pytest.raises(PermissionRefused):
        bench.send(one)
    assert bench.row(one).state is State.PLANNED
    [event] = bench.ledger.events.find()
    assert (event.outcome, event.detail) == ("failure", "fake: may not write to /import")
    assert bench.send(one).outcome == "delivered"


def test_an_inbox_that_has_changed_meanwhile_is_not_asked_about_the_old_one(
    bench: Bench, one: Parcel
) -> None:
    assert bench.send_and_die_at("committed", one)
    bench.address, bench.server = "fake://another", FakeServer()
    result = bench.send(one)
    assert result.outcome == "held"
    assert "it was sent to fake://inbox, and the inbox is now fake://another" in result.problems[0].message


def test_another_run_at_work_is_waited_for_and_then_reported(bench: Bench, one: Parcel) -> None:
    assert bench.send_and_die_at("taken", one)
    bench.lease_s, bench.patience_s = 3600, 0.2
    result = bench.send(one)
    assert result.outcome == "failed"
    [problem] = result.problems
    assert problem.code is Code.DELIVERY_IN_PROGRESS
    assert "another run (run-1)" in problem.message


def test_a_run_whose_process_has_ended_is_not_waited_for(bench: Bench, one: Parcel) -> None:
    assert bench.send_and_die_at("taken", one)
    row = bench.row(one)
    machine = row.holder.rsplit(" ", 2)[0]
    dead = bench.ledger.transitions.take(
        row,
        token=row.token,
        temporary_path=row.temporary_path,
        remote_path=row.remote_path,
        remote_dir=row.remote_dir,
        transport=row.transport,
        endpoint=row.endpoint,
        holder=f"{machine} 4194999 17",
        run_id=row.run_id,
    )
    assert dead is not None
    bench.lease_s = 3600
    assert bench.send(one).outcome == "delivered"


def test_a_lease_that_ends_while_it_is_looked_at_does_not_mix_two_plans(
    bench: Bench, one: Parcel, store: BlobStore
) -> None:
    """The ledger is asked for a plan just before the lease of another run's ends, and the answer read just after."""
    assert bench.send_and_die_at("taken", one)
    newer = parcel(data=b"newer", store=store)
    moments = chain([bench.row(one).updated_at], repeat(bench.row(one).updated_at + timedelta(hours=1)))
    bench.lease_s = 60
    run = replace(bench.run(), clock=lambda: next(moments))
    with FakeTransport(bench.server).connect() as inbox:
        assert deliver(newer, inbox, run).outcome == "delivered"
    assert bench.server.files == {FINAL: b"newer"}


def test_the_temporary_file_of_a_run_that_died_is_removed(bench: Bench, one: Parcel) -> None:
    assert bench.send_and_die_at("created", one)
    assert len(bench.server.temporaries()) == 1
    assert bench.send(one).outcome == "delivered"
    assert bench.server.temporaries() == []
