"""The delivery policy `all_or_nothing`: a month's files are sent together, or not at all, as far as that can be.

First everything that can be known without the inbox is: nobody is blocked, every file is planned, its bytes are there
and pass their check. Only then is anything sent. Should one fail all the same, the files that were sent by this run
are withdrawn, where the receiver has not taken them yet; of those it has, people are told.

What this cannot promise. A receiver that reads a file and moves it away some moments later may have read one that is
withdrawn in between; it is sent again later under the same name and order number, which EASY Bill imports once. This
is why `best_effort`, which withdraws nothing, is the default.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from billing_pipeline.delivery.inbox import DeliveryError, Transport
from billing_pipeline.delivery.machine import Run, carry_through
from billing_pipeline.delivery.records import Delivery, DeliveryResult, Parcel, State
from billing_pipeline.delivery.verdicts import held, outcome_of, result_of
from billing_pipeline.delivery.withdrawal import withdraw
from billing_pipeline.delivery.worker import deliver_over
from billing_pipeline.problems import Code, Problem

_NAMED = 5


class _ReadyError(Exception):
    """The parcel has come as far as to be sent: nothing is wrong with it, and here it stops."""


def deliver_all_or_nothing(
    parcels: Sequence[Parcel],
    transport: Transport,
    run: Run,
    *,
    obstacles: Sequence[Problem] = (),
    connections: int = 4,
    timeout_s: float = 30.0,
) -> Iterator[DeliveryResult]:
    """Deliver all the parcels, or none; one result for each, once it is known of all.

    `obstacles` are what keeps others of the month from being sent, such as why a customer is blocked. Each outcome
    is in the ledger before it is yielded. Raises: as `deliver_all`.
    """
    checked = [_checked(parcel, run) for parcel in parcels]
    against = [
        *obstacles,
        *(problem for result in checked if result is not None for problem in result.problems),
    ]
    if against:
        for parcel, result in zip(parcels, checked, strict=True):
            yield _recorded(result or _not_sent(parcel, run, against), run)
        return
    results: list[DeliveryResult] = []
    ended_by: DeliveryError | None = None
    try:
        results.extend(deliver_over(parcels, transport, run, connections=connections, timeout_s=timeout_s))
    except DeliveryError as error:
        ended_by = error
    failures = [problem for result in results for problem in result.problems]
    if failures:
        results = [_recorded(result, run) for result in _taken_back(results, failures, transport, run)]
    yield from results
    if ended_by is not None:
        raise ended_by


def _checked(parcel: Parcel, run: Run) -> DeliveryResult | None:
    """What can be said of the parcel without the inbox; None if it could be sent."""

    def stop(*_: object) -> bool:
        raise _ReadyError

    try:
        return carry_through(parcel, run, send=stop, take_up=stop)
    except _ReadyError:
        return None


def _not_sent(parcel: Parcel, run: Run, against: Sequence[Problem]) -> DeliveryResult:
    problem = Problem(
        Code.NOT_DELIVERED_YET,
        parcel.export.customer_number,
        f"nothing of {parcel.export.month} is sent before all of it can be (delivery policy all_or_nothing): "
        f"{_customers(against)}",
    )
    return result_of(parcel, run.clock(), "failed", (problem,))


def _taken_back(
    results: Sequence[DeliveryResult], failures: Sequence[Problem], transport: Transport, run: Run
) -> Iterator[DeliveryResult]:
    """The results as they are once what this run has sent is withdrawn, as far as it can be."""
    why = f"not all of the month could be sent (delivery policy all_or_nothing): {_customers(failures)}"
    given_up = ""
    try:
        with transport.connect() as inbox:
            for result in results:
                sent = None if given_up else _withdrawable(result, run)
                if sent is None:
                    yield _kept(result, why, given_up) if result.outcome == "delivered" else result
                    continue
                try:
                    taken_back = withdraw(sent, inbox, run, why=why)
                except DeliveryError as error:
                    # Each further attempt over this connection would leave one more file of which nobody knows.
                    given_up = str(error)
                    yield _held(result, run)
                else:
                    yield _withdrawn(result, why) if taken_back else _kept(result, why, "")
    except DeliveryError as error:
        for result in results:
            yield _kept(result, why, str(error)) if result.outcome == "delivered" else result


def _withdrawable(result: DeliveryResult, run: Run) -> Delivery | None:
    """The delivery, if this run has sent it and it is no correction, whose old rows are free already."""
    if result.outcome != "delivered" or result.revision > 1:
        return None
    delivery = run.ledger.delivery(result.order_number)
    return delivery if delivery is not None and delivery.state is State.PUBLISHED else None


def _withdrawn(result: DeliveryResult, why: str) -> DeliveryResult:
    problem = Problem(
        Code.NOT_DELIVERED_YET, result.customer_number, f"{result.file_name} was withdrawn: {why}"
    )
    return replace(result, outcome="failed", remote_path="", problems=(problem,))


def _kept(result: DeliveryResult, why: str, error: str) -> DeliveryResult:
    reason = error or "the receiver has it already"
    message = f"{result.file_name} was not withdrawn, for {reason}; {why}"
    return replace(result, problems=(Problem(Code.DELIVERY_FAILED, result.customer_number, message),))


def _held(result: DeliveryResult, run: Run) -> DeliveryResult:
    delivery = run.ledger.delivery(result.order_number)
    if delivery is None or delivery.state is not State.HELD:
        return result
    return replace(result, outcome="held", problems=(held(delivery),))


def _recorded(result: DeliveryResult, run: Run) -> DeliveryResult:
    run.ledger.record_outcomes([outcome_of(result)], run.run_id)
    return result


def _customers(problems: Sequence[Problem]) -> str:
    """The first few customers of these problems, with the code of each."""
    named = list(dict.fromkeys(f"{problem.customer_number} ({problem.code})" for problem in problems))
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more
