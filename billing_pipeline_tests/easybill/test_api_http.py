from __future__ import annotations

import ast
import base64
import traceback
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import billing_pipeline.easybill
from billing_pipeline.easybill.api_errors import (
    ApiError,
    ApiUnavailable,
    KeyRefused,
    OutcomeUnknown,
    RateLimitExhausted,
    RequestRefused,
    ResourceLocked,
)
from billing_pipeline.easybill.api_http import ApiHttp, Endpoint
from billing_pipeline.problems import UsageError
from billing_pipeline_tests.support.easybill_api import KEY, NoLimit, ScriptedApi

GOOD = httpx.Response(200, content=b"{}")
BUSY = httpx.Response(429)
LOST = httpx.RemoteProtocolError("Server disconnected without sending a response.")


def test_the_key_goes_as_bearer_or_with_an_address_as_basic() -> None:
    bearer, basic = ScriptedApi(GOOD), ScriptedApi(GOOD, api_key="max@example.com:secret")
    bearer.http.ask(Endpoint.LIST_LOGINS)
    basic.http.ask(Endpoint.LIST_LOGINS)
    assert bearer.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    encoded = base64.b64encode(b"max@example.com:secret").decode()
    assert basic.requests[0].headers["Authorization"] == f"Basic {encoded}"
    assert str(bearer.requests[0].url) == "https://api.easybill.de/rest/v1/logins"


def test_every_call_there_is_reads_creates_or_deletes_a_document() -> None:
    assert {endpoint.value for endpoint in Endpoint} == {
        ("GET", "/logins"),
        ("GET", "/customers"),
        ("GET", "/documents"),
        ("GET", "/documents/{id}"),
        ("GET", "/documents/{id}/pdf"),
        ("POST", "/documents"),
        ("DELETE", "/documents/{id}"),
    }


def test_one_step_alone_deletes_a_draft() -> None:
    top = Path(billing_pipeline.__path__[0])
    callers = {
        str(path.relative_to(top))
        for path in top.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("delete_document", "DELETE_DOCUMENT")
    }
    # The sandbox answers such a call, on loopback.
    assert callers - {"sandbox/rest.py"} == {"easybill/api.py", "steps/remove_draft.py"}


def test_nothing_in_the_room_can_finalise_send_or_change() -> None:
    folder = Path(billing_pipeline.easybill.__path__[0])
    users = []
    for path in sorted(folder.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
        attributes = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
        if "httpx" in names:
            users.append(path.name)
        assert not {"put", "patch", "delete", "post"} & attributes, path.name
        if path.name.startswith("api"):
            for word in ("PUT", "PATCH", "/done", "/send", "/cancel"):
                assert word not in source, (path.name, word)
    assert users == ["api_http.py", "bounded_network.py"]


@pytest.mark.parametrize(("status", "error"), [(429, RateLimitExhausted), (409, ResourceLocked)])
@pytest.mark.parametrize("endpoint", [Endpoint.LIST_DOCUMENTS, Endpoint.CREATE_DOCUMENT])
def test_what_was_certainly_not_taken_is_tried_again_with_growing_pauses(
    status: int, error: type[ApiError], endpoint: Endpoint
) -> None:
    api = ScriptedApi(httpx.Response(status), httpx.Response(status), GOOD)
    assert api.asked(endpoint) == b"{}"
    assert len(api.requests) == api.limit.requests == 3
    assert len(api.sleeps) == 2
    assert api.sleeps[0] < api.sleeps[1]
    refusing = ScriptedApi(httpx.Response(status, json={"code": status, "message": "Please wait."}))
    with pytest.raises(error, match=f"{status} Please wait"):
        refusing.asked(endpoint)
    assert 5 <= len(refusing.requests) <= 8
    assert sum(refusing.sleeps) < 300


def test_a_promised_pause_is_kept_up_to_a_bound() -> None:
    api = ScriptedApi(
        httpx.Response(429, headers={"Retry-After": "7"}),
        httpx.Response(429, headers={"Retry-After": "86400"}),
        GOOD,
    )
    api.http.ask(Endpoint.LIST_LOGINS)
    assert api.sleeps == [7, 120]


@pytest.mark.parametrize(
    "fault",
    [httpx.Response(500), httpx.Response(503), LOST, httpx.ConnectError("refused"), httpx.ReadError("reset")],
)
def test_a_question_is_asked_again_when_the_answer_is_lost(fault: httpx.Response | Exception) -> None:
    api = ScriptedApi(fault, fault, GOOD)
    assert api.http.ask(Endpoint.LIST_DOCUMENTS) == b"{}"
    with pytest.raises(ApiUnavailable):
        ScriptedApi(fault).http.ask(Endpoint.LIST_DOCUMENTS)


@pytest.mark.parametrize("fault", [httpx.ReadTimeout("slow"), httpx.ConnectTimeout("slow")])
def test_who_waited_for_two_time_outs_waits_no_longer(fault: Exception) -> None:
    api = ScriptedApi(fault)
    with pytest.raises(ApiUnavailable, match="BILLING_EASYBILL_API_URL"):
        api.http.ask(Endpoint.LIST_DOCUMENTS)
    assert len(api.requests) == 2
    assert sum(api.sleeps) <= 1


@pytest.mark.parametrize(
    "fault",
    [httpx.Response(500), httpx.Response(502), LOST, httpx.ReadTimeout("slow"), httpx.WriteError("x")],
)
def test_a_creation_without_an_answer_is_never_repeated(fault: httpx.Response | Exception) -> None:
    api = ScriptedApi(fault, GOOD)
    with pytest.raises(OutcomeUnknown, match="look before creating it again"):
        api.asked(Endpoint.CREATE_DOCUMENT, b"{}")
    assert len(api.requests) == 1


def test_each_kind_of_fault_has_its_own_number_of_tries() -> None:
    slow = httpx.ReadTimeout("slow")
    api = ScriptedApi(BUSY, slow, BUSY, LOST, LOST, BUSY, GOOD)
    assert api.http.ask(Endpoint.LIST_DOCUMENTS) == b"{}"


def test_a_creation_that_never_left_is_repeated() -> None:
    api = ScriptedApi(httpx.ConnectError("refused"), GOOD)
    assert api.asked(Endpoint.CREATE_DOCUMENT, b"{}") == b"{}"
    assert len(api.requests) == 2


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_names_the_setting_and_not_the_key(status: int) -> None:
    api = ScriptedApi(httpx.Response(status, json={"message": "API key invalid"}))
    with pytest.raises(
        KeyRefused, match=f"{status} API key invalid: check BILLING_EASYBILL_API_KEY"
    ) as refusal:
        api.http.ask(Endpoint.LIST_LOGINS)
    assert len(api.requests) == 1
    assert KEY not in str(refusal.value)


@pytest.mark.parametrize("api_key", [KEY, f"max@example.com:{KEY}"])
def test_a_key_that_easy_bill_repeats_is_not_told(api_key: str) -> None:
    encoded = base64.b64encode(api_key.encode()).decode()
    answer = httpx.Response(400, json={"message": f"Key {KEY} ({encoded}) is unknown"})
    api = ScriptedApi(answer, api_key=api_key)
    with pytest.raises(RequestRefused, match=r"400 Key \*\*\* \(") as refusal:
        api.http.ask(Endpoint.LIST_LOGINS)
    assert KEY not in str(refusal.value) + repr(api.exchanges)
    assert (encoded in str(refusal.value)) == (":" not in api_key)


@pytest.mark.parametrize("api_key", ["", "canary-key\n", "canary key", "canäry", "Bearer x"])
def test_what_is_no_key_is_refused_before_it_is_sent_and_not_told(api_key: str) -> None:
    with pytest.raises(UsageError, match="BILLING_EASYBILL_API_KEY") as refusal:
        ScriptedApi(GOOD, api_key=api_key)
    assert "can" not in str(refusal.value)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            b'{"code":400,"message":"items[1]: number\\nis wrong"}',
            "400 items[1]: number is wrong: nothing was changed",
        ),
        (b"<h1>Bad \x00\x1b[31mRequest</h1>", "400 <h1>Bad [31mRequest</h1>"),
        (b"", "POST /rest/v1/documents: 400: nothing was changed there"),
        (b'["x"]', '400 ["x"]'),
        (b"x" * 5000, "400 " + "x" * 299 + "…"),
    ],
)
def test_a_refusal_says_in_one_line_what_easy_bill_said(body: bytes, says: str) -> None:
    api = ScriptedApi(httpx.Response(400, content=body))
    with pytest.raises(RequestRefused) as refusal:
        api.asked(Endpoint.CREATE_DOCUMENT, b"{}")
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert refusal.value.exit_status == 3


def test_a_redirect_is_not_followed() -> None:
    api = ScriptedApi(httpx.Response(302, headers={"Location": "https://evil.example/"}))
    with pytest.raises(RequestRefused, match="302"):
        api.http.ask(Endpoint.LIST_LOGINS)
    assert len(api.requests) == 1


def test_a_request_line_longer_than_easy_bill_takes_is_not_sent() -> None:
    api = ScriptedApi(GOOD)
    longest = 4094 - len("GET /rest/v1/customers? HTTP/1.1")
    assert api.http.ask(Endpoint.LIST_CUSTOMERS, query="x" * longest) == b"{}"
    with pytest.raises(RequestRefused, match="no request line that long"):
        api.http.ask(Endpoint.LIST_CUSTOMERS, query="x" * (longest + 1))
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://api.easybill.de/rest/v1",
        "http://10.0.0.5/",
        "ftp://localhost/",
        "api.easybill.de",
        "",
        "https://",
        "http://[::1",
    ],
)
def test_a_key_is_sent_nowhere_without_encryption(url: str) -> None:
    with pytest.raises(UsageError, match="BILLING_EASYBILL_API_URL"):
        ApiHttp(url, KEY, rate_limit=NoLimit())


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/rest/v1", "http://localhost/x", "http://[::1]:80/", "https://x.example"]
)
def test_this_machine_may_be_asked_in_the_clear(url: str) -> None:
    ApiHttp(url, KEY, rate_limit=NoLimit()).close()


def test_an_answer_that_drips_for_ever_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    class Drip(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                now[0] += 0.9
                yield b" "

    monkeypatch.setattr("billing_pipeline.easybill.api_http.time.monotonic", lambda: now[0])
    api = ScriptedApi(httpx.Response(200, stream=Drip()), httpx.Response(200, stream=Drip()))
    with pytest.raises(ApiUnavailable, match="the answer does not end"):
        api.http.ask(Endpoint.LIST_LOGINS)
    assert now[0] < 25


def test_every_exchange_is_told_and_no_key_with_it() -> None:
    api = ScriptedApi(BUSY, httpx.ReadTimeout("slow"), httpx.Response(404, json={"message": "Not found"}))
    with pytest.raises(RequestRefused) as refusal:
        api.http.ask(Endpoint.GET_DOCUMENT, document_id=7)
    assert [(e.method, e.path, e.status) for e in api.exchanges] == [
        ("GET", "/rest/v1/documents/7", 429),
        ("GET", "/rest/v1/documents/7", None),
        ("GET", "/rest/v1/documents/7", 404),
    ]
    assert "404 Not found" in api.exchanges[2].error
    told = (
        "".join(traceback.format_exception(refusal.value))
        + repr(api.exchanges)
        + repr(api.http)
        + repr(api.requests)
    )
    assert KEY not in told
