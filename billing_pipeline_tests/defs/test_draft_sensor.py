"""Which drafts are read back, and how often one asks for the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from billing_pipeline.defs.draft_sensor import INTERVAL_S, Reading, drafts_to_read
from billing_pipeline.defs.partitions import CustomerRange
from billing_pipeline.delivery.ledger import Ledger, open_ledger
from billing_pipeline.delivery.records import Delivery
from billing_pipeline.oms.period import months_between
from billing_pipeline.steps.open_list import first_month_looked_after
from billing_pipeline_tests.support.delivering import hasty
from billing_pipeline_tests.support.ledgers import committed, planned, published, taken
from billing_pipeline_tests.support.parcels import parcel

SENT = datetime(2026, 11, 1, 6, 10, tzinfo=UTC)
DAY = timedelta(hours=24)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = hasty(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}"))
    yield ledger
    ledger.close()


def sent(ledger: Ledger, customer_number: str, month: str = "2026-10") -> Delivery:
    delivery = published(
        ledger, committed(ledger, taken(ledger, planned(ledger, parcel(customer_number, month=month))))
    )
    assert delivery is not None
    return replace(delivery, published_at=SENT)


def readings(
    unconfirmed: list[Delivery], registered: list[str], *, after: timedelta = timedelta()
) -> list[Reading]:
    return list(drafts_to_read(unconfirmed, registered, now=SENT + after, deadline=DAY))


def test_a_month_is_read_back_in_one_run_of_up_to_a_thousand(ledger: Ledger) -> None:
    deliveries = [sent(ledger, number) for number in ("10001", "10500", "12345")]
    registered = [str(number) for number in range(10_000, 13_000)]
    assert [reading.customers for reading in readings(deliveries, registered)] == [
        CustomerRange("10001", "10500"),
        CustomerRange("12345", "12345"),
    ]


def test_each_month_is_read_by_itself(ledger: Ledger) -> None:
    deliveries = [sent(ledger, "1", "2026-09"), sent(ledger, "2", "2026-10")]
    assert [reading.month for reading in readings(deliveries, ["1", "2"])] == ["2026-09", "2026-10"]


def test_a_draft_is_asked_for_hourly_until_its_deadline_and_then_daily(ledger: Ledger) -> None:
    deliveries = [sent(ledger, "10/23")]

    def key(hours: float) -> str:
        return readings(deliveries, ["10%2F23"], after=timedelta(hours=hours))[0].key

    assert key(0.1) == key(0.5) != key(1)
    assert key(25) != key(25.9)  # once more when the deadline has passed
    assert key(27) == key(40)
    assert key(27) != key(51)


def test_where_nothing_is_unconfirmed_nothing_is_asked(ledger: Ledger) -> None:
    assert readings([], ["1"]) == []


def test_a_key_that_is_set_after_years_asks_for_the_last_months_alone(ledger: Ledger) -> None:
    for month in ("2024-01", "2026-07", "2026-08", "2026-10"):
        sent(ledger, month, month)
    since = first_month_looked_after(datetime(2026, 11, 1, tzinfo=UTC))
    found = ledger.deliveries.unconfirmed(since=since)
    assert [delivery.month for delivery in found] == ["2026-08", "2026-10"]


def test_a_key_that_is_set_after_a_year_of_five_thousand_customers_starts_few_runs_a_day(
    ledger: Ledger,
) -> None:
    numbers = [str(number) for number in range(10_000, 15_000)]
    one = sent(ledger, "10000")
    noon = datetime(2026, 11, 27, 12, tzinfo=UTC)
    since = first_month_looked_after(noon)
    unconfirmed = [
        replace(one, customer_number=number, month=month)
        for month in months_between("2025-11", "2026-10")
        if month >= since
        for number in numbers
    ]
    keys = {
        reading.key
        for tick in range(0, 6 * 3600, INTERVAL_S)
        for reading in drafts_to_read(unconfirmed, numbers, now=noon + timedelta(seconds=tick), deadline=DAY)
    }
    assert len(keys) == 3 * 5
