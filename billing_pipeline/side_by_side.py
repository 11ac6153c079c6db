"""The same work on several items at a time, in threads: for what waits, as for a disk. To compute it gains nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    function: Callable[[Item], Result], items: Iterable[Item], *, at_once: int
) -> Generator[Result, None, None]:
    """What the function makes of each item, in their order, of at most so many at once.

    An item is asked for, in the caller's thread, only when a thread is free for it: of a large month there are never
    more in memory. Raises: what the function does, in its item's turn; what has begun is finished first.
    """
    begun: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(at_once) as threads:
        for item in items:
            begun.append(threads.submit(function, item))
            if len(begun) == at_once:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
