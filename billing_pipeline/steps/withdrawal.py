"""Undoing what was sent: looked for first, in inbox, archive and EASY Bill, and only then void in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from billing_pipeline.delivery.channel import Found
from billing_pipeline.delivery.context import DeliveryContext, FileCheck
from billing_pipeline.delivery.records import Delivery, State
from billing_pipeline.easybill.api_models import EasyBillDocument
from billing_pipeline.easybill.draft_comparison import days_of_documents
from billing_pipeline.problems import UsageError
from billing_pipeline.steps.wiring import Wiring


class StillThere(UsageError):
    """What is said to be gone, or to be sent again, was found."""


@dataclass(frozen=True)
class Whereabouts:
    """Where a delivery was found. `asked_easybill`: whether there was a key to ask with."""

    file: Found
    documents: tuple[EasyBillDocument, ...]
    asked_easybill: bool

    @property
    def words(self) -> str:
        """Where it still is, "" if it has gone: what EASY Bill says counts more than a copy in the archive."""
        if self.file.inbox:
            return f"its file lies in the inbox ({self.file.inbox})"
        if self.documents:
            ids = ", ".join(str(document.id) for document in self.documents)
            return f"EASY Bill has it (document {ids})"
        if self.file.archive and not self.asked_easybill:
            return f"the receiver has taken its file ({self.file.archive})"
        return ""


def withdraw_order(wiring: Wiring, order_number: str, *, reason: str, author: str) -> Delivery:
    """Says that an order's file and draft are not there any more, once they have been looked for.

    Its rows may be billed anew. Of an order that is replaced or withdrawn already, only its item on the list ends.
    Raises: StillThere; NotHeld for an order that was never sent; DeliveryError, ApiError, LedgerUnavailable.
    """
    ledger = wiring.ledger.open()
    delivery = ledger.deliveries.of_order(order_number)
    if delivery is not None and ledger.deliveries.stands(order_number):
        found = whereabouts(wiring, delivery)
        if found.words:
            raise StillThere(
                f"order {order_number} is not withdrawn: {found.words}; remove it there first, or have "
                f"`billing-pipeline correct {delivery.month} --customer {delivery.customer_number}` replace it"
            )
    return ledger.releases.release(order_number, as_="withdrawn", reason=reason, author=author)


def require_gone(wiring: Wiring, order_number: str) -> None:
    """Looks for a held order that a person wants sent again.

    Raises: StillThere; DeliveryError, ApiError where it cannot be looked for; LedgerUnavailable.
    """
    delivery = wiring.ledger.open().deliveries.of_order(order_number)
    if delivery is None or delivery.state is not State.HELD:
        return
    found = whereabouts(wiring, delivery)
    documents = [f"document {document.id} of EASY Bill" for document in found.documents]
    places = [place for place in (found.file.inbox, found.file.archive, *documents) if place]
    if places:
        raise StillThere(
            f"{order_number} is not released, for it is there: {', '.join(places)}. If that is ours, "
            f"`billing-pipeline release {order_number} --as delivered --reason TEXT --by NAME`; otherwise remove it "
            "there first"
        )


def whereabouts(wiring: Wiring, delivery: Delivery) -> Whereabouts:
    """Looks for what was sent: inbox, archive, and with a key EASY Bill. Raises: DeliveryError, ApiError."""
    channel = wiring.channel.open()
    file = channel.find(delivery) if delivery.transport != "api" else Found()
    if not wiring.easybill.is_configured:
        return Whereabouts(file, (), asked_easybill=False)
    return Whereabouts(file, tuple(documents_of(wiring, delivery)), asked_easybill=True)


def take_back(wiring: Wiring, delivery: Delivery, *, reason: str, author: str) -> bool:
    """Takes an order's file back from the inbox, where nobody has taken it yet; whether nothing of it is left.

    Its rows are free then. Where EASY Bill shows a draft all the same, the file had been read: it counts as taken.
    Raises: DeliveryError, ApiError, LedgerUnavailable.
    """
    ledger, channel = wiring.ledger.open(), wiring.channel.open()
    if delivery.state is not State.PUBLISHED or delivery.transport == "api":
        return False
    context = DeliveryContext(
        ledger,
        wiring.blobs,
        channel.destination,
        FileCheck({}),
        str(uuid4()),
        language=wiring.billing.rules.language,
        timezone=wiring.billing.timezone,
    )
    if channel.take_back(delivery, context, why=f"{author} corrects it: {reason}"):
        return False
    if wiring.easybill.is_configured and documents_of(wiring, delivery):
        held = ledger.deliveries.of_order(delivery.order_number)
        if held is not None:
            ledger.releases.release(
                delivery.order_number,
                as_="delivered",
                reason="EASY Bill had made a draft of the file that was taken back",
                author=author,
            )
        return False
    ledger.releases.release(delivery.order_number, as_="withdrawn", reason=reason, author=author)
    return True


def documents_of(wiring: Wiring, delivery: Delivery) -> list[EasyBillDocument]:
    """The documents in EASY Bill that have this order number and are not cancelled. Raises: ApiError."""
    return [document for document in all_documents_of(wiring, delivery) if document.cancel_id is None]


def all_documents_of(wiring: Wiring, delivery: Delivery) -> list[EasyBillDocument]:
    """The documents in EASY Bill that have this order number, cancelled ones too. Raises: ApiError."""
    ledger = wiring.ledger.open()
    first, last = days_of_documents(delivery.month)
    with wiring.easybill.open_logged(ledger, month=delivery.month, run_id="") as api:
        found = {document.id: document for document in api.documents(dated=(first, last))}
        since = (delivery.published_at or delivery.created_at).date()
        now = ledger.database.now().date()
        edited = api.documents(edited=(since - timedelta(days=1), now + timedelta(days=1)))
        found |= {document.id: document for document in edited}
    return [
        document
        for document in found.values()
        if delivery.order_number in (document.external_id, document.order_number)
    ]
