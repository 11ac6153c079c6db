"""Removes what nobody needs of old months: frames by a step, and the finished runs in Dagster's own storage."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from billing_pipeline.defs.partitions import MONTH_TAG
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.oms.period import period_of
from billing_pipeline.problems import UsageError
from billing_pipeline.settings import Settings
from billing_pipeline.steps.prune import IN_USE_FOR, Pruned, carry_out, plan_prune
from billing_pipeline.steps.wiring import build_wiring

_RUNS_AT_ONCE = 500
_PARTITION_TAGS = (
    MONTH_TAG,
    "dagster/partition",
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)


def prune(settings: Settings, before: str, *, dry_run: bool = False, now: datetime | None = None) -> Pruned:
    """Removes frames and runs of months before `before`, or tells what it would remove.

    Raises: UsageError where a run or a report may still look back as far; StoreError, LedgerUnavailable.
    """
    wiring = build_wiring(settings)
    now = now or datetime.now(UTC)
    plan = plan_prune(wiring, before, now)
    with open_instance(settings) as instance:
        old = [one for one in _runs(instance) if _is_before(one.dagster_run, before, settings.timezone)]
        # What has just ended may not have been looked at by the sensors yet.
        since = now - IN_USE_FOR
        finished = [
            one.dagster_run.run_id
            for one in old
            if one.dagster_run.is_finished and one.update_timestamp.astimezone(UTC) < since
        ]
        if not dry_run:
            carry_out(wiring, plan, len(finished), lambda: _remove(instance, finished))
    return Pruned(plan, len(finished), len(old) - len(finished), dry_run)


def _runs(instance: dg.DagsterInstance) -> Iterator[dg.RunRecord]:
    cursor = None
    while found := instance.get_run_records(cursor=cursor, limit=_RUNS_AT_ONCE):
        yield from found
        cursor = found[-1].dagster_run.run_id


def _is_before(run: dg.DagsterRun, before: str, timezone: str) -> bool:
    """Whether all that the run's tags say of months lies before; one that names no month is kept."""
    # The key of a customer's month ends in its month.
    months = {run.tags[tag].rpartition("|")[2] for tag in _PARTITION_TAGS if tag in run.tags}
    return bool(months) and all(_is_month(month, timezone) and month < before for month in months)


def _is_month(text: str, timezone: str) -> bool:
    try:
        period_of(text, timezone)
    except UsageError:
        return False
    return True


def _remove(instance: dg.DagsterInstance, run_ids: list[str]) -> None:
    for run_id in run_ids:
        # The run itself last: while it is there, a repeated prune finds what a killed one has left of it.
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.event_log_storage.delete_events(run_id)
        instance.delete_run(run_id)
