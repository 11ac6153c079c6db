"""Credentials, request line, rate limit, and the faults on demand: each as a client meets it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx
import pytest

from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline.sandbox.fault_injection import Trouble
from billing_pipeline.sandbox.gate import RateLimit
from billing_pipeline_tests.support.easybill_sandbox import api_client, import_rows

DOCUMENT = {"order_number": "1", "items": [{"single_price_net": 100, "vat_percent": 19}]}


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Bearer", "Basic !", "Basic d3Jvbmc6d3Jvbmc="])
def test_without_the_right_key_nothing_is_answered(
    api: httpx.Client, api_sandbox: Sandbox, authorization: str
) -> None:
    assert api.get("/documents", headers={"Authorization": authorization}).status_code == 401
    assert api.post("/documents", json=DOCUMENT, headers={"Authorization": authorization}).status_code == 401
    assert api_sandbox.drafts() == []


def test_basic_credentials_are_taken_as_well(api_sandbox: Sandbox) -> None:
    url = f"{api_sandbox.api_url}/logins"
    for email, status in ((api_sandbox.api_email, 200), ("other@example.com", 401)):
        answer = httpx.get(url, auth=(email, api_sandbox.api_key), trust_env=False)
        assert answer.status_code == status


def test_a_request_line_of_4094_bytes_is_the_longest(api: httpx.Client) -> None:
    rest = len("GET /rest/v1/customers?number= HTTP/1.1")
    assert api.get("/customers?number=" + "1" * (4094 - rest)).status_code == 200
    assert api.get("/customers?number=" + "1" * (4095 - rest)).status_code == 414


def test_the_rate_limit_holds_and_says_how_long_only_when_told_to(tmp_path: Path) -> None:
    for send_retry_after in (False, True):
        with (
            Sandbox(
                tmp_path, import_interval_s=None, requests_per_minute=3, send_retry_after=send_retry_after
            ) as sandbox,
            api_client(sandbox) as api,
        ):
            answers = [api.get("/logins") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert ("retry-after" in answers[3].headers) == send_retry_after


def test_the_rate_limit_is_a_sliding_window_and_refusals_do_not_count() -> None:
    now = 0.0
    limit = RateLimit(2, clock=lambda: now)
    assert [limit.take(), limit.take(), limit.take()] == [0, 0, 60]
    now = 59.0
    assert limit.take() == 1
    now = 60.0
    assert [limit.take(), limit.take(), limit.take()] == [0, 0, 60]
    assert RateLimit(None).take() == 0


@pytest.mark.parametrize(
    ("trouble", "status"),
    [(Trouble.SERVER_ERROR, 500), (Trouble.LOCKED, 409), (Trouble.TOO_MANY_REQUESTS, 429)],
)
def test_a_refusal_on_demand_does_nothing_and_is_over_after_its_times(
    api: httpx.Client, api_sandbox: Sandbox, trouble: Trouble, status: int
) -> None:
    api_sandbox.faults.on_request(trouble, method="POST", path="/documents", times=2)
    assert api.get("/documents").status_code == 200
    # Who is not let in uses up no fault.
    assert api.post("/documents", headers={"Authorization": "Bearer wrong"}).status_code == 401
    answers = [api.post("/documents", json=DOCUMENT).status_code for _ in range(3)]
    assert answers == [status, status, 201]
    assert len(api_sandbox.drafts()) == 1


def test_a_lost_reply_leaves_the_draft_and_the_caller_in_doubt(api_sandbox: Sandbox) -> None:
    api_sandbox.faults.on_request(Trouble.NO_REPLY, method="POST")
    api_sandbox.faults.on_request(Trouble.REPLY_CUT_OFF, method="POST")
    with api_client(api_sandbox, timeout_s=0.5) as api:
        with pytest.raises(httpx.ReadTimeout):
            api.post("/documents", json=DOCUMENT)
        assert len(api_sandbox.drafts()) == 1
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            api.post("/documents", json=DOCUMENT)
        assert len(api_sandbox.drafts()) == 2
        assert api.get("/documents").json()["total"] == 2


def test_a_slow_answer_comes_after_its_time(api: httpx.Client, api_sandbox: Sandbox) -> None:
    api_sandbox.faults.on_request(Trouble.SLOW, path="/logins", seconds=0.3)
    started = time.monotonic()
    assert api.get("/logins").status_code == 200
    assert time.monotonic() - started >= 0.3


def test_a_changed_amount_and_a_missing_draft_are_seen_by_the_api_only(
    api: httpx.Client, api_sandbox: Sandbox
) -> None:
    import_rows(api_sandbox, {}, {"order_number": "2"})
    api_sandbox.faults.change_amount("2026-10-10023", -1)
    api_sandbox.faults.lose_draft("2")
    listed = api.get("/documents").json()
    assert [item["amount"] for item in listed["items"]] == [17849]
    assert (listed["total"], api.get("/documents/2").status_code) == (1, 404)
    assert [draft.gross for draft in api_sandbox.drafts()] == [17850, 17850]
    api_sandbox.faults.clear()
    assert [item["amount"] for item in api.get("/documents").json()["items"]] == [17850, 17850]


def test_a_stop_does_not_wait_for_slow_answers(tmp_path: Path) -> None:
    outcome: list[str] = []

    def ask(sandbox: Sandbox) -> None:
        with api_client(sandbox, timeout_s=60) as api:
            try:
                api.get("/logins")
            except httpx.TransportError as error:
                outcome.append(type(error).__name__)

    with Sandbox(tmp_path, import_interval_s=None) as sandbox:
        sandbox.faults.on_request(Trouble.SLOW, seconds=60)
        caller = threading.Thread(target=ask, args=(sandbox,))
        caller.start()
        while not sandbox.journal.exchanges:
            time.sleep(0.01)
        started = time.monotonic()
    assert time.monotonic() - started < 4
    caller.join()
    assert outcome in (["ReadError"], ["RemoteProtocolError"])
