"""A billing of which nothing but the roster is known: enough for whoever asks who is in a month."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa

from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import Billing
from billing_pipeline.store.frames import FrameStore
from billing_pipeline.store.month_frames import ROSTER


def billing_of_roster(
    ledger: Ledger, frames: FrameStore, month: str, customer_numbers: Sequence[str], run_id: str
) -> Billing:
    """The whole month, billed by this run, with these customers in it."""
    roster = pd.DataFrame({"customer_number": pd.Series(customer_numbers, dtype=pd.ArrowDtype(pa.string()))})
    return ledger.billings.record(
        ledger.billings.record_extract(month, "complete", {}, run_id),
        "complete",
        {ROSTER: frames.write(ROSTER, month, roster)},
        run_id,
        rules_sha256="",
        layouts={},
    )
