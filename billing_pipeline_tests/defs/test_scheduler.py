"""Dagster's own scheduler on the real code location, its clock set by hand: a daemon that was down on the 1st."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import (
    create_test_daemon_workspace_context,
    freeze_time,
    instance_for_test,
)
from dagster._core.workspace.load_target import ModuleTarget
from dagster._scheduler.scheduler import launch_scheduled_runs

LAUNCHED_NOWHERE = {
    "run_launcher": {"module": "dagster._core.test_utils", "class": "MockedRunLauncher"},
    "telemetry": {"enabled": False},
}


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[dg.DagsterInstance, Any]]:
    monkeypatch.setenv("BILLING_HOME", str(tmp_path))
    with (
        instance_for_test(overrides=LAUNCHED_NOWHERE) as instance,
        create_test_daemon_workspace_context(
            ModuleTarget("billing_pipeline.definitions", None, str(tmp_path), "billing_pipeline"), instance
        ) as context,
    ):
        yield instance, context


def tick(daemon: tuple[dg.DagsterInstance, Any], now: datetime) -> list[str]:
    """The months for which runs exist, once a daemon that has just started has looked at its schedules."""
    instance, context = daemon
    with freeze_time(now):
        list(launch_scheduled_runs(context, logging.getLogger("test"), now, iteration_times={}))
    billed = instance.get_runs(dg.RunsFilter(job_name="monthly_billing"))
    return sorted(run.tags["dagster/partition"] for run in billed)


def test_a_daemon_that_was_down_on_the_1st_bills_the_month_once(
    daemon: tuple[dg.DagsterInstance, Any],
) -> None:
    assert tick(daemon, datetime(2026, 10, 20, tzinfo=UTC)) == []
    assert tick(daemon, datetime(2026, 11, 3, 9, tzinfo=UTC)) == ["2026-10"]
    assert tick(daemon, datetime(2026, 11, 3, 9, 1, tzinfo=UTC)) == ["2026-10"]
    assert tick(daemon, datetime(2026, 12, 1, 4, 59, tzinfo=UTC)) == ["2026-10"]
    assert tick(daemon, datetime(2026, 12, 1, 5, 0, tzinfo=UTC)) == ["2026-10", "2026-11"]
