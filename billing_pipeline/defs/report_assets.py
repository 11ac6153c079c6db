"""The asset `month_report`: the month as a page, and a sensor that makes it anew once it would tell something else."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg

from billing_pipeline.defs.asset_records import plain_failures
from billing_pipeline.defs.jobs import Jobs
from billing_pipeline.defs.metadata import amounts, problems_table
from billing_pipeline.defs.month_checks import month_check_spec
from billing_pipeline.defs.partitions import Partitions
from billing_pipeline.delivery.api.account import EasyBillAccount
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.oms.period import last_complete_month
from billing_pipeline.report.month import OUTCOMES
from billing_pipeline.steps.settling import utc_now
from billing_pipeline.steps.wiring import BillingSettings, ChannelAt, LedgerAt, NoProgress, Oms, Wiring
from billing_pipeline.steps.write_report import older_month_told_otherwise, told_otherwise, write_report
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline.store.frames import FrameStore

REPORT = "month_report"
NOTHING_UNUSUAL = "nothing_unusual"
INTERVAL_S = 300
# Of older months that something happened to, so many are looked at in a tick; the others wait for the next ones.
OLDER_MONTHS_PER_TICK = 2
# Entries of the log that a tick looks at.
ENTRIES_PER_TICK = 100_000
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def build_report_asset(partitions: Partitions) -> dg.AssetsDefinition:
    """`month_report`, with the check `nothing_unusual`, which warns and stops nothing."""
    check = month_check_spec(
        NOTHING_UNUSUAL,
        REPORT,
        partitions,
        "Nobody's total, lines, prices or cancellations are far from their own past, nobody has "
        "vanished, and nothing looks entered twice. It warns; nobody is blocked.",
    )

    @dg.multi_asset(
        name="reported_month",
        specs=[
            dg.AssetSpec(
                REPORT,
                deps=["invoice_lines"],
                group_name="billing",
                kinds={"html"},
                owners=["team:accounting"],
                description="The month as a page for the accountant: totals, outcomes, what needs a person, what has "
                "changed since the last report.",
            )
        ],
        check_specs=[check],
        partitions_def=partitions.months,
    )
    def reported_month(
        context: dg.AssetExecutionContext,
        oms: dg.ResourceParam[Oms],
        frames: dg.ResourceParam[FrameStore],
        ledger: dg.ResourceParam[LedgerAt],
        blobs: dg.ResourceParam[BlobStore],
        billing: dg.ResourceParam[BillingSettings],
        channel: dg.ResourceParam[ChannelAt],
        easybill: dg.ResourceParam[EasyBillAccount],
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        wiring = Wiring(oms, frames, ledger, blobs, billing, channel, easybill, NoProgress())
        with plain_failures():
            written = write_report(wiring, context.partition_key)
        report, counts = written.report, written.report.status.counts
        yield dg.MaterializeResult(
            asset_key=REPORT,
            metadata={
                "page": dg.MetadataValue.path(written.place),
                "customers": counts["total"],
                **{outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome]},
                "totals": amounts(report.status.totals, billing.rules.language),
                "open": len(report.open),
                "changed_customers": len(report.changes),
                "e_invoice_gaps": len(report.e_invoice),
            },
        )
        yield dg.AssetCheckResult(
            asset_key=REPORT,
            check_name=NOTHING_UNUSUAL,
            passed=not report.unusual,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"worth a look: {len(report.unusual)}" if report.unusual else None,
            metadata={"unusual": problems_table(report.unusual)} if report.unusual else {},
        )

    return reported_month


def delivering_job(instance: dg.DagsterInstance) -> str | None:
    """The job of which a run is under way that may change what a report tells; None for none."""
    for name in ("monthly_billing", "customer_delivery"):
        if instance.get_runs_count(dg.RunsFilter(job_name=name, statuses=UNFINISHED)):
            return name
    return None


@dataclass(frozen=True)
class Looked:
    """The cursor of `month_report_sensor`: the last entry of the log that was looked at, and the older months that
    entries before it speak of and whose reports were not looked at since.
    """

    entry: int
    due: tuple[str, ...] = ()

    @classmethod
    def from_cursor(cls, cursor: str | None, ledger: Ledger) -> "Looked":
        """What `as_cursor` wrote; at first older months are as they are."""
        if not cursor:
            return cls(ledger.events.newest())
        told = json.loads(cursor)
        return cls(told["entry"], tuple(told["due"]))

    def as_cursor(self) -> str:
        """As text."""
        return json.dumps({"entry": self.entry, "due": self.due})

    def since(self, ledger: Ledger, last_month: str) -> "Looked":
        """With the older months that the log speaks of by now. Raises: LedgerUnavailable."""
        months, entry = ledger.events.months_since(self.entry, most=ENTRIES_PER_TICK)
        older = {month for month in months if month < last_month}
        return Looked(entry, tuple(sorted({*self.due, *older})))


def build_report_sensor(jobs: Jobs) -> dg.SensorDefinition:
    """The sensor, running by default."""

    @dg.sensor(
        name="month_report_sensor",
        job=jobs.month_report,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Makes the report of the last month that is over, and of older months to which something happened, "
        "once no delivery is under way and it would tell something else than the last one.",
    )
    def month_report_sensor(
        context: dg.SensorEvaluationContext,
        ledger: dg.ResourceParam[LedgerAt],
        blobs: dg.ResourceParam[BlobStore],
        billing: dg.ResourceParam[BillingSettings],
    ) -> dg.SensorResult:
        job = delivering_job(context.instance)
        if job is not None:
            return dg.SensorResult(skip_reason=f"{job} is under way", cursor=context.cursor)
        book, last_month = ledger.open(), last_complete_month(utc_now(), billing.timezone)
        looked = Looked.from_cursor(context.cursor, book).since(book, last_month)
        now, later = looked.due[:OLDER_MONTHS_PER_TICK], looked.due[OLDER_MONTHS_PER_TICK:]
        told = {last_month: told_otherwise(book, billing, last_month)}
        told |= {month: older_month_told_otherwise(book, blobs, billing, month) for month in now}
        requests = [
            dg.RunRequest(run_key=f"{month} {facts}", partition_key=month)
            for month, facts in told.items()
            if facts is not None
        ]
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None
            if requests
            else f"{last_month} is not billed, or its report tells what is known",
            cursor=Looked(looked.entry, later).as_cursor(),
        )

    return month_report_sensor
