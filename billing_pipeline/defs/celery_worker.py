"""What a Celery worker serves: `celery --app billing_pipeline.defs.celery_worker worker`.

The broker and all else are those of the run launcher in the worker's own dagster.yaml, so that there is one place
for them. (dagster-celery's own command wants them in a second file, and leaves the broker's password in a third.)
"""

from celery import Celery
from dagster import DagsterInstance
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

from billing_pipeline.settings import SettingsInvalid


def build_app() -> Celery:
    """Celery's application with Dagster's two tasks. Raises: SettingsInvalid where dagster.yaml names no launcher."""
    # Closed again at once: the processes that run the tasks are forked, and open their own.
    with DagsterInstance.get() as instance:
        launcher = instance.run_launcher
    if not isinstance(launcher, CeleryRunLauncher):
        raise SettingsInvalid(
            "the dagster.yaml in DAGSTER_HOME names no Celery run launcher: "
            "append deploy/celery-run-launcher.yaml to it"
        )
    create_execute_job_task(launcher.celery)
    create_resume_job_task(launcher.celery)
    return launcher.celery


app = build_app()
