"""Times as people read them: the clock of the billing time zone, and its name."""

from datetime import UTC, datetime

from billing_pipeline.local_time import local_day, local_time


def test_an_hour_that_comes_twice_is_told_apart_by_the_zones_name() -> None:
    first, second = (datetime(2026, 10, 25, hour, 30, 5, tzinfo=UTC) for hour in (0, 1))
    assert local_time(first, "Europe/Berlin") == "2026-10-25 02:30 CEST"
    assert local_time(second, "Europe/Berlin", seconds=True) == "2026-10-25 02:30:05 CET"


def test_a_day_is_that_of_the_zone() -> None:
    late = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)
    assert local_day(late, "Europe/Berlin") == "2026-11-01"
    assert local_day(late, "America/New_York") == "2026-10-31"
