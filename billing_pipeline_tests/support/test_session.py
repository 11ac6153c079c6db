"""What holds for a whole session: where temporary files lie, interrupts, ports, migrations that are read once."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.sql import get_alembic_config

from billing_pipeline.delivery.ledger import open_ledger
from billing_pipeline.delivery.ledger.database import make_engine
from billing_pipeline.delivery.ledger.migrate import migrate, migrations
from billing_pipeline_tests.support import in_memory
from billing_pipeline_tests.support.databases_once import begin_databases_as_copies
from billing_pipeline_tests.support.in_memory import keep_temporary_files_in_memory
from billing_pipeline_tests.support.interrupts import hear_interrupts
from billing_pipeline_tests.support.ports import free_port


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", "")  # so that what the test sets is undone, wherever it was not set before
    monkeypatch.delenv("TMPDIR")


def test_temporary_files_lie_in_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(in_memory, "_MEMORY", tmp_path)
    monkeypatch.setattr(in_memory, "_ENOUGH_BYTES", 1)
    keep_temporary_files_in_memory()
    assert tempfile.gettempdir() == str(tmp_path)


def test_a_memory_that_is_small_or_not_there_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usual = tempfile.gettempdir()
    for memory, enough in ((tmp_path, 1 << 62), (tmp_path / "none", 1)):
        monkeypatch.setattr(in_memory, "_MEMORY", memory)
        monkeypatch.setattr(in_memory, "_ENOUGH_BYTES", enough)
        keep_temporary_files_in_memory()
        assert tempfile.gettempdir() == usual


def test_whoever_says_where_temporary_files_lie_is_heard(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(in_memory, "_ENOUGH_BYTES", 1)
    keep_temporary_files_in_memory()
    assert tempfile.gettempdir() == str(tmp_path)


def test_tests_in_the_background_start_processes_that_hear_an_interrupt() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        hear_interrupts()
        heard = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
        assert subprocess.check_output([sys.executable, "-c", heard], text=True) == "True\n"
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_port_is_not_one_that_the_system_gives_to_others() -> None:
    assert all(1024 < free_port() < 32_768 for _ in range(100))


def test_a_folder_of_migrations_is_read_once_and_is_not_taken_for_another() -> None:
    of_dagster = get_alembic_config(sqlite_event_log.__file__)
    ours, ours_again = migrations(), migrations()
    ours_again.set_main_option("sqlalchemy.url", "sqlite:///another.db")
    assert ScriptDirectory.from_config(ours) is ScriptDirectory.from_config(ours_again)
    assert ScriptDirectory.from_config(ours) is not ScriptDirectory.from_config(of_dagster)


def test_a_ledger_that_begins_as_a_copy_is_what_the_migrations_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_databases_as_copies()
    open_ledger(f"sqlite:///{tmp_path / 'first'}.db").close()
    with monkeypatch.context() as patch:
        patch.setitem(
            migrate.__globals__, "_upgrade", lambda *_: pytest.fail("a copy has nothing to migrate")
        )
        open_ledger(f"sqlite:///{tmp_path / 'copy'}.db").close()
    migrate(make_engine(f"sqlite:///{tmp_path / 'migrated'}.db"))
    made = {}
    for name in ("copy", "migrated"):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection:
            made[name] = list(connection.iterdump())
    assert made["copy"] == made["migrated"]
