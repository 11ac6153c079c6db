"""dagster.yaml and workspace.yaml at the top: a production instance that loads, on a real PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.workspace.load_target import WorkspaceFileTarget

from billing_pipeline.defs.storage import PooledPostgresEventLogStorage, PooledPostgresRunStorage

TOP = Path(__file__).parents[2]


@pytest.fixture
def instance(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[dg.DagsterInstance]:
    url = sqlalchemy.make_url(postgres_database)
    for name, value in {
        "HOST": url.host,
        "PORT": url.port,
        "USERNAME": url.username,
        "PASSWORD": url.password,
        "DB": url.database,
    }.items():
        monkeypatch.setenv(f"DAGSTER_PG_{name}", str(value))
    (tmp_path / "dagster.yaml").write_text(
        (TOP / "dagster.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as loaded:
        yield loaded


def test_the_production_instance_keeps_its_records_on_postgresql(
    instance: dg.DagsterInstance, postgres_database: str, tmp_path: Path
) -> None:
    @dg.asset
    def anything() -> None: ...

    assert dg.materialize([anything], instance=instance).success
    with dg.DagsterInstance.from_ref(instance.get_ref()) as another_process:
        assert isinstance(another_process.run_storage, PooledPostgresRunStorage)
        assert isinstance(another_process.event_log_storage, PooledPostgresEventLogStorage)
        assert another_process.get_runs()[0].is_success
        assert another_process.get_latest_materialization_event(dg.AssetKey("anything")) is not None
    tables = sqlalchemy.inspect(sqlalchemy.create_engine(postgres_database)).get_table_names()
    assert {"runs", "event_logs", "jobs", "job_ticks"} <= set(tables)
    assert not list(tmp_path.rglob("*.db"))


def test_the_production_instance_queues_limits_watches_and_reports_nothing_home(
    instance: dg.DagsterInstance,
) -> None:
    assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 8
    assert queue.tag_concurrency_limits == [{"key": "dagster/backfill", "limit": 6}]
    assert instance.run_monitoring_enabled
    assert instance.run_retries_enabled
    assert not instance.run_retries_retry_on_asset_or_op_failure
    assert instance.get_settings("sensors")["use_threads"]
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled


def test_no_variable_of_the_instance_could_be_taken_for_a_setting_of_the_pipeline() -> None:
    variables = re.findall(r"env: (\w+)", (TOP / "dagster.yaml").read_text(encoding="utf-8"))
    assert variables
    assert not [name for name in variables if name.startswith("BILLING_")]


def test_the_workspace_names_the_code_location() -> None:
    (origin,) = WorkspaceFileTarget([str(TOP / "workspace.yaml")]).create_origins()
    assert origin.location_name == "billing_pipeline"
    assert origin.loadable_target_origin.module_name == "billing_pipeline.definitions"
