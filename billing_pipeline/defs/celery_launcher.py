"""Runs as Celery tasks, for Dagster to notice when a host is lost: named in dagster.yaml, with the extra `[celery]`.

dagster-celery's launcher spreads the runs. What it is asked about a running one it answers from Celery's results,
where a task whose host lost its power stays STARTED for ever: the run would hang until its maximal duration. The
class here asks the workers too. Nothing of ours schedules or distributes: that is Dagster's queue and Celery's.

Figures and what was weighed: docs/decisions/0012-celery.md; how to switch it on: deploy/README.md.
"""

from typing import Any

from dagster import DagsterRun
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

# A worker that is alive answers within milliseconds, whatever its runs do; only one that is lost is waited for.
_ANSWER_S = 5.0
_QUESTIONS = 3


class WatchingCeleryRunLauncher(CeleryRunLauncher):
    """dagster-celery's launcher, configured as it is. A run that no worker has any more is a failed one."""

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """As the parent's, if the task has ended; else whether a worker has the task in hand."""
        known = super().check_run_worker_health(run)
        if known.status in {WorkerStatus.SUCCESS, WorkerStatus.FAILED}:
            return known
        task_id = run.tags[DAGSTER_CELERY_TASK_ID_TAG]
        for _ in range(_QUESTIONS):
            if self._is_in_hand(task_id):
                return CheckRunHealthResult(WorkerStatus.RUNNING)
            # It may have ended between the two questions.
            known = super().check_run_worker_health(run)
            if known.status in {WorkerStatus.SUCCESS, WorkerStatus.FAILED}:
                return known
        return CheckRunHealthResult(
            WorkerStatus.FAILED,
            f"No Celery worker has the run in hand any more, {self._whereabouts(task_id)}.",
        )

    def terminate(self, run_id: str) -> bool:
        """As the parent's, having said so first: a run that merely lost its worker would be started again."""
        run = self._instance.get_run_by_id(run_id)
        if run is not None:
            self._instance.report_run_canceling(run)
        return super().terminate(run_id)

    def _is_in_hand(self, task_id: str) -> bool:
        host = self._host_of(task_id)
        asked = self.celery.control.inspect(
            destination=None if host is None else [host],
            timeout=_ANSWER_S,
            # The first answer is the only one where one worker is asked; where all are, each may have the task.
            limit=None if host is None else 1,
        )
        answers: dict[str, Any] = asked.query_task(task_id) or {}
        return any(task_id in tasks for tasks in answers.values())

    def _host_of(self, task_id: str) -> str | None:
        """The worker that took the task, if Celery's results still know."""
        told = self.celery.AsyncResult(task_id).info
        return told.get("hostname") if isinstance(told, dict) else None

    def _whereabouts(self, task_id: str) -> str:
        host = self._host_of(task_id)
        return "and none is known to have taken it" if host is None else f"which {host} had taken"
