"""Python's collector: asked to look less often, and never against somebody's own choice."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from billing_pipeline.collector import collect_less_often


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_the_collector_looks_less_often_than_by_itself() -> None:
    gc.set_threshold(700, 10, 10)
    collect_less_often()
    assert gc.get_threshold() == (20_000, 10, 10)


@pytest.mark.parametrize("chosen", [0, 50_000])
def test_one_that_is_off_or_looks_less_often_yet_stays_so(chosen: int) -> None:
    gc.set_threshold(chosen, 10, 10)
    collect_less_often()
    assert gc.get_threshold() == (chosen, 10, 10)
