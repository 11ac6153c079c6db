"""The one place where all is assembled: settings, steps, assets, jobs, schedules and sensors become definitions.

`build_defs` assembles afresh at each call; a test overrides what it needs. Nothing is decided here.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from billing_pipeline.defs.alert_sensors import AlertSettings, build_alert_sensors
from billing_pipeline.defs.audit_assets import build_audit_asset
from billing_pipeline.defs.completion_sensor import build_completion_sensor
from billing_pipeline.defs.delivery_assets import build_delivery_assets
from billing_pipeline.defs.draft_assets import build_draft_asset
from billing_pipeline.defs.draft_sensor import build_draft_sensor
from billing_pipeline.defs.jobs import build_jobs
from billing_pipeline.defs.month_assets import build_month_assets
from billing_pipeline.defs.partitions import build_partitions
from billing_pipeline.defs.rehearsal import build_rehearsal
from billing_pipeline.defs.rejection_sensor import build_rejection_sensor
from billing_pipeline.defs.report_assets import build_report_asset, build_report_sensor
from billing_pipeline.defs.schedules import build_audit_schedule, build_schedule
from billing_pipeline.defs.sensors import build_sensors
from billing_pipeline.report.notify import Notifier
from billing_pipeline.settings import Settings
from billing_pipeline.steps.notice_rejected import can_be_noticed
from billing_pipeline.steps.wiring import build_wiring


def build_defs(settings: Settings, *, resources: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The definitions by the settings, with some resources replaced.

    Raises: UsageError where a setting, the rules or a layout is wrong; `ValueError` for a resource nobody asks for.
    """
    wiring = build_wiring(settings)
    known = wiring.as_resources()
    unknown = set(resources or {}) - set(known)
    if unknown:
        raise ValueError(f"no asset asks for {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    settling_hours = wiring.billing.rules.settling_hours
    settling_hours = settings.settling_hours if settling_hours is None else settling_hours
    partitions = build_partitions(settings.first_month, settings.timezone)
    jobs = build_jobs()
    assets = [
        *build_month_assets(partitions),
        build_delivery_assets(
            partitions,
            customers_per_run=settings.customers_per_run,
            settling_hours=settling_hours,
            first_month=settings.first_month,
        ),
        build_audit_asset(partitions),
        build_report_asset(partitions),
    ]
    sensors = build_sensors(jobs, customers_per_run=settings.customers_per_run)
    sensors.append(build_report_sensor(jobs))
    run_jobs = [jobs.monthly_billing, jobs.customer_delivery, jobs.revenue_audit, jobs.month_report]
    if settings.easybill_api_key is not None:
        assets.append(build_draft_asset(partitions))
        sensors.append(build_draft_sensor(jobs))
        run_jobs.append(jobs.draft_reconciliation)
    rehearsal, rehearsal_schedule = build_rehearsal(settings, wiring.billing.rules)
    if can_be_noticed(settings):
        sensors.append(build_rejection_sensor())
    if settings.alert_targets:
        alerts = AlertSettings(
            Notifier(settings.alert_targets),
            settings.ui_url,
            settings.timezone,
            settling_hours,
            settings.deadline_hours,
            settings.first_month,
            wiring.billing.rules.language,
        )
        sensors.append(build_completion_sensor(alerts))
        sensors += build_alert_sensors(
            alerts,
            partitions,
            job_names={*(job.name for job in run_jobs), rehearsal.name},
            assets={key for asset in assets for key in asset.keys},
        )
    return dg.Definitions(
        assets=assets,
        jobs=[*run_jobs, rehearsal],
        schedules=[
            build_schedule(
                jobs,
                timezone=settings.timezone,
                settling_hours=settling_hours,
                first_month=settings.first_month,
            ),
            build_audit_schedule(
                jobs,
                timezone=settings.timezone,
                audit_day=wiring.billing.rules.audit_day,
                late_months=wiring.billing.rules.late_months,
                first_month=settings.first_month,
            ),
            rehearsal_schedule,
        ],
        sensors=sensors,
        # A step in a process of its own would cost every run seconds; a run has one or two of them, in a row.
        executor=dg.in_process_executor,
        resources={**known, **(resources or {})},
    )
