"""A person approves the files of a month: those that the OMS and the rules make now, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from billing_pipeline.delivery.ledger.approvals import Approval, ApprovedFile
from billing_pipeline.easybill.manifest import Manifest
from billing_pipeline.problems import UsageError
from billing_pipeline.settings import Settings
from billing_pipeline.steps.preview import Preview, preview_month
from billing_pipeline.steps.wiring import build_wiring
from billing_pipeline.store.blobs import BlobStore


class ManifestOutdated(UsageError):
    """The hash is not that of the month's files as they are now."""


@dataclass(frozen=True)
class Approved:
    """What was approved, and whether the setting makes it count."""

    approval: Approval
    manifest: Manifest
    is_required: bool

    def lines(self) -> Iterator[str]:
        """For people."""
        month, count = self.approval.month, len(self.manifest.files)
        files = "1 file" if count == 1 else f"{count} files"
        yield f"{month}: {files} approved by {self.approval.author}, manifest {self.manifest.sha256}"
        if self.is_required:
            yield f"`billing-pipeline run {month}` sends exactly these"
        else:
            yield "BILLING_REQUIRE_APPROVAL is not set: a run sends what is not approved, too"


def approve_month(settings: Settings, month: str, manifest: str, *, author: str) -> Approved:
    """Approves the files of this manifest, if it is the month's current one; their bytes are stored.

    Raises: ManifestOutdated; UsageError without a name; the errors of `preview_month`; StoreError.
    """
    if not author.strip():
        raise UsageError("an approval needs a name: --by NAME")
    current = preview_month(settings, month)
    if manifest.strip().lower() != current.manifest.sha256:
        raise ManifestOutdated(
            f"{manifest} is not the manifest of {month}: the current one is {current.manifest.sha256} (files: "
            f"{len(current.manifest.files)}); look at them with `billing-pipeline preview {month} --out DIR`, then "
            "approve that one"
        )
    wiring = build_wiring(settings)
    approval = wiring.ledger.open().approvals.add(
        month, "month", current.manifest.sha256, _stored(current, wiring.blobs), author=author
    )
    return Approved(approval, current.manifest, settings.require_approval)


def _stored(preview: Preview, blobs: BlobStore) -> list[ApprovedFile]:
    """The files, once they can be shown again."""
    return [
        ApprovedFile(
            export.customer_number,
            export.file.file_name,
            blobs.put("csv", export.file.data),
            blobs.put("document", export.file.document_json),
            len(export.file.data),
        )
        for export in preview.exports
        if export.file is not None
    ]
