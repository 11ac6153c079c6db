"""The billed rows that had changed when a month was last billed.

Light to load: `status` reads it, and answers at once.
"""

from billing_pipeline.problems import Problem, problems_of
from billing_pipeline.store.frames import FrameStore

DRIFT = "month_drift"


def read_drift(frames: FrameStore, month: str) -> list[Problem]:
    """The problems, by customer; none where the month was never billed. Raises: StoreError."""
    return problems_of(frames.read(DRIFT, month)) if frames.has(DRIFT, month) else []
