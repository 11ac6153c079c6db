"""Verifies the chain of seals against store and ledger, and names the first difference. Writes nothing, asks nobody."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.seals import Seal
from billing_pipeline.steps.seal import (
    SEALED,
    Facts,
    billing_facts,
    facts_hash,
    facts_now,
    file_facts,
    waiting_customers,
)
from billing_pipeline.store.blobs import BlobStore, Kind
from billing_pipeline.store.frames import FrameStore
from billing_pipeline.store.store_files import StoreError

_BACKUP: Final = "compare it with a backup"
_OF_SEAL: Final = ("at", "program", "previous")


@dataclass(frozen=True)
class Difference:
    """The first thing that is not as it was sealed."""

    month: str
    what: str
    customer_number: str = ""
    file: str = ""

    @property
    def line(self) -> str:
        """For people."""
        customer = f"customer {self.customer_number}" if self.customer_number else ""
        return f"{', '.join(part for part in (self.month, customer, self.file) if part)}: {self.what}"

    def as_json(self) -> dict[str, str]:
        """Its fields."""
        return {
            "month": self.month,
            "customer_number": self.customer_number,
            "file": self.file,
            "what": self.what,
        }


@dataclass
class Verified:
    """What was checked, the first difference, and what is to be known beside it."""

    counts: Counter[str] = field(default_factory=Counter)
    difference: Difference | None = None
    notes: list[str] = field(default_factory=list)
    last_seal: str = ""

    def lines(self) -> Iterator[str]:
        """For people."""
        if self.difference is not None:
            yield self.difference.line
        checked = ", ".join(f"{name}: {self.counts[name]}" for name in ("seals", "files", "frames"))
        yield f"checked {checked}" if self.difference is None else f"checked before that {checked}"
        yield from self.notes
        if self.difference is None and self.last_seal:
            yield f"the chain, the stored files and the ledger agree; last seal {self.last_seal}"

    def as_json(self) -> dict[str, Any]:
        """One object."""
        return {
            "agrees": self.difference is None,
            "checked": {name: self.counts[name] for name in ("seals", "files", "frames")},
            "difference": None if self.difference is None else self.difference.as_json(),
            "notes": self.notes,
            "last_seal": self.last_seal,
        }


def verify(ledger: Ledger, blobs: BlobStore, frames: FrameStore, month: str | None = None) -> Verified:
    """Checks the whole chain, and of a month, or of all, every sealed file against store and ledger.

    Raises: LedgerUnavailable.
    """
    seals = ledger.seals.all()
    found = Verified(last_seal=seals[-1].sha256 if seals else "")
    found.difference = next(_differences(seals, month, ledger, blobs, frames, found), None)
    return found


def _differences(
    seals: list[Seal],
    month: str | None,
    ledger: Ledger,
    blobs: BlobStore,
    frames: FrameStore,
    found: Verified,
) -> Iterator[Difference]:
    contents: dict[int, Facts] = {}
    previous = ""
    for seal in seals:
        content = _content(seal, previous, blobs)
        if isinstance(content, Difference):
            yield content
            return
        contents[seal.id], previous = content, seal.sha256
        found.counts["seals"] += 1
    things = _Things(ledger, blobs, frames, found)
    for seal in seals:
        if month in (None, seal.month):
            yield from things.differences(seal, contents[seal.id])
    if things.missing_frames:
        found.notes.append(f"frames that the store does not keep any more: {things.missing_frames}")
    last = {seal.month: contents[seal.id] for seal in seals}
    delivered = {one.month for one in ledger.deliveries.standing()}
    for name in sorted(delivered | last.keys() if month is None else {month}):
        yield from _since(name, last.get(name), ledger, found)


def _content(seal: Seal, previous: str, blobs: BlobStore) -> Facts | Difference:
    """What a seal says, if it is the next one in the chain and whole."""
    if seal.previous_sha256 != previous:
        before = f"follows {seal.previous_sha256 or 'none'}, and the seal before it is {previous or 'none'}"
        return Difference(
            seal.month,
            f"the chain is broken: seal {seal.sha256} {before}; a seal between them is missing, {_BACKUP}",
        )
    try:
        data = blobs.get("seal", seal.sha256)
    except StoreError as error:
        return Difference(seal.month, f"seal {seal.sha256} cannot be read: {error}; {_BACKUP}")
    content: Facts = json.loads(data)
    facts = {name: value for name, value in content.items() if name not in _OF_SEAL}
    said = (content["month"], content["previous"], content["at"], facts_hash(facts))
    noted = (seal.month, seal.previous_sha256, seal.at.isoformat(), seal.facts_sha256)
    if said != noted:
        return Difference(
            seal.month, f"the ledger's row of seal {seal.sha256} is not what the seal says; {_BACKUP}"
        )
    return facts


class _Things:
    """What seals name, each looked at once in the store."""

    def __init__(self, ledger: Ledger, blobs: BlobStore, frames: FrameStore, found: Verified) -> None:
        self._ledger, self._blobs, self._frames, self._found = ledger, blobs, frames, found
        self._looked_at: set[tuple[str, str]] = set()
        self.missing_frames = 0

    def differences(self, seal: Seal, facts: Facts) -> Iterator[Difference]:
        """What is not as this seal says: files in the store, deliveries and billings in the ledger."""
        for file in facts["files"]:
            about = (file["customer_number"], file["file_name"])
            for wrong in (
                self._stored("csv", file["sha256"]),
                self._stored("document", file["document_sha256"]),
                self._in_ledger(seal, file),
            ):
                if wrong:
                    yield Difference(seal.month, wrong, *about)
        for billing in facts["billings"]:
            known = self._ledger.billings.get(billing["id"])
            if known is None or billing_facts(known) != billing:
                what = f"billing {billing['id']} in the ledger is not the sealed one; {_BACKUP}"
                yield Difference(seal.month, what)
            yield from (Difference(seal.month, wrong) for wrong in self._of_billing(billing))

    def _of_billing(self, billing: Facts) -> Iterator[str]:
        wrongs = [self._stored("rules", billing["rules_sha256"])]
        wrongs += [self._stored("layout", sha256) for sha256 in billing["layouts"].values()]
        yield from filter(None, wrongs)
        for month, hashes in (
            (billing["extract_month"], billing["extract"]),
            (billing["month"], billing["frames"]),
        ):
            for asset, sha256 in hashes.items():
                if (asset, sha256) in self._looked_at:
                    continue
                self._looked_at.add((asset, sha256))
                intact = self._frames.is_intact(asset, month, sha256)
                self._found.counts["frames"] += bool(intact)
                self.missing_frames += intact is None
                if intact is False:
                    place = self._frames.place(asset, month, sha256)
                    yield f"the stored frame {place} is damaged; put back the one of a backup"

    def _stored(self, kind: Kind, sha256: str) -> str:
        """What is wrong with a stored file, "" if nothing is."""
        if not sha256 or (kind, sha256) in self._looked_at:
            return ""
        self._looked_at.add((kind, sha256))
        try:
            whole = self._blobs.has(kind, sha256)
            missing = not whole and not self._blobs.knows(kind, sha256)
        except StoreError as error:
            return str(error)
        if whole:
            self._found.counts["files"] += 1
            return ""
        state = "missing" if missing else "damaged"
        return f"the stored {kind} {self._blobs.place(kind, sha256)} is {state}; put back the one of a backup"

    def _in_ledger(self, seal: Seal, file: Facts) -> str:
        """What the ledger says otherwise of a sealed delivery, "" if nothing."""
        order_number = file["order_number"]
        delivery = self._ledger.deliveries.of_order(order_number)
        if delivery is None:
            return f"the ledger has no order {order_number} any more; {_BACKUP}"
        if delivery.committed_at is None or delivery.committed_at > seal.at:
            # It was released, to be sent again under its number: of that a later seal tells.
            return ""
        now = file_facts(delivery)
        differs = [
            f"{name} is {now[name]} in the ledger and {file[name]} in the seal"
            for name in SEALED
            if now[name] != file[name]
        ]
        return f"order {order_number}: {', '.join(differs)}; {_BACKUP}" if differs else ""


def _since(month: str, sealed: Facts | None, ledger: Ledger, found: Verified) -> Iterator[Difference]:
    """What has been delivered or undone since the month's last seal, and that no run has sealed."""
    now = facts_now(ledger, month)
    if sealed is None and not now["files"]:
        found.notes.append(f"{month}: nothing is delivered")
        return
    if sealed == now:
        return
    if waiting := len(waiting_customers(ledger, month)):
        customers = "1 customer waits" if waiting == 1 else f"{waiting} customers wait"
        found.notes.append(f"{month}: not sealed yet, {customers} for their file to be sent")
        return
    if sealed is None and all(file["billing_id"] is None for file in now["files"]):
        found.notes.append(f"{month}: delivered by a release before 0.2, and not sealed")
        return
    remedy = f"`billing-pipeline run {month}` seals it"
    if sealed is None:
        yield Difference(month, f"delivered (files: {len(now['files'])}), and not sealed; {remedy}")
        return
    before = {file["order_number"]: file for file in sealed["files"]}
    after = {file["order_number"]: file for file in now["files"]}
    for order_number in sorted(before.keys() | after.keys()):
        old, new = before.get(order_number), after.get(order_number)
        if old == new:
            continue
        file = new or old or {}
        what = "is delivered, and not sealed" if old is None else "is sealed, and does not stand any more"
        what = what if old is None or new is None else "does not stand as it was sealed"
        yield Difference(
            month, f"order {order_number} {what}; {remedy}", file["customer_number"], file["file_name"]
        )
    yield Difference(month, f"what stands is not what was sealed; {_BACKUP}")
