"""One month's outcome per customer, from what the ledger knows: the object of `run --json` and `status --json`.

The outcome is derived here and nowhere else, so that the command line, the demo and the UI cannot disagree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from billing_pipeline.delivery.ledger.deliveries import latest_of, standing_of
from billing_pipeline.delivery.records import SENT_STATES, Delivery, Export, MonthCustomer, Outcome, State
from billing_pipeline.problems import Code, Problem

OUTCOMES: tuple[Outcome, ...] = (
    "delivered",
    "unchanged",
    "nothing_to_bill",
    "omitted",
    "blocked",
    "failed",
    "held",
)
NEEDS_A_PERSON: frozenset[Outcome] = frozenset({"blocked", "failed", "held"})


@dataclass(frozen=True, slots=True)
class CustomerStatus:
    """One customer's month. Amounts are minor units of `currency`; file and amounts are empty without a file.

    `stands`: file and amounts are those of a delivery that stands in EASY Bill, whatever the outcome is now.
    `is_ready`: in a dry run, the file is made and good, and nothing but that it was not sent speaks against it.
    """

    customer_number: str
    outcome: Outcome
    order_number: str = ""
    revision: int = 0
    file: str = ""
    sha256: str = ""
    size_bytes: int = 0
    lines: int = 0
    net: int = 0
    vat: int = 0
    gross: int = 0
    currency: str = ""
    problems: tuple[Problem, ...] = ()
    late_rows: int = 0
    reason: str = ""
    stands: bool = False
    is_ready: bool = False

    @property
    def needs_a_person(self) -> bool:
        """Whether somebody has to see to it."""
        return self.outcome in NEEDS_A_PERSON and not self.is_ready

    def as_json(self) -> dict[str, Any]:
        """The keys of 5-interfaces; what a customer without a file does not have is null."""
        with_file = self.file != ""
        result: dict[str, Any] = {
            "customer_number": self.customer_number,
            "outcome": self.outcome,
            "order_number": self.order_number or None,
            "revision": self.revision or None,
            "file": self.file or None,
            "sha256": self.sha256 or None,
            "bytes": self.size_bytes if with_file else None,
            "lines": self.lines if with_file else None,
            "net": self.net if with_file else None,
            "vat": self.vat if with_file else None,
            "gross": self.gross if with_file else None,
            "currency": self.currency or None,
            "problems": [problem.as_json() for problem in self.problems],
        }
        if self.late_rows:
            result["late_rows"] = self.late_rows
        if self.reason:
            result["reason"] = self.reason
        if self.is_ready:
            result["ready"] = True
        return result


@dataclass(frozen=True, slots=True)
class MonthStatus:
    """A month: every customer with a row in it, test customers aside, by customer number.

    `drift`: billed rows that had changed when the month was last billed; `warnings`: what else was to be
    told then: rows that are not billed for a reason of their own, VAT ids that look wrong. They block nobody.
    """

    month: str
    customers: tuple[CustomerStatus, ...] = field(default=())
    drift: tuple[Problem, ...] = field(default=())
    warnings: tuple[Problem, ...] = field(default=())

    @property
    def counts(self) -> dict[str, int]:
        """How many customers in all, and with each outcome; `total` is the sum of the others."""
        counted = Counter(customer.outcome for customer in self.customers)
        return {"total": len(self.customers), **{outcome: counted[outcome] for outcome in OUTCOMES}}

    @property
    def totals(self) -> dict[str, dict[str, int]]:
        """Net, VAT and gross of what stands in EASY Bill, in minor units, by currency."""
        totals: dict[str, dict[str, int]] = {}
        for customer in self.customers:
            if customer.stands:
                total = totals.setdefault(customer.currency, {"net": 0, "vat": 0, "gross": 0})
                total["net"] += customer.net
                total["vat"] += customer.vat
                total["gross"] += customer.gross
        return dict(sorted(totals.items()))

    @property
    def needs_a_person(self) -> tuple[CustomerStatus, ...]:
        """The customers who are blocked, failed or held."""
        return tuple(customer for customer in self.customers if customer.needs_a_person)

    def only(self, customer_numbers: Iterable[str]) -> MonthStatus:
        """These customers; one who has no row in the month is there with nothing to bill."""
        known = {customer.customer_number: customer for customer in self.customers}
        wanted = sorted(set(customer_numbers))
        return MonthStatus(
            self.month,
            tuple(known.get(number, CustomerStatus(number, "nothing_to_bill")) for number in wanted),
            tuple(problem for problem in self.drift if problem.customer_number in wanted),
            # One about several customers names none.
            tuple(problem for problem in self.warnings if problem.customer_number in {"", *wanted}),
        )

    def as_json(self) -> dict[str, Any]:
        """The object of 5-interfaces; with `changed_since_billed` and `warnings` where there are any."""
        changed = [problem.as_json() for problem in self.drift]
        warnings = [problem.as_json() for problem in self.warnings]
        return {
            "month": self.month,
            "counts": self.counts,
            "totals": self.totals,
            "customers": [customer.as_json() for customer in self.customers],
            **({"changed_since_billed": changed} if changed else {}),
            **({"warnings": warnings} if warnings else {}),
        }


def month_status(
    month: str,
    rows: Iterable[MonthCustomer],
    deliveries: Iterable[Delivery],
    drift: Iterable[Problem] = (),
    warnings: Iterable[Problem] = (),
) -> MonthStatus:
    """The month from the ledger's rows of it: one per customer, and one per delivered revision."""
    sent = list(deliveries)
    latest = latest_of(sent)
    standing = {number: one for number, one in standing_of(sent).items() if one.state in SENT_STATES}
    return MonthStatus(
        month,
        tuple(
            _customer_status(
                row, latest.get(row.export.customer_number), standing.get(row.export.customer_number)
            )
            for row in sorted(rows, key=lambda row: row.export.customer_number)
        ),
        tuple(drift),
        tuple(warnings),
    )


def _customer_status(
    row: MonthCustomer, latest: Delivery | None, standing: Delivery | None
) -> CustomerStatus:
    delivery = None if latest is None or latest.state is State.WITHDRAWN else latest
    outcome, problems = _outcome(row, delivery)
    export = row.export
    facts: dict[str, Any] = {
        "problems": problems,
        "late_rows": export.late_rows,
        "reason": export.reason if outcome == "omitted" else "",
    }
    # What went out is told from the delivery, which is frozen, whatever has become of the customer since.
    told = standing or export
    if standing is not None or (outcome in {"failed", "held"} and told.file_name):
        facts |= {
            "stands": standing is not None,
            "order_number": told.order_number,
            "revision": standing.revision if standing else delivery.revision if delivery else 1,
            "file": told.file_name,
            "sha256": told.sha256,
            "size_bytes": told.size_bytes,
            "lines": told.line_count,
            "net": told.net,
            "vat": told.vat,
            "gross": told.gross,
            "currency": told.currency,
        }
    return CustomerStatus(export.customer_number, outcome, **facts)


def _outcome(row: MonthCustomer, delivery: Delivery | None) -> tuple[Outcome, tuple[Problem, ...]]:
    """What stands for the customer's month, and why.

    What is held stays held whatever a later export says, and so does what was sent and of which EASY Bill shows
    another draft, or none. Otherwise the last delivery's word stands if it spoke of the last export and the delivery
    has not moved since, and without one the export's own; a file that was made and not sent has failed to arrive.
    """
    number = row.export.customer_number
    if delivery is not None and (delivery.state is State.HELD or delivery.held_code is not None):
        return "held", (
            Problem(
                delivery.held_code or Code.DELIVERY_FAILED,
                number,
                delivery.held_reason,
                source_id=delivery.order_number,
            ),
        )
    if row.delivery_outcome is not None and _is_of_now(row, delivery):
        return row.delivery_outcome, row.delivery_problems
    export_outcome = row.export.outcome
    # Until an export, or a delivery, has spoken anew, what was sent stands.
    if delivery is not None and delivery.state in SENT_STATES:
        other_bytes = export_outcome == "rendered" and delivery.sha256 != row.export.sha256
        if export_outcome != "blocked" and not other_bytes:
            return "delivered", ()
    if export_outcome == "to_bill" or export_outcome == "rendered":
        return "failed", (_not_delivered_yet(row.export, delivery),)
    return export_outcome, row.export.problems


def _is_of_now(row: MonthCustomer, delivery: Delivery | None) -> bool:
    """Whether how the last delivery ended was told after the last export, and after what the delivery itself says.

    A run that dies in between leaves an older run's word behind.
    """
    told_at = row.delivered_at
    if told_at is None or told_at < row.exported_at:
        return False
    if delivery is None:
        return True
    # A draft that is read back changes what was sent long ago, and says nothing about how the month ended.
    moved_at = delivery.published_at if delivery.state in SENT_STATES else delivery.updated_at
    return moved_at is None or moved_at <= told_at


def _not_delivered_yet(export: Export, delivery: Delivery | None) -> Problem:
    run = f"`billing-pipeline run {export.month} --customer {export.customer_number}`"
    if delivery is not None and delivery.state is State.COMMITTING:
        message = (
            f"the file of {export.month} was being published, and whether it arrived is not known yet: {run} finds "
            "out, and sends nothing twice"
        )
    else:
        message = f"the file of {export.month} is not sent yet: run {run}, or materialize easybill_upload"
    return Problem(Code.NOT_DELIVERED_YET, export.customer_number, message, source_id=export.order_number)
