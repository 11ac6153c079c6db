"""The same work on several items at a time, in threads: for what waits, as for a disk. To compute it gains nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    at_once: int,
    size_of: Callable[[Item], int],
    most_bytes: int,
) -> Generator[Result, None, None]:
    """What the function makes of each item, in their order: of at most so many at once, and of so many bytes.

    An item is asked for, in the caller's thread, only when there is room for one; one that is larger is done before the
    next is asked for. Raises: what the function does, in its item's turn; what has begun is finished first.
    """
    begun: deque[tuple[Future[Result], int]] = deque()
    size = 0
    with ThreadPoolExecutor(at_once) as threads:
        for item in items:
            begun.append((threads.submit(function, item), size_of(item)))
            size += begun[-1][1]
            while begun and (len(begun) == at_once or size > most_bytes):
                future, of_item = begun.popleft()
                yield future.result()
                size -= of_item
        for future, _ in begun:
            yield future.result()
