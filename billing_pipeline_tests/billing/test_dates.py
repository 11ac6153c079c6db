"""Local dates, and the last instant of a month."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.billing.arrow import INSTANT
from billing_pipeline.billing.dates import local_dates
from billing_pipeline.billing.rows import last_instant_of

START = datetime(2026, 1, 1, tzinfo=UTC)
instants = st.integers(0, 366 * 86_400).map(lambda second: START + timedelta(seconds=second))


@given(
    st.lists(st.none() | instants),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC"]),
)
def test_a_local_date_is_what_a_calendar_there_shows(times: list[datetime | None], timezone: str) -> None:
    expected = [time and time.astimezone(ZoneInfo(timezone)).date() for time in times]
    assert local_dates(pa.array(times, INSTANT), timezone).to_pylist() == expected


def test_a_midnight_that_the_clocks_skip_begins_the_day_all_the_same() -> None:
    # On 2018-11-04 the clocks of São Paulo went from 00:00 to 01:00.
    times = [datetime(2018, 11, 4, 2, 59, tzinfo=UTC), datetime(2018, 11, 4, 3, 0, tzinfo=UTC)]
    days = local_dates(pa.array(times, INSTANT), "America/Sao_Paulo").to_pylist()
    assert days == [date(2018, 11, 3), date(2018, 11, 4)]


def test_the_last_instant_of_a_month_is_just_before_the_next() -> None:
    assert last_instant_of("2026-10", "Europe/Berlin").isoformat() == "2026-10-31T22:59:59.999999+00:00"
