"""The delivery policy `all_or_nothing`: what stands in a month's way, and what follows when a file fails midway.

The whole month is looked at in the ledger, whichever customers a run has: so the rule holds across the runs of a
backfill. What it does not promise: a customer whose file another run has still to make may turn out blocked later.
No Dagster; the order of things is `sending`'s, and how a file is withdrawn `delivery.withdraw`'s.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from billing_pipeline.delivery.context import DeliveryContext, Verify
from billing_pipeline.delivery.files.withdraw import Withdrawal, withdraw_month
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import DeliveryResult, Parcel, State
from billing_pipeline.delivery.results import held
from billing_pipeline.delivery.transports.protocol import Permanent, Transport
from billing_pipeline.problems import Code, Problem

_NAMED = 5

_NO_FAILURE = frozenset(
    {Code.DELIVERY_IN_PROGRESS, Code.CHANGED_AFTER_DELIVERY, Code.LEDGER_BEHIND, Code.MONTH_HELD_BACK}
)
"""Another run is sending the file, what was sent stands, or it was only held back."""


class HeldBack(Permanent):
    """A file is not sent because of others of its month."""


def in_the_way(month: str, parcels: Iterable[Parcel], unknown: Collection[str], ledger: Ledger) -> str:
    """Which customers of the month cannot be sent to, in words; "" if all can.

    Blocked by their data, held, or `unknown` to EASY Bill. A delivery whose correction exists, or is among the
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
    reasons |= dict.fromkeys(unknown, "not in EASY Bill")
    if not reasons:
        return ""
    named = ", ".join(f"{number} ({reasons[number]})" for number in sorted(reasons)[:_NAMED])
    more = f" and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
    who = "1 customer stands" if len(reasons) == 1 else f"{len(reasons)} customers stand"
    return (
        f"{who} in the way: {named}{more}; mend their data, `omit` or `release` them (`billing-pipeline status "
        f"{month}` says why), then run the month again"
    )


def held_back(customer_number: str, month: str, why: str) -> Problem:
    """The file was not sent because of others of its month."""
    message = f"nothing of {month} is sent unless all of it can be (delivery_policy all_or_nothing): {why}"
    return Problem(Code.MONTH_HELD_BACK, customer_number, message)


@dataclass
class Halt:
    """Stops a run at its first failure: what was not begun by then is refused, by the check before it is sent.

    `because`: what failed, "" while nothing has. A correction's failure is its own.
    """

    check: Verify
    because: str = ""
    _refused: set[str] = field(default_factory=set)

    def verify(self, parcel: Parcel, data: bytes) -> Sequence[str]:
        """The check. Raises: HeldBack once something has failed."""
        found = self.check(parcel, data)
        # Asked last: another connection's failure may have been told meanwhile.
        if self.because and parcel.revision == 1:
            self._refused.add(parcel.export.order_number)
            raise HeldBack(f"not sent: {self.because}")
        return found

    def seen(self, result: DeliveryResult) -> DeliveryResult:
        """Take note of a result; what was refused here says MONTH_HELD_BACK."""
        if result.order_number in self._refused and result.outcome == "failed":
            problem = held_back(result.customer_number, result.month, self.because)
            return replace(result, problems=(problem,))
        if not self.because and result.revision == 1 and result.outcome in {"failed", "held"}:
            failures = [problem for problem in result.problems if problem.code not in _NO_FAILURE]
            if failures:
                self.because = f"{result.customer_number} failed ({failures[0].code})"
        return result


def withdrawn(
    results: Sequence[DeliveryResult], month: str, transport: Transport, context: DeliveryContext, *, why: str
) -> list[DeliveryResult]:
    """The results once what the month has in the inbox is withdrawn, as far as it can be.

    What other runs have sent is withdrawn too, and that it is held is recorded here.
    """
    reason = f"not all of {month} could be sent (delivery_policy all_or_nothing): {why}"
    withdrawals = {
        one.delivery.order_number: one for one in withdraw_month(month, transport, context, why=reason)
    }
    of_this_run = {result.order_number for result in results}
    context.ledger.months.record_outcomes(
        [
            DeliveryResult(
                month, one.customer_number, "held", (held(one),), sha256=one.sha256, order_number=order
            )
            for order, one in ((order, withdrawal.delivery) for order, withdrawal in withdrawals.items())
            if one.state is State.HELD and order not in of_this_run
        ],
        context.run_id,
    )
    return [_after(result, withdrawals.get(result.order_number), reason) for result in results]


def kept(result: DeliveryResult, reason: str, why_not: str) -> DeliveryResult:
    """A file of the run that stays delivered although others failed."""
    if result.outcome != "delivered":
        return result
    message = f"{result.file_name} was delivered and not withdrawn, for {why_not}; {reason}"
    problem = Problem(Code.MONTH_HELD_BACK, result.customer_number, message)
    return replace(result, problems=(*result.problems, problem))


def _after(result: DeliveryResult, withdrawal: Withdrawal | None, reason: str) -> DeliveryResult:
    if withdrawal is None:
        return kept(result, reason, "it is no longer in the inbox, or not ours to withdraw")
    if withdrawal.delivery.state is State.HELD:
        return replace(result, outcome="held", remote_path="", problems=(held(withdrawal.delivery),))
    return kept(result, reason, withdrawal.why_not)
