"""Deletes the draft of an order that a correction replaces, and nothing that could be anything else.

Only a draft, only the one document of the order, only with the amounts that were sent; it is looked at again right
before. What is to be deleted is on record before it is: who tries again knows why there is none any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from billing_pipeline.delivery.ledger import Ledger, Note
from billing_pipeline.delivery.records import Delivery
from billing_pipeline.easybill.api_models import EasyBillDocument
from billing_pipeline.easybill.draft_comparison import reconcile
from billing_pipeline.problems import UsageError
from billing_pipeline.steps.read_drafts import expected_of
from billing_pipeline.steps.wiring import Wiring
from billing_pipeline.steps.withdrawal import all_documents_of, withdraw_order

REMOVE_DRAFT = "remove draft"


class DraftStays(UsageError):
    """The draft cannot be removed, or not without doubt. Nothing was deleted."""


@dataclass(frozen=True)
class RemovedDraft:
    """What became of the draft of an order. `document_id` is None where it had gone already."""

    delivery: Delivery
    document_id: int | None

    def line(self) -> str:
        """For people."""
        order = self.delivery.order_number
        if self.document_id is None:
            return f"The draft of {order} was not in EASY Bill any more."
        return f"Draft {self.document_id} of {order} was removed from EASY Bill."


def drafts_to_remove(wiring: Wiring, month: str, customer_number: str) -> list[Delivery]:
    """What earlier corrections of the customer's month have replaced, and is not known to be gone."""
    return [
        delivery
        for delivery in wiring.ledger.open().deliveries.to_remove()
        if (delivery.month, delivery.customer_number) == (month, customer_number)
    ]


def remove_draft(wiring: Wiring, delivery: Delivery, *, reason: str, author: str) -> RemovedDraft:
    """Deletes the draft of an order, and withdraws the order: its rows are free, or a later order has them already.

    Raises: DraftStays; StillThere where EASY Bill or the inbox have it all the same; UsageError without a key;
    DeliveryError, ApiError, StoreError, LedgerUnavailable. After any, it may be asked for again.
    """
    ledger = wiring.ledger.open()
    wiring.easybill.require()
    place = wiring.channel.open().find(delivery).inbox if delivery.transport != "api" else ""
    if place:
        raise _stays(delivery, f"its file still lies in the inbox ({place}), and would be imported again")
    documents = all_documents_of(wiring, delivery)
    valid = [document for document in documents if document.cancel_id is None]
    document_id = None
    if valid:
        document = _the_one(delivery, valid)
        _require_ours(wiring, delivery, document)
        what = f"{author}: {reason} (document {document.id} of {delivery.order_number})"
        ledger.events.record_exchange(delivery, Note(REMOVE_DRAFT, what, kind="decision"), run_id="")
        with wiring.easybill.open_logged(ledger, month=delivery.month, run_id="") as api:
            deleted = api.delete_document(document.id, lambda now: _require_ours(wiring, delivery, now))
        document_id = document.id if deleted else None
    elif not documents and not _was_seen(ledger, delivery):
        raise _stays(
            delivery,
            "EASY Bill shows no document of it: the import may be yet to come. Where you know that there is none, "
            f"`billing-pipeline release {delivery.order_number} --as withdrawn --reason TEXT --by NAME` says so",
        )
    withdraw_order(wiring, delivery.order_number, reason=reason, author=author)
    return RemovedDraft(delivery, document_id)


def _the_one(delivery: Delivery, documents: Sequence[EasyBillDocument]) -> EasyBillDocument:
    if len(documents) > 1:
        ids = ", ".join(str(document.id) for document in documents)
        raise _stays(delivery, f"EASY Bill has {len(documents)} documents of it ({ids}): remove them there")
    return documents[0]


def _require_ours(wiring: Wiring, delivery: Delivery, document: EasyBillDocument) -> None:
    """Raises: DraftStays where the document is no draft any more, or not what was sent."""
    if not document.is_draft or document.number:
        named = f" ({document.number})" if document.number else ""
        raise _stays(
            delivery,
            f"document {document.id}{named} is a finished invoice: cancel it in EASY Bill, then give this command "
            "again",
        )
    (found,) = reconcile([expected_of(delivery, wiring.blobs)], [document], wiring.billing.rules.language)
    problem = found.problem.message if found.problem else ""
    if found.outcome != "confirmed" or (delivery.draft_id or document.id) != document.id:
        told = problem or f"document {document.id} is not the one that was seen before ({delivery.draft_id})."
        raise _stays(delivery, f"{told} Remove it there yourself, if it is the one")


def _was_seen(ledger: Ledger, delivery: Delivery) -> bool:
    """Whether there was a draft that has gone since, by us or by a person."""
    return delivery.draft_id is not None or any(
        event.action == REMOVE_DRAFT and event.order_number == delivery.order_number
        for event in ledger.events.find(month=delivery.month, customer_number=delivery.customer_number)
    )


def _stays(delivery: Delivery, why: str) -> DraftStays:
    return DraftStays(f"the draft of {delivery.order_number} is not removed, and nothing was sent: {why}")
