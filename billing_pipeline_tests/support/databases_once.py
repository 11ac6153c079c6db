"""What is the same in every new SQLite database is worked out once per process of the tests, not for each of thousands.

Of the first empty ledger, and the first of each of Dagster's databases, the bytes are kept: the next one begins as a
copy, and is opened as ever, which finds nothing to migrate. A database that is there, another process's or an older
release's, is never touched. And each statement is compiled to SQL once, not anew by every engine; and Dagster starts
no four processes per run to show its output a second time.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from dagster._core.execution import compute_logs
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.util import LRUCache

from billing_pipeline.delivery import ledger
from billing_pipeline.delivery.ledger.database import database_file
from billing_pipeline.delivery.ledger.migrate import migrate
from billing_pipeline.store.home import HomeUnavailable, locked

Made = TypeVar("Made")

_kept: dict[str, bytes] = {}
_dialects: dict[object, sa.Dialect] = {}
_compiled: Any = LRUCache(5_000)
_compile = ClauseElement._compile_w_cache


def _begun(kind: str, file: Path, make: Callable[[], Made]) -> Made:
    """What `make` returns; where the file is not there, it finds the first one's bytes in it, or they are kept."""
    if not _is_new(file):
        return make()
    if first := _kept.get(kind):
        # What keeps it from being written is told by whoever opens it.
        with suppress(OSError, HomeUnavailable):
            _place(file, first)
        return make()
    made = make()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _kept[kind] = file.read_bytes()
    return made


def _is_new(file: Path) -> bool:
    return not file.exists() or not file.stat().st_size


def _place(file: Path, content: bytes) -> None:
    """Whole, or not at all; another thread's stays."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if file.exists():
        # A ledger's file is made, empty, before it is opened; whoever fills it holds this lock.
        with locked(file.with_name(f"{file.name}.lock"), timeout_s=120):
            if _is_new(file):
                file.write_bytes(content)
        return
    whole = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    whole.write_bytes(content)
    try:
        os.link(whole, file)
    finally:
        whole.unlink()


def _migrate(engine: sa.Engine) -> None:
    if engine.dialect.name != "sqlite":
        return migrate(engine)
    return _begun("ledger", database_file(engine.url), lambda: migrate(engine))


@cache
def begin_databases_as_copies() -> None:
    """In this process, from now on."""
    events = sqlite_event_log.SqliteEventLogStorage
    runs_from, schedules_from = SqliteRunStorage.from_local, SqliteScheduleStorage.from_local
    made, initialised = events.__init__, events._initdb

    def make_events(self: Any, base_dir: str, inst_data: Any = None) -> None:
        index = Path(base_dir) / f"{sqlite_event_log.INDEX_SHARD_NAME}.db"
        _begun("events", index, lambda: made(self, base_dir, inst_data))

    def initialise(self: Any, engine: sa.Engine, for_index_shard: bool = False) -> None:
        if for_index_shard:
            return initialised(self, engine, for_index_shard)
        return _begun("run", Path(str(engine.url.database)), lambda: initialised(self, engine))

    def runs(base_dir: str, inst_data: Any = None) -> Any:
        return _begun("runs", Path(base_dir) / "runs.db", lambda: runs_from(base_dir, inst_data))

    def schedules(base_dir: str, inst_data: Any = None) -> Any:
        return _begun(
            "schedules", Path(base_dir) / "schedules.db", lambda: schedules_from(base_dir, inst_data)
        )

    for owner, name, quick in (
        (ledger, "migrate", _migrate),
        (events, "__init__", make_events),
        (events, "_initdb", initialise),
        (compute_logs, "tail_to_stream", lambda path, stream: nullcontext((None, None))),
        (SqliteRunStorage, "from_local", staticmethod(runs)),
        (SqliteScheduleStorage, "from_local", staticmethod(schedules)),
    ):
        setattr(owner, name, quick)
    ClauseElement._compile_w_cache = _compile_once  # type: ignore[method-assign]


def _compile_once(self: Any, dialect: Any, *, compiled_cache: Any, **options: Any) -> Any:
    if compiled_cache is None or dialect.name != "sqlite":
        return _compile(self, dialect, compiled_cache=compiled_cache, **options)
    # A dialect is its engine's own, and part of the key: one for all that compile alike.
    alike = (type(dialect), dialect.server_version_info, dialect.paramstyle, dialect.label_length)
    one = _dialects.setdefault(alike, dialect)
    return _compile(self, one, compiled_cache=_compiled, **options)
