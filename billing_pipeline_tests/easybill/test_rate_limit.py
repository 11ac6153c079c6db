from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from billing_pipeline.easybill.api_errors import RateLimitExhausted
from billing_pipeline.easybill.rate_limit import SharedRateLimit


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limit(path: Path, clock: Clock, requests: int = 10) -> SharedRateLimit:
    return SharedRateLimit(path / "requests.db", requests, clock=clock, sleep=clock.sleep)


def most_in_a_minute(instants: list[float]) -> int:
    return max(sum(1 for other in instants if start <= other < start + 60) for start in instants)


def test_no_minute_has_more_requests_than_allowed(tmp_path: Path, clock: Clock) -> None:
    ours = limit(tmp_path, clock)
    sent = []
    for pause in [0.0] * 25 + [30.0] * 5 + [0.1] * 30:
        clock.sleep(pause)
        ours.wait()
        sent.append(clock.now)
    assert most_in_a_minute(sent) == 10
    assert sent[-1] - sent[0] < 8 * 62


def test_the_limit_is_one_for_all_and_survives_a_restart(tmp_path: Path, clock: Clock) -> None:
    started = clock.now
    for _ in range(10):
        limit(tmp_path, clock).wait()
    assert clock.now == started
    limit(tmp_path, clock).wait()
    assert clock.now >= started + 60


def test_who_would_wait_too_long_is_told_and_books_nothing(tmp_path: Path, clock: Clock) -> None:
    impatient = SharedRateLimit(
        tmp_path / "requests.db", 1, most_wait_s=100, clock=clock, sleep=lambda seconds: None
    )
    impatient.wait()
    impatient.wait()
    for _ in range(3):
        with pytest.raises(RateLimitExhausted, match="BILLING_EASYBILL_REQUESTS_PER_MINUTE"):
            impatient.wait()
    clock.sleep(30)
    impatient.wait()


def test_a_clock_that_was_set_back_does_not_stop_the_pipeline(tmp_path: Path, clock: Clock) -> None:
    ours = limit(tmp_path, clock, requests=1)
    ours.wait()
    clock.now -= 86_400
    before = clock.now
    ours.wait()
    assert clock.now == before


BOOK = """
import sys
from pathlib import Path
from billing_pipeline.easybill.rate_limit import SharedRateLimit
ours = SharedRateLimit(Path(sys.argv[1]), 5, sleep=lambda seconds: None)
for _ in range(10):
    ours.wait()
"""


def test_processes_and_threads_share_one_limit(tmp_path: Path) -> None:
    path = tmp_path / "fresh" / "requests.db"
    children = [subprocess.Popen([sys.executable, "-c", BOOK, str(path)]) for _ in range(2)]
    ours = SharedRateLimit(path, 5, sleep=lambda seconds: None)
    threads = [threading.Thread(target=ours.wait) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    with closing(sqlite3.connect(path)) as database:
        booked = [at for (at,) in database.execute("SELECT sent_at FROM requests ORDER BY sent_at")]
    assert len(booked) == 30
    assert all(later - earlier >= 60 for earlier, later in zip(booked, booked[5:], strict=False))
