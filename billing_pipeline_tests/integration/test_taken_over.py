"""What release 0.1.0 left is taken over as it stands: nothing is sent twice, forgotten, or told otherwise."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.defs.build import build_defs
from billing_pipeline.delivery.records import SENT_STATES
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.launch.run_month import deliver_in_process
from billing_pipeline.settings import Settings
from billing_pipeline.steps.wiring import NoProgress, build_wiring
from billing_pipeline_tests.support.installation import Installation
from billing_pipeline_tests.support.old_home import restored

MONTHS = ("2026-08", "2026-09")
# Whose file was made by the old release, and not sent.
MONTH, NUMBER = "2026-09", "10009"
# The old release died while it published their files.
BEING_PUBLISHED = ("10017", "10018")


@pytest.fixture
def home(tmp_path: Path) -> tuple[Installation, dict[str, Any]]:
    return restored(tmp_path)


def test_status_explain_and_the_lists_say_what_the_old_release_said(
    home: tuple[Installation, dict[str, Any]],
) -> None:
    installation, expected = home
    for month in MONTHS:
        told = installation.command("status", month, "--json").json()
        for now, before in zip(told["customers"], expected["status"][month]["customers"], strict=True):
            if now["customer_number"] in BEING_PUBLISHED:
                # The old release said that they were not sent yet, which nobody knows.
                assert "whether it arrived is not known yet" in now["problems"][0]["message"]
                now["problems"][0]["message"] = before["problems"][0]["message"]
        assert told == expected["status"][month]
        listed = installation.command("adjust", "list", month, "--all", "--json").json()
        assert listed == expected["adjust_list_all"][month]
    listed = installation.command("omit", "list", "--all", "--json").json()["omissions"]
    assert listed == [one | {"fee_id": None} for one in expected["omit_list_all"]["omissions"]]
    for order_number, explained in expected["explain"].items():
        now = installation.command("explain", order_number, "--json").json()
        assert _beside_the_words(now) == _beside_the_words(explained)
    log = [json.loads(line) for line in installation.command("log", "--json").out.splitlines()]
    assert log == expected["log"]


def test_what_a_person_had_looked_at_in_the_inbox_is_still_known(
    home: tuple[Installation, dict[str, Any]],
) -> None:
    installation, expected = home
    told = [event for event in expected["log"] if event["action"] == "reconcile"]
    assert told
    for event in told:
        key = (event["month"], event["customer_number"], event["revision"])
        [seen] = installation.ledger.sightings.of_file(key)
        assert f"saw {seen.path}, sha256 {seen.sha256}" in event["detail"]


def test_the_months_run_again_end_as_they_would_have_with_the_old_release(
    home: tuple[Installation, dict[str, Any]],
) -> None:
    installation, expected = home
    for month in MONTHS:
        again = installation.run_json(month)
        assert _told(again) == _told(expected["rerun"][month])
        assert _changed(expected["rerun"][month]) <= _changed(again)
    for month in MONTHS:
        status = installation.command("status", month, "--json").json()
        assert _told(status) == _told(expected["status_after_rerun"][month])
        stands = _standing_net(installation, month)
        assert {currency: sums["net"] for currency, sums in status["totals"].items()} == stands
    inbox = installation.folder / "share"
    assert {
        f"inbox/{path.relative_to(inbox)}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in inbox.rglob("*")
        if path.is_file()
    } == expected["inbox_after_rerun"]


def _beside_the_words(explained: dict[str, Any]) -> dict[str, Any]:
    """What `explain` tells, with as many steps as it has: 0.1.0 wrote their numbers and times otherwise."""
    lines = [line | {"steps": len(line["steps"])} for line in explained["lines"]]
    return explained | {"lines": lines}


def _told(result: dict[str, Any]) -> dict[str, Any]:
    """Without what 0.2 tells otherwise on purpose: totals, of all that stands, what has changed since, and amounts in
    messages, which are in the language of the rules and have their currency.
    """
    kept = {name: part for name, part in result.items() if name not in {"totals", "changed_since_billed"}}
    words = json.dumps(kept).replace(" EUR", "").replace("unit price (net)", "unit_price_net")
    told: dict[str, Any] = json.loads(re.sub(r"(?<=\d)\.(?=\d\d\b)", ",", words))
    return told


def _changed(result: dict[str, Any]) -> set[tuple[str, str]]:
    """What has changed; 0.2 sees what has gone from earlier months too."""
    return {(one["customer_number"], one["source_id"]) for one in result.get("changed_since_billed", ())}


def _standing_net(installation: Installation, month: str) -> dict[str, int]:
    nets: Counter[str] = Counter()
    for one in installation.ledger.deliveries.standing(month):
        if one.state in SENT_STATES:
            nets[one.currency] += one.net
    return dict(nets)


def test_a_month_of_which_only_the_old_frames_are_left_is_delivered_from_them(
    home: tuple[Installation, dict[str, Any]],
) -> None:
    """As "redo what failed" in the UI does after the upgrade: the month is not read and billed anew."""
    installation, expected = home
    installation.oms.remove_service("SV-09-1")
    installation.do(deliver_again)
    [told] = [one for one in expected["rerun"][MONTH]["customers"] if one["customer_number"] == NUMBER]
    status = installation.command("status", MONTH, "--json").json()
    assert [one for one in status["customers"] if one["customer_number"] == NUMBER] == [told]
    sent = installation.ledger.deliveries.of_order(told["order_number"])
    assert sent is not None
    assert sent.billing_id is not None
    explained = installation.command("explain", told["order_number"], "--json").json()
    before = expected["explain"][told["order_number"]]
    assert _beside_the_words(explained)["lines"] == _beside_the_words(before)["lines"]


def deliver_again(settings: Settings) -> None:
    """Makes and delivers the file of one customer from what the store has."""
    wiring = build_wiring(settings, NoProgress())
    with open_instance(settings) as instance:
        error = deliver_in_process(
            wiring,
            build_defs(settings, resources=wiring.as_resources()),
            instance,
            [NUMBER],
            month=MONTH,
            customers_per_run=1,
            config={},
            only_these=True,
        )
    assert error is None
