"""The help: commands in groups, and an example in each that is a command line which would be accepted."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from billing_pipeline.cli.help_text import GROUPS, PROGRAM
from billing_pipeline.cli.main import app
from billing_pipeline_tests.support.installation import Installation

TOP: Any = typer.main.get_command(app)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its name, those of `omit` and `adjust` too."""
    for name, command in TOP.commands.items():
        yield name, command
        for inner, inner_command in getattr(command, "commands", {}).items():
            yield f"{name} {inner}", inner_command


def examples_of(command: Any) -> list[str]:
    return re.findall(rf"^  ({PROGRAM} .+)$", command.epilog or "", re.MULTILINE)


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_each_example_calls_its_command_with_options_that_it_has(name: str, command: Any) -> None:
    found = examples_of(command)
    assert found
    for line in found:
        assert line.startswith(f"{PROGRAM} {name}")
        words = shlex.split(line.removeprefix(f"{PROGRAM} "))
        step: Any = TOP
        while getattr(step, "commands", None):
            step = step.commands[words.pop(0)]
        step.make_context(step.name, words)  # raises for an option that there is not, or one that is missing


def test_help_lists_every_command_under_one_of_the_groups_in_their_order() -> None:
    text = TOP.get_help(TOP.make_context(PROGRAM, ["demo"]))
    headings = re.findall(r"^(\S.*):$", text, re.MULTILINE)
    assert headings == ["Options", *GROUPS]
    listed = re.findall(r"^  ([a-z]+)  ", text.partition(f"{GROUPS[0]}:")[2], re.MULTILINE)
    assert sorted(listed) == sorted(TOP.commands)
    assert "..." not in text.partition(f"{GROUPS[0]}:")[2]  # no sentence is cut short


@pytest.mark.parametrize("arguments", [(), ("omit",)])
def test_without_a_command_the_help_is_shown_in_lines_and_the_status_is_2(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    answer = Installation(tmp_path).command(*arguments)
    assert answer.status == 2
    assert answer.err.startswith("Usage: billing-pipeline")
    assert answer.err.count("\n") > 5
