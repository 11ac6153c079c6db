"""The alert sensors on a real instance and ledger, telling a real webhook."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from billing_pipeline.defs import alert_sensors
from billing_pipeline.defs.build import build_defs
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.report.notify import AlertNotSent
from billing_pipeline.settings import Settings, load_settings
from billing_pipeline.steps.wiring import LedgerAt
from billing_pipeline_tests.support.installation import Installation
from billing_pipeline_tests.support.receivers import Received, webhook

MONTH = "2026-10"


@dataclass
class House:
    """An installation with two customers, one of whom has no price, and the sensors that watch it."""

    installation: Installation
    received: Received
    instance: dg.DagsterInstance
    definitions: dg.Definitions
    settings: Settings
    cursor: str | None = None

    def run(self, *options: str) -> None:
        """A month by the command line: its runs end in the instance that the sensors watch."""
        self.installation.command("run", MONTH, *options)

    def tick(self, name: str = "run_alert_sensor") -> dg.SensorResult:
        """One tick of a sensor; what it says to remember is remembered, as the daemon would."""
        sensor = self.definitions.resolve_sensor_def(name)
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"ledger": LedgerAt(self.settings.ledger_url_or_default)},
        )
        result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor or self.cursor
        return result


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with webhook() as received:
        installation = Installation(
            tmp_path, BILLING_ALERT_URLS=received.url, BILLING_UI_URL="https://dagster.example.com/"
        )
        installation.oms.customer("10023")
        installation.oms.customer("10024")
        installation.oms.service("S-1", "10023")
        installation.oms.service("S-2", "10024", unit_price_net=None)
        settings = load_settings(installation.environment)
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("DAGSTER_HOME", raising=False)
            with open_instance(settings) as instance:
                found = House(installation, received, instance, build_defs(settings=settings), settings)
                found.tick()
                yield found


def test_a_blocked_customer_is_told_once_with_reason_remedy_and_link(house: House) -> None:
    house.run()
    house.tick()
    (body,) = house.received.bodies
    assert house.received.titles == ["Billing 2026-10: 1 customer is not delivered"]
    assert "Customer 10024, 2026-10: BLOCKED" in body
    assert "PRICE_MISSING (S-2)" in body
    assert "enter" in body
    run = house.instance.get_runs(dg.RunsFilter(job_name="customer_delivery"))[-1]
    assert f"https://dagster.example.com/runs/{run.run_id}" in body
    house.tick()
    house.run()
    house.tick()
    assert len(house.received.bodies) == 1


def test_another_reason_is_news_and_so_is_one_that_came_back(house: House) -> None:
    house.run()
    house.tick()
    house.installation.oms.change_service("S-2", unit_price_net="10.00", vat_percent=None)
    house.run()
    house.tick()
    assert "VAT_INVALID" in house.received.bodies[1]
    house.installation.oms.change_service("S-2", vat_percent="19.00")
    house.run()
    house.tick()
    assert len(house.received.bodies) == 2
    house.installation.oms.change_service("S-1", unit_price_net="200.00")
    house.run()
    house.tick()
    assert "Customer 10023, 2026-10: HELD" in house.received.bodies[2]
    assert "CHANGED_AFTER_DELIVERY" in house.received.bodies[2]


def test_what_failed_before_the_alerts_were_set_up_is_no_news(house: House) -> None:
    house.run()
    house.cursor = None
    house.tick()
    assert house.received.bodies == []


def test_a_failed_run_is_told_with_its_reason(house: House) -> None:
    house.installation.oms.file.unlink()
    house.run()
    house.tick()
    (body,) = house.received.bodies
    assert house.received.titles == ["Billing 2026-10: the run failed"]
    assert body.startswith("monthly_billing failed: ")
    assert "BILLING_OMS_URL" in body


def test_an_alert_that_no_target_took_is_told_later(house: House) -> None:
    house.run()
    house.received.refuses = True
    with pytest.raises(AlertNotSent):
        house.tick()
    assert house.received.bodies == []
    house.received.refuses = False
    house.tick()
    assert len(house.received.bodies) == 1


def test_an_alert_that_no_target_takes_for_its_own_sake_silences_none_that_come_later(house: House) -> None:
    house.received.refuses_what_says = "PRICE_MISSING"
    house.run()
    house.tick()
    (body,) = house.received.bodies
    assert "no alert target took the message" in body
    assert "billing-pipeline status" in body
    house.tick()
    assert len(house.received.bodies) == 1
    house.installation.oms.file.unlink()
    house.run()
    house.tick()
    assert "monthly_billing failed" in house.received.bodies[1]


def test_a_cancelled_run_is_told(house: House) -> None:
    run = house.instance.create_run_for_job(
        house.definitions.resolve_job_def("monthly_billing"), tags={"dagster/partition": MONTH}
    )
    house.instance.report_run_canceled(run)
    house.tick()
    (body,) = house.received.bodies
    assert "it was cancelled" in body


def test_runs_of_other_people_on_the_same_instance_are_not_told(house: House) -> None:
    @dg.asset
    def somebody_elses() -> None:
        raise ValueError("not ours")

    assert not dg.materialize([somebody_elses], instance=house.instance, raise_on_error=False).success
    house.tick()
    assert house.received.bodies == []


def test_the_cursor_stays_small(house: House) -> None:
    house.run()
    house.tick()
    assert house.cursor is not None
    assert json.loads(house.cursor)["needs"].keys() == {MONTH}
    assert len(house.cursor) < 100


class _Clock(datetime):
    at = datetime(2026, 11, 1, tzinfo=UTC)

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return cls.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[_Clock]:
    monkeypatch.setattr(alert_sensors, "datetime", _Clock)
    return _Clock


def test_a_month_that_nobody_billed_is_told_once_after_its_deadline(
    house: House, clock: type[_Clock]
) -> None:
    house.cursor = None
    clock.at = datetime(2026, 11, 1, 16, 59, tzinfo=UTC)
    house.tick("overdue_month_sensor")
    assert house.received.titles == []
    clock.at = datetime(2026, 11, 1, 17, 0, tzinfo=UTC)
    house.tick("overdue_month_sensor")
    house.tick("overdue_month_sensor")
    assert house.received.titles == ["Billing 2026-10: not delivered"]
    clock.at = datetime(2026, 12, 1, 17, 0, tzinfo=UTC)
    house.tick("overdue_month_sensor")
    assert house.received.titles[1:] == ["Billing 2026-11: not delivered"]


def test_a_backfill_of_an_old_month_does_not_make_the_latest_one_look_delivered(
    house: House, clock: type[_Clock]
) -> None:
    house.installation.command("run", "2026-09")
    house.cursor = None
    clock.at = datetime(2026, 11, 2, tzinfo=UTC)
    house.tick("overdue_month_sensor")
    assert house.received.titles == ["Billing 2026-10: not delivered"]


def test_a_month_that_is_delivered_in_time_is_told_to_nobody(house: House, clock: type[_Clock]) -> None:
    house.installation.oms.change_service("S-2", unit_price_net="10.00")
    house.run()
    house.cursor = None
    clock.at = datetime(2026, 11, 2, tzinfo=UTC)
    house.tick("overdue_month_sensor")
    assert house.received.titles == []


def test_without_a_target_there_are_no_alert_sensors(tmp_path: Path) -> None:
    names = {
        sensor.name
        for sensor in build_defs(settings=load_settings({"BILLING_HOME": str(tmp_path)})).sensors or []
    }
    assert names == {"customer_delivery_sensor", "customer_registration_sensor", "month_report_sensor"}


def test_watch_tells_of_a_month_that_is_not_delivered_and_exits_with_1(house: House) -> None:
    answer = house.installation.command("watch", MONTH)
    assert answer.status == 1
    assert "Nothing has been billed for 2026-10" in answer.out
    assert house.received.titles == ["Billing 2026-10: not delivered"]


def test_watch_is_content_with_a_delivered_month(house: House) -> None:
    house.installation.oms.change_service("S-2", unit_price_net="10.00")
    house.run()
    answer = house.installation.command("watch", MONTH)
    assert (answer.status, house.received.titles) == (0, [])
    assert answer.out.startswith("2026-10: 2 customers = 2 delivered")


def test_watch_tells_when_the_ledger_cannot_be_asked(house: House) -> None:
    house.installation.environment["BILLING_LEDGER_URL"] = "postgresql://nobody@127.0.0.1:1/none"
    answer = house.installation.command("watch", MONTH)
    assert answer.status == 3
    assert house.received.titles == ["Billing 2026-10: cannot tell whether it is delivered"]


def test_watch_of_a_month_that_is_not_over_is_a_usage_error(house: House) -> None:
    assert house.installation.command("watch", "2099-01").status == 2
    assert house.received.titles == []
