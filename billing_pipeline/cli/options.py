"""What the commands of the command line share: arguments, exit statuses, and printing. No command is here."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from billing_pipeline.report.month import MonthStatus
    from billing_pipeline.report.open_items import OpenItem
    from billing_pipeline.settings import Settings

ALL_WELL, NEEDS_A_PERSON, USAGE, RUN_FAILED = 0, 1, 2, 3

Month = Annotated[str, typer.Argument(metavar="MONTH", help="The month, as YYYY-MM.")]
Customer = Annotated[str, typer.Option("--customer", metavar="N", help="The customer number.")]
Customers = Annotated[
    list[str] | None, typer.Option("--customer", metavar="N", help="Only this customer; may be repeated.")
]
Everybody = Annotated[
    bool, typer.Option("--all", help="List every customer, not only those who need a person.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept, and shown.")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides; it is kept, and shown.")]


def print_lines(lines: Iterable[str]) -> None:
    """Each line to stdout."""
    for line in lines:
        typer.echo(line)


def language_of(settings: Settings) -> str:
    """The language of the rules: amounts are written so everywhere. Raises: UsageError for rules that are none."""
    from billing_pipeline.billing.rules import load_rules

    return load_rules(settings.rules).language


def print_customers(status: MonthStatus, language: str, *, everybody: bool) -> None:
    """Who needs a person, or everybody: a table where stdout is a terminal, lines that scripts can read elsewhere."""
    from billing_pipeline.report.text import customer_lines, left_out_lines, shown_customers

    if not sys.stdout.isatty():
        print_lines(customer_lines(status, everybody=everybody, language=language))
        return
    from billing_pipeline.report.month_table import print_table

    if shown := shown_customers(status, everybody=everybody):
        print_table(shown, sys.stdout, language=language)
        print_lines([*left_out_lines(status, len(shown)), ""])


def print_open(items: Sequence[OpenItem], language: str) -> None:
    """What needs a person: a table where stdout is a terminal, two lines for each item elsewhere."""
    from datetime import UTC, datetime

    from billing_pipeline.report.open_items import open_lines

    now = datetime.now(UTC)
    if not sys.stdout.isatty():
        print_lines(open_lines(items, now, language))
    elif items:
        from billing_pipeline.report.terminal_tables import print_open_table

        print_open_table(items, now, sys.stdout, language=language)
        typer.echo()


def print_json(value: object) -> None:
    """One JSON value to stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def json_lines(records: Iterable[dict[str, Any]]) -> Iterable[str]:
    """Each record as one line of JSON."""
    return (json.dumps(record, ensure_ascii=False) for record in records)
