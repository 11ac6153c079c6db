"""The completion mail, as a real SMTP server takes it: once per month, and again only when something has changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from billing_pipeline.defs import completion_sensor
from billing_pipeline.defs.build import build_defs
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.report.notify import AlertNotSent
from billing_pipeline.settings import Settings, load_settings
from billing_pipeline.steps.wiring import build_wiring
from billing_pipeline_tests.support.installation import Installation
from billing_pipeline_tests.support.receivers import Received, mail_server

MONTH = "2026-10"
SIGNED = ("--reason", "wrong price", "--by", "Kim")


@dataclass
class House:
    """An installation with two customers, one of whom has no price, and the sensor that tells of its month."""

    installation: Installation
    received: Received
    instance: dg.DagsterInstance
    settings: Settings
    cursor: str | None = None

    def tick(self) -> None:
        """One tick of the sensor; what it says to remember is remembered, as the daemon would."""
        wiring = build_wiring(self.settings)
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"ledger": wiring.ledger, "blobs": wiring.blobs, "billing": wiring.billing},
        )
        sensor = build_defs(self.settings).resolve_sensor_def("month_completion_sensor")
        result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor or self.cursor

    @property
    def mails(self) -> int:
        """How many messages arrived: the server takes one for each address."""
        return len(self.received.titles) // 2


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(completion_sensor, "utc_now", lambda: datetime(2026, 11, 2, tzinfo=UTC))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with mail_server() as received:
        installation = Installation(tmp_path, BILLING_ALERT_URLS=received.url)
        installation.oms.customer("10023")
        installation.oms.customer("10024")
        installation.oms.service("S-1", "10023")
        installation.oms.service("S-2", "10024", unit_price_net=None)
        settings = load_settings(installation.environment)
        with open_instance(settings) as instance:
            installation.command("run", MONTH)
            yield House(installation, received, instance, settings)


def test_a_month_is_told_once_with_its_page_and_again_after_a_correction(house: House) -> None:
    house.tick()
    assert house.mails == 0  # no report tells what is known

    house.installation.command("report", MONTH)
    house.tick()
    assert house.mails == 1
    assert house.received.titles[0] == "Billing 2026-10: delivered, 1 customer needs a person"
    body = house.received.bodies[0]
    assert "2026-10: 2 customers = 1 delivered + 1 BLOCKED" in body
    assert "Customer 10024, 2026-10: BLOCKED" in body
    assert "PRICE_MISSING (S-2)" in body
    assert "Changed" not in body
    ((name, page),) = house.received.attachments[0].items()
    assert name == "billing-2026-10.html text/html"
    assert page.lstrip().lower().startswith(b"<!doctype html>")
    assert b"10024" in page

    house.tick()
    house.installation.command("run", MONTH)
    house.installation.command("report", MONTH)
    house.tick()
    assert house.mails == 1

    house.installation.oms.change_service("S-1", unit_price_net="160.00")
    assert house.installation.command("correct", MONTH, "--customer", "10023", *SIGNED).status == 0
    house.tick()
    assert house.mails == 1  # the report is the old one
    house.installation.command("report", MONTH)
    house.tick()
    house.tick()
    assert house.mails == 2
    assert "changed since the last message" in house.received.titles[-1]
    assert (
        "Customer 10023: delivered 2026-10-10023, 178,50 EUR gross → delivered 2026-10-10023-r2, 190,40 EUR gross"
        in house.received.bodies[-1]
    )


def test_a_mail_that_the_server_refused_is_sent_at_a_later_tick(house: House) -> None:
    house.installation.command("report", MONTH)
    house.received.refuses = True
    with pytest.raises(AlertNotSent):
        house.tick()
    house.received.refuses = False
    house.tick()
    assert house.mails == 1


def test_nothing_is_told_while_a_delivery_is_under_way(house: House) -> None:
    house.installation.command("report", MONTH)
    run = house.instance.create_run_for_job(
        build_defs(house.settings).resolve_job_def("customer_delivery"), status=dg.DagsterRunStatus.STARTED
    )
    house.tick()
    assert house.mails == 0
    house.instance.report_run_canceled(run)
    house.tick()
    assert house.mails == 1


def test_another_reason_and_what_is_settled_are_told_as_what_has_changed(house: House) -> None:
    house.installation.command("report", MONTH)
    house.tick()
    house.installation.oms.change_service("S-2", unit_price_net="10.00")
    assert house.installation.command("run", MONTH).status == 0
    house.installation.command("report", MONTH)
    house.tick()
    assert house.received.titles[-1] == "Billing 2026-10: changed since the last message"
    body = house.received.bodies[-1]
    assert "Customer 10024: BLOCKED (PRICE_MISSING) → delivered 2026-10-10024, " in body
    assert "Open: 0 new, 1 settled" in body
    assert "Nobody of this month needs a person." in body
