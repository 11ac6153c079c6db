"""Runs a job of Dagster in this process, with the records of any other run, and tells only what ended it."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from billing_pipeline.problems import PipelineError

# The op's own lines belong to the UI; on a terminal they would bury the outcome.
QUIET: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def execute(
    definitions: dg.Definitions,
    job: str,
    instance: dg.DagsterInstance,
    *,
    tags: dict[str, str],
    ops: Mapping[str, Mapping[str, Any]],
    partition_key: str | None = None,
) -> None:
    """Runs a job; `ops` has the configuration of its ops. Raises: the PipelineError that ended it.

    A run that fails because customers are blocked or not delivered is no error here: the ledger has them.
    """
    try:
        definitions.resolve_job_def(job).execute_in_process(
            instance=instance,
            run_config={**QUIET, "ops": {name: {"config": dict(config)} for name, config in ops.items()}},
            tags=tags,
            partition_key=partition_key,
        )
    except dg.Failure as failure:
        if isinstance(failure.__cause__, PipelineError):
            raise failure.__cause__ from None
