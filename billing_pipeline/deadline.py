"""By when something has to be done, on a clock that nobody sets."""

from __future__ import annotations

import math
import time
from typing import Self


class Deadline:
    """A point in time, so many seconds from now. Never changes; whoever is at work asks how long is left."""

    __slots__ = ("_at",)

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    @classmethod
    def never(cls) -> Self:
        """One that is never over."""
        return cls(math.inf)

    @property
    def remaining_s(self) -> float:
        """Seconds left; 0 once it is over."""
        return max(self._at - time.monotonic(), 0.0)

    @property
    def is_over(self) -> bool:
        """Whether it has passed."""
        return time.monotonic() >= self._at

    def within(self, seconds: float) -> Deadline:
        """The earlier of this one and one so many seconds from now."""
        return Deadline(min(seconds, self._at - time.monotonic()))
