"""A month and the log as lines of text for a terminal or a file. Words only, no decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from billing_pipeline.delivery.records import Event
from billing_pipeline.local_time import local_time
from billing_pipeline.money import format_minor
from billing_pipeline.report.month import CustomerStatus, MonthStatus

WORDS = {
    "delivered": "delivered",
    "unchanged": "unchanged",
    "nothing_to_bill": "nothing to bill",
    "omitted": "omitted",
    "blocked": "BLOCKED",
    "failed": "FAILED",
    "held": "HELD",
}
READY = "ready"


def word_of(customer: CustomerStatus) -> str:
    """The outcome as people read it; in a dry run a good file is ready, for nothing was to be sent."""
    return READY if customer.is_ready else WORDS[customer.outcome]


def shown_customers(status: MonthStatus, *, everybody: bool) -> list[CustomerStatus]:
    """Those who need a person, or whose late rows wait; or everybody."""
    return [
        customer
        for customer in status.customers
        if everybody or customer.needs_a_person or customer.late_rows
    ]


def month_lines(status: MonthStatus, *, everybody: bool = True, language: str) -> Iterator[str]:
    """What needs a person with its reasons, or every customer, and the totals."""
    yield from customer_lines(status, everybody=everybody, language=language)
    yield from summary_lines(status, language=language)


def customer_lines(status: MonthStatus, *, everybody: bool, language: str) -> Iterator[str]:
    """One line per customer and one per reason, an empty line after them, and how many are not shown."""
    shown = shown_customers(status, everybody=everybody)
    width = max((len(customer.customer_number) for customer in shown), default=0)
    for customer in shown:
        yield customer_line(customer, width, language)
        for problem in customer.problems:
            yield f"    {problem.code}: {problem.message}"
    if shown:
        yield from left_out_lines(status, len(shown))
        yield ""


def left_out_lines(status: MonthStatus, shown: int) -> Iterator[str]:
    """Beside some, how many there are who need nobody."""
    if others := len(status.customers) - shown:
        who = "1 other customer needs" if others == 1 else f"{others} other customers need"
        yield f"  {who} nobody: `--all` lists everybody"


def customer_line(customer: CustomerStatus, width: int, language: str) -> str:
    """One customer in one line: number, outcome, and where there is a file its name, lines and amount."""
    line = f"{customer.customer_number:<{width}}  {word_of(customer):<15}"
    if customer.file:
        lines = "1 line" if customer.lines == 1 else f"{customer.lines} lines"
        amount = format_minor(customer.gross, customer.currency, language)
        line += f"  {customer.file}  {lines}, {amount} gross"
    if customer.reason:
        line += f"  {customer.reason}"
    if customer.late_rows:
        line += f"  [{customer.late_rows} late, waiting for the next open month]"
    return line.rstrip()


def summary_lines(status: MonthStatus, *, language: str) -> Iterator[str]:
    """The counts that add up to the total, and the sums by currency."""
    counts = Counter(map(word_of, status.customers))
    parts = [f"{counts[word]} {word}" for word in (READY, *WORDS.values()) if counts[word]]
    everybody = len(status.customers)
    customers = "1 customer" if everybody == 1 else f"{everybody} customers"
    yield f"{status.month}: {customers}" + (f" = {' + '.join(parts)}" if parts else "")
    for currency, total in status.totals.items():
        amounts = ", ".join(
            f"{name} {format_minor(total[name], currency, language)}" for name in ("net", "vat", "gross")
        )
        yield f"  stands in EASY Bill: {amounts}"
    if status.drift:
        rows = "1 row has" if len(status.drift) == 1 else f"{len(status.drift)} rows have"
        yield f"  {rows} changed in the OMS since being billed:"
        yield from (f"    {problem.customer_number}: {problem.message}" for problem in status.drift)
    if status.warnings:
        yield "  Nobody is blocked for it, but somebody should see to it:"
        for problem in status.warnings:
            whose = f"{problem.customer_number}: " if problem.customer_number else ""
            yield f"    {whose}{problem.code}: {problem.message}"


def event_lines(events: Iterable[Event], timezone: str) -> Iterator[str]:
    """One line per export, exchange or decision: time, month, customer, what, success or failure, detail."""
    for event in events:
        line = (
            f"{local_time(event.at, timezone, seconds=True)}  {event.month:<7}  {event.customer_number:<12}  "
            f"{event.kind} {event.action}: {event.outcome}"
        )
        detail = " ".join(event.detail.split())
        yield f"{line}  {detail}".rstrip()


def event_json(event: Event) -> dict[str, Any]:
    """One event for `log --json`: times in UTC, ISO 8601."""
    return {
        "id": event.id,
        "at": f"{event.at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "month": event.month,
        "customer_number": event.customer_number,
        "revision": event.revision,
        "order_number": event.order_number,
        "kind": event.kind,
        "action": event.action,
        "outcome": event.outcome,
        "detail": event.detail,
        "run_id": event.run_id,
    }
