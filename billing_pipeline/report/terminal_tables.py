"""What is open, the account of an audit, and the log as tables, for a terminal. Elsewhere each has lines.

Without colours where NO_COLOR is set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from billing_pipeline.delivery.records import Event, MonthAudit
from billing_pipeline.local_time import local_time
from billing_pipeline.money import format_minor
from billing_pipeline.report.open_items import OpenItem

# A table is measured as a whole before its first line shows.
_EVENTS_PER_TABLE: Final = 1_000


def print_open_table(items: Iterable[OpenItem], now: datetime, stream: TextIO, *, language: str) -> None:
    """One row per item: what, how much, since when, and what to do."""
    table = Table("month", "customer", "what", show_edge=False, pad_edge=False)
    table.add_column("net", justify="right", no_wrap=True)
    table.add_column("open for", no_wrap=True)
    table.add_column("why, and what to do", ratio=1, overflow="fold")
    for item in items:
        # Text, not str: what the OMS says must not be read as markup.
        table.add_row(
            Text(item.month),
            Text(item.customer_number, overflow="fold"),
            Text(item.what, overflow="fold"),
            Text(item.net_text(language)),
            Text(item.age_text(now)),
            Text.assemble((str(item.code), "yellow"), f": {item.message}"),
        )
    _print(table, stream)


def print_audit_table(months: Sequence[MonthAudit], stream: TextIO, *, language: str) -> None:
    """One row per month, whose standings add up to its rows; and its net amounts."""
    # It loads pandas and pandera, and the table of what is open, which `status` prints, wants neither.
    from billing_pipeline.billing.standing import STANDINGS

    shown = [name for name in STANDINGS if any(one.rows[name] for one in months)]
    beside = [name for name in ("gone", "changed") if any(one.rows[name] for one in months)]
    table = Table("month", show_edge=False, pad_edge=False)
    for name in ("rows", *shown, *beside):
        table.add_column(name.replace("_", " "), justify="right")
    for name in ("net billed", "net open"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in months:
        sums = sorted(one.amounts.items())
        table.add_row(
            one.month,
            *(str(one.rows[name]) for name in ("rows", *shown, *beside)),
            *(
                "\n".join(format_minor(of[name], currency, language) for currency, of in sums)
                for name in ("billed", "open")
            ),
        )
    _print(table, stream)


def print_log_table(events: Sequence[Event], stream: TextIO, *, timezone: str) -> None:
    """One row per event, times by the clock of `timezone`; what has failed is marked."""
    customers = max((len(event.customer_number) for event in events), default=0)
    whats = max((len(_what(event)) for event in events), default=0)
    times = [local_time(event.at, timezone, seconds=True) for event in events]
    width = max(map(len, times), default=0)
    for start in range(0, len(events), _EVENTS_PER_TABLE):
        table = Table(show_header=start == 0, show_edge=False, pad_edge=False)
        table.add_column("time", width=width, no_wrap=True)
        table.add_column("month", width=7)
        table.add_column("customer", width=max(customers, 8))
        table.add_column("what", width=max(min(whats, 28), 4), overflow="fold")
        table.add_column("how", width=7)
        table.add_column("detail", ratio=1, overflow="fold")
        shown = slice(start, start + _EVENTS_PER_TABLE)
        for at, event in zip(times[shown], events[shown], strict=True):
            failed = event.outcome == "failure"
            table.add_row(
                at,
                Text(event.month),
                Text(event.customer_number),
                Text(_what(event)),
                Text(event.outcome, style="red" if failed else ""),
                Text(" ".join(event.detail.split())),
            )
        _print(table, stream)


def _what(event: Event) -> str:
    return f"{event.kind} {event.action}"


def _print(table: Table, stream: TextIO) -> None:
    Console(file=stream, highlight=False).print(table)
