"""The commands that look into what has happened: every row against what became of it, and every exchange."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from billing_pipeline.cli.help_text import LOOK_INTO_IT, add_command
from billing_pipeline.cli.options import (
    ALL_WELL,
    NEEDS_A_PERSON,
    AsJson,
    Customers,
    Month,
    json_lines,
    language_of,
    print_json,
    print_lines,
    print_open,
)


def add_to(app: typer.Typer) -> None:
    """Registers the commands of this module."""
    add_command(app, LOOK_INTO_IT, audit, "audit --from 2026-07 --to 2026-10")
    add_command(app, LOOK_INTO_IT, diff, "diff 2026-10", "diff 2026-10 --customer 10023 --json")
    add_command(app, LOOK_INTO_IT, log, "log --month 2026-10 --customer 10023")


def audit(
    first: Annotated[
        str | None, typer.Option("--from", metavar="MONTH", help="The first month, YYYY-MM.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="MONTH", help="The last month, YYYY-MM.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold every row of the OMS against ledger, files and drafts, month after month; nothing is billed or sent."""
    from billing_pipeline.oms.period import period_of
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.audit import audit as audit_months
    from billing_pipeline.steps.wiring import build_wiring

    settings = load_settings()
    for month in (first, last):
        if month is not None:
            period_of(month, settings.timezone)
    found = audit_months(build_wiring(settings), first, last)
    if as_json:
        print_json(found.as_json())
    else:
        language = language_of(settings)
        print_open(found.open, language)
        print_lines(found.finding_lines())
        if sys.stdout.isatty():
            from billing_pipeline.report.terminal_tables import print_audit_table

            print_audit_table(found.months, sys.stdout, language=language)
        else:
            print_lines(found.lines(language))
    wrong = bool(found.open) or any(one.findings for one in found.months)
    raise typer.Exit(NEEDS_A_PERSON if wrong else ALL_WELL)


def diff(month: Month, customer: Customers = None, as_json: AsJson = False) -> None:
    """Show what was delivered against what the OMS says now, per customer and line; nothing is written.

    Exit status 1 where there is a difference. `correct` sends it.
    """
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.diff_month import diff_month
    from billing_pipeline.steps.wiring import build_wiring

    settings = load_settings()
    found = diff_month(build_wiring(settings), month, customer or ())
    if as_json:
        print_json(found.as_json())
    else:
        print_lines(found.lines(language_of(settings)))
    raise typer.Exit(NEEDS_A_PERSON if found.customers else ALL_WELL)


def log(
    customer: Annotated[str | None, typer.Option("--customer", metavar="N")] = None,
    month: Annotated[str | None, typer.Option("--month", metavar="M", help="YYYY-MM.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Show every export and every exchange: time, customer, success or failure."""
    from billing_pipeline.delivery.ledger import open_ledger
    from billing_pipeline.report.text import event_json, event_lines
    from billing_pipeline.settings import load_settings

    settings = load_settings()
    ledger = open_ledger(settings.ledger_url_or_default)
    events = ledger.events.find(month=month, customer_number=customer)
    if not events and not as_json:
        typer.echo("the log has no such entry", err=True)
    elif sys.stdout.isatty() and not as_json:
        from billing_pipeline.report.terminal_tables import print_log_table

        print_log_table(events, sys.stdout, timezone=settings.timezone)
    else:
        print_lines(
            json_lines(map(event_json, events)) if as_json else event_lines(events, settings.timezone)
        )
