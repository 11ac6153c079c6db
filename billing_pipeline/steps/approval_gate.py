"""The gate before sending where approval is required (`BILLING_REQUIRE_APPROVAL`): which files may not go, and why.

A file is approved by its bytes. The newest approval of the whole month counts, and after it those of corrections.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.approvals import Approval, ApprovedFile
from billing_pipeline.delivery.records import Export, Parcel, State
from billing_pipeline.easybill.difference import difference
from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.export import export_customers
from billing_pipeline.easybill.manifest import Manifest, ManifestFile, manifest_of
from billing_pipeline.local_time import local_time
from billing_pipeline.problems import Code, Problem
from billing_pipeline.steps.current_billing import billings_to_deliver
from billing_pipeline.steps.wiring import BillingSettings
from billing_pipeline.store.blobs import BlobStore, StoreError, sha256_of
from billing_pipeline.store.frames import CUSTOMERS, FrameStore, read_billed

# What is committed, sent, held or withdrawn goes on by what the ledger says of it: none of it is sent for the first
# time, and should a committed file have to be sent anew after all, the channel asks again.
_BEYOND_APPROVAL = frozenset(set(State) - {State.PLANNED, State.UPLOADING})


@dataclass(frozen=True)
class ApprovalGate:
    """What the gate needs to know: who approved what, and what the month's files are now."""

    ledger: Ledger
    blobs: BlobStore
    frames: FrameStore
    billing: BillingSettings
    run_id: str

    def problems(self, month: str, parcels: Sequence[Parcel]) -> dict[str, Problem]:
        """By customer number, why a parcel of the month must not be sent.

        Who decides on a correction approves its file with it. Raises: StoreError, FrameMissing, LedgerUnavailable.
        """
        for parcel in parcels:
            if parcel.reason and parcel.author:
                self._approve_correction(month, parcel)
        approved = self.ledger.approvals.in_force(month)
        refused = [
            parcel
            for parcel in parcels
            if parcel.export.customer_number not in approved
            or approved[parcel.export.customer_number][1].sha256 != parcel.export.sha256
        ]
        if not refused:
            return {}
        manifest = month_manifest(month, self.ledger, self.frames, self.billing)
        found = {}
        for parcel in refused:
            number = parcel.export.customer_number
            before = approved.get(number)
            found[number] = (
                _not_approved(parcel, manifest)
                if before is None
                else self._outdated(parcel, before, manifest)
            )
        return found

    def waiting(self, month: str) -> frozenset[str]:
        """The customers of the month whose file is made, and neither approved nor beyond approval."""
        exports = [row.export for row in self.ledger.months.customers(month)]
        approved = self.ledger.approvals.in_force(month)
        settled = beyond_approval(self.ledger, month)
        return frozenset(
            one.customer_number
            for one in exports
            if one.outcome == "rendered"
            and one.order_number not in settled
            and (one.customer_number not in approved or approved[one.customer_number][1].sha256 != one.sha256)
        )

    def _approve_correction(self, month: str, parcel: Parcel) -> None:
        file = approved_file(parcel.export)
        standing = self.ledger.approvals.in_force(month).get(file.customer_number)
        if standing is not None and standing[1] == file:
            return
        manifest = manifest_of(month, [manifest_file(parcel.export)])
        self.ledger.approvals.add(
            month, "correction", manifest.sha256, [file], author=parcel.author, run_id=self.run_id
        )

    def _outdated(self, parcel: Parcel, before: tuple[Approval, ApprovedFile], manifest: Manifest) -> Problem:
        approval, file = before
        export = parcel.export
        return Problem(
            Code.APPROVAL_OUTDATED,
            export.customer_number,
            f"{export.file_name} is not the file that {approval.author} approved on "
            f"{local_time(approval.at, self.billing.timezone)} (manifest {approval.manifest_sha256}): "
            f"{self._difference(file, export)}; {_remedy(manifest)}",
            source_id=export.order_number,
        )

    def _difference(self, file: ApprovedFile, export: Export) -> str:
        try:
            before, after = (
                Document.from_json(self.blobs.get("document", sha256))
                for sha256 in (file.document_sha256, export.document_sha256)
            )
        except (StoreError, ValueError) as error:
            return f"the difference cannot be shown, for {error}"
        changes = difference(before, after)
        if not changes.lines and not changes.fields:
            return "its lines are the same, and the layout or the rules make another file of them"
        return changes.text(self.billing.rules.language)


def beyond_approval(ledger: Ledger, month: str) -> frozenset[str]:
    """The orders of the month of which nothing is sent for the first time any more."""
    return frozenset(
        one.order_number for one in ledger.deliveries.of_month(month) if one.state in _BEYOND_APPROVAL
    )


def month_manifest(month: str, ledger: Ledger, frames: FrameStore, billing: BillingSettings) -> Manifest:
    """The manifest of what the month would send as it was last billed; nothing is stored or recorded.

    Raises: FrameMissing, StoreError, LedgerUnavailable.
    """
    rows = {row.export.customer_number: row.export for row in ledger.months.customers(month)}
    files: list[ManifestFile] = []
    for source, numbers in billings_to_deliver(list(rows), month, None, ledger=ledger, frames=frames):
        for made in export_customers(
            read_billed(frames, month, source.frames, numbers),
            frames.read(CUSTOMERS, month, source.extract.frames[CUSTOMERS], numbers),
            month=month,
            rules=billing.rules,
            layouts=billing.layouts_of(numbers),
            revisions=ledger.deliveries.revisions(month),
            stored={
                number: rows[number].made_of or "" for number in numbers if rows[number].outcome == "rendered"
            },
        ):
            if made.outcome == "as_stored":
                files.append(manifest_file(rows[made.customer_number]))
            elif made.file is not None:
                data = made.file.data
                files.append(
                    ManifestFile(made.customer_number, made.file.file_name, sha256_of(data), len(data))
                )
    return manifest_of(month, files)


def manifest_file(export: Export) -> ManifestFile:
    """A file that is made, as the manifest has it."""
    return ManifestFile(export.customer_number, export.file_name, export.sha256, export.size_bytes)


def approved_file(export: Export) -> ApprovedFile:
    """A file that is made, as an approval has it."""
    return ApprovedFile(
        export.customer_number, export.file_name, export.sha256, export.document_sha256, export.size_bytes
    )


def approval_problems(gate: ApprovalGate | None, month: str, parcels: Iterable[Parcel]) -> dict[str, Problem]:
    """What the gate finds, nothing where approval is not required."""
    return {} if gate is None else gate.problems(month, list(parcels))


def _not_approved(parcel: Parcel, manifest: Manifest) -> Problem:
    export = parcel.export
    return Problem(
        Code.NOT_APPROVED,
        export.customer_number,
        f"nobody has approved {export.file_name} (BILLING_REQUIRE_APPROVAL): {_remedy(manifest)}",
        source_id=export.order_number,
    )


def _remedy(manifest: Manifest) -> str:
    month = manifest.month
    return (
        f"`billing-pipeline preview {month} --out DIR` shows the files of manifest {manifest.sha256}, "
        f"`billing-pipeline approve {month} --manifest {manifest.sha256} --by NAME` approves them, and "
        f"`billing-pipeline run {month}` sends them"
    )
