"""The way for databases that we do not know, tried on the two that we do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from billing_pipeline.oms.contract import RELATIONS
from billing_pipeline.oms.extract import Extract, probe
from billing_pipeline.oms.oms_errors import OmsShapeWrong, OmsUnavailable
from billing_pipeline.oms.other_source import OtherSource
from billing_pipeline.oms.queries import Query, load_queries
from billing_pipeline.oms.source import OmsSource, open_source
from billing_pipeline_tests.support.oms_database import (
    customer,
    fee,
    service,
    task,
    write_postgres,
    write_sqlite,
)

October = Callable[[OmsSource], Extract]

MONTH = {
    "customers": [customer(company_name=None, last_name="Müller")],
    "services": [service(quantity="0.333", unit_price_net="150.10"), service("S2", vat_percent=None)],
    "service_tasks": [task(price_net="0.10")],
    "cancellation_fees": [fee()],
}


def test_fetched_rows_give_the_same_frames_as_copied_ones(postgres_database: str, october: October) -> None:
    write_postgres(postgres_database, MONTH)

    copied = october(open_source(postgres_database))
    fetched = october(OtherSource(make_url(postgres_database), load_queries("postgresql", None)))
    for name in RELATIONS:
        assert getattr(copied, name).equals(getattr(fetched, name))


def test_fetched_rows_of_sqlite_give_the_same_frames(tmp_path: Path, october: October) -> None:
    url = write_sqlite(tmp_path / "oms.db", MONTH)
    queries = {name: Query(relation, f"SELECT * FROM {name}", name) for name, relation in RELATIONS.items()}

    fetched = october(OtherSource(make_url(url), queries))
    assert fetched.services.equals(october(open_source(url)).services)


def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(OmsUnavailable, match="unable to open database file"):
        probe(OtherSource(make_url(f"sqlite:///{tmp_path}/no/folder/oms.db"), load_queries("sqlite", None)))


def test_a_query_that_fails_is_named(postgres_database: str) -> None:
    source = OtherSource(make_url(postgres_database), load_queries("postgresql", None))

    with pytest.raises(OmsShapeWrong, match='OMS relation customers: relation "customers" does not exist'):
        probe(source)
