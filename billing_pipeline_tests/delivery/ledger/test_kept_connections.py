"""Kept connections to PostgreSQL: one that was lost costs nothing, one that is in use is not tried first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from billing_pipeline.delivery.ledger import Ledger, kept_connections, open_ledger
from billing_pipeline.delivery.ledger.events import Note


@pytest.fixture
def ledger(postgres_database: str) -> Iterator[Ledger]:
    ledger = open_ledger(postgres_database)
    yield ledger
    ledger.close()


@pytest.fixture
def tried(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The connections that were tried before they were used."""
    tried: list[Any] = []
    dialect = ledger.database.engine.dialect
    ping = dialect.do_ping

    def try_it(connection: Any) -> bool:
        tried.append(connection)
        return ping(connection)

    monkeypatch.setattr(dialect, "do_ping", try_it)
    return tried


def note(ledger: Ledger, action: str) -> None:
    ledger.events.record(Note(action, ""), month="2026-10", run_id="run")


def noted(ledger: Ledger) -> list[str]:
    return [event.action for event in ledger.events.find(month="2026-10")]


def end_all_connections(url: str) -> int:
    sql = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return len(cursor.fetchall())


def test_a_connection_that_the_server_ended_costs_nothing_though_it_was_just_used(
    ledger: Ledger, postgres_database: str
) -> None:
    for action in ("one", "two", "three"):
        note(ledger, action)
        assert end_all_connections(postgres_database) == 1
    with ledger.database.reading(), ledger.database.reading():
        pass
    assert end_all_connections(postgres_database) == 2
    with ledger.database.reading() as one, ledger.database.reading() as other:
        assert [each.exec_driver_sql("SELECT 1").scalar_one() for each in (one, other)] == [1, 1]
    assert noted(ledger) == ["one", "two", "three"]


def test_a_connection_in_use_is_not_tried_and_one_that_was_idle_is(
    ledger: Ledger, tried: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    note(ledger, "one")
    note(ledger, "two")
    assert tried == []
    monkeypatch.setattr(kept_connections, "_IN_USE_S", 0.0)
    note(ledger, "three")
    assert len(tried) == 1
    assert noted(ledger) == ["one", "two", "three"]


def test_transactions_are_read_committed_and_wait_for_the_disk(ledger: Ledger) -> None:
    with ledger.database.writing() as connection:
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "read committed"
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
