"""At most so many requests a minute to EASY Bill, by all processes of this installation together.

The account has one allowance, and runs, sensors and commands share it: each takes its place in a small SQLite file
before it sends. Someone else may use the account too: what follows when EASY Bill says 429 is in `api_http`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, Protocol

from billing_pipeline.easybill.api_errors import RateLimitExhausted

WINDOW_S: Final = 60.0
_MARGIN_S: Final = 1.0
"""EASY Bill counts when a request arrives, we when it leaves; what is on its way differs by less than this."""

_LOCK_TIMEOUT_S: Final = 30.0


class RateLimit(Protocol):
    """Whoever says when the next request may be sent."""

    def wait(self) -> None:
        """Returns when a request may be sent. Raises RateLimitExhausted where that would take too long."""


class SharedRateLimit:
    """A sliding window that holds across threads and processes of one machine, and across restarts.

    In any window there are at most `requests`. A caller books the earliest free instant and sleeps until then, so
    callers are served in order and nobody polls; one that dies before it sends wastes its place, no more. Instants
    are wall-clock time, the only one that processes share: where the clock is set back, bookings further ahead than
    anyone waits (`most_wait_s`) are void.
    """

    def __init__(
        self,
        path: Path,
        requests: int,
        *,
        window_s: float = WINDOW_S,
        most_wait_s: float = 900.0,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._requests = requests
        self._window_s = window_s + _MARGIN_S
        self._most_wait_s = most_wait_s
        self._clock = clock
        self._sleep = sleep

    def wait(self) -> None:
        """Returns when a request may be sent. Raises RateLimitExhausted where that is too far off."""
        wait_s = self._book() - self._clock()
        if wait_s > 0:
            self._sleep(wait_s)

    def _book(self) -> float:
        """The instant at which the caller may send, booked."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=_LOCK_TIMEOUT_S, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            with database:
                database.execute("CREATE TABLE IF NOT EXISTS requests (sent_at REAL NOT NULL)")
                now = self._clock()
                database.execute(
                    "DELETE FROM requests WHERE sent_at <= ? OR sent_at > ?",
                    (now - self._window_s, now + self._most_wait_s),
                )
                newest = database.execute(
                    "SELECT sent_at FROM requests ORDER BY sent_at DESC LIMIT 1 OFFSET ?",
                    (self._requests - 1,),
                ).fetchone()
                at = max(now, newest[0] + self._window_s) if newest else now
                if at - now > self._most_wait_s:
                    raise RateLimitExhausted(
                        f"EASY Bill allows {self._requests} requests a minute, and those that wait here need "
                        f"{at - now:.0f} s: run again later, or raise BILLING_EASYBILL_REQUESTS_PER_MINUTE to what "
                        "the account's plan allows"
                    )
                database.execute("INSERT INTO requests VALUES (?)", (at,))
        return at
