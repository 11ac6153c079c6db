"""What every request of the API passes first: request line, credentials, rate limit, faults on demand. No content.

Pure ASGI, so that an answer can be withheld after the deed was done.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
import time
from collections import deque
from collections.abc import Callable, MutableMapping
from contextlib import suppress

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from billing_pipeline.sandbox.fault_injection import Exchange, Faults, Journal, Trouble

BASE_PATH = "/rest/v1"
MAX_REQUEST_LINE = 4094
_REFUSALS = {
    Trouble.SERVER_ERROR: (500, "Internal Server Error"),
    Trouble.LOCKED: (409, "Resource is locked. Try again later."),
    Trouble.TOO_MANY_REQUESTS: (429, "Too Many Requests"),
}


def refusal(status: int, message: str, headers: MutableMapping[str, str] | None = None) -> JSONResponse:
    """An error as the API answers it. That its body has this form is not in the published description."""
    return JSONResponse({"code": status, "message": message}, status_code=status, headers=headers)


class RateLimit:
    """So many requests in any window of that many seconds; None is no limit."""

    def __init__(
        self, requests: int | None, window_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._requests = requests
        self._window_s = window_s
        self._clock = clock
        self._taken: deque[float] = deque()

    def take(self) -> float:
        """0 if the request may pass, otherwise the seconds until one may. Requests refused do not count."""
        if self._requests is None:
            return 0.0
        now = self._clock()
        while self._taken and self._taken[0] <= now - self._window_s:
            self._taken.popleft()
        if len(self._taken) >= self._requests:
            return self._taken[0] + self._window_s - now
        self._taken.append(now)
        return 0.0


class Gate:
    """Wraps the application; `hang_up` resets the connection of a client, given its address."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        email: str,
        api_key: str,
        rate_limit: RateLimit,
        send_retry_after: bool,
        faults: Faults,
        journal: Journal,
        hang_up: Callable[[tuple[str, int]], None],
    ) -> None:
        self._app = app
        self._accepted = (f"Bearer {api_key}".encode(), f"{email}:{api_key}".encode())
        self._rate_limit = rate_limit
        self._send_retry_after = send_retry_after
        self._faults = faults
        self._journal = journal
        self._hang_up = hang_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        path = scope["path"].removeprefix(BASE_PATH)
        body = await _read_body(receive)
        sent: list[Message] = []

        async def collect(message: Message) -> None:
            sent.append(message)

        met = None
        response = self._refuse(scope)
        if response is None and (met := self._faults.meet(method, path)) and met[0] in _REFUSALS:
            response = refusal(*_REFUSALS[met[0]])
        await (response or self._app)(scope, _body_once(body), collect)
        query = scope["query_string"].decode("latin-1")
        self._journal.note(Exchange(method, path, query, body, sent[0]["status"]))

        match met:
            case (Trouble.REPLY_CUT_OFF, _):
                self._hang_up(scope["client"])
                await _disconnected(receive)
                return
            case (Trouble.NO_REPLY, _):
                await _disconnected(receive)
                return
            case (Trouble.SLOW, seconds):
                # A caller that goes away, or a sandbox that stops, ends the waiting.
                with suppress(TimeoutError):
                    await asyncio.wait_for(_disconnected(receive), seconds)
        for message in sent:
            await send(message)

    def _refuse(self, scope: Scope) -> JSONResponse | None:
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        if (
            len(f"{scope['method']} ") + len(target) + len(f" HTTP/{scope['http_version']}")
            > MAX_REQUEST_LINE
        ):
            return refusal(414, "Request-URI Too Large")
        if not self._lets_in(dict(scope["headers"]).get(b"authorization", b"")):
            return refusal(401, "Unauthorized")
        if wait_s := self._rate_limit.take():
            retry_after = {"Retry-After": str(int(wait_s) + 1)} if self._send_retry_after else None
            return refusal(429, "Too Many Requests", retry_after)
        return None

    def _lets_in(self, authorization: bytes) -> bool:
        bearer, basic = self._accepted
        if authorization.startswith(b"Basic "):
            try:
                given = base64.b64decode(authorization.removeprefix(b"Basic "), validate=True)
            except binascii.Error:
                return False
            return secrets.compare_digest(given, basic)
        return secrets.compare_digest(authorization, bearer)


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def _body_once(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
