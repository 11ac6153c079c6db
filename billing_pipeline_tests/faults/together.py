"""Three runs on one customer's month at the same moment, again and again, on one ledger.

The runs are processes that live through all rounds and keep their connection, so that they meet within milliseconds;
a barrier lets them go at once.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from threading import Barrier

from billing_pipeline.delivery.transports.protocol import DeliveryError, InboxConnection, Transport
from billing_pipeline_tests.faults.children import MACHINE, outcome_of
from billing_pipeline_tests.faults.controls import CONTROLS
from billing_pipeline_tests.faults.judge import Verdict
from billing_pipeline_tests.faults.world import CONDUCTS, SIZES, Case, World

RUNS = 3
_LONGEST_TRIAL_S = 1_800


@dataclass
class Together:
    """What the rounds came to. `told_delivered`: rounds in which exactly one run said that it had delivered."""

    how: str
    verdict: Verdict = field(default_factory=Verdict)
    rounds: int = 0
    told_delivered: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)


def trial(world: World, rounds: int, *, seed: int, how: str = MACHINE) -> Together:
    """So many rounds of three runs, with the world's receivers at work; then judge."""
    dice = random.Random(seed)
    cases = [
        world.case(
            SIZES[number % 2], CONDUCTS[number % len(CONDUCTS)], dice, archive_known=dice.random() < 0.5
        )
        for number in range(rounds)
    ]
    together = Together(how, rounds=rounds)
    barrier = world.context.Barrier(RUNS)
    runs = []
    with world.receivers():
        for _ in range(RUNS):
            here, there = world.context.Pipe(duplex=False)
            process = world.context.Process(target=meet, args=(cases, barrier, there, how), daemon=True)
            process.start()
            there.close()
            runs.append((process, here))
        told = []
        for process, here in runs:
            if not here.poll(_LONGEST_TRIAL_S):
                raise RuntimeError("three runs on one partition did not end")
            told.append(here.recv())
            process.join()
    held = set()
    outcomes: Counter[str] = Counter()
    for number, case in enumerate(cases):
        words = [each[number] for each in told]
        outcomes.update(word.partition(":")[0] for word in words)
        together.told_delivered += sum(word == "delivered" for word in words) == 1
        if any(word.startswith("held") for word in words):
            held.add(case.name)
    together.outcomes = dict(outcomes)
    together.verdict = world.judge({case.name: case.parcel.export.sha256 for case in cases}, held)
    return together


def meet(cases: Sequence[Case], barrier: Barrier, answers: Connection, how: str) -> None:
    """One of the runs: delivers each case when the others are ready to."""
    account, timeout_s = cases[0].address.account, cases[0].address.timeout_s
    outcomes = []
    with _KeptOpen(account.transport(timeout_s)) as transport:
        for case in cases:
            barrier.wait(timeout=60)
            if how == MACHINE:
                outcomes.append(outcome_of(case, transport))
            else:
                outcomes.append(CONTROLS[how](case, transport, lambda edge: None))
    answers.send(outcomes)


class _KeptOpen(ExitStack):
    """A transport whose one connection outlives the runs that use it, as long as it works."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport
        self._inbox: InboxConnection | None = None
        self.name = transport.name
        self.address = transport.address

    @contextmanager
    def connect(self) -> Iterator[InboxConnection]:
        if self._inbox is None:
            self._inbox = self.enter_context(self._transport.connect())
        try:
            yield self._inbox
        except DeliveryError:
            self.close()
            self._inbox = None
            raise
