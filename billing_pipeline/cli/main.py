"""The command line, thin: it reads arguments and settings, calls a step or a launch, and prints.

Results go to stdout, progress and errors to stderr. Exit status: 0 all well; 1 customers are blocked, failed or
held; 2 usage or settings, or a month that is not over or settled; 3 the run itself failed. An error is one line
that names the setting or row and the remedy; a traceback appears only with `--debug`.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from billing_pipeline.cli import decision_commands, report_command
from billing_pipeline.cli.options import (
    ALL_WELL,
    NEEDS_A_PERSON,
    RUN_FAILED,
    USAGE,
    AsJson,
    Customers,
    Month,
    json_lines,
    print_json,
    print_lines,
)
from billing_pipeline.problems import PipelineError, UsageError

# Dagster, pandas and paramiko take seconds to load: each command imports what it needs itself, so that `--help`,
# a usage error and `status` answer at once.
if TYPE_CHECKING:
    from billing_pipeline.delivery.ledger import Ledger
    from billing_pipeline.report.month import MonthStatus
    from billing_pipeline.settings import Settings
    from billing_pipeline.steps.open_list import OpenList

app = typer.Typer(
    name="billing-pipeline",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Bills a month: OMS rows to one verified CSV per customer in EASY Bill's inbox.",
)


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    context.obj = {"debug": debug}


@app.command()
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
        _print_month(found, as_json, dry_run=True)
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
    _print_month(result.status, as_json, result.open)
    if result.error is not None:
        raise result.error
    raise typer.Exit(NEEDS_A_PERSON if result.status.needs_a_person or result.open.items else ALL_WELL)


@app.command()
def status(
    month: Annotated[
        str | None,
        typer.Argument(metavar="[MONTH]", help="YYYY-MM; without it, all that is open of all months."),
    ] = None,
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
    found = open_list(ledger, load_rules(settings.rules), settings.first_month)
    if month is None:
        _print_open(found, as_json)
    else:
        _print_status(month, as_json, settings, ledger, found)
    raise typer.Exit(NEEDS_A_PERSON if found.items else ALL_WELL)


def _print_open(found: OpenList, as_json: bool) -> None:
    from datetime import UTC, datetime

    from billing_pipeline.report.open_items import open_lines

    if as_json:
        print_json({"open": [item.as_json() for item in found.items]})
        return
    as_of = f", as of {found.as_of.astimezone(UTC):%Y-%m-%dT%H:%MZ}" if found.as_of else ""
    print_lines(open_lines(found.items, datetime.now(UTC)))
    typer.echo(f"{_count(found)} open{as_of}")


def _print_status(month: str, as_json: bool, settings: Settings, ledger: Ledger, found: OpenList) -> None:
    from billing_pipeline.oms.period import period_of
    from billing_pipeline.report.month import month_status
    from billing_pipeline.steps.current_billing import changed_since_billed, warnings_since_billed
    from billing_pipeline.store.frames import FrameMissing, FrameStore
    from billing_pipeline.store.store_files import StoreError

    period_of(month, settings.timezone)
    try:
        frames = FrameStore(settings.store_url_or_default)
        drift = changed_since_billed(month, ledger, frames)
        warnings = warnings_since_billed(month, ledger, frames)
    except (StoreError, FrameMissing) as error:
        # The ledger alone knows the outcomes; what has changed since is told as well as it can be.
        typer.echo(f"what has changed since is not told, nor any warning: {error}", err=True)
        drift, warnings = [], []
    customers, deliveries = ledger.months.customers(month), ledger.deliveries.of_month(month)
    told = month_status(month, customers, deliveries, drift, warnings)
    if not told.customers:
        typer.echo(f"{month} has not been billed here yet: `billing-pipeline run {month}`", err=True)
    _print_month(told, as_json, found)


@app.command()
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
    from datetime import UTC, datetime

    from billing_pipeline.oms.period import period_of
    from billing_pipeline.report.open_items import open_lines
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
        print_lines(found.lines())
        print_lines(open_lines(found.open, datetime.now(UTC)))
    wrong = bool(found.open) or any(one.findings for one in found.months)
    raise typer.Exit(NEEDS_A_PERSON if wrong else ALL_WELL)


@app.command()
def preview(
    month: Month,
    customer: Customers = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write the files here instead of printing.")
    ] = None,
    excel: Annotated[
        bool, typer.Option("--excel", help="Also write a spreadsheet that is safe to open.")
    ] = False,
) -> None:
    """Show the exact files of a month. Nothing is sent and nothing is recorded."""
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.preview import preview_month

    if excel and out is None:
        raise UsageError("--excel needs --out DIR: a folder to write the spreadsheet to")
    result = preview_month(load_settings(), month, customers=customer or ())
    for export in result.exports:
        if export.file is None:
            continue
        if out is None:
            sys.stdout.buffer.write(export.file.data)
            sys.stdout.buffer.flush()
        else:
            out.mkdir(parents=True, exist_ok=True)
            (out / export.file.file_name).write_bytes(export.file.data)
            typer.echo(str(out / export.file.file_name))
    if excel and out is not None:
        typer.echo(str(result.write_excel(out)))
    for problem in result.problems:
        typer.echo(f"{problem.customer_number}: {problem.code}: {problem.message}", err=True)
    raise typer.Exit(NEEDS_A_PERSON if result.problems else ALL_WELL)


@app.command()
def log(
    customer: Annotated[str | None, typer.Option("--customer", metavar="N")] = None,
    month: Annotated[str | None, typer.Option("--month", metavar="M", help="YYYY-MM.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Show every export and every exchange: time, customer, success or failure."""
    from billing_pipeline.delivery.ledger import open_ledger
    from billing_pipeline.report.text import event_json, event_lines
    from billing_pipeline.settings import load_settings

    ledger = open_ledger(load_settings().ledger_url_or_default)
    events = ledger.events.find(month=month, customer_number=customer)
    print_lines(json_lines(map(event_json, events)) if as_json else event_lines(events))


@app.command()
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
        ledger = open_ledger(settings.ledger_url_or_default)
        found = month_status(month, ledger.months.customers(month), ledger.deliveries.of_month(month))
    except PipelineError as error:
        if notifier.urls:
            notifier.send(unknown_alert(month, str(error)))
        raise
    alert = overdue_alert(found, settings.ui_url or "")
    if alert is None:
        print_lines(summary_lines(found))
        return
    typer.echo(f"{alert.title}\n\n{alert.body}", nl=False)
    if notifier.urls:
        for name in notifier.send(alert):
            typer.echo(f"{name} did not take the alert; another did", err=True)
    else:
        typer.echo("nobody is told: set BILLING_ALERT_URLS", err=True)
    raise typer.Exit(NEEDS_A_PERSON)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Try settings, OMS, ledger, store, inbox and API before it matters, and say what to fix."""
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.doctor import examine

    findings = list(examine(load_settings()))
    if as_json:
        typer.echo(json.dumps({"findings": [finding.as_json() for finding in findings]}, indent=2))
    else:
        print_lines(finding.line() for finding in findings)
    raise typer.Exit(max((finding.exit_status for finding in findings), default=ALL_WELL))


@app.command()
def demo() -> None:
    """Bill the last complete month of a made-up company into a sandbox of EASY Bill on this machine."""
    from billing_pipeline.launch.demo import run_demo
    from billing_pipeline.progress import progress_on

    with progress_on(sys.stderr) as progress:
        result = run_demo(progress=progress)
    print_lines(result.lines())
    if result.error is not None:
        raise result.error
    # The demo's faults are deliberate: what is asked here is whether the drafts equal the files.
    raise typer.Exit(ALL_WELL if result.ties else NEEDS_A_PERSON)


@app.command()
def ui(
    port: Annotated[int, typer.Option("--port", help="Where the UI listens, on this machine.")] = 3000,
) -> None:
    """Open Dagster's web UI on the demo, with its sandbox, until Ctrl-C."""
    from billing_pipeline.launch.demo import serve_ui

    raise typer.Exit(serve_ui(port))


@app.command()
def sandbox(
    directory: Annotated[
        Path, typer.Option("--state", metavar="DIR", help="Where the sandbox keeps its state.")
    ] = Path(".billing/sandbox"),
    port: Annotated[int, typer.Option("--port", help="SFTP port; 0 takes a free one.")] = 0,
) -> None:
    """Run EASY Bill in a box on loopback, alone, until Ctrl-C."""
    from billing_pipeline.sandbox.sandbox_errors import SandboxError
    from billing_pipeline.sandbox.serve import serve

    try:
        serve(directory.expanduser().absolute(), sftp_port=port)
    except SandboxError as error:
        raise UsageError(str(error)) from error


decision_commands.add_to(app)
report_command.add_to(app)


def main() -> None:
    """The console script: runs a command and exits with its status."""
    sys.exit(_status_of(sys.argv[1:]))


def _status_of(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    try:
        code = app(args=_debug_first(arguments), standalone_mode=False)
    except PipelineError as error:
        return _fail(str(error), error.exit_status, debug)
    except typer.Exit as done:
        return done.exit_code
    except KeyboardInterrupt:
        return _fail("interrupted; what was recorded stands, run the same command to go on", 130, debug)
    except BrokenPipeError:
        # The reader (head, less) has gone; stdout must not be flushed again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ALL_WELL
    except Exception as error:  # noqa: BLE001 - the last stop: people get one line, whatever it was
        usage = getattr(error, "format_message", None)
        if usage is not None:  # click's own: a wrong option or argument
            return _fail(usage(), USAGE, debug)
        return _fail(
            f"internal error ({type(error).__name__}: {error}); run it again with --debug and report the trace",
            RUN_FAILED,
            debug,
        )
    return code if isinstance(code, int) else ALL_WELL


def _debug_first(arguments: list[str]) -> list[str]:
    """`--debug` is accepted anywhere on the line, as people type it after the fact."""
    rest = [argument for argument in arguments if argument != "--debug"]
    return ["--debug", *rest] if len(rest) < len(arguments) else rest


def _fail(message: str, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    typer.echo(f"billing-pipeline: {' '.join(message.split())}", err=True)
    return status


def _print_month(
    status: MonthStatus, as_json: bool, found: OpenList | None = None, *, dry_run: bool = False
) -> None:
    from billing_pipeline.report.text import month_lines

    if as_json:
        extra = {"dry_run": True} if dry_run else {}
        print_json({**status.as_json(), **extra})
        return
    print_lines(month_lines(status))
    if found is not None and found.items:
        typer.echo(f"  {_count(found)} open, of all months: `billing-pipeline status` lists them")


def _count(found: OpenList) -> str:
    number = len(found.items)
    return "nothing is" if number == 0 else "1 item is" if number == 1 else f"{number} items are"
