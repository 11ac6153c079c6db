"""When a month may be billed, and when the schedule starts it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.defs.jobs import build_jobs
from billing_pipeline.defs.schedules import build_schedule, monthly_cron
from billing_pipeline.oms.period import next_month, period_of
from billing_pipeline.steps.settling import MonthNotSettled, MonthUnknown, require_settled

BERLIN = "Europe/Berlin"


def settled(month: str, now: datetime, hours: int = 0) -> None:
    require_settled(month, now=now, timezone=BERLIN, settling_hours=hours, first_month="2025-01")


def test_a_month_that_is_not_over_is_refused_and_the_error_says_from_when_on() -> None:
    with pytest.raises(
        MonthNotSettled, match=r"2026-10 is not over.*2026-11-01 00:00 CET.*--before-end"
    ) as error:
        settled("2026-10", datetime(2026, 10, 31, 22, 59, tzinfo=UTC))
    assert error.value.exit_status == 2


def test_a_month_may_be_billed_from_its_last_instant_on_in_the_billing_time_zone() -> None:
    settled("2026-10", datetime(2026, 10, 31, 23, 0, tzinfo=UTC))


def test_settling_hours_put_it_off() -> None:
    with pytest.raises(MonthNotSettled, match="has not settled"):
        settled("2026-10", datetime(2026, 11, 2, 22, 0, tzinfo=UTC), hours=48)
    settled("2026-10", datetime(2026, 11, 2, 23, 0, tzinfo=UTC), hours=48)


def test_a_month_before_the_first_one_does_not_exist() -> None:
    with pytest.raises(MonthUnknown, match="BILLING_FIRST_MONTH"):
        settled("2024-12", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("hours", "cron"),
    [(0, "0 6 1 * *"), (17, "0 23 1 * *"), (18, "0 0 2 * *"), (48, "0 6 3 * *"), (27 * 24, "0 6 28 * *")],
)
def test_the_cron_is_six_on_the_first_plus_the_settling_hours(hours: int, cron: str) -> None:
    assert monthly_cron(hours) == cron


def schedule_after(hours: int, first_month: str = "2025-01") -> dg.ScheduleDefinition:
    return build_schedule(build_jobs(), timezone=BERLIN, settling_hours=hours, first_month=first_month)


@given(st.integers(0, 27 * 24), st.integers(2025, 2030), st.integers(1, 12))
def test_every_tick_of_the_schedule_finds_its_month_settled(hours: int, year: int, number: int) -> None:
    month = f"{year}-{number:02d}"
    ticks = schedule_execution_time_iterator(
        period_of(month, BERLIN).end.timestamp(), schedule_after(hours).cron_schedule, BERLIN
    )
    tick = next(ticks)
    settled(month, tick.astimezone(UTC), hours)
    assert tick < period_of(next_month(month), BERLIN).end


def tick_of(schedule: dg.ScheduleDefinition) -> dg.RunRequest | dg.SkipReason:
    at = datetime(2026, 11, 1, 6, tzinfo=ZoneInfo(BERLIN))
    result = schedule(dg.build_schedule_context(scheduled_execution_time=at))
    assert isinstance(result, dg.RunRequest | dg.SkipReason)
    return result


def test_the_schedule_names_the_last_month_that_is_over_and_asks_for_it_once() -> None:
    request = tick_of(schedule_after(0))
    assert isinstance(request, dg.RunRequest)
    assert (request.partition_key, request.run_key) == ("2026-10", "2026-10")


def test_the_schedule_asks_for_nothing_before_the_first_month() -> None:
    assert isinstance(tick_of(schedule_after(0, first_month="2026-11")), dg.SkipReason)
