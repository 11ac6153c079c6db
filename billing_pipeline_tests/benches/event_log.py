"""Dagster's own records of a chunk run of 1,000 customers: materialization, check, materialization for each.

Beside the pooled storages stand Dagster's defaults, and as the floor a bare INSERT per event on one connection,
of rows as large as the real ones, each committed and waited for.
"""

import os
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, redirect_stderr
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import yaml

from billing_pipeline_tests.benches.figure import Figure
from billing_pipeline_tests.support.postgres import fresh_database, postgres_server

CUSTOMERS = 1_000
GOAL_MS = 10.0
OURS = "billing_pipeline.defs.storage"
# As long as the events of the run below, as Dagster stores them.
EVENT = "x" * 2_300

MONTHS = dg.MonthlyPartitionsDefinition(start_date="2025-01", fmt="%Y-%m", end_offset=1)
PARTITIONS = dg.MultiPartitionsDefinition(
    {"customer": dg.DynamicPartitionsDefinition(name="customer"), "month": MONTHS}
)
METADATA: dict[str, str | int | dg.MarkdownMetadataValue] = {
    "order_number": "2026-10-10023",
    "file": "easybill_2026-10_10023.csv",
    "remote_path": "/import/easybill_2026-10_10023.csv",
    "sha256": "0" * 64,
    "lines": 3,
    "net": "150.00 EUR",
    "vat": "28.50 EUR",
    "gross": "178.50 EUR",
    "rows": dg.MarkdownMetadataValue(
        "| title | quantity | price |\n|---|---|---|\n" + "| Battery | 1 | 70.00 |\n" * 3
    ),
}
TAGS = {"dagster/data_version": "0" * 64}


with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.PreviewWarning)
    LAYOUT_CHECK = dg.AssetCheckSpec("layout", asset="csv", partitions_def=PARTITIONS)


@dg.multi_asset(
    specs=[dg.AssetSpec("csv", skippable=True), dg.AssetSpec("upload", skippable=True, deps=["csv"])],
    check_specs=[LAYOUT_CHECK],
    partitions_def=PARTITIONS,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=CUSTOMERS),
    can_subset=True,
)
def chunk(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Records what the product's own op records, and does nothing else; its verdict says how long that took."""
    keys = context.partition_keys
    started = time.perf_counter()
    for key in keys:
        csv = dg.AssetMaterialization("csv", partition=key, metadata=METADATA, tags=TAGS)
        check = dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey("csv"), check_name="layout", passed=True, partition=key
        )
        upload = dg.AssetMaterialization("upload", partition=key, metadata=METADATA, tags=TAGS)
        for event in (csv, check, upload):
            context.log_event(event)
    spent = time.perf_counter() - started
    yield dg.AssetCheckResult(asset_key="csv", check_name="layout", passed=True, metadata={"seconds": spent})


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
    keys = [f"{number}|2026-10" for number in range(10_000, 10_000 + CUSTOMERS)]
    job = dg.Definitions(assets=[chunk], jobs=[dg.define_asset_job("job")]).resolve_job_def("job")
    with tempfile.TemporaryDirectory() as home, Path(os.devnull).open("w") as nowhere:
        config = {"telemetry": {"enabled": False}, **storages}
        Path(home, "dagster.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        with dg.DagsterInstance.from_config(home) as instance, redirect_stderr(nowhere):
            instance.add_dynamic_partitions("customer", [key.partition("|")[0] for key in keys])
            result = job.execute_in_process(
                instance=instance,
                tags={
                    "dagster/asset_partition_range_start": keys[0],
                    "dagster/asset_partition_range_end": keys[-1],
                },
            )
            assert instance.get_materialized_partitions(dg.AssetKey("upload")) == set(keys)
    overall = result.get_asset_check_evaluations()[-1]
    return float(str(overall.metadata["seconds"].value))


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
