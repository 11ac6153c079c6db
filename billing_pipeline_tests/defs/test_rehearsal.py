"""The rehearsal of the running month, and its mail as a real SMTP server takes it."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from billing_pipeline.defs.build import build_defs
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.settings import load_settings
from billing_pipeline_tests.support.installation import Installation
from billing_pipeline_tests.support.receivers import Received, mail_server

MONTH = "2026-11"


@pytest.fixture
def received() -> Iterator[Received]:
    with mail_server() as server:
        yield server


@pytest.fixture
def installation(tmp_path: Path, received: Received, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """November so far: one customer is fine, of the other a price is missing."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    found = Installation(tmp_path, BILLING_ALERT_URLS=received.url)
    for number, price in (("10023", "70.00"), ("10024", None)):
        found.oms.customer(number)
        found.oms.service(f"S-{number}", number, completed_at="2026-11-05T08:00:00Z", unit_price_net=price)
    return found


def rehearsed(installation: Installation) -> bool:
    settings = load_settings(installation.environment)
    config = {"ops": {"rehearsed_month": {"config": {"month": MONTH}}}}
    with open_instance(settings) as instance:
        job = build_defs(settings).resolve_job_def("rehearsal")
        return job.execute_in_process(instance=instance, run_config=config).success


def test_who_would_be_blocked_is_mailed_and_nothing_is_sent(
    installation: Installation, received: Received
) -> None:
    assert rehearsed(installation)
    assert received.titles[0] == "Billing 2026-11, rehearsal: 1 customer would need a person"
    body = received.bodies[0]
    assert "Customer 10024, 2026-11: BLOCKED" in body
    assert "PRICE_MISSING (S-10024)" in body
    assert "nothing was sent" in body
    assert installation.files() == {}
    assert installation.ledger.deliveries.of_month(MONTH) == []


def test_a_month_without_problems_is_told_as_such(installation: Installation, received: Received) -> None:
    installation.oms.change_service("S-10024", unit_price_net="20.00")
    assert rehearsed(installation)
    assert received.titles[0] == "Billing 2026-11, rehearsal: nobody would need a person"
    assert "Nobody would be blocked." in received.bodies[0]


def test_the_schedule_rehearses_the_running_month_on_the_25th(installation: Installation) -> None:
    definitions = build_defs(load_settings(installation.environment))
    schedule = definitions.resolve_schedule_def("rehearsal_schedule")
    assert schedule.cron_schedule == "0 6 25 * *"
    tick = datetime(2026, 11, 25, 6, tzinfo=ZoneInfo("Europe/Berlin"))
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=tick,
            repository_def=definitions.get_repository_def(),
        )
        (request,) = schedule.evaluate_tick(context).run_requests or []
    assert request.run_config == {"ops": {"rehearsed_month": {"config": {"month": MONTH}}}}
