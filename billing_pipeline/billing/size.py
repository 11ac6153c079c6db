"""Whether a month is suspiciously empty or large against its own history: a half-loaded OMS, a wrong filter.

Pure; how many lines a month has is counted elsewhere, and what follows from the verdict is not decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

HISTORY_MONTHS: Final = 12
# With fewer months nobody can say what is usual.
FEWEST_MONTHS: Final = 3
# A month with a handful of lines doubles for no reason.
FEWEST_LINES: Final = 20
UNUSUAL_FACTOR: Final = 3
ABSURD_FACTOR: Final = 10


@dataclass(frozen=True, slots=True)
class SizeVerdict:
    """How a month compares with the median of the months before it."""

    size: Literal["usual", "unusual", "absurd"]
    sentence: str


def judge_size(lines: int, before: Sequence[int]) -> SizeVerdict:
    """The verdict on a month of so many lines, after months of so many.

    Unusual: beyond a factor of 3; absurd: beyond 10, or empty. Where both are small or the months few: usual.
    """
    if len(before) < FEWEST_MONTHS:
        return SizeVerdict("usual", f"{lines} lines; too few months before it to compare with")
    usual = median(before)
    compared = f"{lines} lines; the {len(before)} months before it have {usual:g} in the median"
    if max(lines, usual) < FEWEST_LINES:
        return SizeVerdict("usual", compared)
    smaller, larger = sorted((lines, usual))
    if smaller == 0 or larger > ABSURD_FACTOR * smaller:
        return SizeVerdict("absurd", compared)
    return SizeVerdict("unusual" if larger > UNUSUAL_FACTOR * smaller else "usual", compared)
