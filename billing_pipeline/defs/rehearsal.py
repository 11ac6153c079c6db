"""The rehearsal: around the 25th the running month is billed for nothing but its problems, and people are told."""

import dagster as dg

from billing_pipeline.billing.rules import Rules
from billing_pipeline.defs.asset_records import plain_failures
from billing_pipeline.defs.metadata import problems_table
from billing_pipeline.defs.schedules import START_HOUR
from billing_pipeline.oms.period import last_complete_month, next_month
from billing_pipeline.report.alert_text import rehearsal_alert
from billing_pipeline.report.notify import Notifier
from billing_pipeline.settings import Settings
from billing_pipeline.steps.rehearse import rehearse

REHEARSAL = "rehearsal"


def build_rehearsal(settings: Settings, rules: Rules) -> tuple[dg.JobDefinition, dg.ScheduleDefinition]:
    """The job, which takes a month, and the schedule that gives it the running one."""

    @dg.op(
        name="rehearsed_month",
        config_schema={"month": dg.Field(str, description="YYYY-MM, over or not.")},
        pool="oms",
        out=dg.Out(dg.Nothing),
    )
    def rehearsed_month(context: dg.OpExecutionContext) -> None:
        with plain_failures():
            found = rehearse(settings, context.op_config["month"])
        problems = [problem for one in found.status.needs_a_person for problem in one.problems]
        context.add_output_metadata(
            {
                "customers": found.status.counts["total"],
                "blocked": len(found.status.needs_a_person),
                "problems": problems_table([*problems, *found.not_in_easybill]),
            }
        )
        if settings.alert_targets:
            alert = rehearsal_alert(
                found.status,
                found.not_in_easybill,
                found.not_asked,
                settings.ui_url or "",
                language=rules.language,
            )
            for name in Notifier(settings.alert_targets).send(alert):
                context.log.warning(f"{name} did not take {alert.title!r}; another did")

    @dg.job(
        name=REHEARSAL,
        description="Bills a month so far without sending anything, and tells what would be blocked.",
    )
    def rehearsal() -> None:
        rehearsed_month()

    @dg.schedule(
        name="rehearsal_schedule",
        job=rehearsal,
        cron_schedule=f"0 {START_HOUR} {rules.rehearsal_day} * *",
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Rehearses the running month (rehearsal_day in the rules).",
    )
    def rehearsal_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        month = next_month(last_complete_month(context.scheduled_execution_time, settings.timezone))
        if month < settings.first_month:
            return dg.SkipReason(f"{month} lies before BILLING_FIRST_MONTH={settings.first_month}")
        return dg.RunRequest(
            run_key=f"{context.scheduled_execution_time:%Y-%m-%d}",
            run_config={"ops": {"rehearsed_month": {"config": {"month": month}}}},
        )

    return rehearsal, rehearsal_schedule
