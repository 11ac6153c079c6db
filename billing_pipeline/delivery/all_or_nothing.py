"""The delivery policy `all_or_nothing`: what stands in a month's way, and what follows when a file fails midway.

The whole month is looked at in the ledger, whichever customers a run has: so the rule holds across the runs of a
backfill. What it does not promise: a customer whose file another run has still to make may turn out blocked later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from billing_pipeline.delivery.channel import Channel, Withdrawal, send_over
from billing_pipeline.delivery.context import DeliveryContext, Halt, held, held_back
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import DeliveryResult, Parcel, State, result_of
from billing_pipeline.delivery.transports.protocol import DeliveryError
from billing_pipeline.easybill.api_errors import ApiError
from billing_pipeline.problems import Code, PipelineError, Problem

_NAMED = 5


def send_all_or_nothing(
    channel: Channel,
    month: str,
    parcels: Sequence[Parcel],
    others: Mapping[str, str],
    context: DeliveryContext,
) -> Iterator[DeliveryResult]:
    """Send the parcels of a month if all of the month can be sent; the results once the last is known.

    `others`: customers of the month to whom nothing can be sent, and why: "not in EASY Bill", "not approved".
    Raises: as `send_over`.
    """
    obstacles = in_the_way(month, parcels, others, context.ledger)
    if obstacles:
        waiting = context.ledger.deliveries.unsettled(month, [parcel.export for parcel in parcels])
        for parcel in parcels:
            number = parcel.export.customer_number
            if number in waiting:
                problem = held_back(number, month, obstacles)
                yield context.record(result_of(parcel, context.clock(), "failed", (problem,)))
        parcels = [parcel for parcel in parcels if parcel.export.customer_number not in waiting]
    halt = Halt(obstacles)
    results: list[DeliveryResult] = []
    ended_by: PipelineError | None = None
    try:
        for result in send_over(channel, month, parcels, replace(context, halt=halt)):
            results.append(result)  # noqa: PERF402 (what was told before an error counts)
    except (DeliveryError, ApiError) as error:
        ended_by = error
    if halt.because and not obstacles:
        results = _withdrawn(channel, month, results, context, why=halt.because)
    yield from results
    if ended_by is not None:
        raise ended_by


def in_the_way(month: str, parcels: Iterable[Parcel], others: Mapping[str, str], ledger: Ledger) -> str:
    """Which customers of the month cannot be sent to, in words; "" if all can.

    Blocked by their data, held, or one of the `others`. A delivery whose correction exists, or is among the
    `parcels`, is in nobody's way.
    """
    reasons = {
        row.export.customer_number: "blocked"
        for row in ledger.months.customers(month)
        if row.export.outcome == "blocked"
    }
    last = {parcel.export.customer_number: parcel.revision for parcel in parcels}
    for number, delivery in ledger.deliveries.latest(month).items():
        if delivery.state is State.HELD and last.get(number, 0) <= delivery.revision:
            reasons[number] = "held"
    reasons |= others
    if not reasons:
        return ""
    named = ", ".join(f"{number} ({reasons[number]})" for number in sorted(reasons)[:_NAMED])
    more = f" and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
    who = "1 customer stands" if len(reasons) == 1 else f"{len(reasons)} customers stand"
    return (
        f"{who} in the way: {named}{more}; mend their data, `omit` or `release` them (`billing-pipeline status "
        f"{month}` says why), then run the month again"
    )


def _withdrawn(
    channel: Channel, month: str, results: Sequence[DeliveryResult], context: DeliveryContext, *, why: str
) -> list[DeliveryResult]:
    """The results once what the month has sent is withdrawn, as far as it can be; recorded where they changed.

    What other runs have sent is withdrawn too, and recorded as held.
    """
    reason = f"not all of {month} could be sent (delivery_policy all_or_nothing): {why}"
    withdrawals = {one.delivery.order_number: one for one in channel.withdraw(month, context, why=reason)}
    for order in withdrawals.keys() - {result.order_number for result in results}:
        delivery = withdrawals[order].delivery
        if delivery.state is State.HELD:
            number, sha256 = delivery.customer_number, delivery.sha256
            context.record(DeliveryResult(month, number, "held", (held(delivery),), sha256, order))
    told = []
    for result in results:
        after = _after(result, withdrawals.get(result.order_number), reason)
        told.append(result if after is result else context.record(after))
    return told


def _after(result: DeliveryResult, withdrawal: Withdrawal | None, reason: str) -> DeliveryResult:
    if withdrawal is not None and withdrawal.delivery.state is State.HELD:
        return replace(result, outcome="held", remote_path="", problems=(held(withdrawal.delivery),))
    if result.outcome != "delivered":
        return result
    why_not = withdrawal.why_not if withdrawal else "it is no longer in the inbox, or not ours to withdraw"
    message = f"{result.file_name} was delivered and not withdrawn, for {why_not}; {reason}"
    problem = Problem(Code.MONTH_HELD_BACK, result.customer_number, message)
    return replace(result, problems=(*result.problems, problem))
