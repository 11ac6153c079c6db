"""The ledger's database: connections, durable transactions, and its errors in our words; no table.

SQLite: write-ahead log, `synchronous=FULL`, every writing transaction begins with BEGIN IMMEDIATE, so that
a compare-and-set reads what it then writes. PostgreSQL: `synchronous_commit=on`, and READ COMMITTED on
purpose: a compare-and-set is one UPDATE whose WHERE is evaluated again after waiting for a row lock, unique
constraints decide between two inserts, and what is read before it is written is read FOR UPDATE. A stricter
isolation would only add serialization failures to retry.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from billing_pipeline.delivery.ledger.kept_connections import try_where_in_doubt
from billing_pipeline.problems import PipelineError, UsageError, without_secrets

_LOCK_WAIT_S = 30
_WRITERS = 8
_READ_ONLY = "ledger_reading"

Clock = Callable[[], datetime]


class LedgerUnavailable(PipelineError):
    """The ledger cannot be reached, read or written: nothing may be sent."""


class LedgerTooNew(PipelineError):
    """A newer billing_pipeline has migrated the ledger; this one does not know what its tables mean."""


def insert(connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> int:
    """Insert one row; the id that the database gave it."""
    [key] = connection.execute(sa.insert(table), dict(values)).inserted_primary_key or []
    return int(key)


def utc_now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


class Database:
    """Transactions on the ledger, for any number of threads; each part of `Ledger` is given the one there is."""

    def __init__(self, engine: sa.Engine, *, clock: Clock = utc_now) -> None:
        self.engine = engine
        self.now = clock
        self.is_postgresql = engine.dialect.name == "postgresql"
        self.where = without_secrets(engine.url.render_as_string(hide_password=False))
        # SQLite has one writer and lets the others sleep and try again; our own threads need not. On PostgreSQL each
        # thread more is a connection more, and they wait for the same disk.
        self._writers = threading.BoundedSemaphore(_WRITERS if self.is_postgresql else 1)

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction, durable on leaving. IntegrityError comes through; all else is LedgerUnavailable."""
        with self._writers, self._errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with self._errors(), self.engine.connect() as connection:
            yield connection.execution_options(**{_READ_ONLY: True})

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.IntegrityError:
            raise
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            raise unavailable(self.where, error) from error

    def close(self) -> None:
        """Give back the pooled connections; the ledger can still be used afterwards."""
        self.engine.dispose()


def make_engine(url: str) -> sa.Engine:
    """A pooled engine for the ledger's URL. Raises: UsageError for a URL that cannot be one."""
    try:
        parsed = sa.make_url(url)
        dialect = parsed.get_backend_name()
    except sa.exc.ArgumentError as error:
        raise UsageError(
            "BILLING_LEDGER_URL is not an SQLAlchemy URL such as sqlite:///ledger.db or postgresql://…"
        ) from error
    if dialect == "sqlite":
        return _sqlite(parsed)
    if dialect == "postgresql":
        return _postgresql(parsed)
    raise UsageError(f"BILLING_LEDGER_URL names {dialect}; the ledger runs on sqlite or postgresql")


def database_file(url: sa.URL) -> Path:
    """The file of a SQLite URL. Raises: UsageError for a database in memory."""
    if not url.database or url.database == ":memory:":
        raise UsageError("BILLING_LEDGER_URL must name a file: a ledger in memory would forget what was sent")
    return Path(url.database)


def unavailable(where: str, error: sa.exc.SQLAlchemyError) -> LedgerUnavailable:
    """The driver's first line, without the statement and its values, which may be customers' data."""
    cause = str(error.orig) if isinstance(error, sa.exc.DBAPIError) else str(error)
    first_line = next(iter(cause.strip().splitlines()), type(error).__name__)
    return LedgerUnavailable(f"the ledger {where} is out of reach: {first_line}; check BILLING_LEDGER_URL")


def _sqlite(url: sa.URL) -> sa.Engine:
    file = database_file(url)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
        if file.stat().st_mode & 0o077:
            with suppress(PermissionError):
                file.chmod(0o600)
    except OSError as error:
        raise LedgerUnavailable(
            f"the ledger's folder {file.parent} cannot be made: {error.strerror}; check BILLING_LEDGER_URL"
        ) from error
    engine = sa.create_engine(url, poolclass=sa.QueuePool, pool_size=8, max_overflow=24)

    @event.listens_for(engine, "connect")
    def settle(connection: Any, record: object) -> None:
        # The driver would otherwise begin transactions by itself, and not at every statement.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_LOCK_WAIT_S * 1000}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        reading = connection.get_execution_options().get(_READ_ONLY, False)
        statement = "BEGIN" if reading else "BEGIN IMMEDIATE"
        # By the driver: SQLAlchemy took as long for this one word as for a file's other statements but the longest.
        driver: Any = connection.connection.dbapi_connection
        try:
            driver.execute(statement)
        except sqlite3.Error as error:
            raise sa.exc.OperationalError(statement, None, error) from error

    return engine


def _postgresql(url: sa.URL) -> sa.Engine:
    # psycopg2 takes a moment to import, and most ledgers are SQLite's.
    from billing_pipeline.delivery.ledger import silence

    # A run that is stopped inside a transaction must not block the others for good.
    options = (
        "-c synchronous_commit=on -c timezone=UTC -c default_transaction_isolation=read\\ committed "
        f"-c lock_timeout={_LOCK_WAIT_S * 1000} -c statement_timeout={_LOCK_WAIT_S * 2000} "
        f"-c idle_in_transaction_session_timeout={_LOCK_WAIT_S * 2000}"
    )
    engine = sa.create_engine(
        url,
        # Those who write, and some who read; a new one costs as much as a file's statements.
        pool_size=_WRITERS + 4,
        max_overflow=20,
        # The one used last, which need not be tried first.
        pool_use_lifo=True,
        # Many UPDATEs in one round trip, as many INSERTs always are.
        executemany_mode="values_plus_batch",
        connect_args={
            "options": options,
            "connect_timeout": 10,
            # A host that is gone, and one that lives and says nothing.
            "tcp_user_timeout": _LOCK_WAIT_S * 1000,
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "connection_factory": silence.BoundedConnection,
            "cursor_factory": silence.BoundedCursor,
        },
    )
    try_where_in_doubt(engine)
    return engine
