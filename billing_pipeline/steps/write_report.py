"""Makes the report of a month from the ledger, the stored documents, and the frames of this billing and earlier ones.

What it tells is kept, so that the next report can say what has changed since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import pandas as pd

from billing_pipeline.billing.e_invoice import LINE_COLUMNS, e_invoice_gaps
from billing_pipeline.billing.rules import Language
from billing_pipeline.billing.unusual import (
    LEAST_MONTHS,
    PRICE_COLUMNS,
    CustomerMonth,
    entered_twice,
    unusual_fees,
    unusual_prices,
    unusual_totals,
    vanished,
)
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import Billing, Delivery, ToldReport
from billing_pipeline.easybill.document import Document
from billing_pipeline.oms.period import months_back, period_of
from billing_pipeline.problems import Problem
from billing_pipeline.report.month import MonthStatus, month_status
from billing_pipeline.report.month_page import month_page
from billing_pipeline.report.month_report import (
    MonthReport,
    ReportFacts,
    changed_customers,
    facts_of,
    sums_by_rate,
)
from billing_pipeline.steps.current_billing import (
    changed_since_billed,
    current_billing,
    warnings_since_billed,
)
from billing_pipeline.steps.open_list import open_list
from billing_pipeline.steps.read_drafts import draft_links
from billing_pipeline.steps.wiring import BillingSettings, Wiring
from billing_pipeline.store.blobs import BlobStore, sha256_of
from billing_pipeline.store.frames import CUSTOMERS, FrameMissing
from billing_pipeline.store.store_files import StoreError

MONTHS_BEFORE: Final = 12
SERVICES: Final = "oms_services"
LINES: Final = "invoice_lines"
FEE_LINES: Final = ("cancellation_fee", "late_cancellation_fee")


@dataclass(frozen=True)
class WrittenReport:
    """A report, its page, and where the store keeps it."""

    report: MonthReport
    page: bytes
    place: str


def write_report(wiring: Wiring, month: str, language: Language | None = None) -> WrittenReport:
    """Makes the report and its page, and keeps both in the store. The page is in `language`, or in that of the rules.

    Raises: as `make_report`.
    """
    report = make_report(wiring, month)
    page = month_page(report, language or wiring.billing.rules.language)
    facts_sha256 = wiring.blobs.put("report_facts", report.facts.to_json())
    page_sha256 = wiring.blobs.put("report", page)
    wiring.ledger.open().reports.record(month, facts_sha256, page_sha256)
    return WrittenReport(report, page, wiring.blobs.place("report", page_sha256))


def make_report(wiring: Wiring, month: str) -> MonthReport:
    """The month as it is known now; nothing is read from the OMS, and nothing is kept.

    Raises: UsageError for what is no month; FrameMissing, StoreError, LedgerUnavailable.
    """
    period_of(month, wiring.billing.timezone)
    ledger, rules = wiring.ledger.open(), wiring.billing.rules
    deliveries = ledger.deliveries.of_month(month)
    status = month_status(
        month,
        ledger.months.customers(month),
        deliveries,
        changed_since_billed(month, ledger, wiring.frames),
        warnings_since_billed(month, ledger, wiring.frames, rules.language),
    )
    months = [*_months_before(month, wiring.billing.first_month), month]
    history: dict[str, list[CustomerMonth]] = {name: [] for name in months}
    for one in ledger.deliveries.amounts(months):
        history[one.month].append(one)
    items = open_list(ledger, rules, wiring.billing.first_month).items
    standing = ledger.deliveries.standing(month)
    billing = current_billing(month, ledger, wiring.frames)
    unusual: list[Problem] = []
    gaps: list[Problem] = []
    if billing is not None:
        lines = _lines(wiring, billing)
        unusual += _unusual(wiring, ledger, billing, lines, status, history)
        gaps += _e_invoice_gaps(wiring, billing, lines)
    report = MonthReport(
        status=status,
        made_at=datetime.now(UTC).astimezone(ZoneInfo(wiring.billing.timezone)),
        vat=sums_by_rate(_amounts_by_rate(standing, wiring)),
        open=items,
        history=history,
        late=tuple(ledger.billed.late_rows(month)),
        decisions=tuple(event for event in ledger.events.find(month=month) if event.kind == "decision"),
        unusual=tuple(unusual),
        e_invoice=tuple(gaps),
        links=_links(wiring, ledger, standing),
    )
    return _with_changes(report, wiring, ledger)


def told_otherwise(ledger: Ledger, billing: BillingSettings, month: str) -> str | None:
    """What a report of the month would tell now, by its hash and the report before it; None where the month was never
    billed here, or the last report told the same. Raises: LedgerUnavailable.
    """
    facts, last = _facts_now(ledger, billing, month), ledger.reports.last(month)
    if facts is None:
        return None
    told = sha256_of(facts.to_json())
    return None if last is not None and last.facts_sha256 == told else _named(told, last)


def older_month_told_otherwise(
    ledger: Ledger, blobs: BlobStore, billing: BillingSettings, month: str
) -> str | None:
    """As `told_otherwise`, by what is told of the month itself: what is open of others changes every day.

    Raises: LedgerUnavailable.
    """
    facts, last = _facts_now(ledger, billing, month), ledger.reports.last(month)
    if facts is None:
        return None
    if last is not None:
        try:
            before = ReportFacts.from_json(blobs.get("report_facts", last.facts_sha256))
        except StoreError:
            before = None
        if before is not None and before.of_month_alone(month) == facts.of_month_alone(month):
            return None
    return _named(sha256_of(facts.to_json()), last)


def _facts_now(ledger: Ledger, billing: BillingSettings, month: str) -> ReportFacts | None:
    customers = ledger.months.customers(month)
    if not customers:
        return None
    status = month_status(month, customers, ledger.deliveries.of_month(month))
    return facts_of(status, open_list(ledger, billing.rules, billing.first_month).items)


def _named(told: str, last: ToldReport | None) -> str:
    """Facts that come back, after others were told, are told again."""
    return f"{told} after report {last.id if last else 0}"


def _months_before(month: str, first_month: str) -> list[str]:
    """The twelve months before, as far as BILLING_FIRST_MONTH; the oldest first."""
    before = [months_back(month, back) for back in range(MONTHS_BEFORE, 0, -1)]
    return [name for name in before if name >= first_month]


def _amounts_by_rate(standing: list[Delivery], wiring: Wiring) -> Iterator[tuple[str, int, int, int, int]]:
    """The amounts of every line that went out, from the stored documents; each is verified by its hash."""
    for one in standing:
        if one.document_sha256:
            document = Document.from_json(wiring.blobs.get("document", one.document_sha256))
            yield from (
                (document.currency, line.vat_basis_points, line.net, line.vat, line.gross)
                for line in document.lines
            )


def _unusual(
    wiring: Wiring,
    ledger: Ledger,
    billing: Billing,
    lines: pd.DataFrame,
    status: MonthStatus,
    history: dict[str, list[CustomerMonth]],
) -> Iterator[Problem]:
    """What looks unusual beside the months before, as far as their frames are still there."""
    month, language = billing.month, wiring.billing.rules.language
    months = [name for name in history if name != month]
    past = [one for name in months for one in history[name]]
    yield from unusual_totals(history[month], past, language)
    yield from vanished([one.customer_number for one in status.customers], past, months[-LEAST_MONTHS:])
    before = {name: found for name in months if (found := _lines_of(wiring, ledger, name)) is not None}
    since: dict[str, str] = {}
    for one in past:
        since.setdefault(one.customer_number, one.month)
    yield from unusual_fees(_fees(lines), {name: _fees(found) for name, found in before.items()}, since)
    yield from unusual_prices(lines, list(before.values()), language)
    services = wiring.frames.read(SERVICES, month, billing.extract.frames[SERVICES])
    yield from entered_twice(services, month, (one for ids in lines["source_ids"] for one in ids))


def _lines(wiring: Wiring, billing: Billing) -> pd.DataFrame:
    return wiring.frames.read(LINES, billing.month, billing.frames[LINES])


def _lines_of(wiring: Wiring, ledger: Ledger, month: str) -> pd.DataFrame | None:
    """The lines of an earlier month; None where it was not billed, or its frame has been pruned or is damaged."""
    try:
        billing = current_billing(month, ledger, wiring.frames)
        return None if billing is None else _lines(wiring, billing)[list(PRICE_COLUMNS)]
    except (FrameMissing, StoreError):
        return None


def _fees(lines: pd.DataFrame) -> Counter[str]:
    """Cancellation fees by customer."""
    return Counter(lines.loc[lines["line_type"].isin(FEE_LINES), "customer_number"].tolist())


def _e_invoice_gaps(wiring: Wiring, billing: Billing, lines: pd.DataFrame) -> Iterator[Problem]:
    customers = wiring.frames.read(CUSTOMERS, billing.month, billing.extract.frames[CUSTOMERS])
    return e_invoice_gaps(customers, lines[list(LINE_COLUMNS)], wiring.billing.rules)


def _links(wiring: Wiring, ledger: Ledger, standing: list[Delivery]) -> dict[str, str]:
    """Where each customer's draft is seen, as far as it was read back."""
    links = draft_links(wiring.easybill, ledger, [one.order_number for one in standing])
    return {one.customer_number: links[one.order_number] for one in standing if one.order_number in links}


def _with_changes(report: MonthReport, wiring: Wiring, ledger: Ledger) -> MonthReport:
    """The report with what has changed since the last one that told other facts."""
    facts = report.facts
    told = ledger.reports.last(report.month, other_than=sha256_of(facts.to_json()))
    if told is None:
        return report
    try:
        before = ReportFacts.from_json(wiring.blobs.get("report_facts", told.facts_sha256))
    except StoreError:
        return report
    return replace(
        report,
        told_at=told.at,
        changes=tuple(changed_customers(before, facts)),
        settled=tuple(sorted(before.open - facts.open)),
    )
