"""Alerts: what a person is told without having looked, in words. Pure: nothing is read, decided or sent here.

When an alert is due is decided by the sensors of `defs/alerts` and by `billing-pipeline watch`; `notify` sends it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from billing_pipeline.money import format_minor
from billing_pipeline.problems import Problem
from billing_pipeline.report.month import CustomerStatus, MonthStatus
from billing_pipeline.report.month_report import CustomerFacts, ReportFacts, changed_customers
from billing_pipeline.report.text import WORDS, summary_lines

# A message is read on a telephone; the whole list is in `billing-pipeline status` and in the run.
MOST_CHARACTERS = 8_000
MOST_TITLE = 150
NAMED_CUSTOMERS = 40
# Longer reasons are a program's, not a person's.
REASON_LENGTH = 1_000


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a message."""

    name: str
    data: bytes
    mime_type: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One message: a subject line, plain text, and files for the targets that take any."""

    title: str
    body: str
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check that did not pass, and what it says."""

    asset: str
    check: str
    partition: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunNews:
    """What a finished run brought that a person should know. `failure` is None where the run itself did well."""

    job: str
    months: Sequence[str]
    failure: str | None = None
    checks: Sequence[FailedCheck] = ()
    customers: Sequence[tuple[str, CustomerStatus]] = ()  # each with its month

    def __bool__(self) -> bool:
        return self.failure is not None or bool(self.checks) or bool(self.customers)


def run_alert(news: RunNews, link: str) -> Alert:
    """One message for a whole run: why it failed, the checks that failed, the customers who need a person."""
    parts = []
    if news.failure is not None:
        parts.append(f"{news.job} failed: {_shortened(news.failure)}")
    parts += [
        f"Check {one.check} of {one.asset} failed{f' ({one.partition})' if one.partition else ''}: "
        f"{_shortened(one.reason)}"
        for one in news.checks
    ]
    if news.customers:
        parts.append("\n".join(_customer_lines(news.customers)))
    parts.append(f"The run: {link}")
    about = ", ".join(news.months) or news.job
    return Alert(_cut(f"Billing {about}: {_headline(news)}", MOST_TITLE), _bounded("\n\n".join(parts), link))


def in_short(alert: Alert) -> Alert:
    """What is sent where no target takes the alert itself: plain words, and nothing of what it says."""
    return Alert(
        "Billing: an alert could not be sent whole",
        "Something needs a person, and no alert target took the message about it. See `billing-pipeline status MONTH` "
        "and the last runs in Dagster.\n",
    )


def _bounded(body: str, link: str) -> str:
    """Chat services and mail servers refuse what is too long; the run has all of it."""
    return (
        f"{body}\n"
        if len(body) <= MOST_CHARACTERS
        else f"{body[:MOST_CHARACTERS]} ...\n\nAll of it: {link}\n"
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} ..."


def overdue_alert(status: MonthStatus, link: str = "", *, language: str = "en") -> Alert | None:
    """The message about a month that should be delivered by now; None where it is, to every customer.

    Amounts, here and below, are as people of `language` write them.
    """
    if status.customers and not status.needs_a_person:
        return None
    if not status.customers:
        body = (
            f"Nothing has been billed for {status.month}: either nobody started it, or it failed before it had "
            "read a customer. See whether Dagster's daemon is running and whether the last run of monthly_billing "
            f"failed, then materialize the month's assets or run `billing-pipeline run {status.month}`."
        )
    else:
        waiting = [(status.month, customer) for customer in status.needs_a_person]
        body = "\n".join([*summary_lines(status, language=language), "", *_customer_lines(waiting)])
    return Alert(
        f"Billing {status.month}: not delivered",
        body + (f"\n\nDagster: {link}" if link else "") + "\n",
    )


def completion_alert(
    status: MonthStatus,
    now: ReportFacts,
    before: ReportFacts | None,
    page: Attachment,
    link: str = "",
    *,
    language: str = "en",
) -> Alert:
    """The message about a month that is delivered as far as it will be, with its page.

    `now`: what the page tells. `before`: what the message before told, None where this is the first.
    """
    waiting = [(status.month, customer) for customer in status.needs_a_person]
    parts = ["\n".join(summary_lines(status, language=language))]
    if waiting:
        parts.append("\n".join(["Who needs a person:", *_customer_lines(waiting)]))
    else:
        parts.append("Nobody of this month needs a person.")
    if now.open:
        parts.append(
            f"Open, of all months: {len(now.open)}; `billing-pipeline status` lists it with money and remedy."
        )
    if before is not None:
        parts.append("\n".join(["Changed since the last message:", *_change_lines(before, now, language)]))
    parts.append(f"The report is attached: {page.name}" + (f"\nDagster: {link}" if link else ""))
    count = len(waiting)
    who = "1 customer needs a person" if count == 1 else f"{count} customers need a person"
    headline = "delivered" if before is None else "changed since the last message"
    title = f"Billing {status.month}: {headline}" + (f", {who}" if waiting else "")
    return Alert(
        _cut(title, MOST_TITLE), _bounded("\n\n".join(parts), link or "the attached report"), (page,)
    )


def _change_lines(before: ReportFacts, now: ReportFacts, language: str) -> Iterator[str]:
    changes = list(changed_customers(before, now))
    for one in changes[:NAMED_CUSTOMERS]:
        yield f"Customer {one.customer_number}: {_fact(one.before, language)} → {_fact(one.now, language)}"
    if len(changes) > NAMED_CUSTOMERS:
        yield f"... and {len(changes) - NAMED_CUSTOMERS} more customers: see the report"
    if before.open != now.open:
        yield f"Open: {len(now.open - before.open)} new, {len(before.open - now.open)} settled"


def _fact(fact: CustomerFacts | None, language: str) -> str:
    if fact is None:
        return "not in the month"
    reasons = f" ({', '.join(fact.codes)})" if fact.codes else ""
    file = ""
    if fact.gross:
        file = f" {fact.order_number}, {format_minor(fact.gross, fact.currency, language)} gross"
    return f"{WORDS[fact.outcome]}{reasons}{file}"


def rehearsal_alert(
    status: MonthStatus,
    not_in_easybill: Sequence[Problem],
    not_asked: str,
    link: str = "",
    *,
    language: str = "en",
) -> Alert:
    """The message about a month that is not over: who would be blocked if it were billed as it is now.

    `not_asked`: why EASY Bill could not be asked for its customers, "" where it could, or need not.
    """
    waiting = [(status.month, customer) for customer in status.needs_a_person]
    parts = ["\n".join(summary_lines(status, language=language))]
    if waiting:
        parts.append("\n".join(["Would be blocked:", *_customer_lines(waiting)]))
    if not_in_easybill:
        named = [f"Customer {one.customer_number}: {one.message}" for one in not_in_easybill]
        more = [f"... and {len(named) - NAMED_CUSTOMERS} more"] if len(named) > NAMED_CUSTOMERS else []
        parts.append("\n".join(["Not in EASY Bill:", *named[:NAMED_CUSTOMERS], *more]))
    if not_asked:
        parts.append(f"EASY Bill could not be asked whether it has the customers: {_shortened(not_asked)}")
    count = len(
        {customer.customer_number for _, customer in waiting}
        | {one.customer_number for one in not_in_easybill}
    )
    if not count and not not_asked:
        parts.append("Nobody would be blocked.")
    parts.append(
        "This is a rehearsal: nothing was sent, and the month may still change."
        + (f"\nDagster: {link}" if link else "")
    )
    who = "nobody would need a person" if not count else f"{_customers(count)} would need a person"
    return Alert(
        f"Billing {status.month}, rehearsal: {who}", _bounded("\n\n".join(parts), link or "`preview`")
    )


def _customers(count: int) -> str:
    return "1 customer" if count == 1 else f"{count} customers"


def unknown_alert(month: str, reason: str) -> Alert:
    """The message where nobody can tell whether the month is delivered, since the ledger cannot be asked."""
    return Alert(
        f"Billing {month}: cannot tell whether it is delivered",
        f"{_shortened(reason)}\n",
    )


def digest(month: str, customer: CustomerStatus) -> str:
    """Stands for one customer's need, so that the same one is told once; short, for it is kept in a cursor."""
    reasons = sorted((problem.code, problem.source_id, problem.message) for problem in customer.problems)
    said = repr((month, customer.customer_number, customer.outcome, reasons))
    return hashlib.sha256(said.encode()).hexdigest()[:10]


def _headline(news: RunNews) -> str:
    if news.customers:
        count = len(news.customers)
        return "1 customer is not delivered" if count == 1 else f"{count} customers are not delivered"
    if news.failure is not None:
        return "the run failed"
    return "a check failed" if len(news.checks) == 1 else f"{len(news.checks)} checks failed"


def _customer_lines(customers: Collection[tuple[str, CustomerStatus]]) -> Iterator[str]:
    listed = list(customers)
    for month, customer in listed[:NAMED_CUSTOMERS]:
        yield f"Customer {customer.customer_number}, {month}: {WORDS[customer.outcome]}"
        for problem in customer.problems:
            row = f" ({problem.source_id})" if problem.source_id else ""
            yield f"  {problem.code}{row}: {_shortened(problem.message)}"
    if len(listed) > NAMED_CUSTOMERS:
        months = " and ".join(
            f"`billing-pipeline status {month}`" for month in sorted({month for month, _ in listed})
        )
        yield f"... and {len(listed) - NAMED_CUSTOMERS} more customers: {months}"


def _shortened(text: str) -> str:
    return text if len(text) <= REASON_LENGTH else f"{text[:REASON_LENGTH]} ..."
