"""Reads the drafts of a month back over EASY Bill's API and holds them against what was sent. No Dagster.

A few lists for the whole month, whatever the number of customers: the invoices dated around it, and, where some are
missing, those edited since, for an account may date imported orders otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from billing_pipeline.delivery.api.account import EasyBillAccount
from billing_pipeline.delivery.ledger import Ledger, Note
from billing_pipeline.delivery.records import SENT_STATES, Delivery, State
from billing_pipeline.easybill.api_models import EasyBillDocument, minor_of
from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.draft_comparison import Expected, Reconciled, days_of_documents, reconcile
from billing_pipeline.local_time import local_time
from billing_pipeline.money import format_minor
from billing_pipeline.problems import Code, Problem
from billing_pipeline.store.blobs import BlobStore, StoreDamaged

if TYPE_CHECKING:
    from billing_pipeline.easybill.api import EasyBillApi

DraftOutcome = Literal["confirmed", "accepted", "waiting", "mismatch", "missing", "damaged"]


@dataclass(frozen=True)
class DraftRead:
    """What EASY Bill shows of one delivery.

    "accepted": not as it was sent, and a person has accepted just that. "waiting": none yet, and the deadline has not
    passed. "mismatch" and "missing" have a `problem`, and so has "damaged": what was sent cannot be read from the
    store, so no draft can be held against it. `link` is where a person sees the document.
    """

    delivery: Delivery
    outcome: DraftOutcome
    document: EasyBillDocument | None = None
    link: str = ""
    problem: Problem | None = None


@dataclass(frozen=True)
class Reader:
    """What one reading needs. `now` is when it takes place; amounts and times are told in `language` and `timezone`."""

    easybill: EasyBillAccount
    ledger: Ledger
    blobs: BlobStore
    deadline: timedelta
    run_id: str
    now: datetime
    language: str = "en"
    timezone: str = "UTC"


def read_drafts(month: str, customer_numbers: Collection[str], reader: Reader) -> Iterator[DraftRead]:
    """One for each of these customers to whom something was sent in the month, by customer number.

    The ledger has each before it is yielded: CONFIRMED, or what is wrong. What these have replaced is looked for, too:
    once EASY Bill shows no document of it, its draft need not be removed any more.
    One damaged stored document costs its customer alone. Raises: ApiError, before any; StoreError where the store is
    out of reach; LedgerUnavailable.
    """
    sent, damaged = _readable(_sent(month, customer_numbers, reader.ledger), reader.blobs)
    for delivery, fault in damaged.items():
        yield _damaged(delivery, fault, reader)
    if not sent:
        return
    replaced, _ = _readable(_replaced(month, customer_numbers, reader.ledger), reader.blobs)
    expected = [*sent.values(), *replaced.values()]
    with reader.easybill.open_logged(reader.ledger, month=month, run_id=reader.run_id) as api:
        results = _look(expected, [*sent, *replaced], month, reader, api)
        for delivery, result in zip(replaced, results[len(sent) :], strict=True):
            _note_if_gone(delivery, result, reader)
        for delivery, result in zip(sent, results, strict=False):
            link = api.link(result.document) if result.document else ""
            yield _recorded(delivery, result, link, reader)


def draft_links(easybill: EasyBillAccount, ledger: Ledger, order_numbers: Collection[str]) -> dict[str, str]:
    """By order number, where a person sees each order's draft, as far as one was seen. Nothing is asked.

    Raises: LedgerUnavailable.
    """
    if not easybill.is_configured:
        return {}
    found = ledger.deliveries.draft_ids(order_numbers)
    return {number: easybill.link_to(draft_id) for number, draft_id in found.items()}


def _sent(month: str, customer_numbers: Collection[str], ledger: Ledger) -> list[Delivery]:
    """The last revision of each of these customers, where it was sent."""
    wanted = set(customer_numbers)
    return [
        delivery
        for number, delivery in sorted(ledger.deliveries.latest(month).items())
        if number in wanted and delivery.state in SENT_STATES
    ]


def _replaced(month: str, customer_numbers: Collection[str], ledger: Ledger) -> list[Delivery]:
    """What was sent to these customers, and replaced, and whose draft is still to be removed."""
    wanted = set(customer_numbers)
    return [
        delivery
        for delivery in ledger.deliveries.to_remove()
        if delivery.month == month and delivery.customer_number in wanted
    ]


def _readable(
    found: Sequence[Delivery], blobs: BlobStore
) -> tuple[dict[Delivery, Expected], dict[Delivery, StoreDamaged]]:
    """What EASY Bill is to show of each, and those of whom the store has lost what was sent."""
    expected: dict[Delivery, Expected] = {}
    damaged: dict[Delivery, StoreDamaged] = {}
    for delivery in found:
        try:
            expected[delivery] = expected_of(delivery, blobs)
        except StoreDamaged as fault:
            damaged[delivery] = fault
    return expected, damaged


def _damaged(delivery: Delivery, fault: StoreDamaged, reader: Reader) -> DraftRead:
    message = f"{fault}; the draft of {delivery.order_number} was not held against it"
    problem = Problem(
        Code.STORED_FILE_DAMAGED, delivery.customer_number, message, source_id=delivery.order_number
    )
    note = Note("reconcile", f"{problem.code}: {message}", outcome="failure")
    reader.ledger.events.record_exchange(delivery, note, run_id=reader.run_id)
    return DraftRead(delivery, "damaged", problem=problem)


def _note_if_gone(delivery: Delivery, result: Reconciled, reader: Reader) -> None:
    """Cancelled, it is gone (6-life-of-a-row, rule 11); one that is missing so early may still come."""
    published_at = delivery.published_at or delivery.created_at
    shown = ""
    if result.is_cancelled:
        shown = "EASY Bill shows the document of this order as cancelled"
    elif result.outcome == "missing" and reader.now >= published_at + reader.deadline:
        shown = "EASY Bill shows no document of this order"
    if shown:
        note = Note("reconcile", f"{shown}, and a later order replaces it")
        reader.ledger.transitions.note_gone(delivery, note)


def expected_of(delivery: Delivery, blobs: BlobStore) -> Expected:
    """What EASY Bill is to show of a delivery. Raises: StoreError."""
    document = Document.from_json(blobs.get("document", delivery.document_sha256))
    return Expected(
        customer_number=delivery.customer_number,
        order_number=delivery.order_number,
        currency=delivery.currency,
        price_basis=document.price_basis,
        net=delivery.net,
        gross=delivery.gross,
    )


def _look(
    expected: Sequence[Expected], sent: Sequence[Delivery], month: str, reader: Reader, api: EasyBillApi
) -> list[Reconciled]:
    """One result per delivery, in their order."""
    results = reconcile(expected, api.documents(dated=days_of_documents(month)), reader.language)
    missing = [number for number, result in enumerate(results) if result.outcome == "missing"]
    if missing:
        since = min((sent[number].published_at or sent[number].created_at).date() for number in missing)
        day = timedelta(days=1)  # EASY Bill's days are those of Berlin, ours UTC
        edited = api.documents(edited=(since - day, reader.now.date() + day))
        late = reconcile([expected[number] for number in missing], edited, reader.language)
        for number, result in zip(missing, late, strict=True):
            results[number] = result
    return results


def _recorded(delivery: Delivery, result: Reconciled, link: str, reader: Reader) -> DraftRead:
    """What comes of one result, once the ledger has it."""
    document, problem = result.document, result.problem
    if problem is None and document is not None:
        _confirm(delivery, document, link, reader)
        return DraftRead(delivery, "confirmed", document, link)
    if _is_accepted(delivery, result):
        _log(delivery, "the draft is as a person has accepted it", reader)
        return DraftRead(delivery, "accepted", document, link)
    outcome: DraftOutcome = "mismatch"
    if problem is None:
        published_at = delivery.published_at or delivery.created_at
        if reader.now < published_at + reader.deadline:
            _log(delivery, "no draft yet", reader)
            return DraftRead(delivery, "waiting")
        outcome, problem = "missing", _missing(delivery, published_at, reader.timezone)
    problem = replace(problem, message=f"{problem.message} {_remedy(delivery, result)}")
    _object(delivery, problem, document, reader)
    return DraftRead(delivery, outcome, document, link, problem)


def _is_accepted(delivery: Delivery, result: Reconciled) -> bool:
    """Whether a person has said of exactly this draft, or of none, that it is right."""
    if delivery.state is not State.CONFIRMED or delivery.released_as != "delivered":
        return False
    document = result.document
    if document is None:
        return (result.outcome == "missing" or result.is_cancelled) and delivery.draft_id is None
    return (delivery.draft_id, delivery.draft_gross) == (document.id, _minor(document, document.amount))


def _confirm(delivery: Delivery, document: EasyBillDocument, link: str, reader: Reader) -> None:
    shown = format_minor(delivery.gross, delivery.currency, reader.language)
    note = Note("confirm", f"document {document.id}, {link}: {shown} gross, as delivered")
    if delivery.state is State.CONFIRMED and delivery.held_code is None and delivery.draft_id == document.id:
        reader.ledger.events.record_exchange(delivery, note, run_id=reader.run_id)
        return
    reader.ledger.transitions.confirm(
        delivery,
        note,
        draft_id=document.id,
        draft_net=_minor(document, document.amount_net),
        draft_gross=_minor(document, document.amount),
        run_id=reader.run_id,
    )


def _object(delivery: Delivery, problem: Problem, document: EasyBillDocument | None, reader: Reader) -> None:
    reader.ledger.transitions.object_to_draft(
        delivery,
        problem.code,
        problem.message,
        Note("reconcile", f"{problem.code}: {problem.message}", outcome="failure"),
        draft_id=document.id if document else None,
        draft_net=_minor(document, document.amount_net) if document else None,
        draft_gross=_minor(document, document.amount) if document else None,
        run_id=reader.run_id,
    )


def _log(delivery: Delivery, what: str, reader: Reader) -> None:
    reader.ledger.events.record_exchange(delivery, Note("reconcile", what), run_id=reader.run_id)


def _minor(document: EasyBillDocument, cents: int) -> int:
    """In minor units of the document's own currency, which a mismatch may be about."""
    return minor_of(cents, document.currency)


def _missing(delivery: Delivery, since: datetime, timezone: str) -> Problem:
    return Problem(
        Code.DRAFT_MISSING,
        delivery.customer_number,
        f"EASY Bill shows no draft of {delivery.file_name}, delivered {local_time(since, timezone)}: see there whether "
        "its import skipped or refused it.",
        source_id=delivery.order_number,
    )


def _remedy(delivery: Delivery, result: Reconciled) -> str:
    """What a person can do. Where the document is cancelled, nothing of it is left that a correction could replace."""
    if result.outcome == "mismatch" and result.document is None and not result.is_cancelled:
        # Two documents of one order are never right as they are.
        return "The next reading of the drafts settles it then."
    signed = "--reason TEXT --by NAME"
    release = f"billing-pipeline release {delivery.order_number} --as"
    accepts = f"`{release} delivered {signed}` accepts it as it is"
    if result.is_cancelled:
        again = f"`billing-pipeline run {delivery.month} --customer {delivery.customer_number}`"
        return f"`{release} withdrawn {signed}` frees its rows, and {again} bills them anew; {accepts}"
    return (
        f"`billing-pipeline correct {delivery.month} --customer {delivery.customer_number} {signed}` sends what the "
        f"OMS says now under a new order number, {accepts}"
    )
