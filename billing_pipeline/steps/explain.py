"""A line of an invoice back to its OMS rows: what `billing-pipeline explain` tells.

From the document as it was made, and the stored extract that its billing names: so it answers, and answers the same,
when the OMS has moved on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from billing_pipeline.billing.explain_line import Reader, explain_line
from billing_pipeline.billing.rules import load_rules
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.easybill.document import Document, DocumentLine
from billing_pipeline.local_time import local_time
from billing_pipeline.oms.evidence import extract_of_rows
from billing_pipeline.oms.extract import Extract
from billing_pipeline.problems import UsageError
from billing_pipeline.settings import Settings
from billing_pipeline.steps.wiring import LedgerAt
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline.store.frames import FrameStore, read_extract

_DONE = {"add": "added", "edit": "changed", "delete": "deleted", "undo": "undone"}


@dataclass(frozen=True)
class Explained:
    """An order and, line by line, the steps that led to it, by position."""

    document: Document
    standing: str
    steps: tuple[tuple[DocumentLine, tuple[str, ...]], ...]

    def lines(self) -> Iterator[str]:
        """For people: the order, then each line with its steps below it."""
        one = self.document
        yield (
            f"{one.order_number}: customer {one.customer_number}, {one.month}, revision {one.revision}, "
            f"{one.file_name} ({self.standing})"
        )
        for _, (head, *others) in self.steps:
            yield head
            yield from (f"    {step}" for step in others)

    def as_json(self) -> dict[str, Any]:
        """For scripts: the same, with the ids of the rows behind each line."""
        one = self.document
        return {
            "order_number": one.order_number,
            "customer_number": one.customer_number,
            "month": one.month,
            "revision": one.revision,
            "file": one.file_name,
            "standing": self.standing,
            "lines": [
                {
                    "position": line.position,
                    "line_type": line.line_type,
                    "sources": [source.source_id for source in line.sources],
                    "steps": list(steps),
                }
                for line, steps in self.steps
            ],
        }


def explain_order(settings: Settings, order_number: str, line: int | None = None) -> Explained:
    """The steps of every line of an order, or of the line at that position.

    Raises: UsageError for an order, or a line, that there is not; StoreError; LedgerUnavailable.
    """
    ledger = LedgerAt(settings.ledger_url_or_default).open()
    standing, document_sha256, billing_id = _found(ledger, order_number)
    document = Document.from_json(BlobStore(settings.store_url_or_default).get("document", document_sha256))
    chosen = [one for one in document.lines if line in (None, one.position)]
    if not chosen:
        raise UsageError(f"order {order_number} has no line {line}: its lines are 1 to {len(document.lines)}")
    extract = _rows_behind(chosen, document, billing_id, ledger, FrameStore(settings.store_url_or_default))
    reader = Reader(load_rules(settings.rules).language, settings.timezone)
    return Explained(
        document,
        standing,
        tuple(
            (
                one,
                (
                    *explain_line(
                        asdict(one),
                        extract,
                        reader,
                        month=document.month,
                        currency=document.currency,
                        price_basis=document.price_basis,
                    ),
                    *_decisions(one, document, ledger, settings.timezone),
                ),
            )
            for one in chosen
        ),
    )


def _rows_behind(
    lines: Sequence[DocumentLine],
    document: Document,
    billing_id: int | None,
    ledger: Ledger,
    frames: FrameStore,
) -> Extract:
    """The OMS rows that these lines came from, as they were read then. Raises: FrameMissing, StoreError."""
    billing = None if billing_id is None else ledger.billings.get(billing_id)
    if billing is None:
        return extract_of_rows(document.evidence)
    ids = {source.source_id for line in lines for source in line.sources}
    whole = read_extract(frames, billing.month, billing.extract.frames)
    return Extract(
        customers=whole.customers[whole.customers["customer_number"] == document.customer_number],
        services=whole.services[whole.services["service_id"].isin(ids)],
        service_tasks=whole.service_tasks[whole.service_tasks["service_id"].isin(ids)],
        cancellation_fees=whole.cancellation_fees[whole.cancellation_fees["fee_id"].isin(ids)],
    )


def _found(ledger: Ledger, order_number: str) -> tuple[str, str, int | None]:
    """How the order stands, the document it was made of, and the billing that this was made from."""
    delivery = ledger.deliveries.of_order(order_number)
    if delivery is not None:
        return delivery.state.lower(), delivery.document_sha256, delivery.billing_id
    export = ledger.months.export_of(order_number)
    if export is not None:
        return "made, not sent", export.document_sha256, export.billing_id
    raise UsageError(f"the ledger has no order {order_number}: `billing-pipeline status MONTH` lists them")


def _decisions(line: DocumentLine, document: Document, ledger: Ledger, timezone: str) -> Iterator[str]:
    """Who added an adjustment, and changed it, and why."""
    if line.line_type.endswith("adjustment"):
        ids = {source.source_id for source in line.sources}
        for version in ledger.adjustments.history(document.month):
            if str(version.id) in ids:
                yield (
                    f"adjustment {version.id}: {_DONE[version.action]} by {version.author} at "
                    f"{local_time(version.at, timezone)}: {version.reason}"
                )
