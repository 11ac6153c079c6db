"""Home, store and ledger hold customers' data: readable by their owner alone, also where they were not before."""

from __future__ import annotations

import stat
from pathlib import Path

import dagster as dg

from billing_pipeline_tests.support.installation import Installation

MONTH = "2026-10"


def test_home_store_and_ledger_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.oms.customer("10023")
    installation.oms.service("S-1", "10023")
    installation.home.mkdir(mode=0o755)
    (installation.home / "ledger.db").touch(mode=0o644)
    (installation.home / "ledger.db").chmod(0o644)
    assert installation.command("run", MONTH).status == 0
    assert _mode(installation.home) == 0o700
    assert _mode(installation.home / "ledger.db") == 0o600
    kept = [path for path in (installation.home / "store").rglob("*") if path.is_file()]
    assert kept
    assert {_mode(path) for path in kept} == {0o600}


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_names_a_person_is_not_in_dagsters_metadata(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.oms.customer("10023", last_name="Unverwechselbar", street="Geheimweg 7")
    installation.oms.service("S-1", "10023")
    assert installation.command("run", MONTH).status == 0
    with dg.DagsterInstance.from_config(str(installation.home / "dagster")) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("oms_customers"))
    assert event is not None
    told = repr(event)
    assert "10023" in told
    assert "Unverwechselbar" not in told
    assert "Geheimweg" not in told
