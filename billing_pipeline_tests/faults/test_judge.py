"""The judge knows lost, doubled and torn when it sees them, and takes nobody's word but the receivers'."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from billing_pipeline.store.blobs import sha256_of
from billing_pipeline_tests.faults.judge import judge
from billing_pipeline_tests.support.pollers import Conduct, Seen, Watch, polling, seen_by

WHOLE = "a" * 64


def seen(name: str, sha256: str = WHOLE) -> Seen:
    return Seen("archive", name, sha256, 700, 1, 1)


def test_seen_once_and_whole_is_right() -> None:
    verdict = judge({"a.csv": WHOLE}, [], [seen("a.csv"), seen("another.csv")])
    assert (verdict.right, verdict.clean, verdict.files) == (1, True, 1)


def test_seen_twice_is_doubled() -> None:
    verdict = judge({"a.csv": WHOLE}, [], [seen("a.csv"), seen("a.csv")])
    assert (verdict.doubled, verdict.clean) == (1, False)
    assert "a.csv" in verdict.faulty[0]


def test_seen_in_part_is_torn_even_if_it_was_whole_later() -> None:
    verdict = judge({"a.csv": WHOLE}, [], [seen("a.csv", "b" * 64), seen("a.csv")])
    assert (verdict.torn, verdict.clean) == (1, False)


def test_never_seen_is_lost_unless_a_run_said_that_a_person_must_decide() -> None:
    verdict = judge({"a.csv": WHOLE, "b.csv": WHOLE}, ["b.csv"], [])
    assert (verdict.lost, verdict.held, verdict.clean) == (1, 1, False)


def test_called_delivered_before_it_was_there_is_lost_though_it_came_later() -> None:
    verdict = judge({"a.csv": WHOLE, "b.csv": WHOLE}, [], [seen("a.csv"), seen("b.csv")], untrue=["b.csv"])
    assert (verdict.lost, verdict.right) == (1, 1)
    assert "called delivered" in verdict.faulty[0]


def test_seen_twice_is_doubled_whatever_a_run_said() -> None:
    verdict = judge({"a.csv": WHOLE}, ["a.csv"], [seen("a.csv"), seen("a.csv")])
    assert (verdict.doubled, verdict.held) == (1, 0)


def test_receivers_log_what_they_take_and_leave_temporary_names_alone(tmp_path: Path) -> None:
    conducts: tuple[Conduct, ...] = ("archive", "delete", "ignore")
    watches = []
    for conduct in conducts:
        (tmp_path / conduct / "import").mkdir(parents=True)
        (tmp_path / conduct / "archive").mkdir()
        archive = tmp_path / conduct / "archive" if conduct == "archive" else None
        watches.append(Watch(tmp_path / conduct / "import", conduct, archive))
        for name in (".x.csv.1.tmp", "y.tmp", f"{conduct}.csv"):
            (tmp_path / conduct / "import" / name).write_bytes(conduct.encode())
    log = tmp_path / "seen.log"
    with polling(watches, log, multiprocessing.get_context("forkserver")):
        pass
    assert {(entry.inbox, entry.name, entry.sha256) for entry in seen_by(log)} == {
        (conduct, f"{conduct}.csv", sha256_of(conduct.encode())) for conduct in conducts
    }
    assert len(seen_by(log)) == 3
    assert (tmp_path / "archive" / "archive" / "archive.csv").exists()
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/import/*.csv")}
    assert left == {"ignore/import/ignore.csv"}
