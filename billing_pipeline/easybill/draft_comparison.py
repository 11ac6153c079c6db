"""Holds what EASY Bill has against what was delivered: customers before the upload, drafts after it. Pure.

Which of EASY Bill's documents is a delivery's, and whether it is right, is decided here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from billing_pipeline import money
from billing_pipeline.easybill.api_models import Customer, EasyBillDocument
from billing_pipeline.oms.period import next_month
from billing_pipeline.problems import Code, Problem


@dataclass(frozen=True, slots=True)
class Expected:
    """One delivery whose draft is looked for; amounts in minor units of `currency`."""

    customer_number: str
    order_number: str
    currency: str
    price_basis: str
    net: int
    gross: int


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What EASY Bill has for one delivery.

    "confirmed": exactly one document, the amount equal to the cent; "mismatch": with `problem`; "missing": none (yet).
    `document` is the one it is about, where there is one. `is_cancelled`: there are some, and all are cancelled.
    """

    expected: Expected
    outcome: Literal["confirmed", "mismatch", "missing"]
    document: EasyBillDocument | None = None
    problem: Problem | None = None
    is_cancelled: bool = False


def days_of_documents(month: str) -> tuple[date, date]:
    """First and last day, inclusive, on which a month's documents are dated: in the month, or in the one after it."""
    after_next = date.fromisoformat(f"{next_month(next_month(month))}-01")
    return date.fromisoformat(f"{month}-01"), after_next - timedelta(days=1)


def customer_problems(found: Mapping[str, Sequence[Customer]]) -> list[Problem]:
    """A problem for every customer number that EASY Bill does not know exactly once.

    `found`: by number, those who have exactly it (`EasyBillApi.customers_by_number`).
    """
    problems = []
    for number, customers in sorted(found.items()):
        if len(customers) == 1:
            continue
        message = (
            "EASY Bill has no customer with this number: create them there, or correct the number in the OMS."
        )
        if customers:
            which = ", ".join(str(customer.id) for customer in customers)
            message = (
                f"EASY Bill has {len(customers)} customers with this number (ids {which}): leave it to one."
            )
        problems.append(Problem(Code.NOT_IN_EASYBILL, number, message, field="customer_number", value=number))
    return problems


def reconcile(
    deliveries: Iterable[Expected], documents: Collection[EasyBillDocument], language: str = "en"
) -> list[Reconciled]:
    """One result per delivery, in their order. `documents`: those of the account in which a draft may be.

    Amounts in problems are as people of `language` write them.

    A document is a delivery's where its order number is exactly that, or else where its title names it. Finished
    invoices count like drafts, cancelled ones only as a mismatch.
    """
    expected = list(deliveries)
    documents_of = _by_order({delivery.order_number for delivery in expected}, documents)
    return [_reconciled(delivery, documents_of[delivery.order_number], language) for delivery in expected]


def _by_order(
    order_numbers: Collection[str], documents: Iterable[EasyBillDocument]
) -> dict[str, list[EasyBillDocument]]:
    """The invoices of each order number; those of a title only where no invoice has the number itself."""
    numbered: dict[str, list[EasyBillDocument]] = {number: [] for number in order_numbers}
    titled: dict[str, list[EasyBillDocument]] = {number: [] for number in order_numbers}
    for document in documents:
        if document.type != "INVOICE":
            continue
        if document.order_number in numbered:
            numbered[document.order_number].append(document)
        elif named := [number for number in order_numbers if _names(document.title or "", number)]:
            # A customer number may begin like another: the longest is meant.
            titled[max(named, key=len)].append(document)
    return {number: own or titled[number] for number, own in numbered.items()}


def _names(title: str, order_number: str) -> bool:
    """Whether the title names the order number whole: `2026-10-70` and `2026-10-7-r2` do not name `2026-10-7`."""
    return order_number in title and bool(
        re.search(rf"(?<![\w.-]){re.escape(order_number)}(?![\w-]|\.\w)", title)
    )


def _reconciled(delivery: Expected, documents: Sequence[EasyBillDocument], language: str) -> Reconciled:
    valid = [document for document in documents if document.cancel_id is None]
    if not documents:
        return Reconciled(delivery, "missing")
    if len(valid) != 1:
        which = ", ".join(str(document.id) for document in valid or documents)
        message = (
            f"EASY Bill has {len(valid)} documents for this order (ids {which}): remove all but one there."
            if valid
            else f"The document for this order was cancelled in EASY Bill (id {which}): decide whether to bill again."
        )
        unclear = _mismatch(delivery, "order_number", delivery.order_number, message)
        return Reconciled(delivery, "mismatch", None, unclear, is_cancelled=not valid)
    document = valid[0]
    problem = _fault(delivery, document, language)
    return Reconciled(delivery, "mismatch" if problem else "confirmed", document, problem)


def _fault(delivery: Expected, document: EasyBillDocument, language: str) -> Problem | None:
    """The first thing that is wrong with the one document of a delivery: its customer, currency or amount."""
    if document.customer_number is not None and document.customer_number != delivery.customer_number:
        message = (
            f"Document {document.id} in EASY Bill is for customer {document.customer_number}, delivered was "
            f"{delivery.customer_number}: correct it there."
        )
        return _mismatch(delivery, "customer_number", document.customer_number, message)
    if document.currency != delivery.currency:
        message = f"Document {document.id} in EASY Bill is in {document.currency}, delivered was {delivery.currency}."
        return _mismatch(delivery, "currency", document.currency, message)
    amounts = [("gross", document.amount, delivery.gross)]
    if delivery.price_basis == "net":
        amounts.append(("net", document.amount_net, delivery.net))
    for name, shown, sent in amounts:
        # In hundredths, as EASY Bill counts; thousandths (of a dinar) stay fractions, which it cannot show.
        if shown != money.from_minor(sent, delivery.currency).scaleb(2):
            there = money.format_price(Decimal(shown).scaleb(-2), delivery.currency, language)
            ours = money.format_minor(sent, delivery.currency, language)
            message = (
                f"Document {document.id} in EASY Bill has a {name} amount of {there}, "
                f"delivered were {ours}: compare the draft with the file."
            )
            return _mismatch(delivery, name, str(shown), message)
    return None


def _mismatch(delivery: Expected, field: str, value: str, message: str) -> Problem:
    return Problem(
        Code.DRAFT_MISMATCH, delivery.customer_number, message, delivery.order_number, field, value
    )
