"""Dagster's own records of a chunk run of 1,000 customers: materialization, check, materialization for each.

Beside the pooled storages stand Dagster's defaults, and as the floor a bare INSERT per event on one connection,
of rows as large as the real ones, each committed and waited for.
"""

import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import yaml

from billing_pipeline_tests.benches.dagster_floor import record
from billing_pipeline_tests.benches.figure import Figure
from billing_pipeline_tests.support.postgres import fresh_database, postgres_server

CUSTOMERS = 1_000
GOAL_MS = 10.0
OURS = "billing_pipeline.defs.storage"
# As long as the events of the run below, as Dagster stores them.
EVENT = "x" * 2_300


def figures() -> Iterator[Figure]:
    """Milliseconds per customer, on PostgreSQL and on SQLite."""
    with postgres_server(durable=True) as server:
        with fresh_database(server) as url:
            yield figure("PostgreSQL, the floor", bare_inserts(psycopg2.connect(url), "%s"))
        with fresh_database(server) as url:
            yield figure("PostgreSQL, dagster-postgres as it is", chunk_run(on_postgres(url)))
        with fresh_database(server) as url:
            pooled = on_postgres(url, log=f"{OURS}.PooledPostgresEventLogStorage")
            yield figure("PostgreSQL, pooled", chunk_run(pooled), goal=GOAL_MS)
    with tempfile.TemporaryDirectory() as folder:
        yield figure("SQLite, the floor", bare_inserts(sqlite3.connect(f"{folder}/floor.db"), "?"))
    yield figure("SQLite, Dagster's as it is", chunk_run({}))
    with tempfile.TemporaryDirectory() as folder:
        pooled = {"event_log_storage": storage(f"{OURS}.PooledSqliteEventLogStorage", {"base_dir": folder})}
        yield figure("SQLite, pooled", chunk_run(pooled), goal=GOAL_MS)


def figure(name: str, seconds: float, *, goal: float | None = None) -> Figure:
    return Figure(name, seconds / CUSTOMERS * 1_000, "ms per customer", goal)


def chunk_run(storages: Mapping[str, Any]) -> float:
    """Seconds that one run over all customers spends on recording them, on an instance of its own."""
    with tempfile.TemporaryDirectory() as home:
        config = {"telemetry": {"enabled": False}, **storages}
        Path(home, "dagster.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        with dg.DagsterInstance.from_config(home) as instance:
            return record(instance, CUSTOMERS)


def bare_inserts(connection: Any, parameter: str) -> float:
    """Seconds for one row per event, each committed, with no look at anything else."""
    with closing(connection):
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE floor (asset_key TEXT, customer TEXT, event TEXT)")
        started = time.perf_counter()
        for number in range(CUSTOMERS):
            for asset in ("csv", "layout", "upload"):
                row = (asset, str(number), EVENT)
                cursor.execute(f"INSERT INTO floor VALUES ({parameter}, {parameter}, {parameter})", row)
                connection.commit()
        return time.perf_counter() - started


def on_postgres(url: str, *, log: str = "dagster_postgres.PostgresEventLogStorage") -> dict[str, Any]:
    """An instance's storages on PostgreSQL, with this class for the event log."""
    config = {"postgres_url": url}
    return {
        "run_storage": storage("dagster_postgres.PostgresRunStorage", config),
        "schedule_storage": storage("dagster_postgres.PostgresScheduleStorage", config),
        "event_log_storage": storage(log, config),
    }


def storage(name: str, config: Mapping[str, str]) -> dict[str, object]:
    module, _, class_name = name.rpartition(".")
    return {"module": module, "class": class_name, "config": dict(config)}
