"""Several runs on the same customers at once, on both databases: one file each, whoever is first."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from billing_pipeline.delivery.context import Places
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import DeliveryResult, Parcel, State
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.delivering import Bench, context_over, deliver_over
from billing_pipeline_tests.support.inbox import FakeServer, FakeTransport
from billing_pipeline_tests.support.parcels import parcel

RUNS = 3


@pytest.fixture
def parcels(store: BlobStore) -> list[Parcel]:
    return [parcel(f"{number:05}", f"file {number}".encode(), store=store) for number in range(15)]


def test_three_runs_at_once_deliver_each_file_once(
    open_at: Callable[[], Ledger], store: BlobStore, parcels: list[Parcel]
) -> None:
    server = FakeServer(after_each=lambda server, *_: server.poll("archive"))
    together = threading.Barrier(RUNS)

    def run(number: int) -> list[DeliveryResult]:
        ledger = open_at()
        ledger.months.record_exports([parcel.export for parcel in parcels], f"run-{number}")
        together.wait()
        transport = FakeTransport(server)
        places = Places("/import", "/archive")
        context = context_over(transport, ledger, store, run_id=f"run-{number}", places=places)
        return list(deliver_over(parcels, transport, context, connections=2))

    with ThreadPoolExecutor(RUNS) as pool:
        results = [result for told in pool.map(run, range(RUNS)) for result in told]
    assert Counter(path for path, _ in server.published) == Counter(
        f"/import/{parcel.export.file_name}" for parcel in parcels
    )
    assert Counter(result.outcome for result in results) == {
        "delivered": len(parcels),
        "unchanged": (RUNS - 1) * len(parcels),
    }


@pytest.mark.parametrize("seed", range(3))
def test_runs_that_take_over_from_each_other_all_the_time_publish_once(
    open_at: Callable[[], Ledger], store: BlobStore, parcels: list[Parcel], seed: int
) -> None:
    """No lease at all: each run takes every other one for dead, and each is slow at every edge by chance."""
    server = FakeServer(after_each=lambda server, *_: server.poll("delete"))

    def run(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        bench = Bench(open_at(), store, server, archive_dir=None, lease_s=0.0, patience_s=20.0)
        for one in parcels[:5]:
            bench.send(one, at_crash_point=lambda edge: time.sleep(chance.random() * 0.01))

    with ThreadPoolExecutor(RUNS) as pool:
        list(pool.map(run, range(RUNS)))
    assert Counter(path for path, _ in server.published) == Counter(
        f"/import/{parcel.export.file_name}" for parcel in parcels[:5]
    )
    assert {row.state for row in open_at().deliveries.of_month()} == {State.PUBLISHED}


def test_runs_with_different_bytes_at_once_send_one_of_them_and_tell_the_other(
    open_at: Callable[[], Ledger], store: BlobStore
) -> None:
    server = FakeServer()
    together = threading.Barrier(2)

    def run(number: int) -> list[str]:
        ledger = open_at()
        outcomes: list[str] = []
        for customer in range(10):
            one = parcel(str(customer), f"bytes of run {number}".encode(), store=store)
            together.wait()
            outcomes.append(Bench(ledger, store, server, lease_s=60.0, patience_s=20.0).send(one).outcome)
        return outcomes

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(run, range(2))
    assert [sorted(pair) for pair in zip(first, second, strict=True)] == [["delivered", "held"]] * 10
    assert len(server.published) == 10
