"""Months, customers, and how ranges of customers are cut into runs. Pure; the keys are those of 1-architecture."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dagster as dg

from billing_pipeline.easybill.document import customer_key

CUSTOMER = "customer"
MONTH = "month"
# On every run that a schedule, a sensor or a command starts: the runs of a month are found by it.
MONTH_TAG = "billing/month"
# A run costs seconds before its first customer, a customer without services costs milliseconds: a gap up to this
# long is cheaper to walk through than to start another run for.
BRIDGED_GAP = 100


@dataclass(frozen=True)
class Partitions:
    """The three partitions definitions that all assets share, so that Dagster can map one onto the other."""

    months: dg.MonthlyPartitionsDefinition
    customers: dg.DynamicPartitionsDefinition
    customer_months: dg.MultiPartitionsDefinition


def build_partitions(first_month: str, timezone: str) -> Partitions:
    """The partitions from the first month on; the running month is one too, for rehearsals and `--before-end`."""
    months = dg.MonthlyPartitionsDefinition(
        start_date=first_month, timezone=timezone, fmt="%Y-%m", end_offset=1
    )
    customers = dg.DynamicPartitionsDefinition(name=CUSTOMER)
    return Partitions(months, customers, dg.MultiPartitionsDefinition({CUSTOMER: customers, MONTH: months}))


def partition_key(customer_number: str, month: str) -> dg.MultiPartitionKey:
    """The key of one customer and month, as `10023|2026-10`."""
    return dg.MultiPartitionKey({CUSTOMER: customer_key(customer_number), MONTH: month})


def customers_to_add(customer_numbers: Iterable[str], registered: Iterable[str]) -> list[str]:
    """The keys of customers who are not registered yet, in the order in which ranges run: by key."""
    return sorted({customer_key(number) for number in customer_numbers} - set(registered))


@dataclass(frozen=True)
class CustomerRange:
    """A run's worth of customers: every registered key from `first` to `last`, in the order of registration."""

    first: str
    last: str


def ranges_over(
    registered: Sequence[str], wanted: Iterable[str], *, limit: int, bridged_gap: int = BRIDGED_GAP
) -> list[CustomerRange]:
    """Few ranges that cover every wanted key, none longer than `limit` keys of the registered order.

    A gap of at most `bridged_gap` keys that nobody wants is walked through; 0 touches nobody else.

    Raises: KeyError for a wanted key that is not registered.
    """
    place = {key: position for position, key in enumerate(registered)}
    ranges: list[tuple[int, int]] = []
    for position in sorted(place[key] for key in set(wanted)):
        if ranges:
            first, last = ranges[-1]
            if position - first < limit and position - last - 1 <= bridged_gap:
                ranges[-1] = (first, position)
                continue
        ranges.append((position, position))
    return [CustomerRange(registered[first], registered[last]) for first, last in ranges]


def range_tags(customers: CustomerRange, month: str) -> dict[str, str]:
    """The run tags by which Dagster runs a range of one month in one run, and people find it."""
    first = dg.MultiPartitionKey({CUSTOMER: customers.first, MONTH: month})
    last = dg.MultiPartitionKey({CUSTOMER: customers.last, MONTH: month})
    return {
        "dagster/asset_partition_range_start": first,
        "dagster/asset_partition_range_end": last,
        MONTH_TAG: month,
    }
