"""`report`: the month as a page, and as a table."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from billing_pipeline.cli.help_text import EVERY_MONTH, add_command
from billing_pipeline.cli.options import Month
from billing_pipeline.problems import UsageError


class PageLanguage(StrEnum):
    """The languages of the page."""

    DE = "de"
    EN = "en"


def report(
    month: Month,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the page here; default: the store.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Also write the customers as CSV.")
    ] = None,
    excel: Annotated[
        Path | None, typer.Option("--excel", metavar="FILE", help="Also write the customers as Excel.")
    ] = None,
    language: Annotated[
        PageLanguage | None, typer.Option("--language", help="Default: that of the rules.")
    ] = None,
) -> None:
    """Make the month's page: totals, outcomes, what needs a person, what has changed. Nothing is sent."""
    from billing_pipeline.report.month_spreadsheet import to_csv, write_excel
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.wiring import build_wiring
    from billing_pipeline.steps.write_report import write_report

    written = write_report(build_wiring(load_settings()), month, language.value if language else None)
    if out is not None:
        _write("--out", out, written.page)
    if csv is not None:
        _write("--csv", csv, to_csv(written.report))
    if excel is not None:
        write_excel(written.report, excel)
    typer.echo(str(out) if out is not None else written.place)
    for file in (csv, excel):
        if file is not None:
            typer.echo(str(file))


def _write(option: str, file: Path, data: bytes) -> None:
    try:
        file.write_bytes(data)
    except OSError as error:
        raise UsageError(
            f"{option} {file}: cannot be written ({error.strerror}); choose another place"
        ) from None


def add_to(app: typer.Typer) -> None:
    """Registers the command of this module."""
    add_command(
        app,
        EVERY_MONTH,
        report,
        "report 2026-10 --out october.html",
        "report 2026-10 --excel october.xlsx --language en",
    )
