"""Runs that fall asleep in the middle and wake up when another run has long finished: nothing of theirs may count.

A sleeper is stopped (SIGSTOP), not dead; the others take its lease for expired. What it does when it wakes up is what
a machine does that was suspended, or a process that the system left without a processor for an hour.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from billing_pipeline_tests.faults.children import MACHINE, Blow, Job, start
from billing_pipeline_tests.faults.judge import Verdict
from billing_pipeline_tests.faults.kills import FIRST_RUN_POINTS, IN_WRITE
from billing_pipeline_tests.faults.world import CONDUCTS, SIZES, Case, World
from billing_pipeline_tests.support.pollers import Conduct


@dataclass(frozen=True)
class Plan:
    """Where the runs of one case fall asleep, one after the other; `recovering`: a first one died in COMMITTING."""

    sleeps: tuple[str, ...]
    size: int
    conduct: Conduct
    recovering: bool = False


@dataclass
class Zombies:
    """What a trial of sleepers came to. `woken` counts those who slept and woke up."""

    verdict: Verdict = field(default_factory=Verdict)
    woken: int = 0
    told: list[str] = field(default_factory=list)


def all_plans(sizes: Sequence[int] = SIZES[:2], conducts: Sequence[Conduct] = CONDUCTS) -> list[Plan]:
    """One sleeper at every edge, and two wherever a second one may rename what the first has committed."""
    alone: list[tuple[tuple[str, ...], bool]] = [((place,), False) for place in (*FIRST_RUN_POINTS, IN_WRITE)]
    alone += [((place,), True) for place in ("adopted", "looked", "renamed", "published")]
    second = ("verified", "committed", "adopted", "looked", "renamed")
    pairs: list[tuple[tuple[str, ...], bool]]
    pairs = [((first, other), False) for first in ("verified", "committed", "renamed") for other in second]
    pairs += [((first, other), True) for first in ("adopted", "looked", "renamed") for other in second[2:]]
    plans = [(sleeps, recovering, size) for sleeps, recovering in alone for size in sizes]
    plans += [(sleeps, recovering, sizes[0]) for sleeps, recovering in pairs]
    return [
        Plan(sleeps, size, conduct, recovering) for sleeps, recovering, size in plans for conduct in conducts
    ]


def trial(world: World, plans: Sequence[Plan], *, seed: int, at_once: int = 2) -> Zombies:
    """Carry out the plans, with the world's receivers at work; then judge."""
    zombies = Zombies()
    dice = random.Random(seed)
    cases = [
        (plan, world.case(plan.size, plan.conduct, dice, archive_known=dice.random() < 0.5)) for plan in plans
    ]
    seeds = [dice.random() for _ in cases]
    with world.receivers(), ThreadPoolExecutor(at_once) as pool:
        outcomes = list(
            pool.map(
                lambda each: _carry_out(world, each[0][1], each[0][0], each[1], zombies),
                zip(cases, seeds, strict=True),
            )
        )
    zombies.told = outcomes
    held = {
        case.name for (_, case), outcome in zip(cases, outcomes, strict=True) if outcome.startswith("held")
    }
    zombies.verdict = world.judge({case.name: case.parcel.export.sha256 for _, case in cases}, held)
    return zombies


def _carry_out(world: World, case: Case, plan: Plan, seed: float, zombies: Zombies) -> str:
    """The word of the last run, which comes when every sleeper has woken up and ended."""
    dice = random.Random(seed)
    if plan.recovering:
        start(Job(MACHINE, case, Blow("committed")), world.context).wait()
        world.check_status(case)
    sleepers = []
    for place in plan.sleeps:
        blow = Blow(place, kind="sleep")
        if place == IN_WRITE:
            blow = Blow(after_bytes=dice.randint(1, plan.size), kind="sleep")
        sleeper = start(Job(MACHINE, case, blow, late=True), world.context)
        if sleeper.wait_until_asleep():
            sleepers.append(sleeper)
        else:
            sleeper.wait()
    start(Job(MACHINE, case, late=True), world.context).wait()
    world.check_status(case)
    dice.shuffle(sleepers)
    for sleeper in sleepers:
        sleeper.wake()
        sleeper.wait()
        world.check_status(case)
        zombies.woken += 1
    last = start(Job(MACHINE, case), world.context).wait()
    world.check_status(case)
    return last
