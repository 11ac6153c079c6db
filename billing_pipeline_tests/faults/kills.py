"""SIGKILL at every edge and inside a write, once and twice, while receivers archive, delete or ignore what they see.

One case: a run is killed; the next one is killed too, or finishes; then runs go on undisturbed until one of them says
that the file is out. Kills are counted when they happened, not when they were planned.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from billing_pipeline.delivery.files.upload import CRASH_POINTS
from billing_pipeline_tests.faults.children import LINKED, MACHINE, Blow, Job, start
from billing_pipeline_tests.faults.judge import Verdict
from billing_pipeline_tests.faults.world import CONDUCTS, SIZES, Case, World
from billing_pipeline_tests.support.pollers import Conduct

FIRST_RUN_POINTS = tuple(edge for edge in CRASH_POINTS if edge not in {"adopted", "looked"})
"""The two others are of a run that finds a rename whose outcome nobody noted."""

IN_WRITE = "write"
_WRITES = 3
_FINISHED = ("delivered", "unchanged", "held")
_RUNS_AFTERWARDS = 5


@dataclass(frozen=True)
class Plan:
    """Where each run of one case dies: an edge, or `IN_WRITE`."""

    deaths: tuple[str, ...]
    size: int
    conduct: Conduct


@dataclass
class Kills:
    """What a trial of kills came to. `by_place` counts the kills that happened, by edge."""

    how: str
    verdict: Verdict = field(default_factory=Verdict)
    kills: int = 0
    runs: int = 0
    by_place: dict[str, int] = field(default_factory=dict)
    unfinished: list[str] = field(default_factory=list)


def all_plans(sizes: Sequence[int] = SIZES, conducts: Sequence[Conduct] = CONDUCTS) -> list[Plan]:
    """Every place alone, and every first place with every second one, for every size and conduct."""
    first = [*FIRST_RUN_POINTS, IN_WRITE]
    second = [*CRASH_POINTS, IN_WRITE]
    alone = [*FIRST_RUN_POINTS, *[IN_WRITE] * _WRITES]
    deaths = [*((place,) for place in alone), *itertools.product(first, second)]
    return [Plan(each, size, conduct) for each in deaths for size in sizes for conduct in conducts]


def folder_plans(*, two_steps: bool) -> list[Plan]:
    """The same for a folder, where no write goes over a network; `two_steps`: with deaths between link and unlink."""
    between = (LINKED,) if two_steps else ()
    first, second = (*FIRST_RUN_POINTS, *between), (*CRASH_POINTS, *between)
    deaths = [*((place,) for place in first), *itertools.product(first, second)]
    return [Plan(each, SIZES[0], conduct) for each in deaths for conduct in CONDUCTS]


def trial(world: World, plans: Iterable[Plan], *, seed: int, how: str = MACHINE, at_once: int = 2) -> Kills:
    """Carry out the plans, so many cases at once, with the world's receivers at work; then judge."""
    kills = Kills(how)
    dice = random.Random(seed)
    cases = [
        (
            plan,
            world.case(plan.size, plan.conduct, dice, archive_known=dice.random() < 0.5),
            _blows(plan, dice),
        )
        for plan in plans
    ]
    with world.receivers(), ThreadPoolExecutor(at_once) as pool:
        outcomes = list(pool.map(lambda each: _carry_out(world, each[1], each[2], kills, how), cases))
    told = {
        case.name for (_, case, _), outcome in zip(cases, outcomes, strict=True) if outcome.startswith("held")
    }
    expected = {case.name: case.parcel.export.sha256 for _, case, _ in cases}
    kills.verdict = world.judge(expected, told)
    kills.unfinished = [
        f"{case.name} after {plan}: {outcome}"
        for (plan, case, _), outcome in zip(cases, outcomes, strict=True)
        if not outcome.startswith(_FINISHED)
    ]
    return kills


def _blows(plan: Plan, dice: random.Random) -> list[Blow]:
    return [
        Blow(after_bytes=dice.randint(1, plan.size)) if place == IN_WRITE else Blow(edge=place)
        for place in plan.deaths
    ]


def _carry_out(world: World, case: Case, blows: list[Blow], kills: Kills, how: str) -> str:
    """The last run's outcome."""
    for blow in _and_then_none(blows):
        child = start(Job(how, case, blow), world.context)
        outcome = child.wait()
        world.check_status(case)
        kills.runs += 1
        if blow is not None and child.killed:
            kills.kills += 1
            place = blow.edge or IN_WRITE
            kills.by_place[place] = kills.by_place.get(place, 0) + 1
        elif outcome.startswith(_FINISHED):
            return outcome
    return outcome


def _and_then_none(blows: list[Blow]) -> Iterator[Blow | None]:
    yield from blows
    yield from itertools.repeat(None, _RUNS_AFTERWARDS)
