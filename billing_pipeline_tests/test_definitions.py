"""What Dagster loads reads the settings when it is asked for its definitions, and not when it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BAD = {"BILLING_NONSENSE": "1", "BILLING_TIMEZONE": "Nowhere"}


def ran(tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name(command[0])), *command[1:]],
        cwd=tmp_path,
        env={**os.environ, **BAD},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        ("python", "-c", "import billing_pipeline.definitions"),
        ("billing-pipeline", "--help"),
        ("billing-pipeline", "demo", "--help"),
    ],
)
def test_bad_settings_break_neither_the_import_nor_the_help(tmp_path: Path, command: tuple[str, ...]) -> None:
    answer = ran(tmp_path, *command)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_the_definitions_themselves_name_the_setting_that_is_wrong(tmp_path: Path) -> None:
    code = "from billing_pipeline.definitions import defs; defs.load_fn()"
    answer = ran(tmp_path, "python", "-c", code)
    assert answer.returncode != 0
    assert "BILLING_NONSENSE is not a setting" in answer.stderr
