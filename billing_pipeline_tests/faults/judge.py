"""The verdict on deliveries, from what the receivers saw under the final names. The ledger is not asked.

What the ledger or a run *said* is used in one place only: a file that no receiver saw is lost, unless the run
told that a person has to decide (held); told is not lost. And a file that was called delivered before any receiver
had it is lost, whatever came later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from billing_pipeline_tests.support.pollers import Seen


@dataclass
class Verdict:
    """How many files came out how. `faulty` names them, with what the receivers saw."""

    right: int = 0
    held: int = 0
    lost: int = 0
    doubled: int = 0
    torn: int = 0
    faulty: list[str] = field(default_factory=list)

    @property
    def files(self) -> int:
        return self.right + self.held + self.lost + self.doubled + self.torn

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.torn)

    def __str__(self) -> str:
        return f"{self.lost} lost, {self.doubled} doubled, {self.torn} torn, {self.held} held, {self.right} right"


def judge(
    expected: Mapping[str, str], told: Iterable[str], seen: Iterable[Seen], untrue: Iterable[str] = ()
) -> Verdict:
    """The verdict on each file of `expected` (name → SHA-256). `told`: the names that a run said to be held; `untrue`:
    those that `status` called delivered when they were not there.

    A file is right if it was seen exactly once, whole; torn if it was ever seen otherwise than whole; doubled if it
    was seen more than once.
    """
    told, untrue = set(told), set(untrue)
    sights: dict[str, list[Seen]] = defaultdict(list)
    for sight in seen:
        sights[sight.name].append(sight)
    verdict = Verdict()
    for name, sha256 in expected.items():
        hashes = [sight.sha256 for sight in sights[name]]
        if any(found != sha256 for found in hashes):
            verdict.torn += 1
        elif len(hashes) > 1:
            verdict.doubled += 1
        elif name in untrue:
            verdict.lost += 1
        elif hashes:
            verdict.right += 1
            continue
        elif name in told:
            verdict.held += 1
            continue
        else:
            verdict.lost += 1
        called = ", called delivered before it was there" if name in untrue else ""
        verdict.faulty.append(
            f"{name}: seen as {[(sight.inbox, sight.size) for sight in sights[name]]}{called}"
        )
    return verdict
