"""The command that keeps an installation small: what nobody needs any more is removed."""

from __future__ import annotations

from typing import Annotated

import typer

from billing_pipeline.cli.help_text import SET_UP, add_command
from billing_pipeline.cli.options import AsJson, print_json, print_lines


def add_to(app: typer.Typer) -> None:
    """Registers the commands of this module."""
    add_command(app, SET_UP, prune, "prune --before 2025-01 --dry-run", "prune --before 2025-01")


def prune(
    before: Annotated[
        str, typer.Option("--before", metavar="MONTH", help="YYYY-MM; only months before it are touched.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would go; remove nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove frames and Dagster's runs of old months that nobody needs; never the ledger, files or documents."""
    from billing_pipeline.launch.prune_runs import prune as prune_all
    from billing_pipeline.settings import load_settings

    told = prune_all(load_settings(), before, dry_run=dry_run)
    if as_json:
        print_json(told.as_json())
    else:
        print_lines(told.lines())
