"""Sends a month's files on the configured way: into the inbox, or as drafts through EASY Bill's API. No Dagster.

Where a key is configured, the customers are looked up in EASY Bill before, all of a run in a call or two.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from billing_pipeline.billing.rules import Rules
from billing_pipeline.defs.easybill_account import EasyBill
from billing_pipeline.defs.resources import Inbox
from billing_pipeline.delivery.draft_worker import create_all
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.machine import Verify
from billing_pipeline.delivery.records import SENT_STATES, DeliveryResult, Outcome, Parcel, State
from billing_pipeline.delivery.store import Store
from billing_pipeline.delivery.verdicts import outcome_of
from billing_pipeline.delivery.worker import deliver_all
from billing_pipeline.easybill.api_errors import ApiError
from billing_pipeline.easybill.api_models import Customer
from billing_pipeline.easybill.reconcile import customer_problems
from billing_pipeline.problems import Code, Problem


@dataclass(frozen=True)
class Sending:
    """What one run sends with."""

    inbox: Inbox
    easybill: EasyBill
    ledger: Ledger
    documents: Store
    rules: Rules
    run_id: str
    verify: Verify


@dataclass(frozen=True)
class _Standing:
    """How customers stand in EASY Bill: the ids of those who are there exactly once, and what is wrong with others."""

    customer_ids: Mapping[str, int] = field(default_factory=dict)
    problems: Mapping[str, Problem] = field(default_factory=dict)


def send_parcels(
    parcels: Sequence[Parcel], month: str, sending: Sending
) -> Iterator[tuple[Outcome, DeliveryResult | None]]:
    """Send each file of the month, at most once, and tell how it ended, as it becomes known.

    No result for a customer who is blocked because EASY Bill does not have them. Raises: what ends the whole
    delivery, such as InboxRefused, ApiError or LedgerUnavailable; who was not reached by then has no outcome.
    """
    standing = _standing(parcels, month, sending)
    blocks = sending.inbox.is_api or sending.rules.not_in_easybill == "block"
    blocked = [
        Outcome(month, number, "blocked", (problem,))
        for number, problem in standing.problems.items()
        if blocks
    ]
    sending.ledger.record_outcomes(blocked, sending.run_id)
    for outcome in blocked:
        yield outcome, None
    left_out = {outcome.customer_number for outcome in blocked}
    to_send = [parcel for parcel in parcels if parcel.export.customer_number not in left_out]
    for result in _results(to_send, month, standing, sending):
        outcome = outcome_of(result)
        warning = standing.problems.get(result.customer_number)
        if warning is not None and outcome.outcome == "delivered":
            outcome = replace(outcome, problems=(*outcome.problems, warning))
            sending.ledger.record_outcomes([outcome], sending.run_id)
        yield outcome, result


def _results(
    parcels: Sequence[Parcel], month: str, standing: _Standing, sending: Sending
) -> Iterator[DeliveryResult]:
    if not parcels:
        return
    inbox = sending.inbox
    if not inbox.is_api:
        yield from deliver_all(
            parcels,
            inbox.transport,
            sending.ledger,
            sending.documents,
            remote_dir=inbox.directory,
            archive_dir=inbox.archive_directory,
            error_dir=inbox.error_directory,
            connections=inbox.connections,
            timeout_s=inbox.timeout_s,
            run_id=sending.run_id,
            verify=sending.verify,
        )
        return
    with sending.easybill.logged(sending.ledger, month=month, run_id=sending.run_id) as api:
        yield from create_all(
            parcels,
            api,
            sending.ledger,
            sending.documents,
            endpoint=sending.easybill.url,
            customer_ids=standing.customer_ids,
            template=sending.rules.draft_template,
            run_id=sending.run_id,
            verify=sending.verify,
        )


def _standing(parcels: Sequence[Parcel], month: str, sending: Sending) -> _Standing:
    """Of the customers to whom something is still to be sent: nobody is looked up for what is settled."""
    policy = "block" if sending.inbox.is_api else sending.rules.not_in_easybill
    numbers = _unsettled(parcels, month, sending.ledger)
    if policy == "off" or not sending.easybill.is_configured or not numbers:
        return _Standing()
    try:
        with sending.easybill.logged(sending.ledger, month=month, run_id=sending.run_id) as api:
            found = api.customers_by_number(numbers)
    except ApiError as error:
        if policy == "block":
            raise
        return _Standing(problems={number: _not_asked(number, error) for number in numbers})
    problems = customer_problems(found)
    return _Standing(_ids(found), {problem.customer_number: problem for problem in problems})


def _ids(found: Mapping[str, Sequence[Customer]]) -> dict[str, int]:
    return {number: customers[0].id for number, customers in found.items() if len(customers) == 1}


def _unsettled(parcels: Sequence[Parcel], month: str, ledger: Ledger) -> Collection[str]:
    """The customers of the parcels for whom nothing was sent yet, as far as the ledger knows, by number."""
    settled = {
        delivery.order_number
        for delivery in ledger.deliveries(month)
        if delivery.state in SENT_STATES or delivery.state is State.HELD
    }
    return sorted(
        {parcel.export.customer_number for parcel in parcels if parcel.export.order_number not in settled}
    )


def _not_asked(number: str, error: ApiError) -> Problem:
    message = f"EASY Bill could not be asked whether it has this customer: {error}"
    return Problem(Code.NOT_IN_EASYBILL, number, message, field="customer_number", value=number)
