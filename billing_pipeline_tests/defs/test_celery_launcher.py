"""Whether a run is still in hand, with a real Redis: Celery's results do not say, so the workers are asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.test_utils import create_run_for_test
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from billing_pipeline.defs import celery_launcher
from billing_pipeline.defs.celery_launcher import WatchingCeleryRunLauncher
from billing_pipeline.settings import SettingsInvalid
from billing_pipeline_tests.support.celery_hosts import redis_server

TASK = "a-task"


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setattr(celery_launcher, "_ANSWER_S", 0.1)
    with redis_server(tmp_path / "redis") as broker:
        overrides = {
            "run_launcher": {
                "module": "billing_pipeline.defs.celery_launcher",
                "class": "WatchingCeleryRunLauncher",
                "config": {"broker": broker, "backend": broker},
            }
        }
        with dg.instance_for_test(overrides=overrides) as made:
            yield made


def launcher_of(instance: dg.DagsterInstance) -> WatchingCeleryRunLauncher:
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchingCeleryRunLauncher)
    return launcher


def a_run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    run: dg.DagsterRun = create_run_for_test(
        instance, status=dg.DagsterRunStatus.STARTED, tags={DAGSTER_CELERY_TASK_ID_TAG: TASK}
    )
    return run


def test_a_run_whose_host_is_lost_has_failed_and_the_worker_is_named(instance: dg.DagsterInstance) -> None:
    launcher, run = launcher_of(instance), a_run(instance)
    launcher.celery.backend.store_result(TASK, {"pid": 7, "hostname": "worker@gone"}, "STARTED")
    # What it is without ours: running, for ever.
    assert CeleryRunLauncher.check_run_worker_health(launcher, run).status == WorkerStatus.RUNNING
    health = launcher.check_run_worker_health(run)
    assert health.status == WorkerStatus.FAILED
    assert "worker@gone had taken" in str(health.msg)


@pytest.mark.parametrize(("state", "status"), [("SUCCESS", "SUCCESS"), ("FAILURE", "FAILED")])
def test_a_run_that_has_ended_is_asked_of_nobody(
    instance: dg.DagsterInstance, state: str, status: str
) -> None:
    launcher, run = launcher_of(instance), a_run(instance)
    launcher.celery.backend.store_result(TASK, OSError("lost") if state == "FAILURE" else 0, state)
    health = launcher.check_run_worker_health(run)
    assert health.status == WorkerStatus(status)
    assert "in hand" not in str(health.msg)


def test_a_run_that_is_stopped_is_canceled_and_not_lost(instance: dg.DagsterInstance) -> None:
    launcher, run = launcher_of(instance), a_run(instance)
    assert launcher.terminate(run.run_id)
    stopped = instance.get_run_by_id(run.run_id)
    assert stopped is not None
    assert stopped.status == dg.DagsterRunStatus.CANCELING


def test_a_worker_without_a_launcher_in_its_instance_says_what_to_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with pytest.raises(SettingsInvalid, match=r"append deploy/celery-run-launcher\.yaml"):
        __import__("billing_pipeline.defs.celery_worker")
