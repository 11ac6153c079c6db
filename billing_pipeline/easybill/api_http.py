"""One exchange with EASY Bill's API: credentials, the account's limits, time-outs, tries, and refusals as errors.

`Endpoint` is everything that can be asked. What is not among it cannot be called: nothing here finalises, sends or
changes a document, and what deletes one is asked through `api` alone. What an answer means is `api`'s business.
"""

from __future__ import annotations

import base64
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol
from urllib.parse import urlsplit

import httpx

from billing_pipeline.deadline import Deadline
from billing_pipeline.easybill.api_errors import (
    ApiError,
    ApiTransient,
    ApiUnavailable,
    KeyRefused,
    NotFound,
    OutcomeUnknown,
    RateLimitExhausted,
    RequestRefused,
    ResourceLocked,
)
from billing_pipeline.easybill.bounded_network import bound_answers
from billing_pipeline.easybill.layout import cut, shortened
from billing_pipeline.easybill.rate_limit import RateLimit
from billing_pipeline.problems import UsageError

MOST_REQUEST_LINE_BYTES: Final = 4094
_LONGEST_PAUSE_S: Final = 60.0
_MOST_DURATION: Final = 10
"""A large page may take longer than one time-out to arrive, but an answer that drips ends after so many."""

_MOST_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""More than any page of documents or PDF has."""


class Endpoint(Enum):
    """Every call there is: method and path."""

    LIST_LOGINS = ("GET", "/logins")
    LIST_CUSTOMERS = ("GET", "/customers")
    LIST_DOCUMENTS = ("GET", "/documents")
    GET_DOCUMENT = ("GET", "/documents/{id}")
    GET_PDF = ("GET", "/documents/{id}/pdf")
    CREATE_DOCUMENT = ("POST", "/documents")
    DELETE_DOCUMENT = ("DELETE", "/documents/{id}")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as it went, for the log. `status` is None where no answer came, `error` empty where all is well."""

    method: str
    path: str
    status: int | None
    duration_s: float
    error: str


class ExchangeLog(Protocol):
    """Keeps what was exchanged."""

    def record(self, exchange: Exchange) -> None:
        """Called when the exchange is over, before its answer is used."""


class Tries:
    """How often the tries of one request have failed, by kind: a pause at 429 uses up no try of a time-out."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep = sleep
        self._failed: Counter[tuple[type[ApiTransient], int]] = Counter()

    def pause_after(self, fault: ApiTransient) -> None:
        """Wait until the request may be made again. Raises: the fault, where it has come as often as it may."""
        kind = (type(fault), fault.tries)
        self._failed[kind] += 1
        if self._failed[kind] >= fault.tries:
            raise fault
        growing_s = min(2.0 ** (self._failed.total() - 1) + random.random(), _LONGEST_PAUSE_S)  # noqa: S311
        self._sleep(growing_s if fault.after_s is None else fault.after_s)


class ApiHttp:
    """A connection pool to one account. Threads may share it.

    `api_key` is the key, or `email:key` for Basic. `timeout_s` bounds each wait for the server.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        rate_limit: RateLimit,
        timeout_s: float = 30.0,
        log: ExchangeLog | None = None,
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
        bound_answers(self._client, timeout_s * _MOST_DURATION)
        self._timeout_s = timeout_s
        self._rate_limit = rate_limit
        self._log = log
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
    ) -> bytes:
        """The body of EASY Bill's good answer to a question, which is asked again if need be. `query` is encoded.

        Raises ApiPermanent where EASY Bill refuses; ApiTransient where it cannot be asked, after several tries.
        """
        tries = self.tries()
        while True:
            self.wait_for_turn()
            try:
                return self.ask_once(endpoint, query=query, document_id=document_id)
            except ApiTransient as fault:
                tries.pause_after(fault)

    def tries(self) -> Tries:
        """The tries of one request that is about to be made."""
        return Tries(self._sleep)

    def wait_for_turn(self) -> None:
        """Returns when the account's limit lets one request leave. Raises RateLimitExhausted."""
        self._rate_limit.wait()

    def ask_once(
        self,
        endpoint: Endpoint,
        *,
        query: str = "",
        document_id: int | None = None,
        body: bytes | None = None,
    ) -> bytes:
        """The body of EASY Bill's good answer to exactly one request, whose turn has come.

        Raises ApiPermanent where EASY Bill refuses; OutcomeUnknown where a document may have been created; any other
        ApiTransient where nothing was, and another try may help.
        """
        path = self.path_of(endpoint, query, document_id)
        if len(f"{endpoint.value[0]} {path} HTTP/1.1") > MOST_REQUEST_LINE_BYTES:
            raise RequestRefused(
                f"{_named(endpoint, path)}: EASY Bill takes no request line that long: ask for less"
            )
        method = endpoint.value[0]
        started = time.monotonic()
        status = None
        error = ""
        try:
            status, headers, answer = self._send(
                method, path, body, Deadline(self._timeout_s * _MOST_DURATION)
            )
            if 200 <= status < 300:
                return answer
            raise _refusal(endpoint, path, status, headers, _said(answer, self._secrets))
        except httpx.HTTPError as fault:
            failure = _no_answer(endpoint, path, fault)
            error = str(failure)
            raise failure from fault
        except ApiError as fault:
            error = str(fault)
            raise
        finally:
            if self._log is not None:
                duration_s = time.monotonic() - started
                self._log.record(Exchange(method, cut(path, 500), status, duration_s, error))

    def _send(
        self, method: str, path: str, body: bytes | None, deadline: Deadline
    ) -> tuple[int, httpx.Headers, bytes]:
        url = httpx.URL(self.base_url).copy_with(raw_path=path.encode("ascii"))
        headers = {"Content-Type": "application/json"} if body is not None else {}
        answer = bytearray()
        with self._client.stream(method, url, content=body, headers=headers) as response:
            for part in response.iter_bytes():
                answer += part
                if len(answer) > _MOST_ANSWER_BYTES:
                    raise httpx.ReadTimeout("the answer does not end", request=response.request)
                if deadline.is_over:
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


def _no_answer(endpoint: Endpoint, path: str, fault: httpx.HTTPError) -> ApiError:
    """What a failure of the connection means; the request may have arrived nevertheless."""
    named, kind = _named(endpoint, path), f"{type(fault).__name__}: {fault}".rstrip(": ")
    never_sent = isinstance(fault, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    if endpoint is Endpoint.CREATE_DOCUMENT and not never_sent:
        return OutcomeUnknown(
            f"{named}: no answer ({kind}); the draft may be there: look before creating it again"
        )
    # Who waited for one time-out should not wait for many.
    is_timeout = isinstance(fault, httpx.TimeoutException)
    return ApiUnavailable(
        f"{named}: no answer ({kind}); check BILLING_EASYBILL_API_URL and the network",
        tries=2 if is_timeout else 4,
        after_s=0.5 if is_timeout else None,
    )


def _refusal(endpoint: Endpoint, path: str, status: int, headers: httpx.Headers, words: str) -> ApiError:
    """What a status that is not a good one means; `words` are EASY Bill's own."""
    said = f"{_named(endpoint, path)}: {status} {words}".rstrip()
    if status in (401, 403):
        return KeyRefused(
            f"{said}: check BILLING_EASYBILL_API_KEY, and that the account's plan includes the API"
        )
    if status == 404:
        return NotFound(f"{said}: EASY Bill has no such thing, or no longer")
    if status == 429:
        return RateLimitExhausted(
            f"{said}: others use the account's requests too; run again later",
            tries=8,
            after_s=_retry_after(headers),
        )
    if status == 409:
        return ResourceLocked(f"{said}: EASY Bill works on it; run again later", tries=6)
    if status >= 500 and endpoint is Endpoint.CREATE_DOCUMENT:
        return OutcomeUnknown(f"{said}: the draft may be there: look before creating it again")
    if status >= 500:
        return ApiUnavailable(f"{said}: EASY Bill has a fault; run again later", tries=4)
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
