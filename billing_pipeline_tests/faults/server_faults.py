"""Servers that misbehave: one kind of fault at a time; then it is lifted, and the next run must bring it to an end.

The engine for `sftp_faults` and `ftps_faults`. A kind begins, each of its cases is delivered by a run of its own, at
the same time; it ends, and each is delivered again. Whatever the first run said, a receiver has then seen the file
exactly once, or a run has said that a person must decide.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, TypeVar

from billing_pipeline.store.blobs import sha256_of
from billing_pipeline_tests.faults.children import MACHINE, outcome_of
from billing_pipeline_tests.faults.controls import CONTROLS
from billing_pipeline_tests.faults.judge import Verdict
from billing_pipeline_tests.faults.world import CONDUCTS, SIZES, Case, World
from billing_pipeline_tests.support.pollers import Conduct
from billing_pipeline_tests.support.tcp_proxy import TcpProxy

Server = TypeVar("Server")


@dataclass
class Setting(Generic[Server]):
    """What a kind of fault may meddle with: the server, the network before it, and the cases to come."""

    server: Server
    proxy: TcpProxy
    world: World
    cases: list[Case] = field(default_factory=list)


@dataclass(frozen=True)
class Kind(Generic[Server]):
    """One kind of fault. `ends`: how its files must end; `strangers`: somebody else's files have the names already;
    `never_ends`: the server answers each request in time, so that only the file's own deadline ends it.
    """

    name: str
    begin: Callable[[Setting[Server]], None]
    end: Callable[[Setting[Server]], None]
    ends: Literal["published", "held"] = "published"
    strangers: bool = False
    conducts: tuple[Conduct, ...] = CONDUCTS
    archive_known: bool = True
    never_ends: bool = False


@dataclass
class KindResult:
    """What one kind came to: what the runs said under the fault and after it, and the slowest run under it."""

    name: str
    ends: str
    under: dict[str, int]
    after: dict[str, int]
    slowest_s: float
    verdict: Verdict = field(default_factory=Verdict)
    in_time: bool = True
    never_ends: bool = False

    @property
    def as_promised(self) -> bool:
        """Every file published once, or every file held, as the kind is to end; and within its time."""
        right = self.verdict.right if self.ends == "published" else self.verdict.files
        told = self.ends == "published" or set(self.after) == {"held"}
        return self.verdict.clean and right == self.verdict.files and told and self.in_time


@dataclass
class ServerFaults:
    """What a trial of server faults came to."""

    how: str
    kinds: list[KindResult] = field(default_factory=list)
    timeout_s: float = 0.0
    deadline_s: float = 0.0

    @property
    def verdict(self) -> Verdict:
        total = Verdict()
        for kind in self.kinds:
            for count in ("right", "held", "lost", "doubled", "torn"):
                setattr(total, count, getattr(total, count) + getattr(kind.verdict, count))
            total.faulty += [f"{kind.name}: {fault}" for fault in kind.verdict.faulty]
        return total


def trial(
    setting: Setting[Server],
    kinds: Sequence[Kind[Server]],
    *,
    seed: int,
    sizes: Sequence[int] = SIZES[:2],
    how: str = MACHINE,
    slack_s: float = 0.0,
) -> ServerFaults:
    """Every kind in turn, with the world's receivers at work; then judge. `slack_s` is for a busy machine."""
    dice = random.Random(seed)
    world = setting.world
    # What delivery/files/pool.py gives the largest file, and a second to say so.
    faults = ServerFaults(
        how, timeout_s=world.timeout_s, deadline_s=10 * world.timeout_s + max(sizes) / 102_400 + 1
    )
    expected: list[dict[str, str]] = []
    told: set[str] = set()

    def run(case: Case) -> tuple[str, float]:
        outcome = _timed(case, how)
        world.check_status(case, is_strangers=kind.strangers)
        return outcome

    with world.receivers(), ThreadPoolExecutor(2 * len(CONDUCTS)) as pool:
        for kind in kinds:
            setting.cases = [
                world.case(size, conduct, dice, archive_known=kind.archive_known, port=setting.proxy.port)
                for conduct in kind.conducts
                for size in sizes
            ]
            expected.append({case.name: case.parcel.export.sha256 for case in setting.cases})
            kind.begin(setting)
            try:
                under = list(pool.map(run, setting.cases))
            finally:
                kind.end(setting)
            after = list(pool.map(run, setting.cases))
            told |= {
                case.name for case, (word, _) in zip(setting.cases, after, strict=True) if word == "held"
            }
            slowest_s = max(seconds for _, seconds in under)
            bound_s = faults.deadline_s if kind.never_ends else 2 * world.timeout_s + 1
            faults.kinds.append(
                KindResult(
                    kind.name,
                    kind.ends,
                    dict(Counter(word for word, _ in under)),
                    dict(Counter(word for word, _ in after)),
                    slowest_s,
                    in_time=slowest_s <= bound_s + slack_s,
                    never_ends=kind.never_ends,
                )
            )
            if kind.strangers:
                # What the receivers may see under these names is the stranger's file, and nothing of ours.
                expected[-1] = {case.name: _strangers_sha256(setting, case) for case in setting.cases}
    for result, names in zip(faults.kinds, expected, strict=True):
        result.verdict = world.judge(names, told)
    return faults


def _strangers_sha256(setting: Setting[Server], case: Case) -> str:
    """The bytes that somebody else has put under the case's name, which are still there."""
    return sha256_of((setting.world.inbox_folder(case.conduct) / case.name).read_bytes())


def _timed(case: Case, how: str) -> tuple[str, float]:
    """The outcome's first word, and the seconds until it came."""
    transport = case.address.account.transport(case.address.timeout_s)
    begin = time.monotonic()
    outcome = (
        outcome_of(case, transport) if how == MACHINE else CONTROLS[how](case, transport, lambda edge: None)
    )
    return outcome.partition(":")[0], time.monotonic() - begin


def any_servers_kinds(_: type[Server]) -> tuple[Kind[Server], ...]:
    """What happens to every kind of server: to the network before it, and to the names in its inbox."""
    with_network: tuple[tuple[str, Literal["refuse", "silent"]], ...] = (
        ("connections refused", "refuse"),
        ("connections accepted, then silence", "silent"),
    )
    with_names = (
        ("the name is there already, with other bytes", b"a stranger's\n"),
        ("the name is there already, with the same bytes", b""),
    )
    return (
        *(Kind(name, _network(conduct), _network("forward")) for name, conduct in with_network),
        *(Kind(name, _stranger(before), _leave, "held", True, ("ignore",)) for name, before in with_names),
    )


def _network(conduct: Literal["forward", "refuse", "silent"]) -> Callable[[Setting[Server]], None]:
    def change(setting: Setting[Server]) -> None:
        setting.proxy.conduct = conduct

    return change


def _stranger(before: bytes) -> Callable[[Setting[Server]], None]:
    """Somebody else's file under our name, there before we come."""

    def place(setting: Setting[Server]) -> None:
        for case in setting.cases:
            ours = case.address.store.get("csv", case.parcel.export.sha256)
            unfinished = setting.world.inbox_folder(case.conduct) / f".{case.name}.stranger.tmp"
            unfinished.write_bytes(before + ours)
            unfinished.rename(unfinished.with_name(case.name))

    return place


def with_temporary_files_removed(kind: Kind[Server]) -> Kind[Server]:
    """The same; and before the next run, somebody cleans up the inbox."""

    def end(setting: Setting[Server]) -> None:
        kind.end(setting)
        for conduct in kind.conducts:
            for file in setting.world.inbox_folder(conduct).glob(".*.tmp"):
                file.unlink()

    return replace(kind, name=f"{kind.name}; then the temporary files are removed", end=end)


def with_stranger(kind: Kind[Server]) -> Kind[Server]:
    """The same, and somebody else's files have the names: they are held, and stay as they are."""

    def begin(setting: Setting[Server]) -> None:
        _stranger(b"a stranger's\n")(setting)
        kind.begin(setting)

    return replace(
        kind,
        name=f"{kind.name}; the name is there already",
        begin=begin,
        ends="held",
        strangers=True,
        conducts=("ignore",),
    )


def _leave(setting: Setting[Server]) -> None:
    """The stranger's file stays where it is."""
