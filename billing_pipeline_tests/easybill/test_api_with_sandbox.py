"""The client against EASY Bill in a box: real HTTP, real drafts, requests judged by the published description."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from billing_pipeline.easybill.api import EasyBillApi, open_api
from billing_pipeline.easybill.api_errors import KeyRefused, OutcomeUnknown
from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.document_columns import DocumentColumns
from billing_pipeline.easybill.draft_comparison import Expected, reconcile
from billing_pipeline.easybill.draft_request import draft_request
from billing_pipeline.easybill.render import render_csv, render_files
from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline.sandbox.fault_injection import Trouble
from billing_pipeline_tests.golden.documents import CASES, GROSS
from billing_pipeline_tests.support.documents import a_document
from billing_pipeline_tests.support.easybill_api import NoLimit
from billing_pipeline_tests.support.easybill_sandbox import judged_sandbox, put_file

OCTOBER = (date(2026, 10, 1), date(2026, 11, 30))


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that imports when told to; at the end every request made of it is judged."""
    with judged_sandbox(tmp_path / "sandbox") as running:
        yield running


def opened(sandbox: Sandbox, folder: Path, api_key: str = "", timeout_s: float = 10.0) -> EasyBillApi:
    assert sandbox.api_url is not None
    return open_api(
        sandbox.api_url,
        api_key or sandbox.api_key,
        rate_limit=NoLimit(),
        timeout_s=timeout_s,
    )


@pytest.fixture
def api(sandbox: Sandbox, tmp_path: Path) -> Iterator[EasyBillApi]:
    with opened(sandbox, tmp_path) as client:
        yield client


def expected(document: Document) -> Expected:
    return Expected(
        customer_number=document.customer_number,
        order_number=document.order_number,
        currency=document.currency,
        price_basis=document.price_basis,
        net=document.net,
        gross=document.gross,
    )


def delivered(sandbox: Sandbox, *documents: Document) -> None:
    """The documents' files, imported."""
    for document in documents:
        put_file(sandbox, document.file_name, render_csv(document, GROSS))
    assert sandbox.import_now().refused == ()


# The golden documents are nearly all of one customer; each gets an order number of its own.
GROSS_DOCUMENTS = [
    replace(document, order_number=f"{document.order_number}/{name}", file_name=f"{name}.csv")
    for name, (document, layout) in CASES.items()
    if layout is GROSS
]


def test_the_drafts_of_our_files_are_equal_to_the_cent(sandbox: Sandbox, api: EasyBillApi) -> None:
    delivered(sandbox, *GROSS_DOCUMENTS)
    results = reconcile(map(expected, GROSS_DOCUMENTS), api.documents(dated=OCTOBER))
    assert {result.outcome for result in results} == {"confirmed"}
    assert len(results) == len(CASES) - 1


def test_a_changed_amount_and_a_missing_draft_are_told(sandbox: Sandbox, api: EasyBillApi) -> None:
    first, second, third = GROSS_DOCUMENTS[:3]
    delivered(sandbox, first, second, third)
    sandbox.faults.change_amount(first.order_number, 1)
    sandbox.faults.lose_draft(second.order_number)
    results = reconcile(map(expected, (first, second, third)), api.documents(dated=OCTOBER))
    assert [result.outcome for result in results] == ["mismatch", "missing", "confirmed"]


def test_customers_are_found_by_exact_number(sandbox: Sandbox, api: EasyBillApi) -> None:
    for number in ("00123", "123", "A,B", "A", "Ü 7"):
        sandbox.add_customer(number, company_name=f"Customer {number}")
    found = api.customers_by_number(["00123", "A,B", "Ü 7", "9"])
    assert {number: [customer.number for customer in customers] for number, customers in found.items()} == {
        "00123": ["00123"],
        "A,B": ["A,B"],
        "Ü 7": ["Ü 7"],
        "9": [],
    }


def test_a_thousand_customers_are_checked_and_confirmed_in_at_most_ten_calls(
    sandbox: Sandbox, api: EasyBillApi
) -> None:
    documents = [a_document(customer_number=str(number)) for number in range(10_000, 11_000)]
    # One file with all orders: the importer takes it, and it is quicker than a thousand files.
    files = list(render_files(DocumentColumns.of(documents), GROSS))
    header = files[0][: files[0].index(b"\n") + 1]
    put_file(sandbox, "all.csv", header + b"".join(file.removeprefix(header) for file in files))
    assert sandbox.import_now().refused == ()
    before = len(sandbox.journal.exchanges)
    found = api.customers_by_number(document.customer_number for document in documents)
    results = reconcile(map(expected, documents), api.documents(dated=OCTOBER))
    assert all(len(customers) == 1 for customers in found.values())
    assert {result.outcome for result in results} == {"confirmed"}
    assert len(sandbox.journal.exchanges) - before <= 10


@pytest.mark.parametrize("name", CASES)
def test_a_draft_made_through_the_api_is_equal_to_the_cent(
    sandbox: Sandbox, api: EasyBillApi, name: str
) -> None:
    document = CASES[name][0]
    customer = sandbox.add_customer(document.customer_number, company_name="x")
    request = draft_request(document, customer_id=customer.id)
    made = api.create_document(request)
    assert made.is_draft
    assert reconcile([expected(document)], api.documents(dated=OCTOBER))[0].outcome == "confirmed"
    found = api.find_document(customer_id=customer.id, order_number=document.order_number)
    assert found is not None
    assert found.id == made.id
    assert api.pdf(made.id).startswith(b"%PDF-")


@pytest.mark.parametrize("trouble", [Trouble.NO_REPLY, Trouble.REPLY_CUT_OFF])
def test_a_creation_whose_reply_is_lost_is_in_doubt_and_found(
    sandbox: Sandbox, tmp_path: Path, trouble: Trouble
) -> None:
    document = a_document()
    customer = sandbox.add_customer("10023", company_name="x")
    sandbox.faults.on_request(trouble, method="POST", path="/documents")
    with opened(sandbox, tmp_path, timeout_s=1.0) as api:
        with pytest.raises(OutcomeUnknown):
            api.create_document(draft_request(document, customer_id=customer.id))
        found = api.find_document(customer_id=customer.id, order_number=document.order_number)
    assert found is not None
    assert [draft.id for draft in sandbox.drafts()] == [found.id]


def test_a_creation_that_failed_is_not_repeated_by_itself(sandbox: Sandbox, api: EasyBillApi) -> None:
    customer = sandbox.add_customer("10023", company_name="x")
    sandbox.faults.on_request(Trouble.SERVER_ERROR, method="POST", path="/documents")
    with pytest.raises(OutcomeUnknown, match="500 Internal Server Error"):
        api.create_document(draft_request(a_document(), customer_id=customer.id))
    assert sandbox.drafts() == []


@pytest.mark.parametrize("trouble", [Trouble.LOCKED, Trouble.TOO_MANY_REQUESTS, Trouble.SERVER_ERROR])
def test_a_passing_fault_passes(sandbox: Sandbox, api: EasyBillApi, trouble: Trouble) -> None:
    sandbox.faults.on_request(trouble, method="GET", path="/logins")
    assert len(api.logins()) == 1


def test_a_wrong_key_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    with opened(sandbox, tmp_path, api_key="canary-key") as api, pytest.raises(KeyRefused) as refusal:
        api.logins()
    assert "BILLING_EASYBILL_API_KEY" in str(refusal.value)
    assert "canary-key" not in str(refusal.value)
