"""What a file costs a ledger on PostgreSQL: as much whatever else is billed, and few statements."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from billing_pipeline.delivery.ledger import Ledger, open_ledger
from billing_pipeline.delivery.ledger.tables import billed_rows
from billing_pipeline.delivery.records import State
from billing_pipeline_tests.support.ledgers import committed, planned, published, taken
from billing_pipeline_tests.support.parcels import MONTH, parcel, service

OTHERS = 20_000


@pytest.fixture
def ledger(postgres_database: str) -> Iterator[Ledger]:
    ledger = open_ledger(postgres_database)
    yield ledger
    ledger.close()


@contextmanager
def said_to(engine: sa.Engine) -> Iterator[list[tuple[str, Any]]]:
    """The statements that reach the server, with their values."""
    said: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        said.append((statement, values))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def pages_read(engine: sa.Engine, statement: str, values: Any) -> int:
    """How many pages the server looks at for a SELECT."""
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", values)
        found = plan.scalar_one()
        [top] = found if isinstance(found, list) else json.loads(found)
        return int(top["Plan"]["Shared Hit Blocks"] + top["Plan"]["Shared Read Blocks"])


def test_a_plan_looks_at_its_own_rows_alone_before_the_server_has_counted_the_others(ledger: Ledger) -> None:
    engine = ledger.database.engine
    other = planned(ledger, parcel("20001"))
    with ledger.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE billed_rows SET (autovacuum_enabled = off)")
        connection.execute(
            sa.insert(billed_rows),
            [
                {
                    "source_kind": "service",
                    "source_id": f"SV-{number}",
                    "fingerprint": "",
                    "customer_number": "20001",
                    "month": MONTH,
                    "delivery_id": other.id,
                }
                for number in range(OTHERS)
            ],
        )
    mine = parcel("20002", billed=tuple(service(f"S-{number}") for number in range(50)))
    with said_to(engine) as said:
        planned(ledger, mine)
    read = {
        statement: pages_read(engine, statement, values)
        for statement, values in said
        if statement.startswith("SELECT")
    }
    assert any("billed_rows" in statement for statement in read)
    # A few pages for each of its own.
    assert max(read.values()) < 10 * len(mine.billed) < OTHERS / 10


def test_a_file_of_many_rows_costs_ten_statements_until_it_is_published(ledger: Ledger) -> None:
    mine = parcel(billed=tuple(service(f"S-{number}") for number in range(200)))
    with said_to(ledger.database.engine) as said:
        delivery = published(ledger, committed(ledger, taken(ledger, planned(ledger, mine))))
    assert delivery is not None
    assert delivery.state is State.PUBLISHED
    # Planned: what there is of the customer, of the order number and of the rows; written, with its rows. Then three
    # edges, two of which are noted in the log.
    assert len(said) == 5 + 1 + 2 + 2
    assert len(ledger.billed.rows([MONTH])) == 200
