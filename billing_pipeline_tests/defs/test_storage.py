"""The pooled event logs write what Dagster's own write, on fewer connections, and survive what those survive."""

import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import pytest
import sqlalchemy
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster_postgres import PostgresEventLogStorage

from billing_pipeline.defs.event_batches import BatchedEventLog
from billing_pipeline.defs.storage import (
    PooledPostgresEventLogStorage,
    PooledPostgresRunStorage,
    PooledSqliteEventLogStorage,
)
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


PARTITIONS = dg.StaticPartitionsDefinition(["10023", "10024", "10025"])
with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.PreviewWarning)
    LAYOUT = dg.AssetCheckSpec("layout", asset="csv", partitions_def=PARTITIONS)


@dg.multi_asset(
    specs=[dg.AssetSpec("csv", skippable=True), dg.AssetSpec("upload", skippable=True)],
    check_specs=[LAYOUT],
    partitions_def=PARTITIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def many_records(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """A file and its check for two of three customers, and one upload that somebody saw."""
    for number in ("10023", "10024"):
        context.log_event(
            dg.AssetMaterialization("csv", partition=number, tags={"dagster/data_version": number})
        )
        context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey("csv"),
                check_name="layout",
                passed=number == "10023",
                partition=number,
                target_materialization_data=AssetCheckEvaluationTargetMaterializationData(
                    storage_id=int(number), run_id=context.run.run_id, timestamp=0.0
                ),
            )
        )
    context.log_event(
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey("csv"), check_name="not planned", passed=True, partition="10023"
        )
    )
    context.log_event(dg.AssetMaterialization("upload", partition="10023"))
    context.log_event(dg.AssetObservation("upload", partition="10023", tags={"dagster/data_version": "b"}))
    yield dg.AssetCheckResult(asset_key="csv", check_name="layout", passed=False)


@pytest.fixture(scope="module")
def many_events() -> list[EventLogEntry]:
    """Every event of a run over three partitions."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [many_records],
            instance=instance,
            tags={
                "dagster/asset_partition_range_start": "10023",
                "dagster/asset_partition_range_end": "10025",
            },
        )
        return list(instance.all_logs(result.run_id))


def store_as_a_run_does(log: BatchedEventLog, events: list[EventLogEntry]) -> None:
    """The plans in one batch, as Dagster hands them over; then what the op says of its partitions, together."""
    planned = [one for one in events if one.dagster_event and "PLANNED" in one.dagster_event.event_type_value]
    log.store_event_batch(planned)
    with log.together():
        for event in events:
            if event not in planned:
                log.store_event(event)


def plans_first(events: list[EventLogEntry]) -> list[EventLogEntry]:
    """As they are stored one by one."""
    return sorted(events, key=lambda one: "PLANNED" not in str(one.dagster_event_type))


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


def test_on_postgresql_records_stored_together_are_those_stored_one_by_one(
    postgres: PooledPostgresEventLogStorage,
    postgres_database: str,
    postgres_url: str,
    many_events: list[EventLogEntry],
) -> None:
    store_as_a_run_does(postgres, many_events)
    with fresh_database(postgres_url) as plain_database:
        plain = PostgresEventLogStorage(plain_database)
        for event in plans_first(many_events):
            plain.store_event(event)
        together, one_by_one = rows_of(postgres_database), rows_of(plain_database)
        for rows in (together, one_by_one):
            # PostgreSQL counts up the number of an asset's row whenever it is written.
            rows["asset_keys"] = [row[1:] for row in rows["asset_keys"]]
        assert together == one_by_one


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


def test_on_postgresql_what_is_asked_about_runs_uses_one_connection_and_waits_for_the_disk(
    postgres_database: str,
) -> None:
    runs = PooledPostgresRunStorage(postgres_database)
    used: set[int] = set()
    for number in range(5):
        run = runs.add_run(dg.DagsterRun(job_name="month", run_id=f"run-{number}"))
        assert runs.has_run(run.run_id)
        assert runs.get_run_records(dg.RunsFilter(run_ids=[run.run_id]))
        used |= backends(postgres_database)
    assert len(used) == 1
    query(postgres_database, f"SELECT pg_terminate_backend({used.pop()}, 5000)")
    assert len(runs.get_runs()) == 5
    with runs.connect() as connection:
        assert (
            connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
            == connection.exec_driver_sql(
                "SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'"
            ).scalar_one()
        )
    runs.dispose()
    wait_until(lambda: not backends(postgres_database))


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


@pytest.mark.parametrize("returning", [True, False])
def test_on_sqlite_records_stored_together_are_those_stored_one_by_one(
    sqlite: PooledSqliteEventLogStorage, tmp_path: Path, many_events: list[EventLogEntry], returning: bool
) -> None:
    with sqlite.index_connection() as connection:
        connection.dialect.insert_returning = returning
    plain = SqliteEventLogStorage(str(tmp_path / "plain"))
    store_as_a_run_does(sqlite, many_events)
    for event in plans_first(many_events):
        plain.store_event(event)
    for shard in ("index", many_events[0].run_id):
        assert rows_of(sqlite.conn_string_for_shard(shard)) == rows_of(plain.conn_string_for_shard(shard))
    checks = rows_of(sqlite.conn_string_for_shard("index"))["asset_check_executions"]
    assert sorted(str(check[5]) for check in checks) == [
        "FAILED",
        "FAILED",
        "PLANNED",
        "SUCCEEDED",
        "SUCCEEDED",
    ]


def test_records_that_wait_for_one_another_are_stored_before_any_other_event_and_at_the_end(
    sqlite: PooledSqliteEventLogStorage, events: list[EventLogEntry]
) -> None:
    run_id = events[0].run_id
    (record,) = [one for one in events if one.dagster_event_type is dg.DagsterEventType.ASSET_MATERIALIZATION]
    other = events[0]

    def stored() -> list[EventLogEntry]:
        return list(sqlite.get_logs_for_run(run_id))

    with sqlite.together():
        sqlite.store_event(record)
        assert stored() == []
        sqlite.store_event(other)
        assert stored() == [record, other]
        sqlite.store_event(record)
    assert stored() == [record, other, record]
    with suppress(KeyboardInterrupt), sqlite.together():
        sqlite.store_event(record)
        raise KeyboardInterrupt
    assert stored() == [record, other, record, record]
    sqlite.store_event(record)
    assert len(stored()) == 5


def test_records_wait_a_second_for_one_another_and_so_many_at_most(
    sqlite: PooledSqliteEventLogStorage, events: list[EventLogEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = events[0].run_id
    (record,) = [one for one in events if one.dagster_event_type is dg.DagsterEventType.ASSET_MATERIALIZATION]
    now = 100.0
    monkeypatch.setattr("billing_pipeline.defs.event_batches.time.monotonic", lambda: now)
    with sqlite.together():
        for _ in range(499):
            sqlite.store_event(record)
        assert sqlite.get_logs_for_run(run_id) == []
        sqlite.store_event(record)
        assert len(sqlite.get_logs_for_run(run_id)) == 500
        sqlite.store_event(record)
        now += 1.0
        sqlite.store_event(record)
        assert len(sqlite.get_logs_for_run(run_id)) == 502


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
