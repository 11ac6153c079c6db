"""How the tests are spread over the cores: each file in one piece, in the order of their turns."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing_pipeline_tests.support.on_all_cores import (
    ALONE,
    LONGEST,
    TOGETHER,
    runs_alone,
    share_of,
    turn_of,
)

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("test", ALONE)
def test_what_runs_alone_is_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert f"def {name}(" in (TESTS / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("file", LONGEST)
def test_a_long_file_is_there(file: str) -> None:
    assert (TESTS / file).is_file()


def test_a_file_is_one_workers_but_for_what_runs_alone() -> None:
    here = f"{TESTS.name}/{ALONE[0]}"
    beside = f"{here.partition('::')[0]}::test_another[a::b]"
    assert (runs_alone(here), runs_alone(f"{here}[LIST]"), runs_alone(beside)) == (True, True, False)
    assert share_of(f"{here}[LIST]") == share_of(here) == share_of(f"{TESTS.name}/{ALONE[-1]}")
    assert share_of(beside) == here.partition("::")[0]


def test_files_that_share_what_takes_long_to_start_are_one_workers_and_neighbours() -> None:
    assert len({share_of(f"{TESTS.name}/{file}::test_a") for file in TOGETHER}) == 1
    turns = [turn_of(f"{TESTS.name}/{file}::test_a") for file in TOGETHER]
    assert turns == list(range(turns[0], turns[0] + len(TOGETHER)))


def test_long_files_come_first_and_what_runs_alone_last() -> None:
    long, short, alone = (
        f"{TESTS.name}/{LONGEST[0]}::test_a",
        f"{TESTS.name}/test_money.py::test_a",
        ALONE[0],
    )
    assert turn_of(long) < turn_of(short) < turn_of(f"{TESTS.name}/{alone}")
