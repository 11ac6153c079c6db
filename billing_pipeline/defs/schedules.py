"""When a month is billed: on the 1st, plus the settling hours; and when months are audited: on the 5th."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from billing_pipeline.defs.jobs import Jobs
from billing_pipeline.defs.partitions import MONTH_TAG
from billing_pipeline.oms.period import last_complete_month, months_back, months_between, period_of

START_HOUR = 6


def monthly_cron(settling_hours: int) -> str:
    """06:00 on the 1st, plus the settling hours.

    The settings allow at most 27 days, so that the day exists in every month.
    """
    days, hour = divmod(START_HOUR + settling_hours, 24)
    return f"0 {hour} {1 + days} * *"


def scheduled_start(month: str, timezone: str, settling_hours: int) -> datetime:
    """When the schedule bills the month, by the clock on the wall; `monthly_cron` says the same to Dagster."""
    first = period_of(month, timezone).end.astimezone(ZoneInfo(timezone))
    days, hour = divmod(START_HOUR + settling_hours, 24)
    return (first + timedelta(days=days)).replace(hour=hour)


def build_schedule(
    jobs: Jobs, *, timezone: str, settling_hours: int, first_month: str
) -> dg.ScheduleDefinition:
    """The monthly schedule. It names its partition itself: the last month that is over.

    (`build_schedule_from_partitioned_job` would take the newest partition, which is the running month.)
    """

    @dg.schedule(
        name="monthly_billing_schedule",
        job=jobs.monthly_billing,
        cron_schedule=monthly_cron(settling_hours),
        execution_timezone=timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Bills the last month that is over, once its settling hours have passed.",
    )
    def monthly_billing_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        month = last_complete_month(context.scheduled_execution_time, timezone)
        if month < first_month:
            return dg.SkipReason(f"{month} lies before BILLING_FIRST_MONTH={first_month}")
        # The run key makes a second tick for the same month, after a restart, request nothing.
        return dg.RunRequest(run_key=month, partition_key=month, tags={MONTH_TAG: month})

    return monthly_billing_schedule


def build_audit_schedule(
    jobs: Jobs, *, timezone: str, audit_day: int, late_months: int, first_month: str
) -> dg.ScheduleDefinition:
    """The audit of the last month that is over, and of those before it from which late rows are still taken."""

    @dg.schedule(
        name="revenue_audit_schedule",
        job=jobs.revenue_audit,
        cron_schedule=f"0 {START_HOUR} {audit_day} * *",
        execution_timezone=timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Holds the months' rows against ledger, files and drafts (audit_day in the rules).",
    )
    def revenue_audit_schedule(
        context: dg.ScheduleEvaluationContext,
    ) -> list[dg.RunRequest] | dg.SkipReason:
        last = last_complete_month(context.scheduled_execution_time, timezone)
        months = months_between(max(first_month, months_back(last, late_months)), last)
        if not months:
            return dg.SkipReason(f"{last} lies before BILLING_FIRST_MONTH={first_month}")
        day = f"{context.scheduled_execution_time:%Y-%m-%d}"
        return [dg.RunRequest(run_key=f"{day} {month}", partition_key=month) for month in months]

    return revenue_audit_schedule
