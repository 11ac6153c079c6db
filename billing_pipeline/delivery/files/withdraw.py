"""Withdrawing what a month has in the inbox and nobody has taken yet; the withdrawn stay HELD for a person.

The order, and why. The ledger says HELD first, under a fresh token: whoever dies behind it leaves a question, never a
file that the next run sends again; and who slept over an earlier rename can no longer say PUBLISHED. Then the final
name is *renamed* to a name that receivers ignore, never removed: a rename tells by itself whether the file was still
there, and what it tells about stays at hand. NotFound means that the receiver has been faster, and the ledger takes
its HELD back.

Why a withdrawn delivery is not simply planned again: that the file still lay there does not say that nobody has read
it. A receiver that reads and then moves away may have stood between the two, and would import it all the same; sent
again, it would be a second upload of one order. So a person looks into EASY Bill, and releases it "send" or
"delivered". Sent again, the temporary file is removed as any leftover is.

Corrections are left alone: what they replace is released already, and a person has asked for each by itself. So is
what a person has accepted as delivered.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from billing_pipeline.delivery.channel import Withdrawal
from billing_pipeline.delivery.context import DeliveryContext
from billing_pipeline.delivery.files.pool import deadline_of
from billing_pipeline.delivery.files.recovery import Action, FileState, decide, inspect, join
from billing_pipeline.delivery.ledger import Note, new_token
from billing_pipeline.delivery.records import Delivery, State
from billing_pipeline.delivery.transports.protocol import (
    DeliveryError,
    InboxConnection,
    NotFound,
    Transient,
    Transport,
)
from billing_pipeline.problems import Code
from billing_pipeline.store.blobs import sha256_of

_TAKEN = "the receiver had taken it"


def withdraw_month(
    month: str, transport: Transport, context: DeliveryContext, *, timeout_s: float, why: str
) -> list[Withdrawal]:
    """Withdraw every file of the month that can be, and tell of each that was published, by customer number.

    An inbox that fails leaves the rest where it is, and says so: nothing is raised for it. Raises: LedgerUnavailable.
    """
    withdrawals: list[Withdrawal] = []
    given_up = ""
    with ExitStack() as connection:
        inbox: InboxConnection | None = None
        for delivery in published(context.ledger.deliveries.of_month(month), context.destination.endpoint):
            why_not = given_up
            if not given_up:
                try:
                    inbox = inbox or connection.enter_context(transport.connect())
                    inbox.finish_by(deadline_of(timeout_s, delivery.size_bytes))
                    why_not = withdraw(delivery, inbox, context, why=why)
                except DeliveryError as error:
                    why_not = str(error)
                    note = Note("withdraw", why_not, outcome="failure")
                    context.ledger.events.record_exchange(delivery, note, run_id=context.run_id)
                    if inbox is None or (isinstance(error, Transient) and not error.connection_usable):
                        given_up = why_not
            now = context.ledger.deliveries.of_order(delivery.order_number) or delivery
            withdrawals.append(Withdrawal(now, "" if now.state is State.HELD else why_not))
    return withdrawals


def take_back(
    delivery: Delivery, transport: Transport, context: DeliveryContext, *, timeout_s: float, why: str
) -> str:
    """PUBLISHED → HELD, and the file removed from where receivers look; or why not. The bytes stay in the store.

    Raises: DeliveryError, LedgerUnavailable.
    """
    if delivery.state is not State.PUBLISHED or delivery.endpoint != context.destination.endpoint:
        return f"the receiver has taken it ({delivery.state})"
    with transport.connect() as inbox:
        inbox.finish_by(deadline_of(timeout_s, delivery.size_bytes))
        why_not = withdraw(delivery, inbox, context, why=why)
        now = context.ledger.deliveries.of_order(delivery.order_number)
        if not why_not and now is not None:
            inbox.remove(now.temporary_path)
    return why_not


def published(deliveries: Sequence[Delivery], endpoint: str) -> list[Delivery]:
    """Those that may still lie in the inbox at this address, and may be withdrawn from it."""
    corrected = {delivery.customer_number for delivery in deliveries if delivery.revision > 1}
    return [
        delivery
        for delivery in deliveries
        if delivery.state is State.PUBLISHED
        and delivery.endpoint == endpoint
        and delivery.released_as != "delivered"
        and delivery.customer_number not in corrected
    ]


def withdraw(delivery: Delivery, inbox: InboxConnection, context: DeliveryContext, *, why: str) -> str:
    """PUBLISHED → HELD, with the file under an ignored name; or why not.

    Raises: DeliveryError. If it happens after the ledger has said HELD, it stays so: where the file is, is not known.
    """
    try:
        if sha256_of(inbox.read(delivery.remote_path, delivery.size_bytes + 1)) != delivery.sha256:
            return "another file has its name in the inbox"
    except NotFound:
        return _TAKEN
    token = new_token()
    begun = context.ledger.transitions.begin_withdrawal(
        delivery,
        token=token,
        temporary_path=join(delivery.remote_dir, f".{delivery.file_name}.{token}.tmp"),
        reason=f"its withdrawal from {delivery.remote_path} was begun, because {why}, and is not known to have been "
        "done: look whether it still lies there, and whether EASY Bill has the order",
    )
    if begun is None:
        return "another run, or a person, was at work on it"
    context.at_crash_point("withdrawing")
    try:
        inbox.rename(begun.remote_path, begun.temporary_path)
    except NotFound:
        return _taken_meanwhile(begun, inbox, context)
    context.at_crash_point("withdrawn")
    note = Note("withdraw", f"{begun.remote_path} → {begun.temporary_path}: {why}")
    reason = (
        f"it was withdrawn from {begun.remote_path}, because {why}; whether the receiver had read it before "
        "cannot be known: if EASY Bill has the order, it is delivered"
    )
    if context.ledger.transitions.withdrawn(begun, reason, note) is None:
        context.ledger.events.record_exchange(begun, note, run_id=context.run_id)
    return ""


def _taken_meanwhile(begun: Delivery, inbox: InboxConnection, context: DeliveryContext) -> str:
    """HELD → PUBLISHED or CONSUMED, where the inbox agrees that the receiver has it; else it stays HELD."""
    states = inspect(begun, inbox, context.destination.places)
    decision = decide(states)
    note = Note("withdraw", f"{_TAKEN}: {states}", outcome="failure")
    gone = states.temporary is states.inbox is FileState.GONE
    # It lay there a moment ago: if it is nowhere now, it is the receiver who has it.
    taken = (
        gone and decision.code is not Code.REJECTED_BY_RECEIVER and decision.code is not Code.NAME_COLLISION
    )
    if not taken and decision.action is not Action.PUBLISHED:
        context.ledger.events.record_exchange(begun, note, run_id=context.run_id)
        return decision.reason
    back = context.ledger.transitions.not_withdrawn(begun, note)
    if back is not None and decision.action is Action.CONSUMED:
        context.ledger.transitions.consumed(back, Note("recover", f"consumed: {states}"))
    return _TAKEN
