"""What the sandbox's API does wrong on demand, set from Python and never over HTTP; and what was asked of it.

Faults change what the API answers, never the books: `Sandbox.drafts()` stays the truth.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

_KEPT_EXCHANGES = 10_000


class Trouble(StrEnum):
    """What can befall one request."""

    SERVER_ERROR = "server error"  # 500, nothing was done
    LOCKED = "locked"  # 409, nothing was done
    TOO_MANY_REQUESTS = "too many requests"  # 429, nothing was done
    SLOW = "slow"  # done and answered, after `seconds`
    NO_REPLY = "no reply"  # done, and the caller waits until its own time-out
    REPLY_CUT_OFF = "reply cut off"  # done, and the connection is reset instead of an answer


@dataclass(slots=True)
class _Planned:
    trouble: Trouble
    method: str
    path: str
    times: int
    seconds: float


class Faults:
    """The faults in force. May be changed from any thread while the API serves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[_Planned] = []
        self._changed_amounts: dict[str, int] = {}
        self._lost_drafts: set[str] = set()

    def on_request(
        self, trouble: Trouble, *, method: str = "*", path: str = "*", times: int = 1, seconds: float = 0.0
    ) -> None:
        """The next `times` requests of `method` to `path` (patterns; `/documents/*`) meet with `trouble`."""
        with self._lock:
            self._planned.append(_Planned(trouble, method, path, times, seconds))

    def change_amount(self, order_number: str, by_cents: int) -> None:
        """The API shows that order's draft with another amount, as if somebody had edited it."""
        with self._lock:
            self._changed_amounts[order_number] = by_cents

    def lose_draft(self, order_number: str) -> None:
        """The API shows no draft of that order."""
        with self._lock:
            self._lost_drafts.add(order_number)

    def clear(self) -> None:
        """All is well again."""
        with self._lock:
            self._planned.clear()
            self._changed_amounts.clear()
            self._lost_drafts.clear()

    def meet(self, method: str, path: str) -> tuple[Trouble, float] | None:
        """What this request meets with, and for how many seconds; it is then used up."""
        with self._lock:
            for planned in self._planned:
                if fnmatchcase(method, planned.method) and fnmatchcase(path, planned.path):
                    planned.times -= 1
                    if planned.times == 0:
                        self._planned.remove(planned)
                    return planned.trouble, planned.seconds
        return None

    def amount_off_by(self, order_number: str) -> int:
        """By how many cents the amount of an order's draft is shown wrong."""
        with self._lock:
            return self._changed_amounts.get(order_number, 0)

    def is_lost(self, order_number: str) -> bool:
        """Whether the draft of an order is hidden."""
        with self._lock:
            return order_number in self._lost_drafts


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as it arrived, and the status it was answered with. `path` begins after the API's base."""

    method: str
    path: str
    query: str
    body: bytes
    status: int


@dataclass(slots=True)
class Journal:
    """What was asked of the API.

    `violations` are the requests that a billing pipeline must never make: those that finalise, send, change or
    delete, whatever they were answered. They are all kept; of the exchanges only the last 10,000 are. Where somebody
    has asked for a draft to be removed, it `may_delete`.
    """

    exchanges: deque[Exchange] = field(default_factory=lambda: deque(maxlen=_KEPT_EXCHANGES))
    violations: list[Exchange] = field(default_factory=list)
    may_delete: bool = False

    def note(self, exchange: Exchange) -> None:
        """Keeps one exchange."""
        self.exchanges.append(exchange)
        is_removal = exchange.method == "DELETE" and exchange.path.startswith("/documents/")
        if is_removal and self.may_delete:
            return
        if exchange.method != "GET" and (exchange.method, exchange.path) not in _HARMLESS:
            self.violations.append(exchange)


_HARMLESS = {("POST", "/customers"), ("POST", "/documents")}
