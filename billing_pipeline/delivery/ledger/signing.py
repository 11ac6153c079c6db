"""Who decides, and why: asked for with every decision that the ledger records, and nothing else here."""

from __future__ import annotations

from billing_pipeline.problems import UsageError


def signed(reason: str, author: str) -> None:
    """Raises: UsageError where a decision has no reason or no name to it."""
    if not reason.strip() or not author.strip():
        raise UsageError("a decision needs a reason and a name: --reason TEXT --by NAME")
