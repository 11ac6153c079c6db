"""Sealing at the same time, on both databases: one chain, and each month as it stands in the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.tables import seals
from billing_pipeline.steps import seal as sealing
from billing_pipeline.steps.seal import Facts, seal_month
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.ledgers import committed, planned, published, taken
from billing_pipeline_tests.support.parcels import parcel

MONTHS = [f"2026-{month:02}" for month in range(1, 9)]


def deliver(ledger: Ledger, month: str, customer_number: str = "10023") -> None:
    """One file of the month, published."""
    one = parcel(customer_number, f"{month} {customer_number}".encode(), month=month, billed=())
    ledger.months.record_exports([one.export], "run")
    assert published(ledger, committed(ledger, taken(ledger, planned(ledger, one)))) is not None


def test_many_at_once_make_one_chain_with_one_seal_a_month(
    open_at: Callable[[], Ledger], store: BlobStore
) -> None:
    ledger = open_at()
    for month in MONTHS:
        deliver(ledger, month)
    together = threading.Barrier(len(MONTHS))

    def seal(turn: int) -> None:
        own = open_at()
        together.wait()
        for month in MONTHS[turn:] + MONTHS[:turn]:
            seal_month(own, store, month)

    with ThreadPoolExecutor(len(MONTHS)) as pool:
        list(pool.map(seal, range(len(MONTHS))))
    chain = ledger.seals.all()
    assert sorted(one.month for one in chain) == MONTHS
    assert [one.previous_sha256 for one in chain] == ["", *(one.sha256 for one in chain[:-1])]


def test_who_read_before_another_sealed_newer_facts_does_not_seal_the_old_ones(
    open_at: Callable[[], Ledger], store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, read = open_at(), sealing.facts_now
    deliver(ledger, "2026-01")
    overtaken: list[str] = []

    def overtake(of: Ledger, month: str) -> Facts:
        facts = read(of, month)
        if not overtaken:
            overtaken.append(month)
            deliver(ledger, month, "10024")
            assert seal_month(open_at(), store, month) is not None
        return facts

    monkeypatch.setattr(sealing, "facts_now", overtake)
    assert seal_month(ledger, store, "2026-01") is None
    (only,) = ledger.seals.all()
    assert only.facts_sha256 == sealing.facts_hash(read(ledger, "2026-01"))


@pytest.mark.parametrize("change", [sa.update(seals).values(month="x"), sa.delete(seals)])
def test_no_seal_can_be_changed_or_removed(ledger: Ledger, store: BlobStore, change: sa.Executable) -> None:
    deliver(ledger, "2026-01")
    assert seal_month(ledger, store, "2026-01") is not None
    with (
        ledger.database.engine.begin() as connection,
        pytest.raises(sa.exc.DatabaseError, match="the ledger keeps every row of seals"),
    ):
        connection.execute(change)
