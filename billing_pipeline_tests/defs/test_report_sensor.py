"""The sensor that makes a month's page anew: of the last month, and of older months to which something happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from billing_pipeline.defs import report_assets
from billing_pipeline.defs.build import build_defs
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.settings import Settings, load_settings
from billing_pipeline.steps.wiring import build_wiring
from billing_pipeline_tests.support.installation import Installation
from billing_pipeline_tests.support.plain_months import run_plainly

MONTHS = ("2026-07", "2026-08", "2026-09", "2026-10")
DECISION = ("--reason", "price mended", "--by", "Ann")


@dataclass
class House:
    """An installation with four months, of each of which a report was made, and the sensor."""

    installation: Installation
    instance: dg.DagsterInstance
    settings: Settings
    cursor: str | None = None

    def tick(self) -> list[tuple[str | None, str | None]]:
        """One tick: month and run key of the reports that it asks for."""
        wiring = build_wiring(self.settings)
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"ledger": wiring.ledger, "blobs": wiring.blobs, "billing": wiring.billing},
        )
        result = build_defs(self.settings).resolve_sensor_def("month_report_sensor")(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor or self.cursor
        return [(one.partition_key, one.run_key) for one in result.run_requests or []]

    def months(self) -> list[str | None]:
        return [month for month, _ in self.tick()]

    def report(self, *months: str) -> None:
        for month in months:
            assert self.installation.command("report", month).status == 0

    def correct(self, month: str, price: str) -> None:
        self.installation.oms.change_service(f"S-{month}", unit_price_net=price)
        command = ("correct", month, "--customer", "10023", *DECISION)
        assert self.installation.command(*command).status == 0


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Four months, each billed, sent and reported."""
    installation = Installation(tmp_path_factory.mktemp("reported"))
    installation.oms.customer("10023")
    for month in MONTHS:
        installation.oms.service(f"S-{month}", "10023", completed_at=f"{month}-14T09:00:00Z")
        run_plainly(installation, month)
    for month in MONTHS:
        assert installation.command("report", month).status == 0
    return installation


@pytest.fixture
def house(reported: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(report_assets, "utc_now", lambda: datetime(2026, 11, 2, tzinfo=UTC))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    installation = reported.copy(tmp_path)
    settings = load_settings(installation.environment)
    with open_instance(settings) as instance:
        found = House(installation, instance, settings)
        assert found.months() == []
        yield found


def test_an_older_month_is_reported_again_after_a_correction_and_once(house: House) -> None:
    house.correct("2026-08", "160.00")
    assert "2026-08" in house.months()
    house.report(*MONTHS)
    assert house.months() == []
    run_plainly(house.installation, "2026-08")
    assert house.months() == [], "to be sent again as it was changes nothing"


def test_a_tick_looks_at_two_older_months_and_the_next_one_at_the_others(house: House) -> None:
    for month in MONTHS[:3]:
        house.correct(month, "160.00")
    assert [month for month in house.months() if month != "2026-10"] == ["2026-07", "2026-08"]
    assert [month for month in house.months() if month != "2026-10"] == ["2026-09"]
    house.report(*MONTHS)
    assert house.months() == []


def test_an_older_month_that_was_never_reported_is_once_it_is_billed(house: House) -> None:
    house.installation.oms.service("S-2026-06", "10023", completed_at="2026-06-14T09:00:00Z")
    run_plainly(house.installation, "2026-06")
    assert "2026-06" in house.months()


def test_what_is_told_again_after_something_else_is_a_run_of_its_own(house: House) -> None:
    """Dagster starts no second run of one key."""
    keys = []
    for price in ("160.00", "150.00", "160.00"):
        house.installation.oms.change_service("S-2026-10", unit_price_net=price)
        run_plainly(house.installation, "2026-10")
        keys += house.tick()
        house.report("2026-10")
    assert len(keys) == len(set(keys)) == 3


def test_while_a_delivery_is_under_way_nothing_is_asked_for_and_nothing_forgotten(house: House) -> None:
    house.correct("2026-08", "160.00")
    house.instance.add_run(
        dg.DagsterRun(job_name="customer_delivery", status=dg.DagsterRunStatus.STARTED, run_id="under-way")
    )
    assert house.months() == []
    run = house.instance.get_run_by_id("under-way")
    assert run is not None
    house.instance.delete_run("under-way")
    assert "2026-08" in house.months()
