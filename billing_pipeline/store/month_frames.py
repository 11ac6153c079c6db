"""The frames of a month by name: what was extracted, and what was billed of it, each kept under its hash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from billing_pipeline.store.frames import FrameStore

# They load pandera, which takes seconds: `status` reads a frame too, and answers at once.
if TYPE_CHECKING:
    from billing_pipeline.billing.bill import BilledMonth
    from billing_pipeline.oms.extract import Extract

CUSTOMERS = "oms_customers"
EXTRACTED: Mapping[str, str] = {
    CUSTOMERS: "customers",
    "oms_services": "services",
    "oms_service_tasks": "service_tasks",
    "oms_cancellation_fees": "cancellation_fees",
}
"""Asset → relation of the extract."""

ROSTER = "month_roster"
DRIFT = "month_drift"
TOTALS = "month_totals"
_BILLED: Mapping[str, str] = {
    "invoice_lines": "lines",
    "billing_problems": "problems",
    TOTALS: "totals",
    ROSTER: "roster",
    DRIFT: "drift",
}

Hashes = Mapping[str, str]
"""Asset, or part of what was billed → SHA-256 of its frame."""


def write_extract(frames: FrameStore, month: str, extract: Extract) -> dict[str, str]:
    """Keeps an extract. Raises: StoreError."""
    return {
        asset: frames.write(asset, month, getattr(extract, relation)) for asset, relation in EXTRACTED.items()
    }


def read_extract(frames: FrameStore, month: str, hashes: Hashes) -> Extract:
    """The extract of these hashes. Raises: FrameMissing, StoreError."""
    from billing_pipeline.oms.extract import Extract

    return Extract(
        **{relation: frames.read(asset, month, hashes[asset]) for asset, relation in EXTRACTED.items()}
    )


def write_billed(frames: FrameStore, month: str, billed: BilledMonth) -> dict[str, str]:
    """Keeps what was billed, as the frames from which files are made. Raises: StoreError."""
    return {name: frames.write(name, month, getattr(billed, part)) for name, part in _BILLED.items()}


def read_billed(frames: FrameStore, month: str, hashes: Hashes) -> BilledMonth:
    """What was billed, by these hashes. Raises: FrameMissing, StoreError."""
    from billing_pipeline.billing.bill import BilledMonth

    return BilledMonth(**{part: frames.read(name, month, hashes[name]) for name, part in _BILLED.items()})


def take_over_unversioned(frames: FrameStore, month: str) -> tuple[dict[str, str], dict[str, str]] | None:
    """Keeps what a release before 0.2 left of the month, under hashes: the extract's, and what was billed of it.

    None where it left nothing, or not all. Raises: StoreError.
    """
    found = {name: frames.read_unversioned(name, month) for name in (*EXTRACTED, *_BILLED)}
    hashes = {name: frames.write(name, month, frame) for name, frame in found.items() if frame is not None}
    if len(hashes) < len(found):
        return None
    return {name: hashes[name] for name in EXTRACTED}, {name: hashes[name] for name in _BILLED}
