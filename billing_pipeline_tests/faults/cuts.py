"""Connections that end, fall silent or lose a bit at a random byte of either direction, before a real server.

Each case is cut once or twice; the worker connects again by itself, and a run that gave up is followed by another.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import Literal

from billing_pipeline_tests.faults.children import MACHINE, outcome_of
from billing_pipeline_tests.faults.controls import CONTROLS
from billing_pipeline_tests.faults.judge import Verdict
from billing_pipeline_tests.faults.world import CONDUCTS, SIZES, Case, World
from billing_pipeline_tests.support.tcp_proxy import Break, TcpProxy, tcp_proxy

_FINISHED = ("delivered", "unchanged", "held")
_RUNS = 8


@dataclass
class Cuts:
    """What a trial of cuts came to: connections that a proxy reset, let fall silent, or changed a bit of."""

    how: str
    verdict: Verdict = field(default_factory=Verdict)
    resets: int = 0
    stalls: int = 0
    flips: int = 0
    unfinished: list[str] = field(default_factory=list)


def trial(
    world: World,
    count: int,
    *,
    pin: Callable[[int], None],
    seed: int,
    how: str = MACHINE,
    stalls: float = 0.03,
    flips: float = 0.1,
    at_once: int = 6,
    sizes: Sequence[int] = SIZES,
) -> Cuts:
    """So many cases, with the world's receivers at work; then judge. `pin` makes a proxy's port known to the client."""
    cuts = Cuts(how)
    dice = random.Random(seed)
    proxies: SimpleQueue[TcpProxy] = SimpleQueue()
    with ExitStack() as stack:
        ports = [stack.enter_context(tcp_proxy(world.account.port)) for _ in range(at_once)]
        for proxy in ports:
            pin(proxy.port)
            proxies.put(proxy)
        lengths = {size: _length(world, size, ports[0], dice) for size in sizes}
        plans = []
        for number in range(count):
            size = sizes[number % len(sizes)]
            breaks = [_break(lengths[size], dice, stalls, flips) for _ in range(dice.choice((1, 1, 2)))]
            plans.append((size, CONDUCTS[number % len(CONDUCTS)], breaks, dice.random() < 0.5))
        cases: list[tuple[Case, str]] = []
        made = [world.case(size, conduct, dice, archive_known=known) for size, conduct, _, known in plans]

        def carry_out(each: tuple[Case, list[Break]]) -> None:
            case, breaks = each
            proxy = proxies.get()
            try:
                cases.append((case, _carry_out(world, case, proxy, breaks, how)))
            finally:
                proxies.put(proxy)

        stack.enter_context(world.receivers())
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(carry_out, zip(made, [plan[2] for plan in plans], strict=True)))
        cuts.resets = sum(proxy.resets for proxy in ports)
        cuts.flips = sum(proxy.flips for proxy in ports)
        cuts.stalls = sum(proxy.stalls for proxy in ports)
    held = {case.name for case, outcome in cases if outcome.startswith("held")}
    cuts.verdict = world.judge({case.name: case.parcel.export.sha256 for case in made}, held)
    cuts.unfinished = [
        f"{case.name}: {outcome}" for case, outcome in cases if not outcome.startswith(_FINISHED)
    ]
    return cuts


def _length(world: World, size: int, proxy: TcpProxy, dice: random.Random) -> tuple[int, int]:
    """The bytes of an undisturbed delivery, up and down."""
    case = world.case(size, "ignore", dice, port=proxy.port)
    outcome_of(case, case.address.account.transport(5.0))
    up, down = proxy.carried
    return up, down


def _break(length: tuple[int, int], dice: random.Random, stalls: float, flips: float) -> Break:
    up = dice.random() < 0.5
    fate = dice.random()
    kind: Literal["reset", "stall", "flip"]
    kind = "stall" if fate < stalls else "flip" if fate < stalls + flips else "reset"
    return Break(dice.randint(1, length[0] if up else length[1]), "up" if up else "down", kind)


def _carry_out(world: World, case: Case, proxy: TcpProxy, breaks: list[Break], how: str) -> str:
    proxy.breaks = list(breaks)
    # The ledger knows an inbox by its address: every run of one case goes through the same proxy.
    timeout_s = 1.0 if any(each.kind == "stall" for each in breaks) else 5.0
    transport = replace(case.address.account, port=proxy.port).transport(timeout_s)
    for _ in itertools.repeat(None, _RUNS):
        outcome = (
            outcome_of(case, transport)
            if how == MACHINE
            else CONTROLS[how](case, transport, lambda edge: None)
        )
        world.check_status(case)
        if outcome.startswith(_FINISHED):
            break
    return outcome
