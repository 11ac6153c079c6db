"""docs/operating.md: every console step is run, in order, on a small installation of its own."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from billing_pipeline.steps.wiring import build_wiring
from billing_pipeline_tests.support.installation import Installation

PAGE = Path(__file__).parents[1] / "docs" / "operating.md"
MEND = "<!-- here the test gives the service its price -->"
# What exits with something else than 0 does so on purpose.
NEEDS_A_PERSON = {
    "billing-pipeline run 2026-10 --dry-run",
    "billing-pipeline preview 2026-10 --out preview",
    "billing-pipeline run 2026-10",
    "billing-pipeline status 2026-10",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    installation = Installation(tmp_path_factory.mktemp("operating"))
    for number in ("10023", "10024"):
        installation.oms.customer(number)
        for month in ("08", "09", "10"):
            without = (number, month) == ("10024", "10")
            installation.oms.service(
                f"S-{month}-{number}",
                number,
                completed_at=f"2026-{month}-14T09:30:00Z",
                unit_price_net=None if without else "150.00",
            )
    return installation


def steps() -> list[str]:
    """The console lines of the page and the place where the OMS is mended, in order."""
    found = re.findall(rf"```console\n(.*?)```|({re.escape(MEND)})", PAGE.read_text("utf-8"), re.DOTALL)
    return [
        line.removeprefix("$ ") for block, mend in found for line in ([mend] if mend else block.splitlines())
    ]


def run(house: Installation, line: str) -> tuple[int, str]:
    """Its exit status, and all that it said. Ours run in this process: to start two dozen takes a minute."""
    if line.startswith("billing-pipeline "):
        answer = house.command(*shlex.split(line)[1:])
        # As a process leaves it that has ended: the home may be saved now, or removed.
        house.do(build_wiring).ledger.open().close()
        return answer.status, answer.out + answer.err
    programs = Path(sys.executable).parent
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BILLING_", "DAGSTER"))}
    done = subprocess.run(
        line,
        shell=True,
        cwd=house.folder,
        env={
            **kept,
            **house.environment,
            "DAGSTER_HOME": str(house.home / "dagster"),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout


def test_each_console_step_does_what_the_page_says(house: Installation) -> None:
    mended = False
    lines = steps()
    assert MEND in lines
    for line in lines:
        if line == MEND:
            house.oms.change_service("S-10-10024", unit_price_net="150.00")
            mended = True
            continue
        status, said = run(house, line)
        assert status == (1 if line in NEEDS_A_PERSON and not mended else 0), f"{line}\n{said}"
    _, last = run(house, "billing-pipeline status 2026-10")
    assert "2 customers = 2 unchanged" in last
    assert sorted(house.files()) == [
        f"easybill_2026-{month}_{number}.csv" for month in ("08", "09", "10") for number in ("10023", "10024")
    ]
