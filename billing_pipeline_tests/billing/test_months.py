"""In which month a row is billed: named instants, and random ones against PostgreSQL's own time zones."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

import psycopg2
import pytest

from billing_pipeline.oms.period import month_of, period_of
from billing_pipeline_tests.support.billing import line_of
from billing_pipeline_tests.support.frames import service

NAMED: Final = [
    ("the last instant of 2025", "2025-12-31T22:59:59.999999Z", "2025-12"),
    ("the first of 2026, in UTC still the old year", "2025-12-31T23:00:00Z", "2026-01"),
    ("midnight of UTC on New Year", "2026-01-01T00:00:00Z", "2026-01"),
    ("the last of January", "2026-01-31T22:59:59.999999Z", "2026-01"),
    ("the first of February", "2026-01-31T23:00:00Z", "2026-02"),
    ("the last of a February of 28 days", "2026-02-28T22:59:59.999999Z", "2026-02"),
    ("the first of March after 28 days", "2026-02-28T23:00:00Z", "2026-03"),
    ("the first of a leap day", "2024-02-28T23:00:00Z", "2024-02"),
    ("noon of a leap day", "2024-02-29T12:00:00Z", "2024-02"),
    ("the last of a leap day", "2024-02-29T22:59:59.999999Z", "2024-02"),
    ("the first of March after a leap day", "2024-02-29T23:00:00Z", "2024-03"),
    ("the last of the next leap day", "2028-02-29T22:59:59.999999Z", "2028-02"),
    ("the first of March after the next", "2028-02-29T23:00:00Z", "2028-03"),
    ("a leap day in a year that 400 divides", "2000-02-29T22:59:59.999999Z", "2000-02"),
    ("the first of March after that", "2000-02-29T23:00:00Z", "2000-03"),
    ("the last of February in a year that 100 divides", "2100-02-28T22:59:59.999999Z", "2100-02"),
    ("the first of March, for 2100 has no leap day", "2100-02-28T23:00:00Z", "2100-03"),
    ("the last of winter time", "2026-03-29T00:59:59.999999Z", "2026-03"),
    ("the first of summer time", "2026-03-29T01:00:00Z", "2026-03"),
    ("an hour into summer time", "2026-03-29T02:00:00Z", "2026-03"),
    ("the last of March, in summer time", "2026-03-31T21:59:59.999999Z", "2026-03"),
    ("the first of April, in summer time", "2026-03-31T22:00:00Z", "2026-04"),
    ("where April would begin in winter time", "2026-03-31T23:00:00Z", "2026-04"),
    ("summer time of 2025", "2025-03-30T01:00:00Z", "2025-03"),
    ("April by half an hour", "2025-03-31T22:30:00Z", "2025-04"),
    ("the last of winter time on the last day of March", "2024-03-31T00:59:59.999999Z", "2024-03"),
    ("summer time that begins on the last day of March", "2024-03-31T01:00:00Z", "2024-03"),
    ("the last of a last day of 23 hours", "2024-03-31T21:59:59.999999Z", "2024-03"),
    ("the first of April after 23 hours", "2024-03-31T22:00:00Z", "2024-04"),
    ("the last of April", "2026-04-30T21:59:59.999999Z", "2026-04"),
    ("the first of May", "2026-04-30T22:00:00Z", "2026-05"),
    ("June by half an hour", "2026-05-31T22:30:00Z", "2026-06"),
    ("the last of a quarter", "2026-06-30T21:59:59.999999Z", "2026-06"),
    ("the first of a quarter", "2026-06-30T22:00:00Z", "2026-07"),
    ("August for half an hour more", "2026-08-31T21:30:00Z", "2026-08"),
    ("the last of September", "2026-09-30T21:59:59.999999Z", "2026-09"),
    ("the first of October", "2026-09-30T22:00:00Z", "2026-10"),
    ("half past two, the first time", "2026-10-25T00:30:00Z", "2026-10"),
    ("the last of summer time", "2026-10-25T00:59:59.999999Z", "2026-10"),
    ("the first of winter time", "2026-10-25T01:00:00Z", "2026-10"),
    ("half past two, the second time", "2026-10-25T01:30:00Z", "2026-10"),
    ("where November would begin in summer time", "2026-10-31T22:00:00Z", "2026-10"),
    ("the last of October, in winter time", "2026-10-31T22:59:59.999999Z", "2026-10"),
    ("the first of November", "2026-10-31T23:00:00Z", "2026-11"),
    ("November by half an hour", "2026-10-31T23:30:00Z", "2026-11"),
    ("half past two on the last day of October, the first time", "2027-10-31T00:30:00Z", "2027-10"),
    ("half past two on the last day of October, the second time", "2027-10-31T01:30:00Z", "2027-10"),
    ("the last of a last day of 25 hours", "2027-10-31T22:59:59.999999Z", "2027-10"),
    ("the first of November after 25 hours", "2027-10-31T23:00:00Z", "2027-11"),
    ("the last of November", "2026-11-30T22:59:59.999999Z", "2026-11"),
    ("the first of December", "2026-11-30T23:00:00Z", "2026-12"),
    ("the last of 2026", "2026-12-31T22:59:59.999999Z", "2026-12"),
    ("the first of 2027", "2026-12-31T23:00:00Z", "2027-01"),
    ("the last of the 1900s", "1999-12-31T22:59:59.999999Z", "1999-12"),
    ("the first of the 2000s", "1999-12-31T23:00:00Z", "2000-01"),
    ("near the end of 32 bits", "2037-10-25T01:00:00Z", "2037-10"),
    ("beyond all tables, by the rule alone", "2045-03-26T01:00:00Z", "2045-03"),
]
"""Instants around the ends of months, leap days, and changes of the clock in Berlin; each with its month there."""


@pytest.mark.parametrize(("at", "month"), [pytest.param(at, month, id=name) for name, at, month in NAMED])
def test_a_named_instant_falls_into_its_month(at: str, month: str) -> None:
    assert month_of(datetime.fromisoformat(at), "Europe/Berlin") == month


@pytest.mark.parametrize("timezone", ["Europe/Berlin", "UTC", "America/New_York", "Pacific/Auckland"])
def test_every_instant_falls_into_the_one_month_that_the_database_says(
    postgres_database: str, timezone: str
) -> None:
    random = Random(timezone)
    start = datetime(2000, 1, 1, tzinfo=UTC)
    instants = [datetime.fromisoformat(at) for _, at, _ in NAMED] + [
        start + timedelta(microseconds=random.randrange(50 * 366 * 86_400 * 10**6)) for _ in range(2_000)
    ]
    with closing(psycopg2.connect(postgres_database)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_char(at AT TIME ZONE %s, 'YYYY-MM') FROM unnest(%s::timestamptz[]) WITH ORDINALITY "
            "AS instant (at, place) ORDER BY place",
            (timezone, instants),
        )
        theirs = [month for (month,) in cursor.fetchall()]
    mine = [month_of(instant, timezone) for instant in instants]
    assert [row for row in zip(instants, theirs, mine, strict=True) if row[1] != row[2]] == []
    for instant, month in zip(instants, mine, strict=True):
        period = period_of(month, timezone)
        assert period.start <= instant < period.end


def test_a_service_of_half_past_eleven_in_the_evening_of_utc_is_billed_in_the_next_month() -> None:
    line = line_of(service(completed_at="2026-10-31T23:30:00Z"), month="2026-11")
    assert (str(line.performed_on), line.performed_month) == ("2026-11-01", "2026-11")
