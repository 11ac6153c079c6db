"""What tests of every room may ask for: a real PostgreSQL."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from billing_pipeline_tests.support import on_all_cores
from billing_pipeline_tests.support.extent import FULL
from billing_pipeline_tests.support.in_memory import keep_temporary_files_in_memory
from billing_pipeline_tests.support.interrupts import hear_interrupts
from billing_pipeline_tests.support.migrations_once import read_migrations_once
from billing_pipeline_tests.support.postgres import fresh_database, postgres_server

hear_interrupts()
keep_temporary_files_in_memory()
read_migrations_once()

# Where nothing imports these, a test or two shall not wait for Dagster.
_MAKE_HOMES = {"dagster", "billing_pipeline_tests.support.installation"}

# A busy machine is no reason for a property to fail.
settings.register_profile("billing", deadline=None, max_examples=100 if FULL else 40)
settings.load_profile("billing")


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """One worker more than cores, unless somebody has said how many: see `on_all_cores`."""
    workers = yield
    return workers if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else workers + 1


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(on_all_cores)


def pytest_collection_finish() -> None:
    """All that the tests import is there by now."""
    if not _MAKE_HOMES.isdisjoint(sys.modules):
        from billing_pipeline_tests.support.databases_once import begin_databases_as_copies

        begin_databases_as_copies()
    # Some millions of objects that live as long as the session: not to be looked through again and again.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """SQLAlchemy URL of a PostgreSQL server of this test session (its database `postgres`)."""
    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """SQLAlchemy URL of an empty database of the test's own."""
    with fresh_database(postgres_url) as url:
        yield url
