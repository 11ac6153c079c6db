"""Seals a month: what stands delivered, in canonical JSON, hashed, and linked to the seal made before it.

Sealing is said again at will: nothing new makes no seal, and two processes make one chain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.approvals import Approval, ApprovedFile
from billing_pipeline.delivery.ledger.seals import Seal
from billing_pipeline.delivery.records import SENT_STATES, Billing, Delivery
from billing_pipeline.easybill.manifest import canonical_json
from billing_pipeline.store.blobs import BlobStore, sha256_of

AMOUNTS: Final = ("net", "vat", "gross")
SEALED: Final = (
    "customer_number",
    "order_number",
    "revision",
    "file_name",
    "sha256",
    "document_sha256",
    "size_bytes",
    "currency",
    *AMOUNTS,
    "billing_id",
    "accepted_sha256",
)
"""What a seal says of a delivery, as the ledger has it."""

Facts = dict[str, Any]


def seal_month(ledger: Ledger, blobs: BlobStore, month: str) -> Seal | None:
    """Seals the month, if it is delivered and what stands has changed since its last seal; else None.

    Raises: StoreError, LedgerUnavailable.
    """
    while True:
        # Before the facts are read: whoever seals newer ones in between takes this place in the chain.
        head = ledger.seals.last()
        last = ledger.seals.last(month)
        if waiting_customers(ledger, month):
            return None
        facts = facts_now(ledger, month)
        facts_sha256 = facts_hash(facts)
        nothing_new = not facts["files"] if last is None else facts_sha256 == last.facts_sha256
        if nothing_new:
            return None
        at, previous = datetime.now(UTC), "" if head is None else head.sha256
        content = canonical_json(
            {
                **facts,
                "at": at.isoformat(),
                "program": f"billing-pipeline {version('billing-pipeline')}",
                "previous": previous,
            }
        )
        sealed = ledger.seals.add(
            month,
            blobs.put("seal", content),
            previous_sha256=previous,
            facts_sha256=facts_sha256,
            at=at,
        )
        if sealed is not None:
            return sealed


def waiting_customers(ledger: Ledger, month: str) -> frozenset[str]:
    """The customers of whom something is still to be sent, so that the month is not delivered yet.

    Not those who are blocked or held, who wait for a person, nor those whose file was withdrawn.
    """
    exports = [one.export for one in ledger.months.customers(month)]
    return ledger.deliveries.unsettled(month, exports) - ledger.deliveries.withdrawn(month)


def facts_now(ledger: Ledger, month: str) -> Facts:
    """What stands delivered of the month, as the ledger has it: all of a seal but its time, program and link."""
    standing = [one for one in ledger.deliveries.standing(month) if one.state in SENT_STATES]
    approved = ledger.approvals.of_month(month)
    numbers = sorted({one.billing_id for one in standing if one.billing_id is not None})
    billings = [found for number in numbers if (found := ledger.billings.get(number)) is not None]
    return {
        "month": month,
        "files": [{**file_facts(one), "approved": _approved(one, approved)} for one in standing],
        "totals": _totals(standing),
        "billings": [billing_facts(one) for one in billings],
    }


def facts_hash(facts: Facts) -> str:
    """One hash of all facts."""
    return sha256_of(canonical_json(facts))


def file_facts(delivery: Delivery) -> Facts:
    """What a seal says of a delivery, its approval aside."""
    return {name: getattr(delivery, name) for name in SEALED}


def billing_facts(billing: Billing) -> Facts:
    """What a seal says of a billing: the hashes of all that it was made of."""
    return {
        "id": billing.id,
        "month": billing.month,
        "extract_month": billing.extract.month,
        "extract": dict(billing.extract.frames),
        "frames": dict(billing.frames),
        "rules_sha256": billing.rules_sha256,
        "layouts": dict(billing.layouts),
    }


def _approved(delivery: Delivery, approved: Sequence[tuple[Approval, ApprovedFile]]) -> dict[str, str] | None:
    """Who approved these bytes before they were committed for sending; the newest approval counts."""
    for approval, file in reversed(approved):
        same = (file.customer_number, file.sha256) == (delivery.customer_number, delivery.sha256)
        if same and delivery.committed_at is not None and approval.at <= delivery.committed_at:
            return {"by": approval.author, "manifest": approval.manifest_sha256}
    return None


def _totals(standing: Iterable[Delivery]) -> dict[str, dict[str, int]]:
    totals: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(AMOUNTS, 0))
    for one in standing:
        for name in AMOUNTS:
            totals[one.currency][name] += getattr(one, name)
    return dict(totals)
