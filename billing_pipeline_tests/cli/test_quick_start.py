"""What answers at once loads nothing that takes long to load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ["alembic", "dagster", "numpy", "pandas", "pandera", "paramiko", "pyarrow", "sqlalchemy"]
LOADED = """
import json, sys
from billing_pipeline.cli.main import main
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
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = json.loads(done.stderr[done.stderr.rindex("[") :])
    assert "typer" in loaded, done.stderr
    assert not set(HEAVY) & set(loaded)
