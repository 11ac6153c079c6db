"""docs/your-oms.md: every console step is run, in order, in one shell session, and prints what the page shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from billing_pipeline_tests.support.chinook import load_chinook
from billing_pipeline_tests.support.installation import command_in

TOP = Path(__file__).parents[1]
PAGE = TOP / "docs" / "your-oms.md"
EXAMPLE_URL = "postgresql://reader@oms.example.com/chinook"


@dataclass(frozen=True)
class Step:
    """A command of the page, and what the page says that it prints."""

    command: str
    shown: tuple[str, ...]

    @property
    def status(self) -> int:
        last = re.fullmatch(r"\(exit status (\d)\)", self.shown[-1]) if self.shown else None
        return int(last[1]) if last else 0

    @property
    def pattern(self) -> str:
        """What is printed, as a regular expression: `...` is anything, on a line of its own any lines."""
        lines = [line for line in self.shown if not line.startswith("(exit status ")]
        return "".join(
            r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r"\n"
            for line in lines
        )


def steps(text: str) -> Iterator[Step]:
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            yield Step(command, tuple(shown))


def in_session(command: str, folder: Path, environment: dict[str, str]) -> tuple[int, str, str]:
    """Exit status and both outputs of a line in the shell; our own commands run in this process, without a start."""
    if command.startswith("billing-pipeline "):
        answer = command_in(folder, environment, *shlex.split(command)[1:])
        return answer.status, answer.out, answer.err
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout, done.stderr


def test_a_step_is_compared_with_what_it_prints() -> None:
    (step,) = steps("```console\n$ some command\n...\nok ... two\n(exit status 3)\n```")
    assert (step.command, step.status) == ("some command", 3)
    assert re.fullmatch(step.pattern, "first\nok one and two\n")
    assert not re.fullmatch(step.pattern, "first\nok one and three\n")
    assert not re.fullmatch(step.pattern, "ok one two\nand more\n")


def test_each_step_from_init_to_the_delivered_file_does_what_the_page_says(
    tmp_path: Path, postgres_database: str
) -> None:
    load_chinook(postgres_database)
    (tmp_path / "billing_pipeline").symlink_to(TOP)
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    folder = tmp_path
    for step in steps(PAGE.read_text("utf-8")):
        if step.command.startswith("cd "):
            folder = folder / step.command.removeprefix("cd ")
            continue
        command = step.command.replace(EXAMPLE_URL, postgres_database)
        status, out, err = in_session(command, folder, {"HOME": str(tmp_path), "PATH": programs})
        said = f"{step.command}\n{out}\n{err}"
        assert status == step.status, said
        assert not step.shown or re.fullmatch(step.pattern, out), said
    assert (
        len(list((folder / "share" / "import").iterdir())) == len(list((folder / "preview").iterdir())) == 7
    )


def test_the_page_is_about_the_place_where_the_oms_is() -> None:
    """Else the test would talk to nobody's database, or to somebody's."""
    assert [step.command for step in steps(PAGE.read_text("utf-8")) if EXAMPLE_URL in step.command]
