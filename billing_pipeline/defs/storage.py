"""Dagster's event log and run storage, written quickly: a chunk run records three events per customer, and plans two.

Dagster's own storages open a database connection for nearly every statement, and look into the database's
catalogue at every materialization, which costs far more than the writing itself. The classes here change where a
connection comes from, how durably it commits, and how many records share a transaction (`event_batches`), nothing
about what is written, so that any instance may be switched to them or from them at any time. They are named in
dagster.yaml (PostgreSQL) and in the instance that the command line makes (SQLite). Figures: `make bench` and
docs/decisions/0010-event-log-storage.md.

They lean on inner parts of dagster and dagster-postgres, which pyproject.toml pins to one release each.

Not here: whether something may be sent. The ledger alone decides that, so that a record lost here is only a
partition that stays grey until it is run again, with the outcome `unchanged`.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Self

import sqlalchemy
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage
from dagster_postgres.utils import create_pg_engine, get_token_provider_from_config, pg_url_from_config
from sqlalchemy.engine import Connection, Engine

from billing_pipeline.defs.event_batches import BatchedEventLog
from billing_pipeline.delivery.ledger.kept_connections import try_where_in_doubt

# Below the idle time-outs of common firewalls and load balancers.
_RECYCLE_SECONDS = 300
# A process writes one run; a webserver follows a few.
_OPEN_RUN_SHARDS = 8


class PooledPostgresEventLogStorage(BatchedEventLog, PostgresEventLogStorage):
    """PostgreSQL, with a connection kept open, and without waiting for the disk. Configured as its parent is.

    The pool keeps one connection per process, opens as many more as are needed at one moment, and tries each before
    use where there is doubt (`try_where_in_doubt`), so that a restarted server costs no event.

    `synchronous_commit=off`, on these connections alone: a crash of the *server* can lose the events of the last
    half second, never tear one. The run storage commits a run's status durably after the run's events, and so
    brings them to the disk with it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._engine = _kept_open(self.postgres_url, self._token_provider)
        sqlalchemy.event.listen(self._engine, "connect", _do_not_wait_for_the_disk)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """As the parent's, which makes an object of the parent's own class."""
        return cls(inst_data=inst_data, **_of_config(config_value))

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()


class PooledPostgresRunStorage(PostgresRunStorage):
    """PostgreSQL, with a connection kept open. Configured as its parent is, and as durable.

    Its parent opens one for nearly every question, a hundred of them in a month's run: each is a process of the server
    and a login, some ten milliseconds during which the run waits.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._has_stats_columns = False
        super().__init__(*args, **kwargs)
        self._engine = _kept_open(self.postgres_url, self._token_provider)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """As the parent's, which makes an object of the parent's own class."""
        return cls(inst_data=inst_data, **_of_config(config_value))

    def has_run_stats_index_cols(self) -> bool:
        """Remembers the columns once seen, as the event log does."""
        self._has_stats_columns = self._has_stats_columns or super().has_run_stats_index_cols()
        return self._has_stats_columns

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()


class PooledSqliteEventLogStorage(BatchedEventLog, SqliteEventLogStorage):
    """SQLite, with a connection kept open per database file, and without waiting for the disk at every commit.

    Configured as its parent is. In the write-ahead mode that Dagster chooses, `synchronous=NORMAL` can lose the
    last events when the power fails, and cannot damage the file.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}  # by shard, the one used last at the end
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """As the parent's, which makes an object of the parent's own class."""
        return cls(inst_data=inst_data, **config_value)

    def store_event(self, event: EventLogEntry) -> None:
        """As the parent's, and touches the run's file.

        The webserver follows a run by watching its file, and a kept connection writes into the write-ahead log
        beside it, leaving the file itself untouched for long.
        """
        super().store_event(event)
        with suppress(FileNotFoundError):  # of a run whose first record still waits
            os.utime(self.path_for_shard(event.run_id))

    def _insert_events(self, run_id: str, rows: Sequence[dict[str, Any]]) -> Sequence[int]:
        """Into the run's own file too, and touches it, as `store_event` does."""
        with self.run_connection(run_id) as connection:
            connection.execute(SqlEventLogStorageTable.insert(), list(rows))
        os.utime(self.path_for_shard(run_id))
        return super()._insert_events(run_id, rows)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock, self._engine(shard).connect() as connection, connection.begin():
            yield connection

    def _engine(self, shard: str) -> Engine:
        engine = self._engines.pop(shard, None) or self._open(shard)
        self._engines[shard] = engine
        if len(self._engines) > _OPEN_RUN_SHARDS + 1:
            oldest = next(name for name in self._engines if name != INDEX_SHARD_NAME)
            self._engines.pop(oldest).dispose()
        return engine

    def _open(self, shard: str) -> Engine:
        engine = sqlalchemy.create_engine(
            self.conn_string_for_shard(shard), connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
        )
        sqlalchemy.event.listen(engine, "connect", _wait_for_the_disk_at_checkpoints_only)
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        return engine

    def wipe(self) -> None:
        self._close()
        super().wipe()

    def dispose(self) -> None:
        super().dispose()
        self._close()

    def _close(self) -> None:
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()


def _of_config(config_value: Mapping[str, Any]) -> dict[str, Any]:
    """What a storage on PostgreSQL is made of, as dagster-postgres reads its configuration."""
    return {
        "postgres_url": pg_url_from_config(config_value),
        "should_autocreate_tables": config_value.get("should_autocreate_tables", True),
        "token_provider": get_token_provider_from_config(config_value),
    }


def _kept_open(url: str, token_provider: Any) -> Engine:
    """An engine that keeps one connection, and opens as many more as are needed at one moment."""
    engine = create_pg_engine(
        url,
        token_provider,
        isolation_level="AUTOCOMMIT",
        pool_size=1,
        max_overflow=-1,
        pool_recycle=_RECYCLE_SECONDS,
        # A check's rows are updated, many in one round trip.
        executemany_mode="values_plus_batch",
    )
    try_where_in_doubt(engine)
    return engine


def _do_not_wait_for_the_disk(connection: Any, _record: object) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit TO off")


def _wait_for_the_disk_at_checkpoints_only(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
