"""The frames of a month by name: what was extracted, and what was billed of it. No Dagster, no rules."""

from collections.abc import Mapping

from billing_pipeline.billing.bill import BilledMonth
from billing_pipeline.oms.extract import Extract
from billing_pipeline.steps.drift_frame import DRIFT
from billing_pipeline.store.frames import FrameStore

EXTRACTED: Mapping[str, str] = {
    "oms_customers": "customers",
    "oms_services": "services",
    "oms_service_tasks": "service_tasks",
    "oms_cancellation_fees": "cancellation_fees",
}
"""Asset → relation of the extract."""

_BILLED = {
    "invoice_lines": "lines",
    "billing_problems": "problems",
    "month_totals": "totals",
    "month_roster": "roster",
    DRIFT: "drift",
}


def read_extract(frames: FrameStore, month: str) -> Extract:
    """The frozen extract of a month. Raises: FrameMissing."""
    return Extract(**{relation: frames.read(asset, month) for asset, relation in EXTRACTED.items()})


def write_billed(frames: FrameStore, month: str, billed: BilledMonth) -> None:
    """Keeps what was billed, as the frames from which files are made."""
    for name, part in _BILLED.items():
        frames.write(name, month, getattr(billed, part))


def read_billed(frames: FrameStore, month: str) -> BilledMonth:
    """What was billed of a month. Raises: FrameMissing."""
    return BilledMonth(**{part: frames.read(name, month) for name, part in _BILLED.items()})
