"""The demo as a new user starts it: over SFTP into the sandbox, and a second time nothing is sent."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from billing_pipeline_tests.support.installation import command_in


def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BILLING_")}
    environment.pop("DAGSTER_HOME", None)
    return subprocess.run(
        [sys.executable, "-c", "from billing_pipeline.cli.main import main; main()", "demo"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.timeout(600)
def test_the_demo_bills_its_month_and_a_second_one_sends_nothing(tmp_path: Path) -> None:
    first = demo(tmp_path)
    assert first.returncode == 0, first.stderr
    counts = re.search(
        r"(\d+) customers = (\d+) delivered \+ \d+ nothing to bill \+ (\d+) BLOCKED", first.stdout
    )
    assert counts is not None, first.stdout
    delivered, blocked = int(counts[2]), int(counts[3])
    assert delivered > 150
    assert blocked > 5
    assert first.stdout.count("BLOCKED\n    ") == blocked  # each with its reason below it
    assert "other customers need nobody: `--all` lists everybody" in first.stdout
    assert (
        f"over EASY Bill's API: {delivered} drafts equal to the files, to the cent (requests: 2, allowed a"
        in (first.stdout)
    )
    assert f"has {delivered} drafts of it: equal to the files, to the cent" in first.stdout
    assert "NOT_IN_EASYBILL" not in first.stdout
    assert "Traceback" not in first.stderr
    archived = sorted(path.name for path in (tmp_path / ".billing/demo/sandbox/files/archive").iterdir())
    assert len(archived) == delivered

    second = command_in(tmp_path, {}, "demo")
    assert second.status == 0, second.err
    assert f"= {delivered} unchanged +" in second.out
    assert (
        f"over EASY Bill's API: {delivered} drafts equal to the files, to the cent (requests: 1,"
        in second.out
    )
    assert f"has {delivered} drafts of it: equal to the files, to the cent" in second.out
    assert archived == sorted(
        path.name for path in (tmp_path / ".billing/demo/sandbox/files/archive").iterdir()
    )
