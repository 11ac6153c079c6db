"""The two steps of a customer's month, over any customers of one month: make the files, deliver them. No Dagster.

Each step stores bytes first, then says so in the ledger, then tells its caller; so whatever dies, the ledger never
speaks of bytes that are not stored.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from billing_pipeline.billing.explain_line import SOURCE_KIND_OF
from billing_pipeline.delivery.api.account import EasyBillAccount
from billing_pipeline.delivery.context import DeliveryContext, FileCheck
from billing_pipeline.delivery.records import (
    BilledRow,
    Billing,
    DeliveryResult,
    Export,
    Parcel,
)
from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.export import CustomerExport, export_customers
from billing_pipeline.problems import Code, Problem
from billing_pipeline.steps.current_billing import billings_to_deliver
from billing_pipeline.steps.send import Sending, send_parcels
from billing_pipeline.steps.wiring import BillingSettings, ChannelAt, LedgerAt
from billing_pipeline.steps.without_file import outcomes_without_file
from billing_pipeline.store.blobs import BlobStore, StoreDamaged, StoreError, sha256_of
from billing_pipeline.store.frames import CUSTOMERS, FrameStore, read_billed


@dataclass(frozen=True)
class Correction:
    """Why a month that was sent is sent again, as the next revision, and who decided so."""

    reason: str
    author: str


def make_files(
    customer_numbers: Collection[str],
    month: str,
    *,
    billing_id: int | None,
    frames: FrameStore,
    ledger: LedgerAt,
    blobs: BlobStore,
    billing: BillingSettings,
    run_id: str,
    correcting: bool = False,
) -> list[Export]:
    """Makes and checks the file of each of these customers who is in the month, and records what came of it.

    Of the billing of that number, or of the month's current one. One export per customer of the month among them, by
    customer number; `correcting`, with the revision after the one that was sent.
    Raises: FrameMissing, StoreError, LedgerUnavailable.
    """
    book = ledger.open()
    revisions = book.deliveries.next_revisions(month) if correcting else book.deliveries.revisions(month)
    exports = []
    for made_of, numbers in billings_to_deliver(
        customer_numbers, month, billing_id, ledger=book, frames=frames
    ):
        made = export_customers(
            read_billed(frames, month, made_of.frames, numbers),
            frames.read(CUSTOMERS, month, made_of.extract.frames[CUSTOMERS], numbers),
            month=month,
            rules=billing.rules,
            layouts=billing.layouts_of(numbers),
            revisions=revisions,
        )
        exports += [_stored(export, made_of, blobs) for export in made]
    exports.sort(key=lambda export: export.customer_number)
    book.months.record_exports(exports, run_id)
    return exports


def stored_exports(customer_numbers: Collection[str], month: str, ledger: LedgerAt) -> list[Export]:
    """What the last export said of each of these customers: what is delivered when nothing is exported anew."""
    wanted = set(customer_numbers)
    return [
        row.export for row in ledger.open().months.customers(month) if row.export.customer_number in wanted
    ]


def deliver_files(
    exports: Iterable[Export],
    month: str,
    *,
    ledger: LedgerAt,
    blobs: BlobStore,
    billing: BillingSettings,
    channel: ChannelAt,
    easybill: EasyBillAccount,
    run_id: str,
    month_is_over: bool,
    correction: Correction | None = None,
) -> Iterator[tuple[Export, DeliveryResult]]:
    """Delivers each file of a month, at most once, and tells how each customer's month ended, as it becomes known.

    A customer without a file has a result too. Raises: as `send_parcels`.
    """
    book = ledger.open()
    exports = list(exports)
    without_file = list(
        outcomes_without_file(
            [one for one in exports if not _has_file(one)],
            month,
            ledger=book,
            blobs=blobs,
            run_id=run_id,
        )
    )
    book.months.record_outcomes([result for _, result in without_file], run_id, close_months=month_is_over)
    yield from without_file
    parcels: dict[str, Parcel] = {}
    for export in exports:
        if not _has_file(export):
            continue
        try:
            parcels[export.customer_number] = _parcel(export, blobs, correction)
        except StoreError as error:
            if billing.rules.delivery_policy == "all_or_nothing":
                # Nothing of the month is sent while one file of it cannot be.
                raise
            damaged = _undeliverable(export, error)
            book.months.record_outcomes([damaged], run_id)
            yield export, damaged
    if parcels:
        way = channel.open()
        check = FileCheck({number: billing.layout_of(number) for number in parcels})
        context = DeliveryContext(book, blobs, way.destination, check, run_id)
        sending = Sending(way, easybill, billing.rules, context)
        for result in send_parcels(list(parcels.values()), month, sending):
            yield parcels[result.customer_number].export, result
    if month_is_over:
        book.months.finish(month, run_id)


def _undeliverable(export: Export, error: StoreError) -> DeliveryResult:
    """One damaged or missing document fails its customer alone."""
    problem = Problem(Code.DELIVERY_FAILED, export.customer_number, str(error), source_id=export.order_number)
    return DeliveryResult(
        export.month, export.customer_number, "failed", (problem,), export.sha256, export.order_number
    )


def _has_file(export: Export) -> bool:
    return export.outcome == "rendered"


def _stored(made: CustomerExport, made_of: Billing, blobs: BlobStore) -> Export:
    """The export as the ledger keeps it, once its bytes are stored."""
    export = export_of(made, made_of)
    if made.file is None:
        return export
    try:
        blobs.put("csv", made.file.data)
        return replace(export, document_sha256=blobs.put("document", made.file.document_json))
    except StoreDamaged as error:
        problem = Problem(
            Code.DELIVERY_FAILED, made.customer_number, str(error), source_id=export.order_number
        )
        return replace(_without_file(made, made_of), outcome="to_bill", problems=(problem,))


def export_of(made: CustomerExport, made_of: Billing) -> Export:
    """What was made of a customer's month, before anything of it is stored."""
    export = _without_file(made, made_of)
    file = made.file
    if file is None:
        return export
    return replace(
        export,
        order_number=file.order_number,
        file_name=file.file_name,
        sha256=sha256_of(file.data),
        size_bytes=len(file.data),
        line_count=file.line_count,
        currency=file.currency,
        net=file.net,
        vat=file.vat,
        gross=file.gross,
        layout=file.layout,
    )


def _without_file(made: CustomerExport, made_of: Billing) -> Export:
    return Export(
        made_of.month,
        made.customer_number,
        made.outcome,
        problems=made.problems,
        late_rows=made.late_rows,
        reason=made.reason,
        billing_id=made_of.id,
    )


def _parcel(export: Export, blobs: BlobStore, correction: Correction | None) -> Parcel:
    document = Document.from_json(blobs.get("document", export.document_sha256))
    billed = billed_rows(document)
    if correction is None:
        return Parcel(export, billed, document.revision)
    return Parcel(export, billed, document.revision, correction.reason, correction.author)


def billed_rows(document: Document) -> tuple[BilledRow, ...]:
    """The OMS rows and adjustments that a document bills, each once."""
    return tuple(
        {
            (row.source_kind, row.source_id): row
            for row in (
                BilledRow(
                    SOURCE_KIND_OF[line.line_type],
                    source.source_id,
                    f"{line.performed_on:%Y-%m}",
                    source.fingerprint,
                )
                for line in document.lines
                for source in line.sources
            )
        }.values()
    )
