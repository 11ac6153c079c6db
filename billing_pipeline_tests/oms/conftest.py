"""OMS databases of a test's own, in SQLite, in PostgreSQL, or in both."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from billing_pipeline.oms.extract import Extract, extract_month
from billing_pipeline.oms.period import period_of
from billing_pipeline.oms.source import OmsSource, open_source
from billing_pipeline_tests.support.oms_database import Row, write_postgres, write_sqlite

BERLIN = "Europe/Berlin"

Oms = Callable[..., OmsSource]


@pytest.fixture
def sqlite_oms(tmp_path: Path) -> Oms:
    """Makes the OMS of these rows: `sqlite_oms(customers=[…], services=[…])`."""

    def make(*, typed: bool = True, **rows: Iterable[Row]) -> OmsSource:
        return open_source(write_sqlite(tmp_path / "oms.db", rows, typed=typed))

    return make


@pytest.fixture
def postgres_oms(postgres_database: str) -> Oms:
    """The same in PostgreSQL."""

    def make(**rows: Iterable[Row]) -> OmsSource:
        return open_source(write_postgres(postgres_database, rows))

    return make


@pytest.fixture(params=["sqlite_oms", "postgres_oms"])
def any_oms(request: pytest.FixtureRequest) -> Oms:
    """Once in SQLite, once in PostgreSQL."""
    made: Oms = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def october() -> Callable[[OmsSource], Extract]:
    """Extracts October 2026, Berlin."""
    return lambda source: extract_month(source, period_of("2026-10", BERLIN), timezone=BERLIN)
