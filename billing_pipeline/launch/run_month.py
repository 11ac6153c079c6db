"""A month from end to end in one process, through Dagster: what `billing-pipeline run` does.

On the same definitions, and with the same records, as the schedule, the sensor and a backfill leave.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from billing_pipeline.definitions import build_defs
from billing_pipeline.defs.asset_records import CSV
from billing_pipeline.defs.partitions import CUSTOMER, MONTH_TAG, customers_to_add, range_tags, ranges_over
from billing_pipeline.defs.sensors import DELIVERS_ITSELF_TAG
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.easybill.document import customer_key
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.problems import PipelineError, UsageError
from billing_pipeline.report.month import MonthStatus, month_status
from billing_pipeline.settings import Settings
from billing_pipeline.steps.bill_month import owners_of
from billing_pipeline.steps.drift_frame import read_drift
from billing_pipeline.steps.settling import require_settled
from billing_pipeline.steps.wiring import Progress, Rooms, build_rooms
from billing_pipeline.store.frames import FrameStore
from billing_pipeline.store.month_frames import read_extract

# The op's own lines belong to the UI; on a terminal they would bury the outcome.
QUIET: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class MonthRun:
    """What a run of a month came to: the outcome per customer, and the error that ended it, if one did."""

    status: MonthStatus
    error: PipelineError | None = None


def run_month(
    settings: Settings,
    month: str,
    *,
    customers: Collection[str] = (),
    services: Collection[str] = (),
    dry_run: bool = False,
    force: bool = False,
    progress: Progress,
    now: datetime | None = None,
) -> MonthRun:
    """Extracts, bills and delivers a month; with `customers`, delivers to these and nobody else.

    With `services`, delivers to those who have one of them, and bills nothing else of theirs.
    Raises: UsageError where the month may not be billed (yet), or has no such service; PipelineError where the
    extract itself fails. An error after that is in the result, beside what was delivered before it.
    """
    rooms = build_rooms(settings, progress)
    hours = rooms.billing.rules.settling_hours
    if not force:
        require_settled(
            month,
            now=now or datetime.now(UTC),
            timezone=settings.timezone,
            settling_hours=settings.settling_hours if hours is None else hours,
            first_month=settings.first_month,
        )
    if not dry_run:
        # Before anything is read: a run that cannot send must not look like one that did.
        rooms.channel.open()
    definitions = build_defs(settings=settings, resources=rooms.as_resources())
    with open_instance(settings) as instance:
        tags = {DELIVERS_ITSELF_TAG: "true", MONTH_TAG: month}
        execute(
            definitions,
            "monthly_billing",
            instance,
            tags=tags,
            partition_key=month,
            ops={"billed_month": {"only_services": sorted(services), "force": force}},
        )
        roster = rooms.frames.read("month_roster", month)["customer_number"].tolist()
        wanted = list(customers) or roster
        if services:
            owners = _owners(rooms, month, services, roster)
            customers = wanted = [number for number in wanted if number in owners]
            if not wanted:
                raise UsageError("--service and --customer: none of the customers has one of the services")
        registered = instance.get_dynamic_partitions(CUSTOMER)
        instance.add_dynamic_partitions(CUSTOMER, customers_to_add(wanted, registered))
        error = None
        for part in ranges_over(
            instance.get_dynamic_partitions(CUSTOMER),
            map(customer_key, wanted),
            limit=settings.customers_per_run,
            bridged_gap=0 if customers else settings.customers_per_run,
        ):
            try:
                execute(
                    definitions,
                    "customer_delivery",
                    instance,
                    tags={**tags, **range_tags(part, month)},
                    ops={"customer_files": {"force": force}},
                    only_files=dry_run,
                )
            except PipelineError as reason:
                error = reason
                break
    status = status_now(rooms.ledger.open(), rooms.frames, month)
    return MonthRun(status.only(customers or roster), error)


def status_now(ledger: Ledger, frames: FrameStore, month: str) -> MonthStatus:
    """Every customer of the month as the ledger knows them, and what had changed when it was last billed."""
    return month_status(
        month, ledger.months.customers(month), ledger.deliveries.of_month(month), read_drift(frames, month)
    )


def _owners(rooms: Rooms, month: str, services: Collection[str], roster: Collection[str]) -> set[str]:
    extract = read_extract(rooms.frames, month)
    for service in services:
        if not owners_of(extract, [service]) & set(roster):
            raise UsageError(
                f"--service {service}: {month} has no such service of a customer who is billed; its id is the "
                "service_id of the OMS"
            )
    return owners_of(extract, services)


def execute(
    definitions: dg.Definitions,
    job: str,
    instance: dg.DagsterInstance,
    *,
    tags: dict[str, str],
    ops: Mapping[str, Mapping[str, Any]],
    partition_key: str | None = None,
    only_files: bool = False,
) -> None:
    """Runs a job in this process; `ops` has the configuration of its ops. Raises: the PipelineError that ended it.

    A run that fails because customers are blocked or not delivered is no error here: the ledger has them.
    """
    try:
        definitions.resolve_job_def(job).execute_in_process(
            instance=instance,
            run_config={**QUIET, "ops": {name: {"config": dict(config)} for name, config in ops.items()}},
            tags=tags,
            partition_key=partition_key,
            asset_selection=[CSV] if only_files else None,
        )
    except dg.Failure as failure:
        if isinstance(failure.__cause__, PipelineError):
            raise failure.__cause__ from None
