"""Sends a month's files on the configured way: into the inbox, or as drafts through EASY Bill's API. No Dagster.

Where a key is configured, the customers are looked up in EASY Bill before, all of a run in a call or two. What the
delivery policy `all_or_nothing` asks of a month is `whole_month`'s; here is when it is asked.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from billing_pipeline.billing.rules import Rules
from billing_pipeline.delivery.api.queue import create_all
from billing_pipeline.delivery.context import Verify
from billing_pipeline.delivery.files.orphans import LedgerBehind, behind, find_orphans, first_written_by
from billing_pipeline.delivery.files.pool import context_over, deliver_all
from billing_pipeline.delivery.files.recovery import Places
from billing_pipeline.delivery.ledger import Ledger, utc_now
from billing_pipeline.delivery.records import DeliveryResult, Parcel
from billing_pipeline.delivery.results import result_of
from billing_pipeline.delivery.transports.protocol import DeliveryError
from billing_pipeline.easybill.api_errors import ApiError
from billing_pipeline.easybill.api_models import Customer
from billing_pipeline.easybill.draft_comparison import customer_problems
from billing_pipeline.problems import Code, PipelineError, Problem
from billing_pipeline.steps.all_or_nothing import (
    Halt,
    held_back,
    in_the_way,
    kept,
    withdrawn,
)
from billing_pipeline.steps.easybill_account import EasyBill
from billing_pipeline.steps.wiring import InboxSettings
from billing_pipeline.store.blobs import BlobStore


@dataclass(frozen=True)
class Sending:
    """What one run sends with."""

    inbox: InboxSettings
    easybill: EasyBill
    ledger: Ledger
    documents: BlobStore
    rules: Rules
    run_id: str
    verify: Verify


@dataclass(frozen=True)
class _Standing:
    """How customers stand in EASY Bill: the ids of those who are there exactly once, and what is wrong with others."""

    customer_ids: Mapping[str, int] = field(default_factory=dict)
    problems: Mapping[str, Problem] = field(default_factory=dict)


def send_parcels(parcels: Sequence[Parcel], month: str, sending: Sending) -> Iterator[DeliveryResult]:
    """Send each file of the month, at most once, and tell how it ended, as it becomes known.

    Raises: what ends the whole
    delivery, such as InboxRefused, ApiError or LedgerUnavailable; who was not reached by then has no outcome.
    """
    standing = _standing(parcels, month, sending)
    blocks = sending.inbox.is_api or sending.rules.not_in_easybill == "block"
    unknown = standing.problems.keys() if blocks else frozenset()
    blocked = [
        DeliveryResult(month, parcel.export.customer_number, "blocked", (standing.problems[number],))
        for parcel in parcels
        if (number := parcel.export.customer_number) in unknown
    ]
    sending.ledger.months.record_outcomes(blocked, sending.run_id)
    yield from blocked
    left_out = {result.customer_number for result in blocked}
    to_send = [parcel for parcel in parcels if parcel.export.customer_number not in left_out]
    together = sending.rules.delivery_policy == "all_or_nothing"
    results = _together(to_send, month, standing, unknown, sending) if together else None
    for result in results or _results(to_send, month, standing, sending):
        warning = standing.problems.get(result.customer_number)
        if warning is not None and result.outcome == "delivered":
            yield _recorded(replace(result, problems=(*result.problems, warning)), sending)
        else:
            yield result


def _together(
    parcels: Sequence[Parcel], month: str, standing: _Standing, unknown: Collection[str], sending: Sending
) -> Iterator[DeliveryResult]:
    """The results under the policy `all_or_nothing`: told once the last is known, for it may undo the first."""
    obstacles = in_the_way(month, parcels, unknown, sending.ledger)
    if obstacles:
        waiting = set(_unsettled(parcels, month, sending.ledger))
        for parcel in parcels:
            number = parcel.export.customer_number
            if number in waiting:
                problem = held_back(number, month, obstacles)
                yield _recorded(result_of(parcel, utc_now(), "failed", (problem,)), sending)
        parcels = [parcel for parcel in parcels if parcel.export.customer_number not in waiting]
    halt = Halt(sending.verify, obstacles)
    results: list[DeliveryResult] = []
    ended_by: PipelineError | None = None
    try:
        for result in _results(parcels, month, standing, replace(sending, verify=halt.verify)):
            told = halt.seen(result)
            results.append(result if told is result else _recorded(told, sending))
    except (DeliveryError, ApiError) as error:
        ended_by = error
    if halt.because and not obstacles:
        before, results = results, _withdrawn(results, month, halt.because, sending)
        for was, told in zip(before, results, strict=True):
            if told is not was:
                _recorded(told, sending)
    yield from results
    if ended_by is not None:
        raise ended_by


def _withdrawn(results: list[DeliveryResult], month: str, why: str, sending: Sending) -> list[DeliveryResult]:
    inbox = sending.inbox
    if inbox.is_api:
        return [kept(result, why, "a draft is never deleted from here") for result in results]
    context = context_over(
        inbox.transport,
        sending.ledger,
        sending.documents,
        run_id=sending.run_id,
        places=Places(inbox.directory, inbox.archive_directory, inbox.error_directory),
        timeout_s=inbox.timeout_s,
    )
    return withdrawn(results, month, inbox.transport, context, why=why)


def _recorded(result: DeliveryResult, sending: Sending) -> DeliveryResult:
    sending.ledger.months.record_outcomes([result], sending.run_id)
    return result


def _results(
    parcels: Sequence[Parcel], month: str, standing: _Standing, sending: Sending
) -> Iterator[DeliveryResult]:
    if not parcels:
        return
    if not sending.inbox.is_api:
        yield from _into_inbox(parcels, month, sending)
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


def _into_inbox(parcels: Sequence[Parcel], month: str, sending: Sending) -> Iterator[DeliveryResult]:
    """Sends the files, unless the inbox has files of ours that the ledger does not know; then nothing is sent."""
    unsettled = set(_unsettled(parcels, month, sending.ledger))
    obstacle = _obstacle(sending) if unsettled else None
    frozen: list[Parcel] = []
    if obstacle is not None:
        frozen = [parcel for parcel in parcels if parcel.export.customer_number in unsettled]
        parcels = [parcel for parcel in parcels if parcel.export.customer_number not in unsettled]
    inbox = sending.inbox
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
    if obstacle is None:
        return
    code = Code.LEDGER_BEHIND if isinstance(obstacle, LedgerBehind) else Code.DELIVERY_FAILED
    for parcel in frozen:
        problem = Problem(code, parcel.export.customer_number, str(obstacle))
        result = result_of(parcel, utc_now(), "failed", (problem,))
        sending.ledger.months.record_outcomes([result], sending.run_id)
        yield result
    raise obstacle


def _obstacle(sending: Sending) -> DeliveryError | None:
    """Why nothing may be sent: orphan files of ours, or that nobody could look for any."""
    inbox = sending.inbox
    try:
        orphans = find_orphans(inbox.transport, inbox.places, sending.ledger, timeout_s=inbox.timeout_s)
        ours = first_written_by(
            lambda key, data: sending.rules.order_number(*key).encode() in data, orphans, inbox.transport
        )
    except DeliveryError as error:
        return error
    return LedgerBehind(behind(orphans, inbox.transport.address)) if ours else None


def _standing(parcels: Sequence[Parcel], month: str, sending: Sending) -> _Standing:
    """Of the customers to whom something is still to be sent: nobody is looked up for what is settled.

    Under the policy `all_or_nothing` of all of the month, not only of this run.
    """
    policy = "block" if sending.inbox.is_api else sending.rules.not_in_easybill
    numbers = _unsettled(parcels, month, sending.ledger)
    if sending.rules.delivery_policy == "all_or_nothing":
        exports = [row.export for row in sending.ledger.months.customers(month)]
        numbers |= sending.ledger.deliveries.unsettled(month, exports)
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


def _unsettled(parcels: Sequence[Parcel], month: str, ledger: Ledger) -> frozenset[str]:
    return ledger.deliveries.unsettled(month, [parcel.export for parcel in parcels])


def _not_asked(number: str, error: ApiError) -> Problem:
    message = f"EASY Bill could not be asked whether it has this customer: {error}"
    return Problem(Code.NOT_IN_EASYBILL, number, message, field="customer_number", value=number)
