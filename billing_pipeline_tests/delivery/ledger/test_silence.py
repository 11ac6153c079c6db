"""A ledger's server that says nothing any more: an error in time, and the next call on a new connection."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa

from billing_pipeline.delivery.ledger import LedgerUnavailable, open_ledger, silence
from billing_pipeline.delivery.ledger.events import Note
from billing_pipeline_tests.support.tcp_proxy import tcp_proxy


def test_a_server_that_goes_silent_is_given_up_and_asked_again(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "SILENT_S", 1.0)
    url = sa.make_url(postgres_database)
    with tcp_proxy(url.port or 5432) as proxy:
        through = url.set(host="127.0.0.1", port=proxy.port)
        ledger = open_ledger(through.render_as_string(hide_password=False))
        begin = time.monotonic()
        with pytest.raises(LedgerUnavailable), ledger.database.writing() as connection:
            connection.exec_driver_sql("SELECT pg_sleep(20)")
        assert time.monotonic() - begin < 5
        ledger.events.record(Note("look", "it answers"), month="2026-10", run_id="run")
        assert [event.action for event in ledger.events.find(month="2026-10")] == ["look"]
        ledger.close()


def test_a_server_that_accepts_and_says_nothing_is_given_up(postgres_database: str) -> None:
    url = sa.make_url(postgres_database)
    with tcp_proxy(url.port or 5432) as proxy:
        proxy.conduct = "silent"
        begin = time.monotonic()
        with pytest.raises(LedgerUnavailable):
            open_ledger(url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False))
        assert time.monotonic() - begin < 25


def test_a_statement_has_a_time_on_the_server_too(postgres_database: str) -> None:
    ledger = open_ledger(postgres_database)
    with ledger.database.reading() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "1min"
    ledger.close()
