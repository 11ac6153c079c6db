"""Files that the receiver moved to its error directory after they had been published: noticed, and held for a person.

What was sent again after a rejection has its older copy still in the error directory: a file older than the last
commit is that copy, and says nothing new.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from billing_pipeline.delivery.context import Places
from billing_pipeline.delivery.files.orphans import keys_of
from billing_pipeline.delivery.files.pool import deadline_of
from billing_pipeline.delivery.files.recovery import FileState, join, state_of
from billing_pipeline.delivery.ledger import Ledger, Note
from billing_pipeline.delivery.records import Delivery
from billing_pipeline.delivery.transports.protocol import (
    InboxConnection,
    NotFound,
    PermissionRefused,
    Transport,
)

_CLOCKS_DIFFER: Final = timedelta(minutes=5)


def note_rejected(
    transport: Transport, places: Places, ledger: Ledger, *, timeout_s: float
) -> list[Delivery]:
    """PUBLISHED or CONSUMED → HELD of each that lies in the error directory; those that are held now.

    Raises: DeliveryError, LedgerUnavailable.
    """
    if places.error_dir is None:
        return []
    if not ledger.deliveries.any_maybe_rejected(transport.address):
        return []
    rejected = []
    with transport.connect() as inbox:
        inbox.finish_by(deadline_of(timeout_s))
        try:
            names = inbox.list(places.error_dir)
        except (NotFound, PermissionRefused):
            return []
        keys = {name: keys_of(name, places) for name in names}
        open_ones = ledger.deliveries.maybe_rejected(
            transport.address, (key for of_name in keys.values() for key in of_name)
        )
        for name, of_name in keys.items():
            delivery = next((open_ones[key] for key in of_name if key in open_ones), None)
            path = join(places.error_dir, name)
            if delivery is None or not _is_rejected(delivery, path, inbox, timeout_s):
                continue
            note = Note("reject", f"it lies in the receiver's error directory ({path})", outcome="failure")
            reason = f"the receiver moved the file to its error directory ({path})"
            if (held := ledger.transitions.rejected(delivery, reason, note)) is not None:
                rejected.append(held)
    return rejected


def _is_rejected(delivery: Delivery, path: str, inbox: InboxConnection, timeout_s: float) -> bool:
    inbox.finish_by(deadline_of(timeout_s, delivery.size_bytes))
    if delivery.released_as == "send":
        found = inbox.stat(path)
        modified, sent = (None if found is None else found.modified), delivery.committed_at
        if modified is None or sent is None or modified < sent - _CLOCKS_DIFFER:
            return False
    return state_of(delivery, inbox, path) in {FileState.SAME, FileState.UNREADABLE}
