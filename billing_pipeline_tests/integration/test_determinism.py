"""The same extract gives the same bytes, whatever the machine's locale, time zone and hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from billing_pipeline.oms.demo import create_demo_oms

SURROUNDINGS = (
    {"TZ": "UTC", "LANG": "C", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
    {"TZ": "Pacific/Kiritimati", "LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8", "PYTHONHASHSEED": "4711"},
)


def files_of_a_run(folder: Path, oms: Path, surroundings: dict[str, str]) -> dict[str, bytes]:
    inbox = folder / "share" / "import"
    inbox.mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BILLING_")}
    environment.pop("DAGSTER_HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", "from billing_pipeline.cli.main import main; main()", "run", "2026-10"],
        cwd=folder,
        env=environment
        | surroundings
        | {
            "BILLING_HOME": str(folder / "home"),
            "BILLING_OMS_URL": f"sqlite:///{oms}",
            "BILLING_TRANSPORT": "folder",
            "BILLING_FOLDER": str(folder / "share"),
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1, done.stderr  # the demo's faults are blocked
    return {path.name: path.read_bytes() for path in inbox.iterdir()}


def test_two_runs_in_separate_homes_and_surroundings_make_identical_files(tmp_path: Path) -> None:
    oms = tmp_path / "oms.db"
    create_demo_oms(oms, until_month="2026-10", months=1, customers=60)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = files_of_a_run(tmp_path / "a", oms, SURROUNDINGS[0])
    second = files_of_a_run(tmp_path / "b", oms, SURROUNDINGS[1])
    assert len(first) > 20
    assert first == second
