"""Whether a month has suspiciously few or many lines compared with the months before it.

The cause is usually an OMS that was loaded only in part, or a wrong filter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

HISTORY_MONTHS: Final = 12
# With fewer months before, it is unknown what is usual.
FEWEST_MONTHS: Final = 3
# The number of lines of a small month varies a lot.
FEWEST_LINES: Final = 20
UNUSUAL_FACTOR: Final = 3
ABSURD_FACTOR: Final = 10


@dataclass(frozen=True, slots=True)
class SizeVerdict:
    """How a month compares with the median of the months before it."""

    size: Literal["usual", "unusual", "absurd"]
    sentence: str


def judge_size(lines: int, before: Sequence[int]) -> SizeVerdict:
    """Compares a month's number of lines with those of the months `before`.

    Unusual: more than 3 times larger or smaller than their median; absurd: more than 10 times, or empty. Usual, too, if
    both are small or there are too few months before.
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
