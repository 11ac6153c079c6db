"""One draft through EASY Bill's API, at most once: the states of a delivery without a file to rename.

A file is published by a rename, which whoever comes second is refused. A request to create a draft is not: EASY
Bill has no idempotency key, and makes a draft of every one. So the argument of `files.upload` does not hold here, and
the table of recovery neither: that a draft does not show proves nothing, for its request may still be on its way.

Why at most one draft is made. Let T be a token.

1. Under T one process asks for the draft: the one that takes UPLOADING(T) → COMMITTING(T). It waits for its turn by
   the account's rate limit first, commits then, and makes exactly one request at once (`_Asking.ask`). Whoever finds
   COMMITTING(T) looks, and never asks.
2. A request that was refused (429, 409, no connection) made nothing. The same process may make another one, after
   waiting for its turn again and a compare-and-set on what the ledger said at its last one: if anybody has taken the
   delivery up meanwhile, it stops. When it gives up, T ends: COMMITTING(T) → PLANNED, with a new token.
3. A request without an answer may have made a draft, now or later. It is never repeated. EASY Bill is asked whether the
   draft is there: then it is PUBLISHED. If it is not, the delivery stays in COMMITTING for `DOUBT_S`, in which runs
   only look; after that it is HELD, and a person decides. No waiting makes the absence certain, so nothing else ends
   a doubt.
4. HELD(T) becomes PLANNED only by a person's word. Then EASY Bill is asked once more before the new request.

What is left: a machine that is suspended between the commit and the request of 1, is taken for dead, and wakes up
after a person has released the delivery. Then there are two drafts; the log has the second creation as a failure, and
the read-back finds two documents of one order (DRAFT_MISMATCH).

Eventually once: whatever dies before COMMITTING is simply done again. What dies in it is resolved by the next run
if the draft is there, and by a person if it is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from billing_pipeline.delivery.context import DeliveryContext
from billing_pipeline.delivery.ledger import Note, new_token
from billing_pipeline.delivery.parcel_delivery import ParcelDelivery
from billing_pipeline.delivery.records import Delivery, DeliveryResult, Parcel, State
from billing_pipeline.delivery.transports.protocol import Permanent, Transient
from billing_pipeline.easybill.api_errors import ApiError, ApiTransient, OutcomeUnknown, SeveralDocuments
from billing_pipeline.easybill.api_models import EasyBillDocument
from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.draft_comparison import days_of_documents
from billing_pipeline.easybill.draft_request import draft_request
from billing_pipeline.local_time import local_time
from billing_pipeline.problems import Code

if TYPE_CHECKING:
    from billing_pipeline.easybill.api import EasyBillApi

CRASH_POINTS: Final = ("planned", "taken", "committed", "created", "published", "adopted", "looked")
"""Where `DeliveryContext.at_crash_point` is called: after each step that something could die behind."""

DOUBT_S: Final = 900.0
"""How long a request without an answer may still come to something: longer than any try of ours lasts."""


class DraftImpossible(Permanent):
    """EASY Bill cannot be asked for this draft as it is."""


class StillInDoubt(Transient):
    """A draft was asked for, no answer came, and it does not show yet."""

    connection_usable = True


@dataclass(slots=True)
class DraftAccount:
    """EASY Bill as a run knows it. `template`: the drafts' PDF template, "" for the account's own."""

    api: EasyBillApi
    template: str = ""
    doubt_s: float = DOUBT_S
    _before: dict[str, Mapping[str, EasyBillDocument]] = field(default_factory=dict, init=False)

    def known_before(self, delivery: Delivery) -> EasyBillDocument | None:
        """The document that had the delivery's order number, as its own or as external id, when the run came to its
        month; None if there was none. Asked once a month.
        """
        if delivery.month not in self._before:
            documents = self.api.documents(dated=days_of_documents(delivery.month))
            by_order = {document.order_number: document for document in documents}
            by_order |= {document.external_id: document for document in documents if document.external_id}
            self._before[delivery.month] = by_order
        return self._before[delivery.month].get(delivery.order_number)


def create_draft(parcel: Parcel, account: DraftAccount, context: DeliveryContext) -> DeliveryResult:
    """Create one draft, or say why not.

    A failed exchange is logged, and the delivery given back, before it is raised. Raises: ApiError and DeliveryError
    for that; StoreError; LedgerUnavailable.
    """
    delivery = ParcelDelivery(parcel, context)
    while (planned := delivery.next()) is not None:
        move_on = _take_up if planned.state is State.COMMITTING else _create
        delivery.published_here |= move_on(planned, parcel, account, context)
    return delivery.result


def _create(planned: Delivery, parcel: Parcel, account: DraftAccount, context: DeliveryContext) -> bool:
    """PLANNED or UPLOADING → PUBLISHED. False where it was held, or somebody else has taken it over."""
    customer_id = _customer_id(parcel)
    request = _request(planned, customer_id, account, context)
    taken = context.ledger.transitions.take(
        planned,
        token=new_token(),
        temporary_path="",
        remote_path="",
        remote_dir="",
        transport=context.destination.transport,
        endpoint=context.destination.endpoint,
        holder=context.holder,
        run_id=context.run_id,
    )
    if taken is None:
        return False
    context.at_crash_point("taken")
    asking = _Asking(taken, context)
    try:
        if _held_for_namesake(taken, customer_id, account, context):
            return False
        made = asking.ask(request, account.api)
    except OutcomeUnknown as doubt:
        return _look_for_late(asking.delivery, doubt, customer_id, account, context)
    except ApiError as error:
        asking.give_up(error)
        raise
    if made is None:
        return False
    context.at_crash_point("created")
    return _created(asking.delivery, made, "create", account, context)


def _customer_id(parcel: Parcel) -> int:
    if parcel.customer_id is None:
        raise DraftImpossible(
            f"EASY Bill does not have customer {parcel.export.customer_number} exactly once: mend that there"
        )
    return parcel.customer_id


def _request(
    delivery: Delivery, customer_id: int, account: DraftAccount, context: DeliveryContext
) -> dict[str, object]:
    try:
        document = Document.from_json(context.store.get("document", delivery.document_sha256))
        return draft_request(document, customer_id=customer_id, template=account.template)
    except ValueError as error:
        raise DraftImpossible(f"{delivery.order_number} cannot be a draft of EASY Bill: {error}") from error


def _held_for_namesake(
    taken: Delivery, customer_id: int, account: DraftAccount, context: DeliveryContext
) -> bool:
    """Whether EASY Bill has a document of this order already, of which this ledger knows nothing."""
    try:
        found = account.known_before(taken)
        if found is None and taken.released_as == "send":
            # A person has seen that it is not there. It may have come since.
            found = account.api.find_document(customer_id=customer_id, order_number=taken.order_number)
    except SeveralDocuments as several:
        return _hold(taken, Code.NAME_COLLISION, str(several), context)
    if found is None:
        return False
    reason = f"document {found.id} of EASY Bill has this order number already, and not from this ledger"
    return _hold(taken, Code.NAME_COLLISION, reason, context)


@dataclass(slots=True)
class _Asking:
    """The one process that asks for the draft under a token; `delivery` is as the ledger had it at the last request."""

    delivery: Delivery
    context: DeliveryContext
    has_committed: bool = field(default=False, init=False)

    def ask(self, request: Mapping[str, object], api: EasyBillApi) -> EasyBillDocument | None:
        """The draft; None where somebody else has the delivery now, and nothing was sent.

        Raises: ApiError. Another request is made only after one that was refused and thus made nothing.
        """
        tries = api.tries()
        while True:
            api.wait_for_turn()
            if not self._commit():
                return None
            try:
                return api.create_document(request)
            except ApiTransient as refusal:
                tries.pause_after(refusal)

    def _commit(self) -> bool:
        """In the moment before a request leaves. False where it must not."""
        if self.has_committed:
            after = self.context.ledger.transitions.adopt(
                self.delivery, holder=self.context.holder, run_id=self.context.run_id
            )
        else:
            note = Note("ask", f"POST /documents at {self.context.destination.endpoint}")
            after = self.context.ledger.transitions.commit(self.delivery, note)
        if after is None:
            return False
        self.delivery, self.has_committed = after, True
        self.context.at_crash_point("committed")
        return True

    def give_up(self, error: ApiError) -> None:
        """After the last request, which made nothing."""
        note = Note("attempt", str(error), outcome="failure")
        back = (
            self.context.ledger.transitions.refused
            if self.has_committed
            else self.context.ledger.transitions.give_back
        )
        if back(self.delivery, note) is None:
            self.context.ledger.events.record_exchange(self.delivery, note, run_id=self.context.run_id)


def _look_for_late(
    committed: Delivery,
    doubt: OutcomeUnknown,
    customer_id: int,
    account: DraftAccount,
    context: DeliveryContext,
) -> bool:
    """COMMITTING, and no answer came: → PUBLISHED if the draft is there. Raises: ApiError; the doubt, if it is not."""
    context.ledger.events.record_exchange(
        committed, Note("attempt", str(doubt), outcome="failure"), run_id=context.run_id
    )
    try:
        found = account.api.find_late_document(customer_id=customer_id, order_number=committed.order_number)
    except SeveralDocuments as several:
        _hold(committed, Code.DRAFT_MISMATCH, str(several), context)
        return False
    except ApiError as error:
        _give_back(committed, str(error), context)
        raise doubt from error
    context.at_crash_point("looked")
    if found is not None:
        return _created(committed, found, "recover", account, context)
    _give_back(committed, "the draft does not show yet", context)
    raise doubt


def _take_up(found: Delivery, parcel: Parcel, account: DraftAccount, context: DeliveryContext) -> bool:
    """A delivery that was left in COMMITTING: → PUBLISHED if the draft is there, HELD once it has been long enough."""
    adopted = context.ledger.transitions.adopt(found, holder=context.holder, run_id=context.run_id)
    if adopted is None:
        return False
    context.at_crash_point("adopted")
    if adopted.endpoint != context.destination.endpoint:
        now_at = context.destination.endpoint
        reason = f"it was sent to {adopted.endpoint}, and drafts are now made at {now_at}: look there"
        _hold(adopted, Code.DELIVERY_FAILED, reason, context)
        return False
    try:
        document = account.api.find_document(
            customer_id=_customer_id(parcel), order_number=adopted.order_number
        )
    except SeveralDocuments as several:
        _hold(adopted, Code.DRAFT_MISMATCH, str(several), context)
        return False
    except (ApiError, DraftImpossible) as error:
        _give_back(adopted, str(error), context)
        raise
    context.at_crash_point("looked")
    if document is not None:
        return _created(adopted, document, "recover", account, context)
    _wait_or_hold(adopted, account, context)
    return False


def _wait_or_hold(adopted: Delivery, account: DraftAccount, context: DeliveryContext) -> None:
    """Not there: it may still appear, or a person has to decide. Raises: StillInDoubt."""
    asked_at = adopted.committed_at or adopted.updated_at
    until = asked_at + timedelta(seconds=account.doubt_s)
    asked = local_time(asked_at, context.timezone, seconds=True)
    if context.clock() < until:
        what = (
            f"EASY Bill was asked for the draft of {adopted.order_number} at {asked} and did not answer; it may "
            f"still appear: run the month again after {local_time(until, context.timezone, seconds=True)}, which looks "
            "and does not ask again"
        )
        _give_back(adopted, what, context)
        raise StillInDoubt(what)
    reason = f"EASY Bill was asked for the draft at {asked}, did not answer, and does not show it"
    _hold(adopted, Code.DELIVERY_FAILED, reason, context)


def _created(
    committed: Delivery,
    document: EasyBillDocument,
    action: str,
    account: DraftAccount,
    context: DeliveryContext,
) -> bool:
    link = account.api.link(document)
    note = Note(action, f"document {document.id}, {link}")
    after = context.ledger.transitions.created(committed, note, draft_id=document.id, link=link)
    context.at_crash_point("published")
    if after is None:
        second = Note(action, f"{note.detail}, while the ledger had gone on without it", outcome="failure")
        context.ledger.events.record_exchange(committed, second, run_id=context.run_id)
    return after is not None


def _hold(delivery: Delivery, code: Code, reason: str, context: DeliveryContext) -> bool:
    """True: it is held now, or somebody else has it; either way it is not ours to send."""
    context.ledger.transitions.hold(delivery, code, reason, Note("hold", reason, outcome="failure"))
    return True


def _give_back(delivery: Delivery, what: str, context: DeliveryContext) -> None:
    note = Note("attempt", what, outcome="failure")
    if context.ledger.transitions.give_back(delivery, note) is None:
        context.ledger.events.record_exchange(delivery, note, run_id=context.run_id)
