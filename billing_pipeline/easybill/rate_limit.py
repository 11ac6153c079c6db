"""At most so many requests a minute to EASY Bill: when the next may leave, after those that were booked before it.

The account has one allowance, and runs, sensors and commands of all hosts share it: the ledger keeps what was booked.
Someone else may use the account too: what follows when EASY Bill says 429 is in `api_http`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from billing_pipeline.easybill.api_errors import RateLimitExhausted

_WINDOW_S: Final = 60.0
_MARGIN_S: Final = 1.0
"""EASY Bill counts when a request arrives, we when it leaves; what is on its way differs by less than this."""


class RateLimit(Protocol):
    """Whoever says when the next request may be sent."""

    def wait(self) -> None:
        """Returns when a request may be sent. Raises RateLimitExhausted where that would take too long."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """A sliding window: in any minute there are at most `requests`, and nobody waits longer than `most_wait_s`.

    A caller books the earliest free instant and sleeps until then, so callers are served in order and nobody polls; one
    that dies before it sends wastes its place, no more.
    """

    requests: int
    most_wait_s: float = 900.0

    def next_turn(self, booked: Sequence[float], now: float) -> float:
        """The instant of the next request, in seconds; `booked`: those of the last ones, oldest first.

        Where the clock was set back, bookings further ahead than anyone waits are void. Raises: RateLimitExhausted.
        """
        window_s = _WINDOW_S + _MARGIN_S
        valid = sorted(at for at in booked if now - window_s < at <= now + self.most_wait_s)
        at = max(now, valid[-self.requests] + window_s) if len(valid) >= self.requests else now
        if at - now > self.most_wait_s:
            raise RateLimitExhausted(
                f"EASY Bill allows {self.requests} requests a minute, and those that wait here need {at - now:.0f} s: "
                "run again later, or raise BILLING_EASYBILL_REQUESTS_PER_MINUTE to what the account's plan allows"
            )
        return at
