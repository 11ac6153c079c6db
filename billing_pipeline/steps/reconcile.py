"""Looks at the files of ours in the inbox that the ledger does not know, and notes them: `billing-pipeline reconcile`.

Nothing is sent, moved or removed. What follows for each file shows when its month runs again (`files.orphans`):
the same bytes count as delivered, others are held.
"""

from dataclasses import dataclass

from billing_pipeline.delivery.channel import OrphanFile
from billing_pipeline.delivery.ledger.events import require_signature
from billing_pipeline.delivery.ledger.sightings import FileKey, Sighting
from billing_pipeline.settings import Settings
from billing_pipeline.steps.wiring import build_wiring


@dataclass(frozen=True)
class LookedAt:
    """An orphan file, with its hash and what it may be, as people and scripts read it."""

    orphan: OrphanFile
    key: FileKey

    def line(self) -> str:
        """For people: what was found, and what to run."""
        month, number, _ = self.key
        content = f"sha256 {self.orphan.sha256}" if self.orphan.sha256 else "it may not be read"
        return f"{self.orphan.path}: {content}; noted: `billing-pipeline run {month} --customer {number}` compares it"

    def as_json(self) -> dict[str, str | int]:
        """For scripts; `sha256` is "" where the file may not be read."""
        month, number, revision = self.key
        return {
            "path": self.orphan.path,
            "month": month,
            "customer_number": number,
            "revision": revision,
            "sha256": self.orphan.sha256,
        }


def reconcile_inbox(settings: Settings, *, reason: str, author: str) -> list[LookedAt]:
    """Notes every orphan file with its hash, author and reason; afterwards the ledger knows them.

    Raises: UsageError without reason or author, or where there is no inbox; DeliveryError, LedgerUnavailable.
    """
    require_signature(reason, author)
    wiring = build_wiring(settings)
    ledger = wiring.ledger.open()
    # Noted only when all have been read: a look that broke off half-way must not lift the freeze.
    orphans = wiring.channel.open().inspect_orphans(ledger)
    looked_at = [LookedAt(orphan, key) for orphan in orphans for key in orphan.keys]
    for one in looked_at:
        seen = Sighting(one.orphan.path, one.orphan.sha256)
        ledger.sightings.record(one.key, seen, reason=reason, author=author)
    return looked_at
