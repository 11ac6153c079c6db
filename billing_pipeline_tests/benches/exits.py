"""How processes end that read stored frames: 600 of `billing-pipeline explain`, two at a time.

Arrow's scans on threads abort one process in a hundred or so at its exit, when all its work is done; a cron job then
reports a failure. None of ours may. Minutes: by name alone, `make bench ARGS=exits`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from billing_pipeline_tests.benches.figure import Figure
from billing_pipeline_tests.support.plain_months import PlainMonths
from billing_pipeline_tests.support.sent_september import SEPTEMBER, sent_september

PROCESSES = 600
AT_ONCE = 2
LAST_S = 1_200.0


def figures() -> Iterator[Figure]:
    """How many processes ended otherwise than with 0. After twenty minutes no further one is started."""
    with tempfile.TemporaryDirectory() as folder:
        months = sent_september(Path(folder))
        (order,) = set(months.billed().values())
        until = time.monotonic() + LAST_S
        with ThreadPoolExecutor(AT_ONCE) as pool:
            ended = Counter(pool.map(lambda _: explain(months, order, until), range(PROCESSES)))
    not_run = ended.pop(None, 0)
    yield Figure("processes of `explain`", sum(ended.values()), f"of {PROCESSES}")
    for status, count in sorted((status, count) for status, count in ended.items() if status):
        yield Figure(f"ended with {status}", count, "processes")
    yield Figure("ended otherwise than with 0", sum(ended.values()) - ended[0], "processes", goal=0.0)
    if not_run:
        yield Figure("not started for lack of time", not_run, "processes")


def explain(months: PlainMonths, order: str, until: float) -> int | None:
    """The exit status of one process, below 0 for a signal; None where it is too late to start one."""
    if time.monotonic() > until:
        return None
    command = [str(Path(sys.executable).with_name("billing-pipeline")), "explain", order]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("BILLING_") and name != "DAGSTER_HOME"
    }
    done = subprocess.run(
        command, env=environment | months.installation.environment, capture_output=True, check=False
    )
    if done.returncode == 0 and SEPTEMBER.encode() not in done.stdout:
        raise RuntimeError(f"explain said nothing of {SEPTEMBER}: {done.stdout!r}")
    return done.returncode
