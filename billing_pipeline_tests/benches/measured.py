"""A command run to its end, and what the system says that it took.

Also the program that starts it: a process begins with the peak memory of whoever started it, so that a small one
must. Nothing below its own 10 MB can be told apart.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Sample(NamedTuple):
    """Wall clock from shell to shell; CPU, user and system, of all its processes; memory of the largest of them."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


def measured(
    command: Sequence[str | Path], variables: Mapping[str, str] | None = None, *, folder: Path | None = None
) -> Sample:
    """Runs the command in this environment, with these variables and no other of the product's or Dagster's.

    `folder`: where it runs; there, the product looks for a `.env`.
    Raises: AssertionError with what it said, unless its exit status is 0.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("BILLING_", "DAGSTER_"))
    }
    done = subprocess.run(
        [sys.executable, "-I", "-S", __file__, *map(str, command)],
        env={**environment, **(variables or {})},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, (
        f"{Path(command[0]).name}: exit status {done.returncode}\n{done.stderr[-4000:]}"
    )
    return Sample(*json.loads(done.stdout))


def main(command: list[str]) -> int:
    """Runs the command, whose output goes to stderr, and writes its sample to stdout."""
    _adopt_orphans()
    started = time.perf_counter()
    status = subprocess.run(command, stdout=sys.stderr).returncode
    wall_s = time.perf_counter() - started
    with suppress(ChildProcessError):
        while True:
            os.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    json.dump(Sample(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss * unit), sys.stdout)
    return status


def _adopt_orphans() -> None:
    """What the command started and did not wait for, as lftp does with its ssh, is counted too (on Linux)."""
    if sys.platform == "linux":
        pr_set_child_subreaper = 36
        ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
