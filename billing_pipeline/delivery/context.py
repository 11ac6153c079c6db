"""What all deliveries of one run share, whichever way they go: the ledger, the stored bytes, clocks and patience."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from billing_pipeline.delivery.files.recovery import Places
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.liveness import is_gone, this_process
from billing_pipeline.delivery.records import Delivery, Parcel
from billing_pipeline.store.blobs import BlobStore

Verify = Callable[[Parcel, bytes], Sequence[str]]
"""The check of a file's bytes: what is wrong with them, nothing if they may be sent."""


def unverified(parcel: Parcel, data: bytes) -> Sequence[str]:
    """Finds nothing wrong."""
    return ()


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """What all deliveries of one run share.

    `transport` and `endpoint` are the transport's `name` and `address`. Another run at work on the same
    delivery is waited for up to `patience_s`; one that has not moved for `lease_s`, or whose process has
    ended, is taken over from. `at_crash_point` is told each of `CRASH_POINTS`; tests die there.
    """

    ledger: Ledger
    store: BlobStore
    places: Places
    transport: str
    endpoint: str
    run_id: str
    verify: Verify = unverified
    patience_s: float = 30.0
    lease_s: float = 61.0
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    at_crash_point: Callable[[str], None] = lambda edge: None
    holder: str = field(default_factory=this_process)

    def may_take(self, delivery: Delivery) -> bool:
        """Whether nobody who is alive is at work on the delivery, as far as can be known."""
        if not delivery.holder or is_gone(delivery.holder):
            return True
        return self.clock() - delivery.updated_at >= timedelta(seconds=self.lease_s)
