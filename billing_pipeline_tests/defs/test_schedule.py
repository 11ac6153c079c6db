"""The monthly schedule on a simulated clock: 24 months with both changes of the clocks, a daemon that was down."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from billing_pipeline.defs.build import build_defs
from billing_pipeline.defs.schedules import scheduled_start
from billing_pipeline.oms.period import next_month
from billing_pipeline.settings import load_settings

BERLIN = ZoneInfo("Europe/Berlin")


class Clockwork:
    """The schedule of these settings, and what it asks for at a tick."""

    def __init__(self, settling_hours: int = 0, first_month: str = "2025-01") -> None:
        definitions = build_defs(
            settings=load_settings(
                {"BILLING_SETTLING_HOURS": str(settling_hours), "BILLING_FIRST_MONTH": first_month}
            )
        )
        self.repository = definitions.get_repository_def()
        self.schedule = self.repository.get_schedule_def("monthly_billing_schedule")

    def asked_at(self, tick: datetime) -> list[dg.RunRequest]:
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_schedule_context(
                instance=instance, scheduled_execution_time=tick, repository_def=self.repository
            )
            return list(self.schedule.evaluate_tick(context).run_requests or [])

    def ticks(self, start: datetime) -> Iterator[datetime]:
        """When the daemon would tick, from `start` on."""
        yield from schedule_execution_time_iterator(
            start.timestamp(), str(self.schedule.cron_schedule), "Europe/Berlin"
        )


@pytest.mark.parametrize("settling_hours", [0, 6, 18, 72, 27 * 24])
def test_each_of_24_months_is_asked_for_once_and_only_when_it_is_over_and_settled(
    settling_hours: int,
) -> None:
    found = Clockwork(settling_hours)
    asked = []
    for tick in islice(found.ticks(datetime(2025, 2, 1, tzinfo=BERLIN)), 24):
        (request,) = found.asked_at(tick)
        asked.append(request.partition_key)
        end = datetime.fromisoformat(f"{next_month(str(request.partition_key))}-01").replace(tzinfo=BERLIN)
        assert tick.astimezone(UTC) >= end.astimezone(UTC) + timedelta(hours=settling_hours)
        assert tick.astimezone(UTC) == scheduled_start(
            str(request.partition_key), "Europe/Berlin", settling_hours
        ).astimezone(UTC)
        assert request.run_key == request.partition_key
    months = ["2025-01"]
    while len(months) < 24:
        months.append(next_month(months[-1]))
    assert asked == months


def test_it_is_six_in_the_morning_by_the_clock_on_the_wall_all_year() -> None:
    year = list(islice(Clockwork().ticks(datetime(2026, 1, 1, tzinfo=BERLIN)), 12))
    assert {tick.astimezone(BERLIN).hour for tick in year} == {6}
    assert {tick.astimezone(UTC).hour for tick in year} == {4, 5}


def test_a_month_before_the_first_one_is_not_asked_for() -> None:
    found = Clockwork(first_month="2026-10")
    assert found.asked_at(datetime(2026, 10, 1, 6, tzinfo=BERLIN)) == []
    assert len(found.asked_at(datetime(2026, 11, 1, 6, tzinfo=BERLIN))) == 1


def test_after_a_restart_the_tick_that_was_missed_is_the_same_request() -> None:
    """Dagster's daemon makes up for missed ticks since the schedule was last on; the run key makes it once."""
    found = Clockwork()
    since = datetime(2026, 10, 20, tzinfo=BERLIN)
    back = datetime(2026, 11, 3, 9, tzinfo=BERLIN)
    missed = list(takewhile(lambda tick: tick <= back, found.ticks(since)))
    assert missed == [datetime(2026, 11, 1, 6, tzinfo=BERLIN)]
    (request,) = found.asked_at(missed[0])
    assert (request.partition_key, request.run_key) == ("2026-10", "2026-10")
