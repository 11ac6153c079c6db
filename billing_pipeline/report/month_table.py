"""The customers of a month as a table, for a terminal. Where there is none, `report/text.py` has lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from billing_pipeline.money import format_minor
from billing_pipeline.report.month import CustomerStatus
from billing_pipeline.report.text import word_of

_STYLE: Final = {"blocked": "red", "failed": "red", "held": "yellow"}


def print_table(customers: Iterable[CustomerStatus], stream: TextIO, *, language: str) -> None:
    """One row per customer, with all reasons. Without colours where NO_COLOR is set."""
    table = Table("customer", "outcome", "file", show_edge=False, pad_edge=False)
    table.add_column("lines", justify="right")
    table.add_column("gross", justify="right", no_wrap=True)
    table.add_column("why", ratio=1, overflow="fold")
    for customer in customers:
        # Text, not str: what the OMS says must not be read as markup.
        table.add_row(
            Text(customer.customer_number, overflow="fold"),
            Text(
                word_of(customer),
                style=_STYLE.get(customer.outcome, "") if customer.needs_a_person else "",
            ),
            Text(customer.file, overflow="fold"),
            Text(str(customer.lines) if customer.file else ""),
            Text(format_minor(customer.gross, customer.currency, language) if customer.file else ""),
            Text("\n".join(_reasons(customer))),
        )
    Console(file=stream, highlight=False).print(table)


def _reasons(customer: CustomerStatus) -> Iterable[str]:
    if customer.reason:
        yield customer.reason
    if customer.late_rows:
        yield f"{customer.late_rows} late, waiting for the next open month"
    yield from (f"{problem.code}: {problem.message}" for problem in customer.problems)
