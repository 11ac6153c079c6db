"""The commands of every month: look at its files, bill it, look at its outcome, tell people if it is late."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from billing_pipeline.cli.help_text import EVERY_MONTH, add_command
from billing_pipeline.cli.options import (
    ALL_WELL,
    NEEDS_A_PERSON,
    AsJson,
    Customers,
    Everybody,
    Month,
    language_of,
    print_customers,
    print_json,
    print_lines,
    print_open,
)
from billing_pipeline.problems import PipelineError, UsageError

if TYPE_CHECKING:
    from billing_pipeline.delivery.ledger import Ledger
    from billing_pipeline.report.month import MonthStatus
    from billing_pipeline.settings import Settings
    from billing_pipeline.steps.open_list import OpenList


def add_to(app: typer.Typer) -> None:
    """Registers the commands of this module."""
    add_command(
        app, EVERY_MONTH, preview, "preview 2026-10 --customer 10023", "preview 2026-10 --out files --excel"
    )
    add_command(app, EVERY_MONTH, run, "run 2026-10", "run 2026-10 --customer 10023 --dry-run")
    add_command(app, EVERY_MONTH, status, "status", "status 2026-10 --all")
    add_command(app, EVERY_MONTH, watch, "watch 2026-10")


def run(
    month: Month,
    customer: Customers = None,
    service: Annotated[
        list[str] | None,
        typer.Option("--service", metavar="ID", help="Bill only this service; may be repeated."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Make and check every file; send nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Bill a month that is suspiciously small or large.")
    ] = False,
    before_end: Annotated[
        bool, typer.Option("--before-end", help="Bill a month that is not over or not settled.")
    ] = False,
    accept_new_ids: Annotated[
        bool,
        typer.Option(
            "--accept-new-ids", help="Go on although many billed rows have gone from the OMS at once."
        ),
    ] = False,
    everybody: Everybody = False,
    as_json: AsJson = False,
) -> None:
    """Bill a month: extract, check, make the files and deliver them, through Dagster, with its records."""
    from billing_pipeline.launch.run_month import run_month
    from billing_pipeline.progress import progress_on
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.preview import dry_run as run_dry

    settings = load_settings()
    customers, services = customer or (), service or ()
    if dry_run:
        found = run_dry(
            settings,
            month,
            customers=customers,
            services=services,
            before_end=before_end,
            accept_new_ids=accept_new_ids,
        )
        _print_month(
            found, as_json, language_of(settings), dry_run=True, everybody=everybody or bool(customers)
        )
        raise typer.Exit(NEEDS_A_PERSON if found.needs_a_person else ALL_WELL)
    with progress_on(sys.stderr) as progress:
        result = run_month(
            settings,
            month,
            customers=customers,
            services=services,
            force=force,
            accept_new_ids=accept_new_ids,
            before_end=before_end,
            progress=progress,
        )
    _print_month(
        result.status, as_json, language_of(settings), result.open, everybody=everybody or bool(customers)
    )
    if result.error is not None:
        raise result.error
    raise typer.Exit(NEEDS_A_PERSON if result.status.needs_a_person or result.open.items else ALL_WELL)


def status(
    month: Annotated[
        str | None,
        typer.Argument(metavar="[MONTH]", help="YYYY-MM; without it, all that is open of all months."),
    ] = None,
    everybody: Everybody = False,
    as_json: AsJson = False,
) -> None:
    """Show the outcome per customer of a month, or all that needs a person, as the ledger knows it."""
    from billing_pipeline.billing.rules import load_rules
    from billing_pipeline.delivery.ledger import open_ledger
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.notice_rejected import notice_by
    from billing_pipeline.steps.open_list import open_list

    settings = load_settings()
    try:
        notice_by(settings)
    except PipelineError as error:
        typer.echo(f"whether the receiver has rejected files since is not told: {error}", err=True)
    ledger = open_ledger(settings.ledger_url_or_default)
    rules = load_rules(settings.rules)
    found = open_list(ledger, rules, settings.first_month)
    if month is None:
        _print_open(found, as_json, rules.language, settings.timezone)
    else:
        _print_status(month, as_json, everybody, settings, rules.language, ledger, found)
    raise typer.Exit(NEEDS_A_PERSON if found.items else ALL_WELL)


def _print_open(found: OpenList, as_json: bool, language: str, timezone: str) -> None:
    from billing_pipeline.local_time import local_time

    if as_json:
        print_json({"open": [item.as_json() for item in found.items]})
        return
    as_of = f", as of {local_time(found.as_of, timezone)}" if found.as_of else ""
    print_open(found.items, language)
    typer.echo(f"{_count(found)} open{as_of}")


def _print_status(
    month: str,
    as_json: bool,
    everybody: bool,
    settings: Settings,
    language: str,
    ledger: Ledger,
    found: OpenList,
) -> None:
    from billing_pipeline.oms.period import period_of
    from billing_pipeline.report.month import month_status
    from billing_pipeline.steps.current_billing import changed_since_billed, warnings_since_billed
    from billing_pipeline.store.frames import FrameMissing, FrameStore
    from billing_pipeline.store.store_files import StoreError

    period_of(month, settings.timezone)
    try:
        frames = FrameStore(settings.store_url_or_default)
        drift = changed_since_billed(month, ledger, frames)
        warnings = warnings_since_billed(month, ledger, frames, language)
    except (StoreError, FrameMissing) as error:
        # The ledger alone knows the outcomes; what has changed since is told as well as it can be.
        typer.echo(f"what has changed since is not told, nor any warning: {error}", err=True)
        drift, warnings = [], []
    customers, deliveries = ledger.months.customers(month), ledger.deliveries.of_month(month)
    told = month_status(month, customers, deliveries, drift, warnings)
    if not told.customers:
        typer.echo(f"{month} has not been billed here yet: `billing-pipeline run {month}`", err=True)
    _print_month(told, as_json, language, found, everybody=everybody)


def preview(
    month: Month,
    customer: Customers = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write the files here instead of printing.")
    ] = None,
    excel: Annotated[
        bool, typer.Option("--excel", help="Also write a spreadsheet that is safe to open.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the exact files of a month, and the manifest to approve. Nothing is sent and nothing is recorded."""
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.preview import preview_month

    if excel and out is None:
        raise UsageError("--excel needs --out DIR: a folder to write the spreadsheet to")
    result = preview_month(load_settings(), month, customers=customer or ())
    for export in result.exports:
        if export.file is None:
            continue
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / export.file.file_name).write_bytes(export.file.data)
            typer.echo(str(out / export.file.file_name), err=as_json)
        elif not as_json:
            sys.stdout.buffer.write(export.file.data)
            sys.stdout.buffer.flush()
    if excel and out is not None:
        typer.echo(str(result.write_excel(out)), err=as_json)
    if as_json:
        # A part of a month has files, and no manifest that could be approved.
        print_json(result.manifest.as_json() | ({} if result.is_of_everybody else {"manifest": None}))
    elif out is not None and result.is_of_everybody:
        typer.echo(f"manifest {result.manifest.sha256}")
    for problem in result.problems:
        typer.echo(f"{problem.customer_number}: {problem.code}: {problem.message}", err=True)
    raise typer.Exit(NEEDS_A_PERSON if result.problems else ALL_WELL)


def watch(
    month: Annotated[
        str | None, typer.Argument(metavar="[MONTH]", help="YYYY-MM; default: the last month that is over.")
    ] = None,
) -> None:
    """Tell people if a month is not delivered to every customer. For a cron, beside Dagster and its daemon."""
    from datetime import UTC, datetime

    from billing_pipeline.delivery.ledger import open_ledger
    from billing_pipeline.oms.period import last_complete_month, period_of
    from billing_pipeline.report.alert_text import overdue_alert, unknown_alert
    from billing_pipeline.report.month import month_status
    from billing_pipeline.report.notify import Notifier
    from billing_pipeline.report.text import summary_lines
    from billing_pipeline.settings import load_settings

    settings = load_settings()
    month = month or last_complete_month(datetime.now(UTC), settings.timezone)
    if datetime.now(UTC) < period_of(month, settings.timezone).end:
        raise UsageError(f"{month} is not over: there is nothing to deliver yet")
    notifier = Notifier(settings.alert_targets)
    try:
        language = language_of(settings)
        ledger = open_ledger(settings.ledger_url_or_default)
        found = month_status(month, ledger.months.customers(month), ledger.deliveries.of_month(month))
    except PipelineError as error:
        if notifier.urls:
            notifier.send(unknown_alert(month, str(error)))
        raise
    alert = overdue_alert(found, settings.ui_url or "", language=language)
    if alert is None:
        print_lines(summary_lines(found, language=language))
        return
    typer.echo(f"{alert.title}\n\n{alert.body}", nl=False)
    if notifier.urls:
        for name in notifier.send(alert):
            typer.echo(f"{name} did not take the alert; another did", err=True)
    else:
        typer.echo("nobody is told: set BILLING_ALERT_URLS", err=True)
    raise typer.Exit(NEEDS_A_PERSON)


def _print_month(
    status: MonthStatus,
    as_json: bool,
    language: str,
    found: OpenList | None = None,
    *,
    dry_run: bool = False,
    everybody: bool = False,
) -> None:
    from billing_pipeline.report.text import summary_lines

    if as_json:
        extra = {"dry_run": True} if dry_run else {}
        print_json({**status.as_json(), **extra})
        return
    print_customers(status, language, everybody=everybody)
    print_lines(summary_lines(status, language=language))
    if found is not None and found.items:
        typer.echo(f"  {_count(found)} open, of all months: `billing-pipeline status` lists them")


def _count(found: OpenList) -> str:
    number = len(found.items)
    return "nothing is" if number == 0 else "1 item is" if number == 1 else f"{number} items are"
