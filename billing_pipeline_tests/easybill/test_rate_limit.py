"""When the next request may leave, after those that were booked before it."""

from __future__ import annotations

import random

import pytest

from billing_pipeline.easybill.api_errors import RateLimitExhausted
from billing_pipeline.easybill.rate_limit import Allowance


def booked_after(pauses: list[float], allowance: Allowance) -> list[float]:
    """The turns of callers who come after these pauses, each once the one before it was served."""
    now = 1_000_000.0
    booked: list[float] = []
    for pause in pauses:
        now += pause
        booked.append(allowance.next_turn(booked[-allowance.requests :], now))
        now = booked[-1]
    return booked


def most_in_a_minute(instants: list[float]) -> int:
    return max(sum(1 for other in instants if start <= other < start + 60) for start in instants)


def test_no_minute_has_more_requests_than_allowed() -> None:
    sent = booked_after([0.0] * 25 + [30.0] * 5 + [0.1] * 30, Allowance(10))
    assert most_in_a_minute(sent) == 10
    assert sent[-1] - sent[0] < 8 * 62


@pytest.mark.parametrize("seed", range(20))
def test_no_minute_has_more_requests_than_allowed_however_they_come(seed: int) -> None:
    chance = random.Random(seed)
    requests = chance.randint(1, 12)
    pauses = [chance.choice([0.0, chance.expovariate(0.2), 61.0]) for _ in range(200)]
    assert most_in_a_minute(booked_after(pauses, Allowance(requests))) <= requests


def test_who_would_wait_too_long_is_told_so() -> None:
    impatient = Allowance(1, most_wait_s=100)
    first = impatient.next_turn([], 0.0)
    second = impatient.next_turn([first], 0.0)
    assert (first, second) == (0.0, 61.0)
    with pytest.raises(RateLimitExhausted, match="BILLING_EASYBILL_REQUESTS_PER_MINUTE"):
        impatient.next_turn([second], 0.0)
    assert impatient.next_turn([second], 30.0) == 122.0


def test_a_clock_that_was_set_back_does_not_stop_the_pipeline() -> None:
    assert Allowance(1).next_turn([1_000_000.0], 1_000_000.0 - 86_400) == 1_000_000.0 - 86_400
