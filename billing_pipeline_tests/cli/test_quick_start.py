"""What answers at once loads nothing that takes long to load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from billing_pipeline_tests.support.installation import Installation

HEAVY = ["alembic", "dagster", "fsspec", "numpy", "pandas", "pandera", "paramiko", "pyarrow", "sqlalchemy"]
LOADED = """
import json, os, sys
from billing_pipeline.cli.main import main
if os.environ.get("AS_ON_A_TERMINAL"):
    sys.stdout.isatty = lambda: True
sys.argv = ["billing-pipeline", *sys.argv[1:]]
try:
    main()
finally:
    sys.stderr.write(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["correct", "--help"], ["adjust", "add", "--help"], ["run"]]
)
def test_help_and_usage_errors_load_no_library_that_takes_long(tmp_path: Path, arguments: list[str]) -> None:
    assert not set(HEAVY) & loaded_by(arguments, tmp_path)


@pytest.mark.parametrize("terminal", ["", "1"])
@pytest.mark.parametrize("month", [["2026-10"], []])
def test_status_loads_neither_columns_nor_a_transport_nor_what_migrates(
    tmp_path: Path, month: list[str], terminal: str
) -> None:
    installation = Installation(tmp_path)
    installation.oms.customer("10023")
    installation.oms.service("S-1", "10023")
    installation.oms.service("S-2", "10023", status="on hold")
    installation.command("run", "2026-10")
    installation.oms.change_service("S-1", unit_price_net="151.00")
    installation.command("run", "2026-10")
    variables = {**installation.environment, "AS_ON_A_TERMINAL": terminal}
    loaded = loaded_by(["status", *month], tmp_path, variables)
    assert set(HEAVY) & loaded == {"sqlalchemy"}


def loaded_by(arguments: list[str], folder: Path, variables: Mapping[str, str] | None = None) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = set(json.loads(done.stderr[done.stderr.rindex("[") :]))
    assert "typer" in loaded, done.stderr
    return loaded
