"""`verify`: whether what was delivered is still as it was sealed."""

from __future__ import annotations

from typing import Annotated

import typer

from billing_pipeline.cli.help_text import LOOK_INTO_IT, add_command
from billing_pipeline.cli.options import ALL_WELL, NEEDS_A_PERSON, AsJson, print_json, print_lines


def add_to(app: typer.Typer) -> None:
    """Registers the command of this module."""
    add_command(app, LOOK_INTO_IT, verify, "verify", "verify 2026-10")


def verify(
    month: Annotated[
        str | None, typer.Argument(metavar="[MONTH]", help="YYYY-MM; without it, all months.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold the chain of seals against the stored files and the ledger, and name the first difference."""
    from billing_pipeline.delivery.ledger import open_ledger
    from billing_pipeline.oms.period import period_of
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.verify import verify as verify_seals
    from billing_pipeline.store.blobs import BlobStore
    from billing_pipeline.store.frames import FrameStore

    settings = load_settings()
    if month is not None:
        period_of(month, settings.timezone)
    store = settings.store_url_or_default
    found = verify_seals(
        open_ledger(settings.ledger_url_or_default), BlobStore(store), FrameStore(store), month
    )
    if as_json:
        print_json(found.as_json())
    else:
        print_lines(found.lines())
    raise typer.Exit(ALL_WELL if found.difference is None else NEEDS_A_PERSON)
