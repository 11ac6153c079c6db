"""Sends a month's files over the configured channel: into the inbox, or as drafts through EASY Bill's API.

Where approval is required, nothing else passes here. Where a key is configured, the customers are looked up in EASY
Bill before, all of a run in a call or two.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from billing_pipeline.billing.rules import Rules
from billing_pipeline.delivery.all_or_nothing import send_all_or_nothing
from billing_pipeline.delivery.api.account import EasyBillAccount
from billing_pipeline.delivery.channel import Channel, send_over
from billing_pipeline.delivery.context import DeliveryContext
from billing_pipeline.delivery.records import DeliveryResult, Parcel, result_of
from billing_pipeline.easybill.api_errors import ApiError
from billing_pipeline.easybill.draft_comparison import customer_problems
from billing_pipeline.problems import Code, Problem
from billing_pipeline.steps.approval_gate import ApprovalGate, approval_problems, beyond_approval


@dataclass(frozen=True)
class Sending:
    """What one run sends with. `easybill`: where customers are looked up. `gate`: where approval is required."""

    channel: Channel
    easybill: EasyBillAccount
    rules: Rules
    context: DeliveryContext
    gate: ApprovalGate | None = None


@dataclass(frozen=True)
class _LookUp:
    """The customers in EASY Bill: the ids of those who are there exactly once, and what is wrong with others."""

    customer_ids: Mapping[str, int] = field(default_factory=dict)
    problems: Mapping[str, Problem] = field(default_factory=dict)


def send_parcels(parcels: Sequence[Parcel], month: str, sending: Sending) -> Iterator[DeliveryResult]:
    """Send each file of the month, at most once, and tell how it ended, as it becomes known.

    Raises: what ends the whole delivery, such as InboxRefused, ApiError or LedgerUnavailable; who was not reached by
    then has no result.
    """
    unapproved = approval_problems(sending.gate, month, parcels)
    # Whoever plans, or plans again, what nobody has approved, is stopped there as well.
    context = replace(sending.context, unapproved=unapproved)
    settled = beyond_approval(context.ledger, month) if unapproved else frozenset()
    approved = []
    for parcel in parcels:
        problem = unapproved.get(parcel.export.customer_number)
        if problem is not None and parcel.export.order_number not in settled:
            yield context.record(result_of(parcel, context.clock(), "held", (problem,)))
        else:
            approved.append(parcel)
    if not approved:
        return
    parcels = approved
    looked_up = _look_up(parcels, month, sending)
    blocking = looked_up.problems if _policy(sending) == "block" else {}
    to_send = []
    for parcel in parcels:
        number = parcel.export.customer_number
        if number in blocking:
            yield context.record(DeliveryResult(month, number, "blocked", (blocking[number],)))
        else:
            to_send.append(replace(parcel, customer_id=looked_up.customer_ids.get(number)))
    if sending.rules.delivery_policy == "all_or_nothing":
        others = dict.fromkeys(sending.gate.waiting(month) if sending.gate else (), "not approved")
        others |= dict.fromkeys(blocking, "not in EASY Bill")
        results = send_all_or_nothing(sending.channel, month, to_send, others, context)
    else:
        results = send_over(sending.channel, month, to_send, context)
    for result in results:
        warning = looked_up.problems.get(result.customer_number)
        if warning is not None and result.outcome == "delivered":
            yield context.record(replace(result, problems=(*result.problems, warning)))
        else:
            yield result


def _policy(sending: Sending) -> str:
    """What follows where EASY Bill does not have a customer: "block", "warn" or "off"."""
    return "block" if sending.channel.needs_customer_ids else sending.rules.not_in_easybill


def _look_up(parcels: Sequence[Parcel], month: str, sending: Sending) -> _LookUp:
    """The customers to whom something is still to be sent: nobody is looked up for what is settled.

    Under the policy `all_or_nothing` those of all of the month, not only of this run.
    """
    ledger, policy = sending.context.ledger, _policy(sending)
    numbers = ledger.deliveries.unsettled(month, [parcel.export for parcel in parcels])
    if sending.rules.delivery_policy == "all_or_nothing":
        exports = [row.export for row in ledger.months.customers(month)]
        numbers |= ledger.deliveries.unsettled(month, exports)
    if policy == "off" or not sending.easybill.is_configured or not numbers:
        return _LookUp()
    try:
        with sending.easybill.open_logged(ledger, month=month, run_id=sending.context.run_id) as api:
            found = api.customers_by_number(numbers)
    except ApiError as error:
        if policy == "block":
            raise
        return _LookUp(problems={number: _not_asked(number, error) for number in sorted(numbers)})
    return _LookUp(
        {number: customers[0].id for number, customers in found.items() if len(customers) == 1},
        {problem.customer_number: problem for problem in customer_problems(found)},
    )


def _not_asked(number: str, error: ApiError) -> Problem:
    message = f"EASY Bill could not be asked whether it has this customer: {error}"
    return Problem(Code.NOT_IN_EASYBILL, number, message, field="customer_number", value=number)
