"""Work on several items at a time: in order, never too many, and a failure in its turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator

import pytest

from billing_pipeline.side_by_side import side_by_side as side_by_side_of_any_size


def side_by_side(
    function: Callable[[int], int], items: Iterable[int], *, at_once: int
) -> Generator[int, None, None]:
    """Of items that weigh nothing."""
    return side_by_side_of_any_size(function, items, at_once=at_once, size_of=lambda item: 0, most_bytes=1)


def test_results_come_in_the_order_of_the_items() -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.01 if number % 2 == 0 else 0)
        return number * number

    assert list(side_by_side(slow_first, range(9), at_once=4)) == [number * number for number in range(9)]


def test_nothing_to_do_is_fine() -> None:
    assert list(side_by_side(abs, [], at_once=2)) == []


def test_so_many_are_worked_on_at_once_and_no_item_is_asked_for_before() -> None:
    asked = done = most = 0
    lock = threading.Lock()

    def items() -> Iterator[int]:
        nonlocal asked, most
        for number in range(20):
            with lock:
                asked += 1
                most = max(most, asked - done)
            yield number

    def work(number: int) -> int:
        nonlocal done
        time.sleep(0.002)
        with lock:
            done += 1
        return number

    together = threading.Barrier(3, timeout=10)
    assert list(side_by_side(lambda number: (together.wait(), number)[1], range(3), at_once=3)) == [0, 1, 2]
    assert list(side_by_side(work, items(), at_once=3)) == list(range(20))
    assert most <= 3


def test_large_items_are_worked_on_alone_and_small_ones_up_to_so_many_bytes() -> None:
    working = 0
    seen: list[tuple[int, int]] = []
    lock = threading.Lock()

    def work(size: int) -> int:
        nonlocal working
        with lock:
            working += size
            seen.append((size, working))
        time.sleep(0.01)
        with lock:
            working -= size
        return size

    sizes = [3, 3, 3, 100, 3, 3, 100, 100, 10, 3]
    results = side_by_side_of_any_size(work, sizes, at_once=4, size_of=lambda size: size, most_bytes=10)
    assert list(results) == sizes
    assert max(together for size, together in seen if size == 100) <= 110
    assert max(together for size, together in seen if size < 100) <= 13


def test_a_failure_comes_in_its_turn_and_what_has_begun_is_finished() -> None:
    finished: list[int] = []

    def work(number: int) -> int:
        if number == 1:
            raise ValueError("one")
        time.sleep(0.02)
        finished.append(number)
        return number

    results = side_by_side(work, range(9), at_once=3)
    assert next(results) == 0
    with pytest.raises(ValueError, match="one"):
        next(results)
    assert len(finished) >= 2
    assert max(finished) < 9 - 1


def test_who_stops_listening_leaves_nothing_running() -> None:
    running: set[str] = set()

    def work(number: int) -> int:
        running.add(threading.current_thread().name)
        time.sleep(0.01)
        return number

    results = side_by_side(work, range(9), at_once=3)
    assert next(results) == 0
    results.close()
    assert not {thread.name for thread in threading.enumerate()} & running
