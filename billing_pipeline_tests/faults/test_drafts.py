"""A seeded sample of the bench of drafts in every test run: the promise holds, and the naive ways break it.

All of it is `python -m billing_pipeline_tests.faults.drafts`; its figures are in docs/easybill-api.md.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from billing_pipeline_tests.faults.drafts import (
    CONTROL_PLANS,
    CONTROLS,
    IN_REQUEST,
    World,
    all_plans,
    running_world,
    trial,
)

SEED = 20_261_101
PAIRS = 8


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        yield running_world(stack, tmp_path_factory.mktemp("world"))


@pytest.mark.timeout(300)
def test_whatever_dies_or_is_not_answered_there_is_one_draft_or_a_person_is_told(world: World) -> None:
    alone, pairs = (
        [plan for plan in all_plans() if len(plan) == 1],
        [plan for plan in all_plans() if len(plan) == 2],
    )
    drafts = trial(world, [*alone, *random.Random(SEED).sample(pairs, PAIRS)])
    assert drafts.clean, str(drafts)
    assert sum(drafts.kills.values()) >= len(alone) // 2
    assert drafts.kills[IN_REQUEST] >= 1
    # Most doubts are resolved by looking: nobody is asked but where the draft is really not there.
    assert drafts.right > drafts.held >= 1


@pytest.mark.parametrize("how", CONTROLS)
def test_every_naive_way_fails_the_bench(world: World, how: str) -> None:
    drafts = trial(world, CONTROL_PLANS, how=how)
    assert drafts.doubled or drafts.lost
