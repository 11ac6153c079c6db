"""One exchange with EASY Bill's API: credentials, the account's limits, time-outs, tries, and refusals as errors.

`Endpoint` is everything that can be asked. What is not among it cannot be called: nothing here finalises, sends,
changes or deletes a document. What an answer means is `api`'s business.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

import httpx
import tenacity

from billing_pipeline.easybill.api_errors import (
    ApiError,
    ApiTransient,
    ApiUnavailable,
    KeyRefused,
    OutcomeUnknown,
    RateLimitExhausted,
    RequestRefused,
    ResourceLocked,
)
from billing_pipeline.easybill.rate_limit import RateLimit
from billing_pipeline.easybill.words import cut, shortened
from billing_pipeline.problems import UsageError

MOST_REQUEST_LINE_BYTES: Final = 4094
_MOST_DURATION: Final = 10
"""A large page may take longer than one time-out to arrive, but an answer that drips ends after so many."""


class Endpoint(Enum):
    """Every call there is: method and path."""

    LIST_LOGINS = ("GET", "/logins")
    LIST_CUSTOMERS = ("GET", "/customers")
    LIST_DOCUMENTS = ("GET", "/documents")
    GET_DOCUMENT = ("GET", "/documents/{id}")
    GET_PDF = ("GET", "/documents/{id}/pdf")
    CREATE_DOCUMENT = ("POST", "/documents")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as it went, for the log. `status` is None where no answer came, `error` empty where all is well."""

    method: str
    path: str
    status: int | None
    duration_s: float
    error: str


class _TryAgain(Exception):
    """This try failed in a way that another may not. `tries` is how many may fail like it."""

    def __init__(self, error: ApiTransient, tries: int, after_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.tries = tries
        self.after_s = after_s


class ApiHttp:
    """A connection pool to one account. Threads may share it.

    `api_key` is the key, or `email:key` for Basic. `timeout_s` bounds each wait for the server. Requests that are
    safe to repeat are; one that creates a document only where it was certainly not taken.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        rate_limit: RateLimit,
        timeout_s: float = 30.0,
        on_exchange: Callable[[Exchange], None] = lambda exchange: None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        is_local = _check_url(self.base_url)
        authorization, self._secrets = _credentials(api_key)
        self._client = httpx.Client(
            headers={"Authorization": authorization, "Accept": "application/json, application/pdf"},
            timeout=timeout_s,
            # A connection that the server closes while idle would leave a request without an answer.
            limits=httpx.Limits(keepalive_expiry=1.0),
            transport=transport,
            # A proxy of the environment cannot reach this machine's own sandbox.
            trust_env=not is_local,
        )
        self._timeout_s = timeout_s
        self._rate_limit = rate_limit
        self._on_exchange = on_exchange
        self._sleep = sleep

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def path_of(self, endpoint: Endpoint, query: str = "", document_id: int | None = None) -> str:
        """The path and query of a request, below the host."""
        path = urlsplit(self.base_url).path + endpoint.value[1].replace("{id}", str(document_id))
        return f"{path}?{query}" if query else path

    def ask(
        self,
        endpoint: Endpoint,
        *,
        query: str = "",
        document_id: int | None = None,
        body: bytes | None = None,
        before_sending: Callable[[], None] = lambda: None,
    ) -> bytes:
        """The body of EASY Bill's good answer. `query` is encoded already.

        `before_sending` is called at every try, when its turn has come and before the first byte leaves: what it
        raises ends the request, and nothing is sent.

        Raises ApiPermanent where EASY Bill refuses; ApiTransient where it cannot be asked, after several tries;
        OutcomeUnknown where a document may have been created.
        """
        path = self.path_of(endpoint, query, document_id)
        if len(f"{endpoint.value[0]} {path} HTTP/1.1") > MOST_REQUEST_LINE_BYTES:
            raise RequestRefused(
                f"{_named(endpoint, path)}: EASY Bill takes no request line that long: ask for less"
            )
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgain),
            stop=_TriesUsed(),
            wait=_pause,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(self._once, endpoint, path, body, before_sending)
        except _TryAgain as last:
            raise last.error from last.__cause__

    def _once(
        self, endpoint: Endpoint, path: str, body: bytes | None, before_sending: Callable[[], None]
    ) -> bytes:
        self._rate_limit.wait()
        before_sending()
        method = endpoint.value[0]
        started = time.monotonic()
        status = None
        error = ""
        try:
            status, headers, answer = self._send(
                method, path, body, started + self._timeout_s * _MOST_DURATION
            )
            if 200 <= status < 300:
                return answer
            raise _refusal(endpoint, path, status, headers, _said(answer, self._secrets))
        except httpx.HTTPError as fault:
            failure = _no_answer(endpoint, path, fault)
            error = str(failure)
            raise failure from fault
        except (ApiError, _TryAgain) as fault:
            error = str(fault)
            raise
        finally:
            self._on_exchange(Exchange(method, cut(path, 500), status, time.monotonic() - started, error))

    def _send(
        self, method: str, path: str, body: bytes | None, deadline: float
    ) -> tuple[int, httpx.Headers, bytes]:
        url = httpx.URL(self.base_url).copy_with(raw_path=path.encode("ascii"))
        headers = {"Content-Type": "application/json"} if body is not None else {}
        answer = bytearray()
        with self._client.stream(method, url, content=body, headers=headers) as response:
            for part in response.iter_bytes():
                answer += part
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer does not end", request=response.request)
        return response.status_code, response.headers, bytes(answer)


def _credentials(api_key: str) -> tuple[str, tuple[str, ...]]:
    """The Authorization header, and what of it nobody may read. Raises UsageError for what can be no key."""
    if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise UsageError(
            "BILLING_EASYBILL_API_KEY: is no key; give it as it is, or as email:key, without blanks"
        )
    if ":" not in api_key:
        return f"Bearer {api_key}", (api_key,)
    encoded = base64.b64encode(api_key.encode()).decode()
    return f"Basic {encoded}", (encoded, api_key.partition(":")[2] or api_key)


def _check_url(base_url: str) -> bool:
    """Whether the API is on this machine. Raises UsageError for an address to which no key may be sent."""
    try:
        parts = urlsplit(base_url if base_url.isascii() else "")
    except ValueError:
        parts = urlsplit("")
    host = parts.hostname or ""
    is_local = host in ("localhost", "::1") or re.fullmatch(r"127\.[0-9.]+", host) is not None
    if not host or (parts.scheme != "https" and not (parts.scheme == "http" and is_local)):
        raise UsageError(
            f"BILLING_EASYBILL_API_URL: {shortened(base_url)} is no address that a key may be sent to; use https"
        )
    return is_local


def _named(endpoint: Endpoint, path: str) -> str:
    return f"EASY Bill, {endpoint.value[0]} {cut(path, 120)}"


class _TriesUsed:
    """Whether one kind of fault has come as often as it may; a pause at 429 uses up no try of a time-out."""

    def __init__(self) -> None:
        self._failed: Counter[tuple[type[ApiTransient], int]] = Counter()

    def __call__(self, state: tenacity.RetryCallState) -> bool:
        fault = state.outcome.exception() if state.outcome else None
        if not isinstance(fault, _TryAgain):
            return True
        kind = (type(fault.error), fault.tries)
        self._failed[kind] += 1
        return self._failed[kind] >= fault.tries


_exponential = tenacity.wait_exponential_jitter(initial=1, max=60)


def _pause(state: tenacity.RetryCallState) -> float:
    fault = state.outcome.exception() if state.outcome else None
    if isinstance(fault, _TryAgain) and fault.after_s is not None:
        return fault.after_s
    return float(_exponential(state))


def _no_answer(endpoint: Endpoint, path: str, fault: httpx.HTTPError) -> ApiError | _TryAgain:
    """What a failure of the connection means; the request may have arrived nevertheless."""
    named, kind = _named(endpoint, path), f"{type(fault).__name__}: {fault}".rstrip(": ")
    never_sent = isinstance(fault, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    if endpoint is Endpoint.CREATE_DOCUMENT and not never_sent:
        return OutcomeUnknown(
            f"{named}: no answer ({kind}); the draft may be there: look before creating it again"
        )
    error = ApiUnavailable(f"{named}: no answer ({kind}); check BILLING_EASYBILL_API_URL and the network")
    # Who waited for one time-out should not wait for many.
    is_timeout = isinstance(fault, httpx.TimeoutException)
    return _TryAgain(error, tries=2 if is_timeout else 4, after_s=0.5 if is_timeout else None)


def _refusal(
    endpoint: Endpoint, path: str, status: int, headers: httpx.Headers, words: str
) -> ApiError | _TryAgain:
    """What a status that is not a good one means; `words` are EASY Bill's own."""
    said = f"{_named(endpoint, path)}: {status} {words}".rstrip()
    if status in (401, 403):
        return KeyRefused(
            f"{said}: check BILLING_EASYBILL_API_KEY, and that the account's plan includes the API"
        )
    if status == 429:
        fault = RateLimitExhausted(f"{said}: others use the account's requests too; run again later")
        return _TryAgain(fault, tries=8, after_s=_retry_after(headers))
    if status == 409:
        return _TryAgain(ResourceLocked(f"{said}: EASY Bill works on it; run again later"), tries=6)
    if status >= 500 and endpoint is Endpoint.CREATE_DOCUMENT:
        return OutcomeUnknown(f"{said}: the draft may be there: look before creating it again")
    if status >= 500:
        return _TryAgain(ApiUnavailable(f"{said}: EASY Bill has a fault; run again later"), tries=4)
    return RequestRefused(f"{said}: nothing was changed there")


def _said(answer: bytes, secrets: Collection[str]) -> str:
    """EASY Bill's own words, on one line; a key that it repeats is left out."""
    text = answer.decode("utf-8", "replace")
    try:
        message = json.loads(text).get("message")
    except (ValueError, AttributeError):
        message = None
    words = message if isinstance(message, str) else text
    for secret in secrets:
        words = words.replace(secret, "***")
    return cut("".join(letter for letter in " ".join(words.split()) if letter.isprintable()), 300)


def _retry_after(headers: httpx.Headers) -> float | None:
    seconds = headers.get("Retry-After", "")
    return min(float(seconds), 120.0) if seconds.isdecimal() else None
