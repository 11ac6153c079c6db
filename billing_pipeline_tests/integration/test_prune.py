"""`prune`: what nobody needs goes, and everything that reads frames works as before."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from billing_pipeline.launch import prune_runs
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.oms.period import last_complete_month, months_back
from billing_pipeline.settings import Settings
from billing_pipeline.steps.prune import Pruned
from billing_pipeline_tests.support.installation import Installation
from billing_pipeline_tests.support.plain_months import PlainMonths

LAST = last_complete_month(datetime.now(UTC), "Europe/Berlin")
OLD = months_back(LAST, 14)
BEFORE = months_back(LAST, 13)
NEWEST = months_back(LAST, 12)
ORDER = f"{OLD}-10023"
A_WHILE = timedelta(days=2)


@pytest.fixture
def whole(tmp_path: Path) -> Installation:
    """An old month, billed through Dagster, looked at and billed again; and the last one."""
    made = Installation(tmp_path, BILLING_FIRST_MONTH="2024-01")
    add_rows(made)
    assert made.command("run", OLD).status == 1
    made.command("run", OLD, "--dry-run")
    made.oms.change_service("S-2", unit_price_net="11.00")
    assert made.command("run", OLD).status == 0
    assert made.command("run", LAST).status == 0
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    months = PlainMonths(tmp_path_factory.mktemp("made"), BILLING_FIRST_MONTH="2024-01")
    add_rows(months.installation)
    months.run(OLD)
    months.oms.change_service("S-2", unit_price_net="12.00")
    months.bill(OLD)
    months.oms.change_service("S-2", unit_price_net="11.00")
    months.run(OLD)
    months.run(LAST)
    months.ledger.close()
    return months.installation


@pytest.fixture
def installation(made: Installation, tmp_path: Path) -> Installation:
    """The same by the steps alone: Dagster has no runs of it. One billing was replaced before anything was sent."""
    return made.copy(tmp_path)


def add_rows(installation: Installation) -> None:
    oms = installation.oms
    oms.customer("10023")
    oms.customer("10024")
    oms.service("S-1", "10023", completed_at=f"{OLD}-10T08:00:00Z")
    oms.service("S-2", "10024", completed_at=f"{OLD}-11T08:00:00Z", unit_price_net=None)
    oms.service("S-3", "10023", completed_at=f"{LAST}-10T08:00:00Z")


def later(installation: Installation, *, dry_run: bool = False) -> Pruned:
    """`prune` two days from now: what was stored just now is spared."""

    def prune(settings: Settings) -> Pruned:
        return prune_runs.prune(settings, BEFORE, dry_run=dry_run, now=datetime.now(UTC) + A_WHILE)

    return installation.do(prune)


def prune_now(installation: Installation) -> Pruned:
    return installation.do(lambda settings: prune_runs.prune(settings, BEFORE))


def frames(installation: Installation) -> set[str]:
    store = installation.home / "store" / "frames"
    return {str(path.relative_to(store)) for path in store.rglob("*.parquet")}


def others(installation: Installation) -> dict[str, bytes]:
    """All that the store holds beside frames."""
    store = installation.home / "store"
    return {
        str(path): path.read_bytes()
        for path in store.rglob("*")
        if path.is_file() and "frames" not in path.parts
    }


class Killed(BaseException):
    """The process ends here."""


def killed(instance: dg.DagsterInstance, run_id: str) -> None:
    raise Killed(run_id, instance)


def runs_of(installation: Installation) -> list[str]:
    def look(settings: Settings) -> list[str]:
        with open_instance(settings) as instance:
            return [run.tags.get("billing/month", "") for run in instance.get_runs()]

    return installation.do(look)


def events_of(installation: Installation) -> int:
    """Dagster's records of assets of the old month."""

    def look(settings: Settings) -> int:
        with open_instance(settings) as instance:
            keys = instance.get_materialized_partitions(dg.AssetKey("easybill_upload"))
            return sum(OLD in key for key in keys)

    return installation.do(look)


def test_everything_that_reads_frames_works_after_it_even_where_one_died_on_the_way(
    whole: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = whole
    asked = [
        ("explain", ORDER),
        ("explain", f"{OLD}-10024"),
        ("status", OLD, "--json"),
        ("status", "--json"),
        ("audit", "--from", OLD, "--to", LAST),
        ("diff", OLD),
        ("verify",),
    ]
    before = {question: installation.command(*question) for question in asked}
    assert prune_now(installation).runs == 0, "they have just ended"
    stored, kept, facts = frames(installation), others(installation), events_of(installation)
    assert facts
    with monkeypatch.context() as patched:
        patched.setattr(dg.DagsterInstance, "delete_run", killed)
        with pytest.raises(Killed):
            later(installation)
    told = later(installation)
    assert told.plan.remove == ()
    assert told.runs
    gone = stored - frames(installation)
    assert gone
    assert {path.split("/")[1] for path in gone} == {OLD}
    assert others(installation) == kept
    assert events_of(installation) == 0
    assert set(runs_of(installation)) == {LAST}
    for question, answer in before.items():
        assert installation.command(*question) == answer, question
    assert installation.command("report", OLD).status == 0
    assert installation.command("report", LAST).status == 0
    installation.oms.change_service("S-1", unit_price_net="160.00")
    answer = installation.command(
        "correct", OLD, "--customer", "10023", "--reason", "wrong price", "--by", "Kim"
    )
    assert answer.status == 0, answer.err
    assert installation.command("explain", f"{ORDER}-r2").status == 0


def test_a_dry_run_tells_the_same_and_removes_nothing(installation: Installation) -> None:
    stored = frames(installation)
    would = later(installation, dry_run=True)
    assert frames(installation) == stored
    assert installation.ledger.events.find(month="") == []
    done = later(installation)
    assert (would.plan, would.runs) == (done.plan, done.runs)
    assert "would be removed" in next(would.lines())


def test_it_is_logged_once_and_a_second_time_finds_nothing(installation: Installation) -> None:
    later(installation)
    again = later(installation)
    assert (again.plan.remove, again.runs) == ((), 0)
    logged = [event for event in installation.ledger.events.find() if event.action == "prune"]
    assert len(logged) == 1


def test_what_was_stored_just_now_is_left_alone(
    installation: Installation,
) -> None:
    stored = frames(installation)
    answer = installation.command("prune", "--before", BEFORE)
    assert answer.status == 0, answer.err
    assert answer.out.startswith(f"before {BEFORE}: 0 frames (0 bytes) and 0 runs of Dagster removed\n")
    assert "stored within the last day" in answer.out
    assert frames(installation) == stored


def test_a_frame_that_is_made_again_is_young_again(installation: Installation) -> None:
    """Else `prune` could take it between its making and the ledger's word on it."""
    store = installation.home / "store" / "frames"
    long_ago = time.time() - A_WHILE.total_seconds()
    paths = [path for path in store.rglob("*.parquet") if path.parent.name == OLD]
    for path in paths:
        os.utime(path, (long_ago, long_ago))
    assert installation.command("preview", OLD, "--out", "files").status == 0
    assert any(path.stat().st_mtime > long_ago + 3600 for path in paths)


def test_what_the_ledger_does_not_know_stays(installation: Installation) -> None:
    folder = next((installation.home / "store" / "frames").rglob(OLD))
    (folder / f"{'0' * 64}.parquet").write_bytes(b"of another ledger")
    told = later(installation)
    assert told.plan.kept["the ledger does not know them"] == 1
    assert (folder / f"{'0' * 64}.parquet").exists()


def test_a_month_that_a_run_or_a_report_looks_back_to_is_refused_with_one_that_is_not(
    installation: Installation,
) -> None:
    answer = installation.command("prune", "--before", months_back(LAST, 11), "--dry-run")
    assert answer.status == 2
    assert f"`billing-pipeline prune --before {NEWEST} --dry-run`" in answer.err
    assert installation.command("prune", "--before", NEWEST, "--dry-run").status == 0


def test_late_rows_reach_further_than_the_report_where_the_rules_say_so(tmp_path: Path) -> None:
    made = Installation(tmp_path, rules="late_months = 20\n")
    answer = made.command("prune", "--before", NEWEST)
    assert (answer.status, months_back(LAST, 20) in answer.err) == (2, True)
