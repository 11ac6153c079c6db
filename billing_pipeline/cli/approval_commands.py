"""The commands around approving a month before it is sent. Thin, as `cli` is."""

from __future__ import annotations

from typing import Annotated

import typer

from billing_pipeline.cli.help_text import EVERY_MONTH, add_command
from billing_pipeline.cli.options import By, Month, print_lines


def add_to(app: typer.Typer) -> None:
    """Registers the commands of this module."""
    add_command(app, EVERY_MONTH, approve, "approve 2026-10 --manifest 3f1c… --by Ann")


def approve(
    month: Month,
    manifest: Annotated[
        str, typer.Option("--manifest", metavar="HASH", help="As `preview MONTH --out DIR` prints it.")
    ],
    by: By,
) -> None:
    """Approve the exact files of a month, so that they may be sent where BILLING_REQUIRE_APPROVAL is set."""
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.approve import approve_month

    print_lines(approve_month(load_settings(), month, manifest, author=by).lines())
