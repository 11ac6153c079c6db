"""The sensors that tell people: what a run left for them to do, and a month that is not delivered in time.

They are plain sensors with a cursor of their own, not run status sensors: those move on when their function raises,
and what a mail server refused for a minute would never be told. Here the cursor moves only once an alert was taken.
They exist only where `BILLING_ALERT_URLS` is set. A dead daemon can tell nobody: `billing-pipeline watch` does,
from a cron of its own.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg

from billing_pipeline.defs.asset_records import CUSTOMERS_IN_FAILURE, DRAFT_CHECK, LAYOUT_CHECK
from billing_pipeline.defs.partitions import MONTH, Partitions
from billing_pipeline.defs.schedules import scheduled_start
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.oms.period import last_complete_month, next_month
from billing_pipeline.problems import Code
from billing_pipeline.report.alert_text import (
    Alert,
    FailedCheck,
    RunNews,
    digest,
    in_short,
    overdue_alert,
    run_alert,
)
from billing_pipeline.report.month import CustomerStatus, month_status
from billing_pipeline.report.notify import AlertNotSent, Notifier
from billing_pipeline.steps.wiring import LedgerAt

RUN_INTERVAL_S = 30
OVERDUE_INTERVAL_S = 900
RUNS_PER_TICK = 50
MONTHS_REMEMBERED = 24
# What these checks find is told by customer, with the remedy.
TOLD_BY_CUSTOMER = frozenset({LAYOUT_CHECK, DRAFT_CHECK, "valid_rows"})


@dataclass(frozen=True)
class AlertSettings:
    """What the alerts need of the settings."""

    notifier: Notifier
    ui_url: str | None
    timezone: str
    settling_hours: int
    deadline_hours: int
    first_month: str
    language: str

    def link(self, run_id: str) -> str:
        """Where a person sees the run."""
        return f"{self.ui_url}/runs/{run_id}" if self.ui_url else f"{run_id} (set BILLING_UI_URL for a link)"

    def deadline(self, month: str) -> datetime:
        """When the month should be delivered to everybody."""
        return scheduled_start(month, self.timezone, self.settling_hours) + timedelta(
            hours=self.deadline_hours
        )


@dataclass
class Told:
    """The cursor of `run_alert_sensor`: the last run that was looked at, and which needs are told, by month."""

    seen: int | None = None
    needs: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def from_cursor(cls, cursor: str | None) -> "Told":
        """What `as_cursor` wrote."""
        return cls(**json.loads(cursor)) if cursor else cls()

    def as_cursor(self) -> str:
        """As text, with the months touched last."""
        recent = dict(list(self.needs.items())[-MONTHS_REMEMBERED:])
        return json.dumps({"seen": self.seen, "needs": recent})


def build_alert_sensors(
    settings: AlertSettings,
    partitions: Partitions,
    *,
    job_names: Collection[str],
    assets: Collection[dg.AssetKey],
) -> list[dg.SensorDefinition]:
    """Both sensors, for the runs of these jobs, and backfills and manual runs of these assets."""
    return [
        _run_alert_sensor(settings, partitions, job_names, assets),
        _overdue_month_sensor(settings),
    ]


def _run_alert_sensor(
    settings: AlertSettings,
    partitions: Partitions,
    job_names: Collection[str],
    assets: Collection[dg.AssetKey],
) -> dg.SensorDefinition:
    def is_ours(run: dg.DagsterRun) -> bool:
        return run.job_name in job_names or bool(set(assets) & (run.asset_selection or set()))

    @dg.sensor(
        name="run_alert_sensor",
        minimum_interval_seconds=RUN_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells people once, in one message per run, of customers who are blocked, held or failed, of "
        "failed checks and of failed runs.",
    )
    def run_alert_sensor(
        context: dg.SensorEvaluationContext, ledger: dg.ResourceParam[LedgerAt]
    ) -> dg.SensorResult:
        told = Told.from_cursor(context.cursor)
        if told.seen is None:
            # Alerts begin now: what failed before they were set up is no news.
            newest = _ended_runs(context.instance, after=None, limit=1)
            return _result(
                Told(seen=newest[-1].storage_id if newest else 0), "alerts begin with the next run"
            )
        sent = 0
        for record in _ended_runs(context.instance, after=told.seen, limit=RUNS_PER_TICK):
            run = context.instance.get_run_by_id(record.run_id)
            needs = told.needs
            if run is not None and is_ours(run):
                news, needs = _news(context.instance, run, ledger.open(), partitions, told.needs)
                if news:
                    if not _sent(
                        settings.notifier, run_alert(news, settings.link(run.run_id)), context, sent
                    ):
                        break
                    sent += 1
            told = Told(record.storage_id, needs)
        return _result(told, f"{sent} alerts sent" if sent else "nothing that people are not told of")

    return run_alert_sensor


def _overdue_month_sensor(settings: AlertSettings) -> dg.SensorDefinition:
    @dg.sensor(
        name="overdue_month_sensor",
        minimum_interval_seconds=OVERDUE_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells people once when the last month is not delivered to every customer by its deadline.",
    )
    def overdue_month_sensor(
        context: dg.SensorEvaluationContext, ledger: dg.ResourceParam[LedgerAt]
    ) -> dg.SensorResult:
        month = last_complete_month(datetime.now(UTC), settings.timezone)
        deadline = settings.deadline(month)
        if context.cursor == month:
            return dg.SensorResult(skip_reason=f"{month}: told")
        if datetime.now(UTC) < deadline or month < settings.first_month:
            return dg.SensorResult(skip_reason=f"{month} has until {deadline:%Y-%m-%d %H:%M %Z}")
        book = ledger.open()
        status = month_status(month, book.months.customers(month), book.deliveries.of_month(month))
        alert = overdue_alert(status, settings.ui_url or "", language=settings.language)
        if alert is not None:
            _sent(settings.notifier, alert, context, 0)
        # A month that was delivered in time is not looked at again: a later change is news of its own run.
        done = f"{month} is {'delivered' if alert is None else 'late: told'}"
        return dg.SensorResult(skip_reason=done, cursor=month)

    return overdue_month_sensor


def _sent(notifier: Notifier, alert: Alert, context: dg.SensorEvaluationContext, sent_before: int) -> bool:
    """Whether the alert was taken. Raises AlertNotSent where it is the tick's first, so that the tick is red."""
    try:
        for name in notifier.send(alert):
            context.log.warning(f"{name} did not take {alert.title!r}; another did")
    except AlertNotSent:
        # What no target takes for its own sake must not silence all that comes after it.
        try:
            notifier.send(in_short(alert))
        except AlertNotSent:
            if not sent_before:
                raise
            return False
        context.log.error(f"{alert.title!r} was sent in short: no target took the whole of it")
    return True


def _result(told: Told, reason: str) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason, cursor=told.as_cursor())


def _ended_runs(
    instance: dg.DagsterInstance, *, after: int | None, limit: int
) -> Sequence[dg.EventLogRecord]:
    """The ends of runs after this place in the event log, oldest first; without a place, the newest one."""
    records = [
        record
        for ended in (
            dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_storage_id=after),
            dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_SUCCESS, after_storage_id=after),
            dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_CANCELED, after_storage_id=after),
        )
        for record in instance.fetch_run_status_changes(
            ended, limit=limit, ascending=after is not None
        ).records
    ]
    ordered = sorted(records, key=lambda record: record.storage_id)
    return ordered[-limit:] if after is None else ordered[:limit]


def _news(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    ledger: Ledger,
    partitions: Partitions,
    told: dict[str, list[str]],
) -> tuple[RunNews, dict[str, list[str]]]:
    """What the run brought that is not told yet, and what is told once it is told: what still stands of it."""
    told = dict(told)
    months = _months_of(run, partitions)
    customers = []
    for month in months:
        before = set(told.pop(month, []))
        standing = []
        for customer, touched in _needing_a_person(ledger, month, run.run_id):
            need = digest(month, customer)
            if need in before:
                standing.append(need)
            elif touched:
                standing.append(need)
                customers.append((month, customer))
        if standing:
            told[month] = standing
    failure = _failure(instance, run) if run.status == dg.DagsterRunStatus.FAILURE else None
    if run.status == dg.DagsterRunStatus.CANCELED:
        failure = "it was cancelled; what was not delivered by then stays so until the month is run again"
    checks = _failed_checks(instance, run)
    return RunNews(run.job_name, months, failure, checks, customers), told


def _needing_a_person(ledger: Ledger, month: str, run_id: str) -> Iterator[tuple[CustomerStatus, bool]]:
    """The customers of the month who need a person, and whether this run had to do with them.

    One whose file is merely not sent yet is none of them: the delivery may be on its way.
    """
    rows, deliveries = ledger.months.customers(month), ledger.deliveries.of_month(month)
    touched = {
        row.export.customer_number for row in rows if run_id in {row.export_run_id, row.delivery_run_id}
    } | {delivery.customer_number for delivery in deliveries if delivery.run_id == run_id}
    for customer in month_status(month, rows, deliveries).needs_a_person:
        if {problem.code for problem in customer.problems} != {Code.NOT_DELIVERED_YET}:
            yield customer, customer.customer_number in touched


def _months_of(run: dg.DagsterRun, partitions: Partitions) -> list[str]:
    """The months that a run is about, by its partition or its range of partitions."""
    single = run.tags.get("dagster/partition")
    first = run.tags.get("dagster/asset_partition_range_start", single)
    last = run.tags.get("dagster/asset_partition_range_end", single)
    if first is None or last is None:
        return []
    month, end = _month_of(first, partitions), _month_of(last, partitions)
    months = [month]
    while months[-1] < end:
        months.append(next_month(months[-1]))
    return months


def _month_of(key: str, partitions: Partitions) -> str:
    if "|" not in key:
        return key
    return partitions.customer_months.get_partition_key_from_str(key).keys_by_dimension[MONTH]


def _failure(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    """Why the run failed; None where it says only that customers are not delivered, or will be started again."""
    if run.tags.get("dagster/will_retry") == "true":
        return None
    reasons = []
    for record in _events(instance, run, dg.DagsterEventType.STEP_FAILURE):
        data = record.step_failure_data
        said = data.user_failure_data
        if said is not None and CUSTOMERS_IN_FAILURE in said.metadata:
            return None
        reasons.append(said.description if said is not None and said.description else _first_line(data.error))
    if not reasons:
        reasons = [
            record.message or "the run ended without a word"
            for record in _events(instance, run, dg.DagsterEventType.RUN_FAILURE)
        ]
    return "; ".join(reason for reason in reasons if reason) or "no reason was recorded"


def _first_line(error: object) -> str:
    """An unexpected error without its trace, which is in the run."""
    message = str(getattr(error, "message", "") or "")
    return message.strip().partition("\n")[0]


def _failed_checks(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[FailedCheck]:
    failed = []
    for event in _events(instance, run, dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        said = event.asset_check_evaluation_data
        if not said.passed and said.check_name not in TOLD_BY_CUSTOMER:
            failed.append(
                FailedCheck(
                    said.asset_key.to_user_string(),
                    said.check_name,
                    said.partition or "",
                    said.description or "see the check in Dagster",
                )
            )
    return failed


def _events(
    instance: dg.DagsterInstance, run: dg.DagsterRun, kind: dg.DagsterEventType
) -> Iterator[dg.DagsterEvent]:
    for record in instance.get_records_for_run(run.run_id, of_type=kind).records:
        if record.event_log_entry.dagster_event is not None:
            yield record.event_log_entry.dagster_event
