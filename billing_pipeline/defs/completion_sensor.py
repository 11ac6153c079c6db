"""The sensor that tells people that the last month is delivered as far as it will be, with its report, and tells them
again when the report tells something else.

It exists only where `BILLING_ALERT_URLS` is set. What it tells is the newest report, whoever made it.
"""

from dataclasses import replace

import dagster as dg

from billing_pipeline.defs.alert_sensors import AlertSettings
from billing_pipeline.defs.report_assets import delivering_job
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.oms.period import last_complete_month
from billing_pipeline.problems import Code
from billing_pipeline.report.alert_text import Attachment, completion_alert
from billing_pipeline.report.month import MonthStatus, month_status
from billing_pipeline.report.month_report import ReportFacts
from billing_pipeline.report.notify import AlertNotSent
from billing_pipeline.steps.settling import utc_now
from billing_pipeline.steps.wiring import BillingSettings, LedgerAt
from billing_pipeline.steps.write_report import told_otherwise
from billing_pipeline.store.blobs import BlobStore

INTERVAL_S = 300


def build_completion_sensor(settings: AlertSettings) -> dg.SensorDefinition:
    """The sensor, running by default. Its cursor is the month and the facts that were told last."""

    @dg.sensor(
        name="month_completion_sensor",
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends the report of the last month once it is delivered as far as it will be, and again only when "
        "it tells something else.",
    )
    def month_completion_sensor(
        context: dg.SensorEvaluationContext,
        ledger: dg.ResourceParam[LedgerAt],
        blobs: dg.ResourceParam[BlobStore],
        billing: dg.ResourceParam[BillingSettings],
    ) -> dg.SensorResult:
        job = delivering_job(context.instance)
        if job is not None:
            return dg.SensorResult(skip_reason=f"{job} is under way")
        month, book = last_complete_month(utc_now(), settings.timezone), ledger.open()
        report = book.reports.last(month)
        if report is None or told_otherwise(book, billing, month) is not None:
            return dg.SensorResult(skip_reason=f"{month} has no report that tells what is known now")
        cursor = f"{month} {report.facts_sha256}"
        if context.cursor == cursor:
            return dg.SensorResult(skip_reason=f"{month}: told")
        status = _status(book, month)
        if _waits_for_its_delivery(status):
            return dg.SensorResult(skip_reason=f"{month} is billed, and its delivery has not begun")

        facts = ReportFacts.from_json(blobs.get("report_facts", report.facts_sha256))
        told_month, _, told = (context.cursor or "").partition(" ")
        before = ReportFacts.from_json(blobs.get("report_facts", told)) if told_month == month else None
        alert = completion_alert(
            status,
            facts,
            before,
            Attachment(f"billing-{month}.html", blobs.get("report", report.page_sha256), "text/html"),
            settings.ui_url or "",
            language=settings.language,
        )
        try:
            refused = settings.notifier.send(alert)
        except AlertNotSent:
            # A page that is too large for every target must not keep its words from them.
            refused = settings.notifier.send(replace(alert, attachments=()))
        for name in refused:
            context.log.warning(f"{name} did not take {alert.title!r}; another did")
        return dg.SensorResult(skip_reason=f"{month}: sent", cursor=cursor)

    return month_completion_sensor


def _status(ledger: Ledger, month: str) -> MonthStatus:
    return month_status(month, ledger.months.customers(month), ledger.deliveries.of_month(month))


def _waits_for_its_delivery(status: MonthStatus) -> bool:
    """Whether a file is merely not sent yet; a month that stays so is told by `overdue_month_sensor`."""
    return any(
        {problem.code for problem in customer.problems} == {Code.NOT_DELIVERED_YET}
        for customer in status.needs_a_person
    )
