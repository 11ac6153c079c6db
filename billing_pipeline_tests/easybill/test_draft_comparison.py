from __future__ import annotations

import time
from datetime import date
from typing import Any

import pytest

from billing_pipeline.easybill.api_models import Customer, EasyBillDocument
from billing_pipeline.easybill.draft_comparison import (
    Expected,
    Reconciled,
    customer_problems,
    days_of_documents,
    reconcile,
)
from billing_pipeline_tests.support.easybill_api import a_shown_document

ORDER = "2026-10-10023"


def expected(order_number: str = ORDER, **changed: Any) -> Expected:
    values: dict[str, Any] = {
        "customer_number": "10023",
        "order_number": order_number,
        "currency": "EUR",
        "price_basis": "gross",
        "net": 15000,
        "gross": 17850,
    }
    return Expected(**(values | changed))


def shown(document_id: int = 1, **changed: Any) -> EasyBillDocument:
    return EasyBillDocument.model_validate(a_shown_document(document_id, **changed))


def only(delivery: Expected, *documents: EasyBillDocument) -> Reconciled:
    (result,) = reconcile([delivery], documents)
    return result


def test_a_draft_with_the_amount_to_the_cent_is_confirmed() -> None:
    result = only(expected(), shown(5), shown(6, order_number="2026-10-10024"))
    assert (result.outcome, result.problem) == ("confirmed", None)
    assert result.document is not None
    assert result.document.id == 5


def test_a_finished_invoice_is_confirmed_too() -> None:
    assert only(expected(), shown(is_draft=False, number="RE-1")).outcome == "confirmed"


def test_a_cent_of_difference_is_a_mismatch_that_says_both_amounts() -> None:
    result = only(expected(), shown(5, amount=17851))
    assert result.outcome == "mismatch"
    assert result.problem is not None
    assert result.problem.as_json() == {
        "code": "DRAFT_MISMATCH",
        "customer_number": "10023",
        "source_id": ORDER,
        "field": "gross",
        "value": "17851",
        "message": "Document 5 in EASY Bill has a gross amount of 178.51 EUR, delivered were 178.50 EUR: compare the "
        "draft with the file.",
    }


def test_the_net_counts_where_the_document_adds_up_net() -> None:
    off = shown(amount_net=15001)
    assert only(expected(), off).outcome == "confirmed"
    result = only(expected(price_basis="net"), off)
    assert result.problem is not None
    assert (result.outcome, result.problem.field) == ("mismatch", "net")


def test_the_wrong_customer_or_currency_is_a_mismatch() -> None:
    for changed in ({"customer_snapshot": {"number": "7"}}, {"currency": "CHF"}):
        assert only(expected(), shown(**changed)).outcome == "mismatch"
    assert only(expected(), shown(customer_snapshot=None)).outcome == "confirmed"


def test_no_draft_is_missing_and_no_fault_yet() -> None:
    for documents in ([], [shown(order_number="2026-10-1002")], [shown(type="OFFER")]):
        result = only(expected(), *documents)
        assert (result.outcome, result.problem, result.document) == ("missing", None, None)


def test_two_drafts_of_one_order_are_a_mismatch_that_names_them() -> None:
    result = only(expected(), shown(5), shown(9))
    assert result.problem is not None
    assert "2 documents for this order (ids 5, 9)" in result.problem.message


def test_a_cancelled_draft_is_no_draft() -> None:
    result = only(expected(), shown(5, cancel_id=8))
    assert result.problem is not None
    assert "was cancelled in EASY Bill (id 5)" in result.problem.message
    assert only(expected(), shown(5, cancel_id=8), shown(9)).outcome == "confirmed"


@pytest.mark.parametrize(
    ("title", "outcome"),
    [
        (ORDER, "confirmed"),
        (f"Rechnung zur Bestellung #{ORDER}.", "confirmed"),
        (f"({ORDER})", "confirmed"),
        (f"{ORDER}-r2", "missing"),
        (f"{ORDER}4", "missing"),
        (f"{ORDER}.4", "missing"),
        (f"X{ORDER}", "missing"),
        (f"X-{ORDER}", "missing"),
        ("", "missing"),
        (None, "missing"),
    ],
)
def test_a_title_that_names_the_order_whole_will_do(title: str | None, outcome: str) -> None:
    assert only(expected(), shown(title=title, order_number="")).outcome == outcome
    assert only(expected(), shown(title=title, order_number="EB-4711")).outcome == outcome


def test_a_title_belongs_to_the_longest_order_it_names() -> None:
    deliveries = [expected("2026-10-7", customer_number="7"), expected("2026-10-7 A", customer_number="7 A")]
    titled = shown(title="Order 2026-10-7 A", order_number="", customer_snapshot=None)
    assert [result.outcome for result in reconcile(deliveries, [titled])] == ["missing", "confirmed"]


def test_the_order_number_itself_goes_before_a_title() -> None:
    result = only(expected(), shown(5), shown(6, order_number="", title=ORDER))
    assert result.document is not None
    assert (result.outcome, result.document.id) == ("confirmed", 5)


def test_yen_are_compared_in_easy_bills_hundredths() -> None:
    yen = expected(currency="JPY", net=12500, gross=12500)
    assert only(yen, shown(currency="JPY", amount=1_250_000)).outcome == "confirmed"
    result = only(yen, shown(currency="JPY", amount=12_500))
    assert result.problem is not None
    assert "125 JPY, delivered were 12,500 JPY:" in result.problem.message


def test_a_month_of_five_thousand_is_reconciled_in_a_moment() -> None:
    deliveries = [expected(f"2026-10-{number}", customer_number=str(number)) for number in range(5000)]
    documents = [
        shown(number, order_number=f"2026-10-{number}", customer_snapshot={"number": str(number)})
        for number in range(5000)
    ]
    started = time.monotonic()
    results = reconcile(deliveries, documents)
    assert time.monotonic() - started < 2
    assert {result.outcome for result in results} == {"confirmed"}
    assert [result.expected for result in results] == deliveries


def test_a_customer_must_be_there_exactly_once() -> None:
    def customer(customer_id: int) -> Customer:
        return Customer(id=customer_id, number="7")

    problems = customer_problems({"8": [], "7": [customer(1), customer(2)], "9": [customer(3)]})
    assert [(str(problem.code), problem.customer_number, problem.value) for problem in problems] == [
        ("NOT_IN_EASYBILL", "7", "7"),
        ("NOT_IN_EASYBILL", "8", "8"),
    ]
    assert "2 customers with this number (ids 1, 2)" in problems[0].message
    assert "create them there" in problems[1].message


def test_yen_are_compared_in_hundredths_and_thousandths_of_a_dinar_cannot_match() -> None:
    yen = expected(currency="JPY", net=10000, gross=11900)
    assert only(yen, shown(currency="JPY", amount=1190000, amount_net=1000000)).outcome == "confirmed"
    assert only(yen, shown(currency="JPY", amount=1190050, amount_net=1000000)).outcome == "mismatch"
    dinar = expected(currency="KWD", net=15000, gross=17855)
    assert only(dinar, shown(currency="KWD", amount=1785, amount_net=1500)).outcome == "mismatch"


def test_documents_of_a_month_are_dated_in_it_or_in_the_next_one() -> None:
    assert days_of_documents("2026-10") == (date(2026, 10, 1), date(2026, 11, 30))
    assert days_of_documents("2026-12") == (date(2026, 12, 1), date(2027, 1, 31))
