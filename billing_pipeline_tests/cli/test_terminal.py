"""On a terminal `status`, `audit` and `log` are tables, in a pipe plain lines; what needs a person comes first."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from billing_pipeline_tests.support.installation import Installation

MONTH = "2026-10"
COMMANDS = {
    "status": ("status",),
    "audit": ("audit", "--from", MONTH, "--to", MONTH),
    "log": ("log", "--month", MONTH),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    house = Installation(tmp_path_factory.mktemp("house"))
    for number in ("10023", "10024"):
        house.oms.customer(number)
        house.oms.service(f"S-{number}", number)
    house.oms.change_service("S-10024", unit_price_net=None)
    house.command("run", MONTH)
    return house


def on_a_terminal(house: Installation, *arguments: str) -> str:
    """What the command writes to a real terminal of 140 columns, without colours."""
    ours, theirs = pty.openpty()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BILLING_")},
        **house.environment,
        "COLUMNS": "140",
        "TERM": "xterm",
        "NO_COLOR": "1",
    }
    command = [sys.executable, "-c", "from billing_pipeline.cli.main import main; main()", *arguments]
    with subprocess.Popen(
        command, stdout=theirs, stderr=subprocess.DEVNULL, env=environment, cwd=house.folder
    ):
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux tells the end of a terminal so
                break
            if not part:
                break
            parts.append(part)
    os.close(ours)
    return b"".join(parts).decode()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_terminal_gets_a_table_and_a_pipe_lines(house: Installation, name: str) -> None:
    table = on_a_terminal(house, *COMMANDS[name])
    lines = house.command(*COMMANDS[name]).out
    assert "\u2502" in table
    assert "\u2502" not in lines
    assert "\x1b[3" not in table, "NO_COLOR"
    for part in ("10024", MONTH):
        assert part in table
        assert part in lines


@pytest.mark.parametrize("terminal", [True, False])
def test_what_needs_a_person_comes_before_the_account(house: Installation, terminal: bool) -> None:
    out = on_a_terminal(house, *COMMANDS["audit"]) if terminal else house.command(*COMMANDS["audit"]).out
    account = "net billed" if terminal else f"{MONTH}: 2 rows"
    assert 0 <= out.index("PRICE_MISSING") < out.index(account)
