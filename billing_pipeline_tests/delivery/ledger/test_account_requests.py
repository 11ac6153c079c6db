"""An account's requests a minute are one allowance for all who share a ledger, on SQLite and on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from statistics import median

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from billing_pipeline.delivery.api.account import EasyBillAccount
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.tables import account_requests
from billing_pipeline.easybill.api_errors import RateLimitExhausted
from billing_pipeline.easybill.rate_limit import Allowance

ALLOWANCE = Allowance(5, most_wait_s=10_000)
BOOK = """
import sys
from billing_pipeline.delivery.ledger import open_ledger
from billing_pipeline.easybill.rate_limit import Allowance
ledger = open_ledger(sys.argv[1])
for _ in range(10):
    print(ledger.requests.book("account", Allowance(5, most_wait_s=10_000).next_turn, kept=100))
"""


def book(ledger: Ledger, account: str = "account", *, kept: int = 5) -> float:
    return ledger.requests.book(account, ALLOWANCE.next_turn, kept=kept)


def bookings(ledger: Ledger) -> list[float]:
    with ledger.database.reading() as connection:
        (booked,) = connection.execute(sa.select(account_requests.c.booked)).one()
    return list(booked)


def test_the_allowance_is_one_for_all_who_open_the_ledger_and_survives_a_restart(
    open_at: Callable[[], Ledger],
) -> None:
    assert [book(open_at()) for _ in range(5)] == [0.0] * 5
    assert 60 < book(open_at()) <= 61
    assert book(open_at(), "another account") == 0.0


def test_of_the_bookings_no_more_are_kept_than_are_looked_at(ledger: Ledger) -> None:
    for _ in range(12):
        book(ledger)
    assert len(bookings(ledger)) == 5


def test_what_is_refused_books_nothing(ledger: Ledger) -> None:
    impatient = Allowance(1, most_wait_s=10)
    ledger.requests.book("account", impatient.next_turn, kept=1)
    before = bookings(ledger)
    with pytest.raises(RateLimitExhausted):
        ledger.requests.book("account", impatient.next_turn, kept=1)
    assert bookings(ledger) == before


def test_processes_and_threads_share_one_allowance(ledger: Ledger, ledger_url: str) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", BOOK, ledger_url], stdout=subprocess.PIPE) for _ in range(2)
    ]
    threads = [threading.Thread(target=book, args=(ledger,), kwargs={"kept": 100}) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for child in children:
        child.communicate(timeout=60)
        assert child.returncode == 0
    booked = sorted(bookings(ledger))
    assert len(booked) == 30
    assert all(later - earlier >= 60 for earlier, later in zip(booked, booked[5:], strict=False))


def test_a_turn_costs_a_few_milliseconds(ledger: Ledger) -> None:
    generous = Allowance(600)

    def seconds() -> float:
        begin = time.perf_counter()
        ledger.requests.book("account", generous.next_turn, kept=600)
        return time.perf_counter() - begin

    assert median(seconds() for _ in range(100)) < 0.02


def test_clients_of_one_account_share_its_turns_and_the_ledger_has_no_key(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    asleep, here = time.sleep, threading.current_thread()

    def sleep(seconds: float) -> None:
        # Whoever watches over a connection sleeps in a thread of its own.
        slept.append(seconds) if threading.current_thread() is here else asleep(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    url = "http://127.0.0.1:1/rest/v1"
    for key in ("canary-key", "ann@example.org:canary-key", "canary-key"):
        with EasyBillAccount(url, SecretStr(key), 2).open(ledger) as api:
            api.wait_for_turn()
    assert len(slept) == 1
    assert 60 < slept[0] <= 61
    with ledger.database.reading() as connection:
        assert "canary" not in str(connection.execute(sa.select(account_requests)).all())
