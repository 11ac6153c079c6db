"""Asks for the drafts of what was delivered until each is confirmed. What it asks for, and when, is a pure function."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from billing_pipeline.defs.draft_assets import DRAFTS_PER_RUN
from billing_pipeline.defs.jobs import Jobs
from billing_pipeline.defs.partitions import (
    CUSTOMER,
    CustomerRange,
    customers_to_add,
    range_tags,
    ranges_over,
)
from billing_pipeline.delivery.records import Delivery
from billing_pipeline.easybill.document import customer_key
from billing_pipeline.steps.open_list import first_month_looked_after
from billing_pipeline.steps.settling import utc_now
from billing_pipeline.steps.wiring import BillingSettings, LedgerAt

INTERVAL_S = 600
# So long after the deadline a draft is asked for once a day: people have been told of it.
HOURLY_AFTER_DEADLINE = timedelta(hours=2)


@dataclass(frozen=True)
class Reading:
    """One run that reads drafts back. Asked for again with the same `key`, Dagster starts no other."""

    month: str
    customers: CustomerRange
    key: str


def build_draft_sensor(jobs: Jobs) -> dg.SensorDefinition:
    """The sensor, running by default."""

    @dg.sensor(
        name="easybill_draft_sensor",
        job=jobs.draft_reconciliation,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Reads the drafts of delivered files back, hourly until the deadline, then daily, until each is "
        "confirmed or accepted, and those that a correction replaces are gone.",
    )
    def easybill_draft_sensor(
        context: dg.SensorEvaluationContext,
        ledger: dg.ResourceParam[LedgerAt],
        billing: dg.ResourceParam[BillingSettings],
    ) -> dg.SensorResult | dg.SkipReason:
        book, since = ledger.open(), first_month_looked_after(utc_now())
        unconfirmed = book.deliveries.unconfirmed(since=since)
        # Once they are gone, nobody has to say so.
        unconfirmed += [one for one in book.deliveries.to_remove() if one.month >= since]
        if not unconfirmed:
            return dg.SkipReason(
                "the draft of everything that was delivered is confirmed, and none is to be removed"
            )
        registered = context.instance.get_dynamic_partitions(CUSTOMER)
        new = customers_to_add((delivery.customer_number for delivery in unconfirmed), registered)
        readings = drafts_to_read(
            unconfirmed,
            [*registered, *new],
            now=utc_now(),
            deadline=timedelta(hours=billing.rules.draft_deadline_hours),
        )
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(run_key=reading.key, tags=range_tags(reading.customers, reading.month))
                for reading in readings
            ],
            dynamic_partitions_requests=[dg.AddDynamicPartitionsRequest(CUSTOMER, new)] if new else None,
        )

    return easybill_draft_sensor


def drafts_to_read(
    unconfirmed: Sequence[Delivery], registered: Sequence[str], *, now: datetime, deadline: timedelta
) -> Iterator[Reading]:
    """The runs that read these deliveries' drafts back; `registered` has a key for each of their customers.

    A month has the pace of its latest delivery. A range covers customers of whom there is nothing to read, too: that
    costs no request.
    """
    by_month: dict[str, list[Delivery]] = {}
    for delivery in unconfirmed:
        by_month.setdefault(delivery.month, []).append(delivery)
    for month, deliveries in sorted(by_month.items()):
        latest = max(delivery.published_at or delivery.created_at for delivery in deliveries)
        hourly = now < latest + deadline + HOURLY_AFTER_DEADLINE
        slot = now.strftime("%Y-%m-%dT%H" if hourly else "%Y-%m-%d")
        wanted = {customer_key(delivery.customer_number) for delivery in deliveries}
        for customers in ranges_over(registered, wanted, limit=DRAFTS_PER_RUN, bridged_gap=DRAFTS_PER_RUN):
            yield Reading(month, customers, f"drafts of {month} from {customers.first} at {slot}")
