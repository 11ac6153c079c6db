"""docs/operating.md: every console step is run, in order, on a small installation of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def run(house: Installation, line: str) -> subprocess.CompletedProcess[str]:
    programs = Path(sys.executable).parent
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BILLING_", "DAGSTER"))}
    return subprocess.run(
        line,
        shell=True,
        cwd=house.folder,
        env={
            **kept,
            **house.environment,
            "DAGSTER_HOME": str(house.home / "dagster"),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_each_console_step_does_what_the_page_says(house: Installation) -> None:
    mended = False
    lines = steps()
    assert MEND in lines
    for line in lines:
        if line == MEND:
            house.oms.change_service("S-10-10024", unit_price_net="150.00")
            mended = True
            continue
        answer = run(house, line)
        expected = 1 if line in NEEDS_A_PERSON and not mended else 0
        assert answer.returncode == expected, f"{line}\n{answer.stdout}\n{answer.stderr}"
    last = run(house, "billing-pipeline status 2026-10").stdout
    assert "2 customers = 2 unchanged" in last
    assert sorted(house.files()) == [
        f"easybill_2026-{month}_{number}.csv" for month in ("08", "09", "10") for number in ("10023", "10024")
    ]
