"""An EASY Bill API for tests that answers as it is told, and notes what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from billing_pipeline.easybill.api import EasyBillApi
from billing_pipeline.easybill.api_errors import ApiTransient
from billing_pipeline.easybill.api_http import ApiHttp, Endpoint, Exchange

KEY = "canary-key-4711"
URL = "https://api.easybill.de/rest/v1"
Answer = httpx.Response | Exception


class NoLimit:
    """A rate limit that counts and never waits."""

    def __init__(self) -> None:
        self.requests = 0

    def wait(self) -> None:
        self.requests += 1


class ScriptedApi:
    """Answers one request after another from a list; the last answer repeats. Sleeping is noted, not done."""

    def __init__(self, *answers: Answer, base_url: str = URL, api_key: str = KEY) -> None:
        self.requests: list[httpx.Request] = []
        self.sleeps: list[float] = []
        self.exchanges: list[Exchange] = []
        self.limit = NoLimit()
        self._answers = list(answers)
        self.http = ApiHttp(
            base_url,
            api_key,
            rate_limit=self.limit,
            timeout_s=1.0,
            log=self,
            transport=httpx.MockTransport(self._answer),
            sleep=self.sleeps.append,
        )
        self.client = EasyBillApi(self.http, sleep=self.sleeps.append)

    def record(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    def asked(self, endpoint: Endpoint, body: bytes | None = None) -> bytes:
        """The answer to a request that is made as often as may be."""
        tries = self.http.tries()
        while True:
            self.http.wait_for_turn()
            try:
                return self.http.ask_once(endpoint, body=body)
            except ApiTransient as fault:
                tries.pause_after(fault)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def served_by(handler: Callable[[httpx.Request], httpx.Response]) -> EasyBillApi:
    """A client whose every request `handler` answers."""
    http = ApiHttp(URL, KEY, rate_limit=NoLimit(), transport=httpx.MockTransport(handler))
    return EasyBillApi(http)


def ok(body: object, status: int = 200) -> httpx.Response:
    return httpx.Response(status, content=json.dumps(body).encode())


def page(*items: object, number: int = 1, pages: int = 1, total: int | None = None) -> httpx.Response:
    """One page of a list."""
    count = len(items) if total is None else total
    return ok({"page": number, "pages": pages, "limit": 1000, "total": count, "items": items})


def a_shown_document(document_id: int = 1, **changed: Any) -> dict[str, Any]:
    """A draft as the API shows it, as far as it is read."""
    return {
        "id": document_id,
        "type": "INVOICE",
        "is_draft": True,
        "number": None,
        "order_number": "2026-10-10023",
        "external_id": "2026-10-10023",
        "title": None,
        "customer_id": 77,
        "customer_snapshot": {"id": 77, "number": "10023"},
        "document_date": "2026-10-31",
        "currency": "EUR",
        "amount": 17850,
        "amount_net": 15000,
        "cancel_id": None,
    } | changed
