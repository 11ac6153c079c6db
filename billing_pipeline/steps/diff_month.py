"""What was delivered of a month against what the OMS says now: per customer and line, with the money.

It is what `correct` would change, found for everybody with one read of the OMS. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from billing_pipeline.delivery.records import Delivery
from billing_pipeline.easybill.difference import Difference, LineDifference, difference
from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.export import CustomerExport, export_customers
from billing_pipeline.money import format_minor
from billing_pipeline.oms.period import period_of
from billing_pipeline.problems import Problem
from billing_pipeline.steps.bill_month import bill_part
from billing_pipeline.steps.correction import nothing_sent, other_fields
from billing_pipeline.steps.wiring import Wiring

WITHOUT_LINES: Final = frozenset({"nothing_to_bill", "omitted"})


@dataclass(frozen=True)
class CustomerDiff:
    """A customer for whom the OMS says something else than order `sent`.

    `changes` is None where no line is left, and where the month cannot be billed any more, for the reasons in
    `problems`.
    """

    sent: Delivery
    before: Document
    changes: Difference | None
    problems: tuple[Problem, ...] = ()

    @property
    def currency_now(self) -> str:
        return self.before.currency if self.changes is None else self.changes.after.currency

    @property
    def net_now(self) -> int | None:
        """None where it cannot be told."""
        if self.changes is not None:
            return self.changes.after.net
        return None if self.problems else 0

    @property
    def line_changes(self) -> tuple[LineDifference, ...]:
        """The lines that differ; none where it cannot be told."""
        if self.changes is not None:
            return self.changes.lines
        return () if self.problems else tuple(LineDifference(line, None) for line in self.before.lines)

    def lines(self, language: str) -> Iterator[str]:
        """For people: the totals, each line, and how it is corrected."""
        number, month = self.sent.customer_number, self.sent.month
        yield f"Customer {number}, {self.sent.order_number}: {self._totals(language)}"
        yield from (
            f"  {line.text(self.before.currency, self.currency_now, language)}" for line in self.line_changes
        )
        if self.changes is not None and (fields := other_fields(self.changes)):
            yield f"  also changed: {', '.join(fields)}"
        for problem in self.problems:
            yield f"  {problem.code}: {problem.message}"
        first = "once that is mended, " if self.problems else ""
        does = (
            "sends the month anew"
            if self.changes or self.problems
            else "takes it back, or says how that is done"
        )
        yield f"  {first}`billing-pipeline correct {month} --customer {number} --reason TEXT --by NAME` {does}"

    def as_json(self) -> dict[str, Any]:
        """For scripts; amounts are net, in minor units, and `net_now` null where the month cannot be billed."""
        return {
            "customer_number": self.sent.customer_number,
            "order_number": self.sent.order_number,
            "lines": [_line_json(line) for line in self.line_changes],
            "other_fields": [] if self.changes is None else other_fields(self.changes),
            "problems": [problem.as_json() for problem in self.problems],
            "net_before": self.before.net,
            "net_now": self.net_now,
            "currency": self.currency_now,
        }

    def _totals(self, language: str) -> str:
        if self.changes is not None:
            return self.changes.totals(language)
        sent = f"net {format_minor(self.before.net, self.before.currency, language)} was sent"
        return (
            f"{sent}, and the OMS cannot be billed now" if self.problems else f"{sent}, and nothing is left"
        )


@dataclass(frozen=True)
class MonthDiff:
    """The customers of the month who differ, by customer number; `compared` had something sent to them."""

    month: str
    customers: tuple[CustomerDiff, ...]
    compared: int

    def lines(self, language: str) -> Iterator[str]:
        """For people: each customer who differs, then how many there are."""
        for customer in self.customers:
            yield from customer.lines(language)
        yield f"{self.month}: {len(self.customers)} of {self.compared} customers who were sent something differ"

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {"month": self.month, "customers": [customer.as_json() for customer in self.customers]}


def diff_month(wiring: Wiring, month: str, customers: Collection[str] = ()) -> MonthDiff:
    """What `correct` would change for each of these customers, or for all to whom something was sent.

    All are billed as if none of them had been sent, so that a row that moved from one to another is told of both.
    Raises: UsageError for what is no month; NothingToCorrect for a customer to whom nothing was sent; the errors of
    reading OMS, ledger and store.
    """
    period_of(month, wiring.billing.timezone)
    sent = wiring.ledger.open().deliveries.last_sent(month)
    for number in customers:
        if number not in sent:
            raise nothing_sent(month, number)
    named = sorted(customers or sent)
    if not named:
        return MonthDiff(month, (), 0)
    billed = bill_part(wiring, month, customers=named, reopened=named)
    exports = {
        made.customer_number: made
        for made in export_customers(
            billed.part,
            billed.extract.customers,
            month=month,
            rules=wiring.billing.rules,
            layouts=wiring.billing.layouts_of(named),
            revisions={number: sent[number].revision + 1 for number in named},
        )
    }
    found = (_customer_diff(wiring, sent[number], exports[number]) for number in named)
    return MonthDiff(month, tuple(one for one in found if one is not None), len(named))


def _customer_diff(wiring: Wiring, sent: Delivery, made: CustomerExport) -> CustomerDiff | None:
    before = Document.from_json(wiring.blobs.get("document", sent.document_sha256))
    if made.file is None:
        return CustomerDiff(sent, before, None, () if made.outcome in WITHOUT_LINES else made.problems)
    changes = difference(before, made.file.document)
    return CustomerDiff(sent, before, changes) if changes.lines or other_fields(changes) else None


def _line_json(line: LineDifference) -> dict[str, Any]:
    """One line: its place in the document that it is in now, or was in, and its title there."""
    shown = line.after or line.before
    assert shown is not None
    return {
        "change": line.change,
        "line": shown.position,
        "title": shown.title,
        "source_ids": [source.source_id for source in shown.sources],
        "fields": list(line.fields),
        "net_before": line.before.net if line.before else None,
        "net_now": line.after.net if line.after else None,
    }
