"""Looks at the files of ours in the inbox that the ledger does not know, and notes them: `billing-pipeline reconcile`.

Nothing is sent, moved or removed. What follows for each file shows when its month runs again (`orphans`):
the same bytes count as delivered, others are held.
"""

from dataclasses import dataclass

from billing_pipeline.delivery.files.orphans import OrphanFile, find_orphans, sighting_of
from billing_pipeline.delivery.ledger.sightings import Sighting
from billing_pipeline.delivery.ledger.signing import signed
from billing_pipeline.problems import UsageError
from billing_pipeline.settings import Settings
from billing_pipeline.steps.wiring import build_rooms


@dataclass(frozen=True)
class LookedAt:
    """An orphan file, and what was seen of it."""

    orphan: OrphanFile
    seen: Sighting

    def line(self) -> str:
        """For people: what was found, and what to run."""
        month, number, _ = self.orphan.key
        content = f"sha256 {self.seen.sha256}" if self.seen.sha256 else "it may not be read"
        return f"{self.orphan.path}: {content}; noted: `billing-pipeline run {month} --customer {number}` compares it"

    def as_json(self) -> dict[str, str | int]:
        """For scripts; `sha256` is "" where the file may not be read."""
        month, number, revision = self.orphan.key
        return {
            "path": self.orphan.path,
            "month": month,
            "customer_number": number,
            "revision": revision,
            "sha256": self.seen.sha256,
        }


def reconcile_inbox(settings: Settings, *, reason: str, author: str) -> list[LookedAt]:
    """Notes every orphan file with its hash, author and reason; afterwards the ledger knows them.

    Raises: UsageError without reason or author, or where there is no inbox; DeliveryError, LedgerUnavailable.
    """
    signed(reason, author)
    rooms = build_rooms(settings)
    inbox = rooms.inbox
    if inbox.is_api:
        raise UsageError(
            "there is no inbox to look into: drafts are created through the API (BILLING_TRANSPORT=api)"
        )
    ledger = rooms.ledger.open()
    orphans = find_orphans(inbox.transport, inbox.places, ledger, timeout_s=inbox.timeout_s)
    if not orphans:
        return []
    with inbox.transport.connect() as connection:
        seen = [(orphan, sighting_of(orphan, connection)) for orphan in orphans]
    # Noted only when all have been seen: a look that broke off half-way must not lift the freeze.
    looked_at = [LookedAt(orphan, sighting) for orphan, sighting in seen if sighting is not None]
    for one in looked_at:
        ledger.sightings.record(one.orphan.key, one.seen, reason=reason, author=author)
    return looked_at
