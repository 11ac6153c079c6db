"""What `status` calls delivered is believed by nobody here: it lies in the inbox, or a receiver has logged it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from billing_pipeline.delivery.records import DeliveryResult
from billing_pipeline_tests.faults import world as worlds
from billing_pipeline_tests.faults.world import Case, World, child_context, folder_account
from billing_pipeline_tests.support.ledgers import committed, planned, published, taken


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(worlds, "RECEIVERS_PATIENCE_S", 0.1)
    share = tmp_path / "share"
    account = folder_account(share, two_steps=False)
    made = World(account, f"sqlite:///{tmp_path}/ledger.db", tmp_path, share, "/", child_context())
    (tmp_path / "seen.log").touch()
    return made


def called_delivered(world: World) -> Case:
    """A file of which the ledger says that it was published, and of which nobody asked the inbox."""
    case = world.case(700, "delete", random.Random(0))
    ledger, export = world.ledger, case.parcel.export
    assert published(ledger, committed(ledger, taken(ledger, planned(ledger, case.parcel))))
    result = DeliveryResult(export.month, export.customer_number, "delivered", sha256=export.sha256)
    ledger.months.record_outcomes([result], "run")
    return case


def test_what_status_calls_delivered_and_is_nowhere_is_lost_even_if_it_comes_later(world: World) -> None:
    case = called_delivered(world)
    world.check_status(case)
    assert world.status.untrue == [case.name]
    with world.receivers():
        data = case.address.store.get("csv", case.parcel.export.sha256)
        unfinished = world.inbox_folder("delete") / ".later.tmp"
        unfinished.write_bytes(data)
        unfinished.rename(unfinished.with_name(case.name))
    verdict = world.judge(world.expected, [])
    assert (verdict.lost, verdict.right) == (1, 0), verdict.faulty


def test_a_file_in_the_inbox_is_there_and_a_strangers_is_not_ours(world: World) -> None:
    case = called_delivered(world)
    data = case.address.store.get("csv", case.parcel.export.sha256)
    (world.inbox_folder("delete") / case.name).write_bytes(data)
    world.check_status(case)
    assert (world.status.asked, world.status.said_delivered, world.status.untrue) == (1, 1, [])
    world.check_status(case, is_strangers=True)
    assert world.status.untrue == [case.name]


def test_a_file_that_a_receiver_has_taken_is_there(world: World) -> None:
    case = called_delivered(world)
    with world.receivers():
        data = case.address.store.get("csv", case.parcel.export.sha256)
        unfinished = world.inbox_folder("delete") / ".now.tmp"
        unfinished.write_bytes(data)
        unfinished.rename(unfinished.with_name(case.name))
    world.check_status(case)
    assert world.status.untrue == []


def test_what_status_does_not_call_delivered_is_not_looked_for(world: World) -> None:
    case = world.case(700, "delete", random.Random(0))
    world.check_status(case)
    assert (world.status.asked, world.status.said_delivered, world.status.untrue) == (1, 0, [])
