"""Telling the dead from the living, and from those of whom nothing is known."""

from __future__ import annotations

import subprocess
import sys

from billing_pipeline.delivery.ledger.liveness import is_gone, this_process

NAME = "from billing_pipeline.delivery.ledger.liveness import this_process; print(this_process(), flush=True); input()"


def test_a_living_process_is_not_gone() -> None:
    assert not is_gone(this_process())


def test_a_process_is_gone_once_it_has_ended_and_not_before() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        holder = process.stdout.readline().strip()
        assert not is_gone(holder)
        process.kill()
        process.wait()
        assert is_gone(holder)


def test_another_process_with_the_same_number_is_told_apart() -> None:
    assert is_gone(f"{this_process()}9")


def test_of_other_machines_and_of_nobody_nothing_is_known() -> None:
    assert not is_gone("")
    assert not is_gone("nonsense")
    assert not is_gone("another-host pid:[4026531836] 4194999 17")
