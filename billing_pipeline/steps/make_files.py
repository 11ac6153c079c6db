"""The two steps of a customer's month, over any customers of one month: make the files, deliver them. No Dagster.

Each step stores bytes first, then says so in the ledger, then tells its caller; so whatever dies, the ledger never
speaks of bytes that are not stored.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from billing_pipeline.billing.bill import BilledMonth
from billing_pipeline.billing.explain_line import SOURCE_KIND_OF
from billing_pipeline.delivery.api.account import EasyBillAccount
from billing_pipeline.delivery.context import DeliveryContext, FileCheck
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import (
    BilledRow,
    DeliveryResult,
    Export,
    Parcel,
)
from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.export import CustomerExport, export_customers, first_revision
from billing_pipeline.oms.evidence import RowsById
from billing_pipeline.oms.extract import Extract
from billing_pipeline.problems import Problem, problems_of
from billing_pipeline.steps.send import Sending, send_parcels
from billing_pipeline.steps.wiring import Billing, ChannelAt, LedgerAt
from billing_pipeline.steps.without_file import outcomes_without_file
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline.store.frames import FrameStore
from billing_pipeline.store.month_frames import read_billed, read_extract


@dataclass(frozen=True)
class Correction:
    """Why a month that was sent is sent again, as the next revision, and who decided so."""

    reason: str
    author: str


def record_roster(ledger: Ledger, month: str, billed: BilledMonth, run_id: str) -> None:
    """Tells the ledger who has rows in the month, before any file is made."""
    problems: dict[str, list[Problem]] = {}
    for problem in problems_of(billed.problems):
        problems.setdefault(problem.customer_number, []).append(problem)
    ledger.months.record_roster(
        month,
        [
            Export(
                month,
                row["customer_number"],
                row["outcome"],
                problems=tuple(problems.get(row["customer_number"], ())),
                late_rows=row["late_rows"],
                reason=row["reason"],
            )
            for row in billed.roster.to_dict("records")
        ],
        run_id,
    )


def make_files(
    customer_numbers: Collection[str],
    month: str,
    *,
    frames: FrameStore,
    ledger: LedgerAt,
    documents: BlobStore,
    billing: Billing,
    run_id: str,
    correcting: bool = False,
) -> list[Export]:
    """Makes and checks the file of each of these customers who is in the month, and records what came of it.

    One export per customer of the month among them, by customer number; `correcting`, with the revision after the
    one that was sent. Raises: FrameMissing, StoreError, LedgerUnavailable.
    """
    book = ledger.open()
    revisions = book.deliveries.next_revisions(month) if correcting else book.deliveries.revisions(month)
    made = list(
        export_customers(
            read_billed(frames, month),
            frames.read("oms_customers", month),
            month=month,
            rules=billing.rules,
            layout_of=billing.layout_of,
            only=customer_numbers,
            revision_of=lambda number: revisions.get(number, first_revision(number)),
        )
    )
    rows = rows_behind([one.document for one in made if one.document], read_extract(frames, month))
    exports = [_stored(export, month, documents, rows) for export in made]
    book.months.record_exports(exports, run_id)
    return exports


def rows_behind(made: Iterable[Document], extract: Extract) -> RowsById:
    """The rows of the extract that these documents bill."""
    return RowsById.of(extract, *_ids_by_kind([row for document in made for row in billed_rows(document)]))


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
    documents: BlobStore,
    billing: Billing,
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
            documents=documents,
            run_id=run_id,
        )
    )
    book.months.record_outcomes([result for _, result in without_file], run_id, close_months=month_is_over)
    yield from without_file
    parcels = {
        export.customer_number: _parcel(export, documents, correction)
        for export in exports
        if _has_file(export)
    }
    if parcels:
        way = channel.open()
        check = FileCheck({number: billing.layout_of(number) for number in parcels})
        context = DeliveryContext(book, documents, way.destination, check, run_id)
        sending = Sending(way, easybill, billing.rules, context)
        for result in send_parcels(list(parcels.values()), month, sending):
            yield parcels[result.customer_number].export, result
    if month_is_over:
        book.months.finish(month, run_id)


def _has_file(export: Export) -> bool:
    return export.outcome == "rendered"


def _stored(made: CustomerExport, month: str, documents: BlobStore, rows: RowsById) -> Export:
    """The export as the ledger keeps it, once its bytes are stored, with the rows of the OMS behind them."""
    export = Export(
        month,
        made.customer_number,
        made.outcome,
        problems=made.problems,
        late_rows=made.late_rows,
        reason=made.reason,
    )
    if made.document is None or made.data is None:
        return export
    document = replace(made.document, evidence=rows.rows(*_ids_by_kind(billed_rows(made.document))))
    return replace(
        export,
        order_number=document.order_number,
        file_name=document.file_name,
        sha256=documents.put("csv", made.data),
        document_sha256=documents.put("document", document.to_json()),
        size_bytes=len(made.data),
        line_count=len(document.lines),
        currency=document.currency,
        net=document.net,
        vat=document.vat,
        gross=document.gross,
        layout=made.layout,
    )


def _ids_by_kind(billed: Collection[BilledRow]) -> tuple[list[str], list[str]]:
    """The ids of the services, and of the fees."""
    services, fees = (
        [row.source_id for row in billed if row.source_kind == kind] for kind in ("service", "fee")
    )
    return services, fees


def _parcel(export: Export, documents: BlobStore, correction: Correction | None) -> Parcel:
    document = Document.from_json(documents.get("document", export.document_sha256))
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
