"""The pooled event logs write what Dagster's own write, on fewer connections, and survive what those survive."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import pytest
import sqlalchemy
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster_postgres import PostgresEventLogStorage

from billing_pipeline.defs.storage import PooledPostgresEventLogStorage, PooledSqliteEventLogStorage
from billing_pipeline_tests.support.postgres import fresh_database

TABLES = ("event_logs", "asset_keys", "asset_event_tags", "asset_check_executions")


@dg.multi_asset(
    specs=[dg.AssetSpec("csv", skippable=True)], check_specs=[dg.AssetCheckSpec("layout", asset="csv")]
)
def records(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult]:
    context.log_event(
        dg.AssetMaterialization("csv", partition="10023|2026-10", tags={"dagster/data_version": "a"})
    )
    yield dg.AssetCheckResult(asset_key="csv", check_name="layout", passed=False)


@pytest.fixture(scope="module")
def events() -> list[EventLogEntry]:
    """Every event of one small run: a materialization of a partition and a failed check among them."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([records], instance=instance)
        return list(instance.all_logs(result.run_id))


@pytest.fixture
def postgres(postgres_database: str) -> Iterator[PooledPostgresEventLogStorage]:
    storage = PooledPostgresEventLogStorage(postgres_database)
    yield storage
    storage.dispose()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[PooledSqliteEventLogStorage]:
    storage = PooledSqliteEventLogStorage(str(tmp_path / "pooled"))
    yield storage
    storage.dispose()


def rows_of(url: str) -> dict[str, list[tuple[object, ...]]]:
    """What an event log holds, but for the columns by which two logs differ (when the row was written)."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        rows = {
            table: [
                tuple(value for column, value in row.items() if column != "create_timestamp")
                for row in connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY id").mappings()
            ]
            for table in TABLES
        }
    engine.dispose()
    return rows


def backends(url: str) -> set[int]:
    """The server's processes that serve other connections to this database, each as the number of its process."""
    sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return {int(pid) for (pid,) in query(url, sql)}


def query(url: str, sql: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_on_postgresql_the_rows_are_those_of_dagsters_own_storage(
    postgres: PooledPostgresEventLogStorage,
    postgres_database: str,
    postgres_url: str,
    events: list[EventLogEntry],
) -> None:
    with fresh_database(postgres_url) as plain_database:
        plain = PostgresEventLogStorage(plain_database)
        for event in events:
            postgres.store_event(event)
            plain.store_event(event)
        expected = rows_of(plain_database)
        assert all(expected.values())
        assert rows_of(postgres_database) == expected


def test_on_postgresql_all_events_of_a_run_use_one_connection(
    postgres: PooledPostgresEventLogStorage, postgres_database: str, events: list[EventLogEntry]
) -> None:
    for event in events:  # the first time, the catalogue is asked on a second one
        postgres.store_event(event)
    used: set[int] = set()
    for event in events:
        postgres.store_event(event._replace(run_id="another run"))
        used |= backends(postgres_database)
    assert len(used) == 1
    postgres.dispose()
    wait_until(lambda: not backends(postgres_database) & used)


def test_on_postgresql_a_lost_connection_costs_no_event(
    postgres: PooledPostgresEventLogStorage, postgres_database: str, events: list[EventLogEntry]
) -> None:
    for event in events:
        for process in backends(postgres_database):
            query(postgres_database, f"SELECT pg_terminate_backend({process}, 5000)")
        postgres.store_event(event)
    assert len(rows_of(postgres_database)["event_logs"]) == len(events)


def test_on_postgresql_only_the_event_log_commits_without_waiting_for_the_disk(
    postgres: PooledPostgresEventLogStorage, postgres_database: str
) -> None:
    name = sqlalchemy.make_url(postgres_database).database
    query(postgres_database, f'ALTER DATABASE "{name}" SET synchronous_commit TO on')
    postgres.dispose()
    for _ in range(2):
        with postgres.index_connection() as log:
            assert log.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "off"
    plain = PostgresEventLogStorage(postgres_database)
    with plain.index_connection() as log:
        assert log.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"


def test_on_sqlite_the_rows_are_those_of_dagsters_own_storage(
    sqlite: PooledSqliteEventLogStorage, tmp_path: Path, events: list[EventLogEntry]
) -> None:
    plain = SqliteEventLogStorage(str(tmp_path / "plain"))
    for event in events:
        sqlite.store_event(event)
        plain.store_event(event)
    for shard in ("index", events[0].run_id):
        assert rows_of(sqlite.conn_string_for_shard(shard)) == rows_of(plain.conn_string_for_shard(shard))
    assert rows_of(sqlite.conn_string_for_shard("index"))["asset_event_tags"]


def test_on_sqlite_dagsters_own_storage_reads_on_where_the_pooled_one_wrote(
    sqlite: PooledSqliteEventLogStorage, tmp_path: Path, events: list[EventLogEntry]
) -> None:
    for event in events:
        sqlite.store_event(event)
    plain = SqliteEventLogStorage(str(tmp_path / "pooled"))
    assert list(plain.get_logs_for_run(events[0].run_id)) == events


def test_on_sqlite_a_run_can_be_followed_while_it_is_written(
    sqlite: PooledSqliteEventLogStorage, tmp_path: Path, events: list[EventLogEntry]
) -> None:
    run_id = events[0].run_id
    sqlite.store_event(events[0])
    webserver = PooledSqliteEventLogStorage(str(tmp_path / "pooled"))
    seen: list[EventLogEntry] = []
    arrived = threading.Event()

    def follow(event: EventLogEntry, _cursor: str) -> None:
        seen.append(event)
        if len(seen) == len(events):
            arrived.set()

    webserver.watch(run_id, None, follow)
    try:
        for event in events[1:]:
            sqlite.store_event(event)
        assert arrived.wait(10)
    finally:
        webserver.dispose()
    assert seen == events


def test_on_sqlite_the_runs_beyond_those_kept_open_are_reopened(
    sqlite: PooledSqliteEventLogStorage, events: list[EventLogEntry]
) -> None:
    run_ids = [f"run-{number}" for number in range(20)]
    for _ in range(2):
        for run_id in run_ids:
            sqlite.store_event(events[0]._replace(run_id=run_id))
    assert [len(sqlite.get_logs_for_run(run_id)) for run_id in run_ids] == [2] * 20


def test_on_sqlite_several_threads_may_write(
    sqlite: PooledSqliteEventLogStorage, events: list[EventLogEntry]
) -> None:
    threads = [threading.Thread(target=sqlite.store_event, args=[events[0]]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sqlite.get_logs_for_run(events[0].run_id)) == 8


def test_on_sqlite_a_wiped_log_is_empty_and_usable(
    sqlite: PooledSqliteEventLogStorage, events: list[EventLogEntry]
) -> None:
    sqlite.store_event(events[0])
    sqlite.wipe()
    assert sqlite.get_logs_for_run(events[0].run_id) == []
    sqlite.store_event(events[0])
    assert len(sqlite.get_logs_for_run(events[0].run_id)) == 1


def test_on_sqlite_an_instance_finds_it_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
        "event_log_storage:\n"
        "  module: billing_pipeline.defs.storage\n"
        "  class: PooledSqliteEventLogStorage\n"
        "  config: {base_dir: {env: DAGSTER_HOME}}\n"
    )
    with dg.DagsterInstance.get() as instance, dg.DagsterInstance.from_ref(instance.get_ref()) as elsewhere:
        assert dg.materialize([records], instance=elsewhere).success
        assert isinstance(elsewhere.event_log_storage, PooledSqliteEventLogStorage)
        assert elsewhere.get_materialized_partitions(dg.AssetKey("csv")) == {"10023|2026-10"}
