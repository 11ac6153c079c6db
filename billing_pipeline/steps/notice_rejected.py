"""Notices what the receiver has moved to its error directory since it was published; each is held, and told as held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing_pipeline.delivery.records import Delivery
from billing_pipeline.settings import Settings

# They load every transport, which takes a second: `status` mostly needs none, and answers at once.
if TYPE_CHECKING:
    from billing_pipeline.steps.wiring import ChannelAt, LedgerAt


def can_be_noticed(settings: Settings) -> bool:
    """Whether there is an error directory to look into."""
    return settings.transport != "api" and settings.remote_error_dir is not None


def notice_rejected(channel: ChannelAt, ledger: LedgerAt, *, run_id: str = "") -> list[Delivery]:
    """Those that are held now, for that reason. Raises: DeliveryError, LedgerUnavailable."""
    from billing_pipeline.delivery.channel import record_rejected

    return record_rejected(channel.open(), ledger.open(), run_id=run_id)


def notice_by(settings: Settings) -> list[Delivery]:
    """As `notice_rejected`, for a command; nothing where there is no error directory. Raises: PipelineError."""
    if not can_be_noticed(settings):
        return []
    from billing_pipeline.steps.wiring import build_wiring

    wiring = build_wiring(settings)
    return notice_rejected(wiring.channel, wiring.ledger)
