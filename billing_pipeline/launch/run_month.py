"""A month from end to end in one process, through Dagster: what `billing-pipeline run` does.

On the same definitions, and with the same records, as the schedule, the sensor and a backfill leave.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import dagster as dg

from billing_pipeline.defs.build import build_defs
from billing_pipeline.defs.jobs import DELIVERS_ITSELF_TAG
from billing_pipeline.defs.partitions import CUSTOMER, MONTH_TAG, customers_to_add, range_tags, ranges_over
from billing_pipeline.delivery.records import Billing
from billing_pipeline.easybill.document import customer_key
from billing_pipeline.launch.in_process import execute
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.problems import PipelineError, UsageError
from billing_pipeline.report.month import MonthStatus, month_status
from billing_pipeline.settings import Settings
from billing_pipeline.steps.bill_month import bill_part, keep, month_size, require_plausible
from billing_pipeline.steps.current_billing import (
    changed_since_billed,
    current_billing,
    warnings_since_billed,
)
from billing_pipeline.steps.open_list import OpenList, open_list
from billing_pipeline.steps.seal import seal_month
from billing_pipeline.steps.settling import require_open
from billing_pipeline.steps.wiring import Progress, Wiring, build_wiring
from billing_pipeline.store.frames import ROSTER


@dataclass(frozen=True)
class MonthRun:
    """What a run of a month came to: the outcome per customer, what is open of all months, the error that ended it."""

    status: MonthStatus
    open: OpenList
    error: PipelineError | None = None


def run_month(
    settings: Settings,
    month: str,
    *,
    customers: Collection[str] = (),
    services: Collection[str] = (),
    force: bool = False,
    accept_new_ids: bool = False,
    before_end: bool = False,
    progress: Progress,
    now: datetime | None = None,
) -> MonthRun:
    """Extracts, bills and delivers a month; with `customers`, bills and delivers to these and nobody else.

    With `services`, delivers to those who have one of them, and bills nothing else of theirs. `force`: however small or
    large it is. `before_end`: though it is not over, or not settled.
    Raises: UsageError where the month may not be billed (yet), or has no such service; PipelineError where the
    extract itself fails. An error after that is in the result, beside what was delivered before it.
    """
    wiring = build_wiring(settings, progress)
    require_open(settings, wiring.billing.rules, month, before_end=before_end, now=now)
    if services and settings.require_approval:
        raise UsageError(
            "--service: a part of a customer's file cannot be approved (BILLING_REQUIRE_APPROVAL); leave the other "
            "rows out with `billing-pipeline omit add`, approve the month, and run it"
        )
    # Before anything is read: a run that cannot send must not look like one that did.
    wiring.channel.open()
    definitions = build_defs(settings, resources=wiring.as_resources())
    with open_instance(settings) as instance:
        part = None
        if customers or services:
            part = _bill_part(wiring, month, customers, services, force=force, accept_new_ids=accept_new_ids)
            wanted = list(part.customers)
        else:
            execute(
                definitions,
                "monthly_billing",
                instance,
                tags={DELIVERS_ITSELF_TAG: "true", MONTH_TAG: month},
                partition_key=month,
                ops={"billed_month": {"force": force, "accept_new_ids": accept_new_ids}},
            )
            wanted = _roster(wiring, month)
        error = deliver_in_process(
            wiring,
            definitions,
            instance,
            wanted,
            month=month,
            customers_per_run=settings.customers_per_run,
            config={"before_end": before_end, **({} if part is None else {"billing": part.id})},
            only_these=part is not None,
        )
    some = customers if part is None else part.customers
    status = status_now(wiring, month, customers=some)
    return MonthRun(
        status if part is None else status.only(customers or wanted),
        open_list(wiring.ledger.open(), wiring.billing.rules, settings.first_month),
        error,
    )


def deliver_in_process(
    wiring: Wiring,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    customer_numbers: Collection[str],
    *,
    month: str,
    customers_per_run: int,
    config: dict[str, object],
    only_these: bool,
) -> PipelineError | None:
    """Makes and delivers the files of these customers, run after run, and then seals what stands of the month.

    Returns the error that ended it, if one did; what was delivered before it is sealed. Unless `only_these`, a run may
    cover other customers too, for whom there is nothing to do.
    """
    registered = instance.get_dynamic_partitions(CUSTOMER)
    instance.add_dynamic_partitions(CUSTOMER, customers_to_add(customer_numbers, registered))
    ended_by: PipelineError | None = None
    try:
        for part in ranges_over(
            instance.get_dynamic_partitions(CUSTOMER),
            map(customer_key, customer_numbers),
            limit=customers_per_run,
            bridged_gap=0 if only_these else customers_per_run,
        ):
            execute(
                definitions,
                "customer_delivery",
                instance,
                tags={DELIVERS_ITSELF_TAG: "true", **range_tags(part, month)},
                ops={"customer_files": config},
            )
    except PipelineError as error:
        ended_by = error
    try:
        seal_month(wiring.ledger.open(), wiring.blobs, month)
    except PipelineError as error:
        ended_by = ended_by or error
    return ended_by


def status_now(wiring: Wiring, month: str, *, customers: Collection[str] = ()) -> MonthStatus:
    """Every customer of the month as the ledger knows them, and what was to be told when it was last billed.

    `customers`: warnings about rows are of these alone, if any are named.
    """
    ledger, frames, language = wiring.ledger.open(), wiring.frames, wiring.billing.rules.language
    return month_status(
        month,
        ledger.months.customers(month),
        ledger.deliveries.of_month(month),
        changed_since_billed(month, ledger, frames),
        warnings_since_billed(month, ledger, frames, language, customers),
    )


def _bill_part(
    wiring: Wiring,
    month: str,
    customers: Collection[str],
    services: Collection[str],
    *,
    force: bool,
    accept_new_ids: bool,
) -> Billing:
    billed = bill_part(wiring, month, customers=customers, services=services, accept_new_ids=accept_new_ids)
    if not force:
        size = month_size(billed.month, month, wiring.frames, wiring.ledger.open(), wiring.billing.timezone)
        require_plausible(month, size)
    return keep(billed, wiring, month, kind="part", run_id=str(uuid4()))


def _roster(wiring: Wiring, month: str) -> list[str]:
    """Everybody in the month that was just billed."""
    billing = current_billing(month, wiring.ledger.open(), wiring.frames)
    if billing is None:
        return []
    numbers: list[str] = wiring.frames.read(ROSTER, month, billing.frames[ROSTER])["customer_number"].tolist()
    return numbers
