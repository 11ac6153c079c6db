from __future__ import annotations

import json
from datetime import date
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from billing_pipeline.easybill.api_errors import (
    AnswerUnexpected,
    ApiTransient,
    ApiUnavailable,
    OutcomeUnknown,
    RequestRefused,
    SeveralDocuments,
)
from billing_pipeline.easybill.api_models import minor_of
from billing_pipeline_tests.support.easybill_api import (
    ScriptedApi,
    a_shown_document,
    ok,
    page,
    served_by,
)

TIMED_OUT = httpx.ReadTimeout("slow")


def query_of(request: httpx.Request) -> dict[str, list[str]]:
    return parse_qs(request.url.query.decode())


def test_a_list_is_read_whole_in_pages_of_a_thousand() -> None:
    items = [a_shown_document(number) for number in range(2, 2003)]
    api = ScriptedApi(
        page(*items[1000:], number=1, pages=3, total=2001),
        page(*items[:500], number=2, pages=3, total=2001),
        page(*items[500:1000], number=3, pages=3, total=2001),
    )
    documents = api.client.documents(dated=(date(2026, 10, 1), date(2026, 11, 30)))
    assert [document.id for document in documents] == list(range(2, 2003))
    assert [query_of(request)["page"] for request in api.requests] == [["1"], ["2"], ["3"]]
    assert query_of(api.requests[0])["limit"] == ["1000"]
    assert query_of(api.requests[0])["document_date"] == ["2026-10-01,2026-11-30"]
    assert query_of(api.requests[0])["type"] == ["INVOICE"]


def test_a_list_that_changed_while_it_was_read_is_not_taken_for_whole() -> None:
    api = ScriptedApi(
        page(a_shown_document(1), number=1, pages=2, total=3),
        page(a_shown_document(1), number=2, pages=2, total=3),
    )
    with pytest.raises(ApiUnavailable, match="1 of 3 entries came"):
        api.client.documents()


def test_an_empty_list_is_empty() -> None:
    assert ScriptedApi(ok({"page": 1, "pages": 0, "limit": 1000, "total": 0})).client.documents() == []


class Customers:
    """The customers of an account, filtered as EASY Bill does; notes the length of each request line."""

    def __init__(self, *customers: dict[str, Any]) -> None:
        self.customers = customers
        self.lines: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.lines.append(f"GET {request.url.raw_path.decode()} HTTP/1.1")
        query = query_of(request)
        wanted = set(query.get("number[]", [])) | set(",".join(query.get("number", [])).split(","))
        return page(*(customer for customer in self.customers if customer["number"] in wanted))


def test_a_thousand_customers_are_looked_up_in_few_calls() -> None:
    account = Customers(*({"id": number, "number": str(number)} for number in range(10_000, 11_000)))
    found = served_by(account).customers_by_number(str(number) for number in range(10_000, 11_000))
    assert all(len(customers) == 1 for customers in found.values())
    assert len(found) == 1000
    assert len(account.lines) == 2
    assert all(len(line) <= 4094 for line in account.lines)


def test_long_and_strange_customer_numbers_are_looked_up_too() -> None:
    numbers = ["00123", "A&B=C", "Ä" * 40, "1,2", "a\\,b", "x y", *(f"K-{'9' * 250}-{i}" for i in range(40))]
    account = Customers(*({"id": index, "number": number} for index, number in enumerate(numbers)))
    found = served_by(account).customers_by_number(numbers)
    assert {number: [customer.number for customer in customers] for number, customers in found.items()} == {
        number: [number] for number in numbers
    }
    assert all(len(line) <= 4094 for line in account.lines)


def test_only_those_with_exactly_the_number_are_found() -> None:
    others = [
        {"id": 1, "number": "70"},
        {"id": 2, "number": None},
        {"id": 3, "number": "7"},
        {"id": 4, "number": "7"},
    ]
    found = ScriptedApi(page(*others)).client.customers_by_number(["7", "8"])
    assert {number: [customer.id for customer in customers] for number, customers in found.items()} == {
        "7": [3, 4],
        "8": [],
    }
    assert ScriptedApi(page()).client.customers_by_number([]) == {}


@pytest.mark.parametrize("amount", ["17850", "17850.0", "1.785E4"])
def test_cents_are_whole_whatever_form_the_number_has(amount: str) -> None:
    body = json.dumps(a_shown_document()).replace("17850", amount)
    document = ScriptedApi(httpx.Response(200, text=body)).client.document(1)
    assert document.amount == 17850
    assert type(document.amount) is int


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"amount": 17850.5}, "amount: Value error, 17850.5 is not a whole number of cents"),
        ({"amount": "17850"}, "amount: Value error, '17850' is not a number of cents"),
        ({"amount": True}, "amount: Value error, True is not a number of cents"),
        ({"amount": None}, "amount: Value error, None is not a number of cents"),
        ({"is_draft": None}, "is_draft: Input should be a valid boolean"),
        ({"id": "x"}, "id: Input should be a valid integer"),
    ],
)
def test_an_answer_that_is_not_as_described_is_not_taken(changed: dict[str, object], says: str) -> None:
    with pytest.raises(AnswerUnexpected) as refusal:
        ScriptedApi(ok(a_shown_document() | changed)).client.document(1)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"amount": NaN', b"\xff", b'{"id": 1}', b"[]"])
def test_an_answer_that_is_no_document_is_not_taken(body: bytes) -> None:
    with pytest.raises(AnswerUnexpected, match=r"EASY Bill, GET /documents/\{id\}: the answer is"):
        ScriptedApi(httpx.Response(200, content=body)).client.document(1)


def test_the_customer_of_a_document_is_the_one_in_its_snapshot() -> None:
    document = ScriptedApi(ok(a_shown_document(order_number=None))).client.document(1)
    assert (document.customer_id, document.customer_number, document.order_number) == (77, "10023", "")
    without = a_shown_document()
    del without["customer_snapshot"]
    assert ScriptedApi(ok(without)).client.document(1).customer_number is None


def test_a_document_is_found_by_its_order_among_the_customers() -> None:
    listed = page(
        a_shown_document(1, external_id="2026-09-10023", order_number="2026-09-10023"),
        a_shown_document(2, order_number="edited by a person"),
        a_shown_document(3, external_id=None, order_number=None),
    )
    api = ScriptedApi(listed)
    found = api.client.find_document(customer_id=77, order_number="2026-10-10023")
    assert found is not None
    assert found.id == 2
    assert query_of(api.requests[0])["customer_id"] == ["77"]
    assert ScriptedApi(page()).client.find_document(customer_id=77, order_number="2026-10-10023") is None


def test_two_documents_with_one_id_are_an_error_that_names_them() -> None:
    with pytest.raises(SeveralDocuments, match=r"2 documents of the order 2026-10-10023 \(documents 4, 9\)"):
        ScriptedApi(page(a_shown_document(9), a_shown_document(4))).client.find_document(
            customer_id=77, order_number="2026-10-10023"
        )


def create(api: ScriptedApi) -> int:
    return api.client.create_document({"type": "INVOICE"}).id


def methods(api: ScriptedApi) -> str:
    return " ".join(request.method for request in api.requests)


def test_an_imported_document_is_found_by_its_order_number() -> None:
    listed = page(a_shown_document(2, external_id=None))
    found = ScriptedApi(listed).client.find_document(customer_id=77, order_number="2026-10-10023")
    assert found is not None
    assert found.id == 2


@pytest.mark.parametrize("answer", [TIMED_OUT, httpx.Response(500), ok({"id": "seven"}, 201)])
def test_a_creation_without_a_clear_answer_is_in_doubt_and_not_tried_again(
    answer: httpx.Response | Exception,
) -> None:
    api = ScriptedApi(answer)
    with pytest.raises(OutcomeUnknown, match="before creating it again"):
        create(api)
    assert methods(api) == "POST"


def test_a_draft_that_appears_late_is_found() -> None:
    api = ScriptedApi(page(), page(a_shown_document(6)))
    found = api.client.find_late_document(customer_id=77, order_number="2026-10-10023")
    assert found is not None
    assert found.id == 6
    assert ScriptedApi(page()).client.find_late_document(customer_id=77, order_number="2026-10-10023") is None


@pytest.mark.parametrize("status", [429, 409])
def test_a_creation_is_one_request_and_whether_to_repeat_it_is_the_callers_word(status: int) -> None:
    api = ScriptedApi(httpx.Response(status), ok(a_shown_document(6), 201))
    tries = api.client.tries()
    with pytest.raises(ApiTransient) as refusal:
        create(api)
    assert (methods(api), api.sleeps) == ("POST", [])
    tries.pause_after(refusal.value)
    assert len(api.sleeps) == 1
    assert create(api) == 6


def test_the_turn_of_a_creation_is_the_callers_to_wait_for() -> None:
    api = ScriptedApi(ok(a_shown_document(6), 201))
    create(api)
    assert api.limit.requests == 0
    api.client.wait_for_turn()
    assert api.limit.requests == 1


def test_a_creation_in_doubt_is_never_said_to_be_worth_another_try() -> None:
    api = ScriptedApi(TIMED_OUT)
    with pytest.raises(OutcomeUnknown) as doubt:
        create(api)
    with pytest.raises(OutcomeUnknown):
        api.client.tries().pause_after(doubt.value)
    assert api.sleeps == []


def test_a_refused_creation_created_nothing() -> None:
    api = ScriptedApi(httpx.Response(400, json={"message": "customer_id: unknown"}))
    with pytest.raises(RequestRefused, match="customer_id: unknown: nothing was changed there"):
        create(api)


def test_a_pdf_is_a_pdf() -> None:
    assert ScriptedApi(httpx.Response(200, content=b"%PDF-1.7 x")).client.pdf(1) == b"%PDF-1.7 x"
    with pytest.raises(AnswerUnexpected, match="is no PDF"):
        ScriptedApi(httpx.Response(200, content=b"<html>")).client.pdf(1)


def test_the_link_is_for_people_where_there_is_a_page_for_them() -> None:
    public, sandbox = (
        ScriptedApi(ok(a_shown_document(5))),
        ScriptedApi(ok(a_shown_document(5)), base_url="http://127.0.0.1:80/rest/v1/"),
    )
    assert public.client.link(public.client.document(5)) == "https://app.easybill.de/documents/5"
    assert sandbox.client.link(sandbox.client.document(5)) == "http://127.0.0.1:80/rest/v1/documents/5"


def test_logins_are_who_uses_the_account() -> None:
    api = ScriptedApi(
        page({"id": 1, "display_name": "Max", "email": None, "login_type": "ADMIN", "phone": None})
    )
    assert [(login.display_name, login.email) for login in api.client.logins()] == [("Max", "")]


def test_easy_bill_counts_in_hundredths_of_any_currency() -> None:
    assert minor_of(17850, "EUR") == 17850
    assert minor_of(1250000, "JPY") == 12500
    assert minor_of(1250050, "JPY") == 12501
    assert minor_of(-1234, "KWD") == -12340
