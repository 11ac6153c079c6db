"""First use of a home, by several processes at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from billing_pipeline.store.home import HomeUnavailable, first_use

ONE_AT_A_TIME = """
import sys, time
from pathlib import Path
from billing_pipeline.store.home import first_use
home = Path(sys.argv[1])
with first_use(home):
    with (home / "inside").open("x"):
        time.sleep(0.05)
    (home / "inside").unlink()
"""


def test_one_process_at_a_time_is_inside(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    processes = [
        subprocess.Popen([sys.executable, "-c", ONE_AT_A_TIME, str(home)], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [("", 0)] * 3


def test_a_home_that_stays_locked_is_an_error_that_says_so(tmp_path: Path) -> None:
    with (
        first_use(tmp_path),
        pytest.raises(HomeUnavailable, match="has been locked by another process"),
        first_use(tmp_path, timeout_s=0.05),
    ):
        pass


def test_a_home_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HomeUnavailable, match="check BILLING_HOME"), first_use(tmp_path / "file" / "home"):
        pass
