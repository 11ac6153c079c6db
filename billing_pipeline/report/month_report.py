"""The month as its accountant reads it: one value with everything that the page and the tables show, and in what it
differs from the report before. Nothing is read or decided here.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from billing_pipeline.billing.unusual import CustomerMonth
from billing_pipeline.delivery.records import Event, RowInFile
from billing_pipeline.problems import Problem
from billing_pipeline.report.month import CustomerStatus, MonthStatus
from billing_pipeline.report.open_items import OpenItem

Change = Literal["new", "gone", "changed"]


@dataclass(frozen=True, slots=True)
class VatTotal:
    """What stands in EASY Bill at one VAT rate, in minor units of `currency`."""

    currency: str
    vat_basis_points: int
    net: int
    vat: int
    gross: int


@dataclass(frozen=True, slots=True)
class ChangedCustomer:
    """How a customer's month differs from what the last report told: outcome, order number and gross, then and now."""

    customer_number: str
    change: Change
    before: CustomerFacts | None
    now: CustomerFacts | None


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """What a report tells of a customer that may change: an amount is gross, in minor units."""

    outcome: str
    order_number: str
    gross: int
    currency: str
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What was told: by customer, and what was open of all months."""

    customers: Mapping[str, CustomerFacts]
    open: frozenset[tuple[str, str, str, str]]

    def of_month_alone(self, month: str) -> ReportFacts:
        """Without what is open of other months."""
        return ReportFacts(self.customers, frozenset(one for one in self.open if one[0] == month))

    def to_json(self) -> bytes:
        """Canonical JSON: equal facts are equal bytes."""
        customers = {
            number: [one.outcome, one.order_number, one.gross, one.currency, list(one.codes)]
            for number, one in sorted(self.customers.items())
        }
        return json.dumps(
            {"customers": customers, "open": sorted(map(list, self.open))},
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()

    @classmethod
    def from_json(cls, data: bytes) -> ReportFacts:
        """The facts of which `to_json` made these bytes."""
        record = json.loads(data)
        return cls(
            {
                number: CustomerFacts(outcome, order_number, gross, currency, tuple(codes))
                for number, (outcome, order_number, gross, currency, codes) in record["customers"].items()
            },
            frozenset((month, number, code, source) for month, number, code, source in record["open"]),
        )


@dataclass(frozen=True)
class MonthReport:
    """The month as people read it. `made_at` has the zone of the billing.

    `vat`: by currency and rate. `history`: months before this one, oldest first, and this one last; per month what
    stands billed of each customer. `late`: rows of other months that this month's files bill. `decisions`: what people
    decided about the month, oldest first. `unusual`, `e_invoice`: told, and nobody is blocked. `links`: where a
    customer's draft is seen. `told_at`: when a report last told other facts, None for never.
    """

    status: MonthStatus
    made_at: datetime
    vat: tuple[VatTotal, ...]
    open: tuple[OpenItem, ...]
    history: Mapping[str, Sequence[CustomerMonth]]
    late: tuple[RowInFile, ...]
    decisions: tuple[Event, ...]
    unusual: tuple[Problem, ...]
    e_invoice: tuple[Problem, ...]
    links: Mapping[str, str]
    told_at: datetime | None = None
    changes: tuple[ChangedCustomer, ...] = ()
    settled: tuple[tuple[str, str, str, str], ...] = ()

    @property
    def month(self) -> str:
        """YYYY-MM."""
        return self.status.month

    @property
    def facts(self) -> ReportFacts:
        """What this report tells that a later one may tell otherwise."""
        return facts_of(self.status, self.open)

    @property
    def open_before(self) -> list[OpenItem]:
        """What is open of other months, the oldest first."""
        return [item for item in self.open if item.month != self.month]

    @property
    def open_of_month(self) -> list[OpenItem]:
        """What is open of this month beside the customers who are blocked, failed or held."""
        whole = {one.customer_number for one in self.status.needs_a_person}
        return [
            item
            for item in self.open
            if item.month == self.month and (item.source_id or item.customer_number not in whole)
        ]

    def net_by_month(self) -> dict[str, dict[str, int]]:
        """By currency and month what stands billed, net, in minor units; 0 where nothing does."""
        found: dict[str, dict[str, int]] = {}
        for month, customers in self.history.items():
            for one in customers:
                months = found.setdefault(one.currency, dict.fromkeys(self.history, 0))
                months[month] += one.net
        return dict(sorted(found.items()))

    def e_invoice_of(self, customer_number: str) -> list[Problem]:
        """What this customer's e-invoice would lack."""
        return [one for one in self.e_invoice if one.customer_number == customer_number]


def facts_of(status: MonthStatus, items: Iterable[OpenItem]) -> ReportFacts:
    """What a report of this month tells."""
    return ReportFacts(
        {one.customer_number: _facts_of(one) for one in status.customers},
        frozenset((one.month, one.customer_number, one.code, one.source_id) for one in items),
    )


def _facts_of(customer: CustomerStatus) -> CustomerFacts:
    # To be sent again as it was changes nothing.
    outcome = "delivered" if customer.outcome == "unchanged" else customer.outcome
    return CustomerFacts(
        outcome,
        customer.order_number,
        customer.gross,
        customer.currency,
        tuple(sorted({str(problem.code) for problem in customer.problems})),
    )


def changed_customers(before: ReportFacts, now: ReportFacts) -> Iterator[ChangedCustomer]:
    """The customers of whom something else is told now, by customer number."""
    for number in sorted(before.customers.keys() | now.customers.keys()):
        then, here = before.customers.get(number), now.customers.get(number)
        if then != here:
            change: Change = "new" if then is None else "gone" if here is None else "changed"
            yield ChangedCustomer(number, change, then, here)


def sums_by_rate(amounts: Iterable[tuple[str, int, int, int, int]]) -> tuple[VatTotal, ...]:
    """The sums of (currency, VAT in basis points, net, vat, gross): by currency, the highest rate first."""
    sums: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for currency, rate, net, vat, gross in amounts:
        sums[currency, -rate].update(net=net, vat=vat, gross=gross)
    return tuple(
        VatTotal(currency, -rate, total["net"], total["vat"], total["gross"])
        for (currency, rate), total in sorted(sums.items())
    )


def customer_records(report: MonthReport) -> Iterator[dict[str, Any]]:
    """The customers as a table, the same as the page's: keys of `status --json`, amounts in minor units."""
    for one in report.status.customers:
        yield {
            "customer_number": one.customer_number,
            "outcome": one.outcome,
            "order_number": one.order_number,
            "revision": one.revision or None,
            "file": one.file,
            "lines": one.lines if one.file else None,
            "net": one.net if one.file else None,
            "vat": one.vat if one.file else None,
            "gross": one.gross if one.file else None,
            "currency": one.currency,
            "problems": "\n".join(f"{problem.code}: {problem.message}" for problem in one.problems)
            or one.reason,
            "late_rows": one.late_rows,
            "e_invoice": "\n".join(problem.message for problem in report.e_invoice_of(one.customer_number)),
            "draft": report.links.get(one.customer_number, ""),
        }
