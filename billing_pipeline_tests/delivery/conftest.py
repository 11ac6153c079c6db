"""Ledgers of both kinds, a store, and parcels, for the tests of the delivery room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from billing_pipeline.delivery.ledger import Ledger, open_ledger
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.delivering import hasty
from billing_pipeline_tests.support.postgres import fresh_database


@pytest.fixture(scope="session")
def migrated(postgres_url: str) -> Iterator[str]:
    """The name of a database on PostgreSQL that is an empty ledger."""
    with fresh_database(postgres_url) as url:
        open_ledger(url).close()
        yield str(make_url(url).database)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a ledger on each of the databases; it is there where the test asks for a `ledger` too."""
    if request.param == "postgresql":
        like = request.getfixturevalue("migrated") if "ledger" in request.fixturenames else "template1"
        with fresh_database(request.getfixturevalue("postgres_url"), like=like) as url:
            yield url
    else:
        yield f"sqlite:///{tmp_path / 'home' / 'ledger.db'}"


@pytest.fixture
def open_at(ledger_url: str) -> Iterator[Callable[[], Ledger]]:
    """Opens the test's ledger, as often as asked for; closes them all in the end."""
    opened: list[Ledger] = []

    def opener() -> Ledger:
        opened.append(open_ledger(ledger_url))
        return opened[-1]

    yield opener
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_at: Callable[[], Ledger]) -> Ledger:
    """An empty ledger, on each of the databases."""
    return open_at()


@pytest.fixture
def sqlite_ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger where neither the database nor its durability matters."""
    ledger = hasty(open_ledger(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}"))
    yield ledger
    ledger.close()


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    """An empty store in a local folder."""
    return BlobStore(tmp_path / "store")
