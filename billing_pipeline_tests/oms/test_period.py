from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg2
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.oms.contract import INSTANT
from billing_pipeline.oms.period import (
    last_complete_month,
    month_of,
    months_back,
    months_of,
    next_month,
    period_of,
    previous_month,
)
from billing_pipeline.problems import UsageError

BERLIN = "Europe/Berlin"
ZONES = (BERLIN, "UTC", "America/St_Johns", "Pacific/Kiritimati", "Asia/Beirut", "America/Asuncion")

EPOCH = datetime(1980, 1, 1, tzinfo=UTC)
instants = st.integers(0, 80 * 366 * 86_400 * 1_000_000).map(lambda us: EPOCH + timedelta(microseconds=us))


def test_a_month_is_half_open_in_the_billing_time_zone() -> None:
    period = period_of("2026-10", BERLIN)

    assert period.start == datetime(2026, 9, 30, 22, tzinfo=UTC)
    assert period.end == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert month_of(period.start, BERLIN) == "2026-10"
    assert month_of(period.end - timedelta(microseconds=1), BERLIN) == "2026-10"
    assert month_of(period.end, BERLIN) == "2026-11"


@pytest.mark.parametrize(
    ("instant", "month"), [("2026-10-31T23:30:00Z", "2026-11"), ("2026-05-31T22:30:00Z", "2026-06")]
)
def test_an_instant_belongs_to_the_local_month_not_that_of_utc(instant: str, month: str) -> None:
    assert month_of(datetime.fromisoformat(instant), BERLIN) == month


@given(instants, st.sampled_from(ZONES))
def test_every_instant_lies_in_the_period_of_its_month_and_in_no_other(
    instant: datetime, timezone: str
) -> None:
    month = month_of(instant, timezone)

    assert period_of(month, timezone).start <= instant < period_of(month, timezone).end
    assert period_of(previous_month(month), timezone).end <= instant
    assert instant < period_of(next_month(month), timezone).start


@given(st.lists(st.none() | instants), st.sampled_from(ZONES))
def test_months_of_an_array_are_the_months_of_its_elements(
    listed: list[datetime | None], timezone: str
) -> None:
    months = months_of(pa.chunked_array([listed, listed], INSTANT), timezone)

    expected = [None if instant is None else month_of(instant, timezone) for instant in listed]
    assert months.to_pylist() == expected * 2


def test_where_clocks_go_back_over_midnight_the_period_decides() -> None:
    # Newfoundland left summer time on 1 November 2009 at 00:01, back to 23:01 on 31 October.
    again_in_october = datetime(2009, 11, 1, 2, 45, tzinfo=UTC)

    assert period_of("2009-11", "America/St_Johns").start == datetime(2009, 11, 1, 2, 30, tzinfo=UTC)
    assert month_of(again_in_october, "America/St_Johns") == "2009-11"


def test_months_are_the_same_as_postgresql_counts_them(postgres_url: str) -> None:
    edges = [
        instant + delta
        for year in range(2024, 2029)
        for month in range(1, 13)
        for instant in (period_of(f"{year}-{month:02d}", BERLIN).start,)
        for delta in (-timedelta(microseconds=1), timedelta(0), timedelta(microseconds=1))
    ]
    # Both changes of the clocks, the leap day, and the turn of the year.
    named = [
        *(datetime(2026, 3, 29, hour, 59, 59, tzinfo=UTC) for hour in range(24)),
        *(datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in range(24)),
        *(datetime(2028, 2, 29, hour, tzinfo=UTC) for hour in range(24)),
        *(datetime(2026, 12, 31, hour, 30, tzinfo=UTC) for hour in range(24)),
    ]
    start = datetime(2020, 1, 1, tzinfo=UTC)
    spread = [start + timedelta(seconds=number * 104_729) for number in range(2000)]
    every = edges + named + spread

    with closing(psycopg2.connect(postgres_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_char(instant AT TIME ZONE 'Europe/Berlin', 'YYYY-MM')"
            " FROM unnest(%s::timestamptz[]) WITH ORDINALITY AS t (instant, place) ORDER BY place",
            (every,),
        )
        counted = [month for (month,) in cursor.fetchall()]
    assert months_of(pa.chunked_array([every], INSTANT), BERLIN).to_pylist() == counted


@pytest.mark.parametrize(
    "month", ["2026-13", "2026-00", "2026-1", "202610", "", "2026-10-01", "٢٠٢٦-10", "0000-01"]
)
def test_what_is_no_month_is_a_usage_error(month: str) -> None:
    with pytest.raises(UsageError, match="is not a month: write YYYY-MM"):
        period_of(month, BERLIN)


def test_a_month_before_the_calendar_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="outside the calendar"):
        period_of("0001-01", BERLIN)


@pytest.mark.parametrize("timezone", ["Europe/Belin", "", "../etc/passwd", "Europe"])
def test_an_unknown_time_zone_is_a_usage_error(timezone: str) -> None:
    with pytest.raises(UsageError, match="is not a time zone"):
        period_of("2026-10", timezone)


def test_an_instant_without_zone_has_no_month() -> None:
    with pytest.raises(ValueError, match="no zone"):
        month_of(datetime(2026, 10, 14), BERLIN)  # noqa: DTZ001 - that is the point


def test_counting_months_goes_over_the_turn_of_the_year() -> None:
    assert next_month("2026-12") == "2027-01"
    assert previous_month("2026-01") == "2025-12"
    assert months_back("2026-10", 14) == "2025-08"


def test_the_last_complete_month_is_over_in_the_billing_time_zone() -> None:
    assert last_complete_month(datetime(2026, 10, 31, 22, 59, tzinfo=UTC), BERLIN) == "2026-09"
    assert last_complete_month(datetime(2026, 10, 31, 23, 0, tzinfo=UTC), BERLIN) == "2026-10"
