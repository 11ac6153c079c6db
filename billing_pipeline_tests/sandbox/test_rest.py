"""The REST API: customers and documents as published, over the same books as the importer."""

from __future__ import annotations

import re
from typing import Any

import httpx

from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline_tests.support.easybill_sandbox import import_rows
from billing_pipeline_tests.support.easybill_swagger import require_published_api

POSITION: dict[str, Any] = {
    "type": "POSITION",
    "number": "BATT-2",
    "description": "Battery change service",
    "quantity": 1,
    "single_price_gross": 17850,
    "vat_percent": 19,
}


def document(**changes: object) -> dict[str, object]:
    return {
        "type": "INVOICE",
        "order_number": "2026-10-10023",
        "external_id": "2026-10-10023",
        "document_date": "2026-10-31",
        "calc_vat_from": 1,
        "service_date": {"type": "SERVICE", "date_from": "2026-10-01", "date_to": "2026-10-31"},
        "items": [POSITION, {"type": "TEXT", "description": "- Front battery change"}],
        **changes,
    }


def created(api: httpx.Client, **changes: object) -> dict[str, Any]:
    response = api.post("/documents", json=document(**changes))
    assert response.status_code == 201, response.text
    shown: dict[str, Any] = response.json()
    return shown


def order_numbers(api: httpx.Client, query: str) -> list[str]:
    listed = api.get(f"/documents?{query}")
    assert listed.status_code == 200, listed.text
    return [item["order_number"] for item in listed.json()["items"]]


def test_every_answer_and_every_request_is_as_published(api: httpx.Client, api_sandbox: Sandbox) -> None:
    swagger = require_published_api()
    import_rows(
        api_sandbox, {}, {"order_number": "2", "tax_type": "export", "vat_percent": "0.00", "state": "SN"}
    )
    customer = api.post("/customers", json={"company_name": None, "last_name": "Roth", "emails": []}).json()
    created(api, customer_id=customer["id"], vat_option="IG", title="October", text="Danke", due_in_days=14)
    for path in (
        "/logins",
        "/logins/1",
        "/customers",
        "/customers/1",
        "/documents",
        "/documents/1",
        "/documents/3",
    ):
        assert api.get(path).status_code == 200
    assert api.get("/documents/1/pdf").status_code == 200
    assert api.put("/documents/1/done").status_code == 200
    assert api.get("/customers/9").status_code == 404
    assert len(api_sandbox.journal.exchanges) == 12
    for exchange in api_sandbox.journal.exchanges:
        assert swagger.request_faults(exchange.method, exchange.path, exchange.query, exchange.body) == []


def test_the_judge_of_answers_can_say_no() -> None:
    swagger = require_published_api()

    def faults(body: bytes) -> list[str]:
        return swagger.response_faults("GET", "/documents/1", 200, "application/json", body)

    assert faults(b'{"amount": 1, "items": [{"quantity": 1.5, "unit": null}]}') == []
    assert faults(b'{"amount": 1.5}') == ["amount: 1.5 is not of type 'integer'"]
    assert faults(b'{"order_number": null}') == ["order_number: None is not of type 'string'"]
    assert "items.0" in faults(b'{"items": [{"price": 1}]}')[0]
    assert faults(b'{"vat_option": "19"}')
    assert swagger.response_faults("GET", "/documents", 200, "application/json", b'{"items": []}')
    assert swagger.response_faults("GET", "/documents", 302, "application/json", b"") == [
        "status 302 is not published"
    ]
    assert "is_draft" in swagger.request_faults("POST", "/documents", "", b'{"is_draft": true}')[0]
    assert swagger.request_faults("GET", "/documents", "order_number=1&limit=1001", b"") == [
        "parameter order_number is not published",
        "parameter limit cannot be 1001",
    ]


def test_a_draft_of_the_importer_is_read_back_with_its_amounts(
    api: httpx.Client, api_sandbox: Sandbox
) -> None:
    import_rows(api_sandbox, {}, {"title": "Anfahrt", "quantity": "0.333", "item_price": "30.00"})
    (shown,) = api.get("/documents?is_draft=1").json()["items"]
    (draft,) = api_sandbox.drafts()
    assert (shown["amount"], shown["amount_net"]) == (draft.gross, draft.net) == (17850 + 999, 15000 + 839)
    assert (shown["order_number"], shown["is_draft"], shown["number"]) == ("2026-10-10023", True, None)
    assert [(item["quantity"], item["single_price_gross"]) for item in shown["items"]] == [
        (1.0, 17850.0),
        (0.333, 3000.0),
    ]
    assert shown["customer_snapshot"]["number"] == "10023"
    assert api.get(f"/documents/{shown['id']}").json() == shown


def test_what_was_sent_is_shown_again(api: httpx.Client, api_sandbox: Sandbox) -> None:
    customer = api_sandbox.add_customer("00123", company_name="Müller", country="DE")
    sent = document(customer_id=customer.id, title="Oktober", vat_option="IG", pdf_template="EN")
    shown = api.get(f"/documents/{api.post('/documents', json=sent).json()['id']}").json()
    assert {name: shown[name] for name in sent if name != "items"} == {
        name: value for name, value in sent.items() if name != "items"
    }
    assert [(item["type"], item["description"]) for item in shown["items"]] == [
        ("POSITION", "Battery change service"),
        ("TEXT", "- Front battery change"),
    ]
    (draft,) = api_sandbox.drafts()
    assert (draft.origin, draft.external_id, draft.customer_number) == ("api", "2026-10-10023", "00123")


def test_nothing_keeps_a_caller_from_creating_a_document_twice(api: httpx.Client) -> None:
    assert created(api)["id"] != created(api)["id"]


def test_a_request_that_is_not_as_published_is_refused_with_the_reason(
    api: httpx.Client, api_sandbox: Sandbox
) -> None:
    for body, reason in (
        (document(is_draft=True), "document: is_draft is not published"),
        (document(customer_id=4711), "document: there is no customer with id 4711"),
        ([], "the body is not a JSON object"),
    ):
        refused = api.post("/documents", json=body)
        assert (refused.status_code, refused.json()["code"]) == (400, 400)
        assert reason in refused.json()["message"]
    assert api_sandbox.drafts() == []


def test_documents_are_filtered_by_the_published_parameters(api: httpx.Client, api_sandbox: Sandbox) -> None:
    one = api_sandbox.add_customer("1", company_name="One")
    two = api_sandbox.add_customer("2", company_name="Two")
    created(api, order_number="a", customer_id=one.id, title="Patrick, Peter")
    created(api, order_number="b", customer_id=two.id, document_date="2026-11-30")
    created(api, order_number="c")
    api.put("/documents/3/done")
    for query, expected in {
        "": ["a", "b", "c"],
        "is_draft=1": ["a", "b"],
        "is_draft=0": ["c"],
        "type=INVOICE,CREDIT": ["a", "b", "c"],
        "type=CREDIT": [],
        f"customer_id={one.id}": ["a"],
        f"customer_id={one.id},{two.id}": ["a", "b"],
        f"customer_id[]={one.id}&customer_id[]={two.id}": ["a", "b"],
        "document_date=2026-10-31": ["a", "c"],
        "document_date=2026-11-01,2026-12-31": ["b"],
        "edited_at=2000-01-01,2000-01-02": [],
        "number=RE-1": ["c"],
        "cancel_id=null": ["a", "b", "c"],
        "title=Patrick, Peter": [],
    }.items():
        assert order_numbers(api, query) == expected, query
    api.headers["X-Easybill-Escape"] = "true"
    assert order_numbers(api, r"title=Patrick\, Peter,other") == ["a"]


def test_a_filter_that_is_not_published_is_refused(api: httpx.Client) -> None:
    for query in ("external_id=1", "order_number=1", "limit=0", "limit=1001", "page=0", "page=x"):
        assert api.get(f"/documents?{query}").status_code == 400, query


def test_a_list_comes_in_pages(api: httpx.Client) -> None:
    for number in range(5):
        created(api, order_number=str(number))
    first, last = (api.get(f"/documents?limit=2&page={page}").json() for page in (1, 3))
    assert {name: first[name] for name in ("page", "pages", "limit", "total")} == {
        "page": 1, "pages": 3, "limit": 2, "total": 5,
    }  # fmt: skip
    assert [item["order_number"] for item in first["items"]] == ["0", "1"]
    assert [item["order_number"] for item in last["items"]] == ["4"]
    assert order_numbers(api, "limit=2&page=4") == []
    assert api.get("/customers").json() == {"page": 1, "pages": 1, "limit": 100, "total": 0, "items": []}


def test_customers_are_found_by_exact_number_and_a_number_may_be_there_twice(
    api: httpx.Client, api_sandbox: Sandbox
) -> None:
    for number in ("123", "00123", "7", "7"):
        api_sandbox.add_customer(number, company_name="A")
    api_sandbox.add_customer("", company_name="Supplier", supplier_number="123")

    def found(query: str) -> list[int]:
        return [item["id"] for item in api.get(f"/customers?{query}").json()["items"]]

    assert found("number=123") == [1]
    assert found("number=00123,7") == [2, 3, 4]
    assert found("number=12") == []
    assert found("company_name=Supplier") == [5]


def test_a_customer_is_created_with_a_number_of_their_own_or_the_next(api: httpx.Client) -> None:
    first = api.post("/customers", json={"company_name": "A", "last_name": None, "number": "20000"})
    second = api.post("/customers", json={"company_name": None, "last_name": "Roth", "first_name": "Eva"})
    assert [(answer.status_code, answer.json()["number"]) for answer in (first, second)] == [
        (201, "20000"),
        (201, "20001"),
    ]
    assert second.json()["display_name"] == "Eva Roth"
    assert api.get("/customers/2").json() == second.json()
    for wrong in (
        {"company_name": "A", "last_name": None, "number": "20000"},
        {"company_name": "A"},
        {"company_name": None, "last_name": None},
        {"company_name": "A", "last_name": None, "id": 5},
        {"company_name": "A", "last_name": None, "emails": "a@example.com"},
    ):
        assert api.post("/customers", json=wrong).status_code == 400, wrong


def test_the_pdf_is_one_that_a_reader_can_find_its_way_in(api: httpx.Client) -> None:
    created(api, order_number=r"(10) \ 'äöü' 漢")
    pdf = api.get("/documents/1/pdf").content
    assert pdf.startswith(b"%PDF-1.4\n")
    start = int(re.findall(rb"startxref\n(\d+)\n%%EOF\n$", pdf)[0])
    assert pdf[start:].startswith(b"xref\n0 6\n")
    for number, offset in enumerate(re.findall(rb"(\d{10}) 00000 n ", pdf[start:]), start=1):
        assert pdf[int(offset) :].startswith(b"%d 0 obj" % number)
    length = int(re.findall(rb"/Length (\d+)", pdf)[0])
    assert len(re.findall(rb"stream\n(.*)\nendstream", pdf, re.DOTALL)[0]) == length
    assert rb"Order \(10\) \\ '" in pdf


def test_finalising_is_answered_and_is_a_violation(api: httpx.Client, api_sandbox: Sandbox) -> None:
    created(api)
    assert api_sandbox.journal.violations == []
    shown = api.put("/documents/1/done").json()
    assert (shown["is_draft"], shown["number"]) == (False, "RE-1")
    assert api_sandbox.drafts() == []
    assert api.delete("/documents/1").status_code == 400, "a finished invoice is cancelled, not deleted"
    assert api.put("/documents/9/done").status_code == 404
    assert [(call.method, call.path) for call in api_sandbox.journal.violations] == [
        ("PUT", "/documents/1/done"),
        ("DELETE", "/documents/1"),
        ("PUT", "/documents/9/done"),
    ]


def test_a_deleted_draft_is_gone_for_good_and_is_a_violation_unless_it_was_asked_for(
    api: httpx.Client, api_sandbox: Sandbox
) -> None:
    created(api)
    assert (api.delete("/documents/1").status_code, len(api_sandbox.journal.violations)) == (204, 1)
    api_sandbox.journal.may_delete = True
    assert (api.delete("/documents/1").status_code, api.get("/documents/1").status_code) == (404, 404)
    assert (api_sandbox.drafts(), len(api_sandbox.journal.violations)) == ([], 1)
