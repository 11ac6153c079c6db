"""The two steps of a customer's month, over any customers of one month: make the files, deliver them. No Dagster.

Each step stores bytes first, then says so in the ledger, then tells its caller; so whatever dies, the ledger never
speaks of bytes that are not stored.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

import msgspec

from billing_pipeline.billing.explain_line import SOURCE_KIND_OF
from billing_pipeline.delivery.api.account import EasyBillAccount
from billing_pipeline.delivery.channel import record_rejected
from billing_pipeline.delivery.context import DeliveryContext, FileCheck
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import (
    BilledRow,
    Billing,
    DeliveryResult,
    Export,
    Parcel,
    SourceKind,
    failed,
)
from billing_pipeline.delivery.transports.protocol import DeliveryError
from billing_pipeline.easybill.export import CustomerExport, export_customers
from billing_pipeline.problems import Code, Problem
from billing_pipeline.side_by_side import side_by_side
from billing_pipeline.steps.approval_gate import ApprovalGate
from billing_pipeline.steps.current_billing import billings_to_deliver
from billing_pipeline.steps.outdated import outdated
from billing_pipeline.steps.send import Sending, send_parcels
from billing_pipeline.steps.wiring import BillingSettings, ChannelAt, LedgerAt
from billing_pipeline.steps.without_file import outcomes_as_sent, outcomes_without_file
from billing_pipeline.store.blobs import BlobStore, StoreDamaged, StoreError, sha256_of
from billing_pipeline.store.frames import CUSTOMERS, FrameStore, read_billed

_STORED_AT_ONCE: Final = 8
_BYTES_AT_ONCE: Final = 16 << 20
"""Files, and their bytes, that are on their way to the disk, or to an object store, at the same time."""


@dataclass(frozen=True)
class Correction:
    """Why a month that was sent is sent again, as the next revision, and who decided so."""

    reason: str
    author: str


@dataclass(frozen=True)
class MadeFiles:
    """One export per customer of the month, by customer number.

    `checked`: the files among them that were made and checked just now, as the SHA-256 of bytes and document.
    """

    exports: list[Export]
    checked: frozenset[tuple[str, str]]


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
) -> MadeFiles:
    """Makes and checks the file of each of these customers who is in the month, and records what came of it.

    Of the billing of that number, or of the month's current one; `correcting`, with the revision after the one that was
    sent.
    Raises: FrameMissing, StoreError, LedgerUnavailable.
    """
    book = ledger.open()
    revisions = book.deliveries.revisions(month)
    if correcting:
        revisions |= book.deliveries.next_revisions(month)
    stored = _stored_exports(customer_numbers, month, book, blobs)
    exports: list[Export] = []
    checked: set[tuple[str, str]] = set()
    for source, numbers in billings_to_deliver(
        customer_numbers, month, billing_id, ledger=book, frames=frames
    ):
        made = export_customers(
            read_billed(frames, month, source.frames, numbers),
            frames.read(CUSTOMERS, month, source.extract.frames[CUSTOMERS], numbers),
            month=month,
            rules=billing.rules,
            layouts=billing.layouts_of(numbers),
            revisions=revisions,
            stored={number: export.made_of for number, export in stored.items() if export.made_of},
        )
        keep = partial(_kept, source=source, stored=stored, blobs=blobs)
        for export, is_checked in side_by_side(
            keep, made, at_once=_STORED_AT_ONCE, size_of=_size_of, most_bytes=_BYTES_AT_ONCE
        ):
            exports.append(export)
            if is_checked:
                checked.add((export.sha256, export.document_sha256))
    exports.sort(key=lambda export: export.customer_number)
    book.months.record_exports(exports, run_id)
    return MadeFiles(exports, frozenset(checked))


def _stored_exports(
    customer_numbers: Collection[str], month: str, ledger: Ledger, blobs: BlobStore
) -> dict[str, Export]:
    """The files that need not be made again if they would be the same: known what of, stored and undamaged."""
    return {
        row.export.customer_number: row.export
        for row in ledger.months.customers(month, customer_numbers)
        if row.export.outcome == "rendered"
        and row.export.made_of
        and blobs.has("csv", row.export.sha256)
        and blobs.has("document", row.export.document_sha256)
    }


def stored_exports(customer_numbers: Collection[str], month: str, ledger: LedgerAt) -> list[Export]:
    """What the last export said of each of these customers: what is delivered when nothing is exported anew."""
    return [row.export for row in ledger.open().months.customers(month, customer_numbers)]


def deliver_files(
    exports: Iterable[Export],
    month: str,
    *,
    frames: FrameStore,
    ledger: LedgerAt,
    blobs: BlobStore,
    billing: BillingSettings,
    channel: ChannelAt,
    easybill: EasyBillAccount,
    run_id: str,
    month_is_over: bool,
    checked: frozenset[tuple[str, str]] = frozenset(),
    correction: Correction | None = None,
) -> Iterator[tuple[Export, DeliveryResult]]:
    """Delivers each file of a month, at most once, and tells how each customer's month ended, as it becomes known.

    A customer without a file has a result too. `checked`: as `make_files` returned it in this run. Raises: as
    `send_parcels`.
    """
    book = ledger.open()
    exports = list(exports)
    files = [export for export in exports if _has_file(export)]
    known = list(
        outcomes_without_file(
            [one for one in exports if not _has_file(one)],
            month,
            ledger=book,
            blobs=blobs,
            run_id=run_id,
            language=billing.rules.language,
        )
    )
    _notice_rejected(files, channel, book, run_id)
    # Under all_or_nothing what was sent before may be withdrawn yet.
    if billing.rules.delivery_policy != "all_or_nothing":
        known += outcomes_as_sent(files, month, book)
    book.months.record_outcomes([result for _, result in known], run_id, close_months=month_is_over)
    yield from known
    settled = {export.customer_number for export, _ in known}
    parcels: dict[str, Parcel] = {}
    for export in files:
        if export.customer_number in settled:
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
    for number, problem in outdated(list(parcels.values()), month, book).items():
        parcel = parcels.pop(number)
        result = failed(parcel, datetime.now(UTC), problem.message, problem.code)
        book.months.record_outcomes([result], run_id, close_months=False)
        yield parcel.export, result
    if parcels:
        way = channel.open()
        check = FileCheck({number: billing.layout_of(number) for number in parcels}, checked)
        context = DeliveryContext(
            book,
            blobs,
            way.destination,
            check,
            run_id,
            language=billing.rules.language,
            timezone=billing.timezone,
        )
        gate = ApprovalGate(book, blobs, frames, billing, run_id) if billing.require_approval else None
        sending = Sending(way, easybill, billing.rules, context, gate)
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


def _notice_rejected(files: Collection[Export], channel: ChannelAt, book: Ledger, run_id: str) -> None:
    """Before any of these files is said to be as it was sent.

    An inbox that cannot be asked now is told by what is to be sent over it.
    """
    if files:
        with suppress(DeliveryError):
            record_rejected(channel.open(), book, run_id=run_id)


def _has_file(export: Export) -> bool:
    return export.outcome == "rendered"


def _size_of(made: CustomerExport) -> int:
    """What it takes in memory, in bytes."""
    return 0 if made.file is None else len(made.file.data) + len(made.file.document_json)


def _kept(
    made: CustomerExport, *, source: Billing, stored: Mapping[str, Export], blobs: BlobStore
) -> tuple[Export, bool]:
    """The export as the ledger keeps it, and whether its file was made and checked just now."""
    if made.outcome == "as_stored":
        export = stored[made.customer_number]
        return replace(export, billing_id=source.id, late_rows=made.late_rows), False
    export = _stored(made, source, blobs)
    return export, _has_file(export)


def _stored(made: CustomerExport, source: Billing, blobs: BlobStore) -> Export:
    """The export as the ledger keeps it, once its bytes are stored."""
    export = export_of(made, source)
    if made.file is None:
        return export
    try:
        blobs.put("csv", made.file.data)
        return replace(export, document_sha256=blobs.put("document", made.file.document_json))
    except StoreDamaged as error:
        problem = Problem(
            Code.DELIVERY_FAILED, made.customer_number, str(error), source_id=export.order_number
        )
        return replace(_without_file(made, source), outcome="to_bill", problems=(problem,))


def export_of(made: CustomerExport, source: Billing) -> Export:
    """What was made of a customer's month, before anything of it is stored."""
    export = _without_file(made, source)
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
        made_of=file.made_of,
    )


def _without_file(made: CustomerExport, source: Billing) -> Export:
    if made.outcome == "as_stored":
        raise ValueError(f"{made.customer_number}: nothing was made, the stored export stands")
    return Export(
        source.month,
        made.customer_number,
        made.outcome,
        problems=made.problems,
        late_rows=made.late_rows,
        reason=made.reason,
        billing_id=source.id,
    )


def _parcel(export: Export, blobs: BlobStore, correction: Correction | None) -> Parcel:
    document = _BILLED_BY_DOCUMENT.decode(blobs.get("document", export.document_sha256))
    billed, revision = _billed_rows(document.lines), document.revision
    if correction is None:
        return Parcel(export, billed, revision)
    return Parcel(export, billed, revision, correction.reason, correction.author)


class _LineSources(msgspec.Struct):
    line_type: str
    performed_on: str
    sources: list[tuple[str, str]]


class _BilledByDocument(msgspec.Struct):
    """What a parcel asks of a document's JSON; nothing is made of the rest of it.

    100,000 lines as Python's objects take 250 MB, and to make them takes eight times as long.
    """

    lines: list[_LineSources]
    revision: int


_BILLED_BY_DOCUMENT: Final = msgspec.json.Decoder(_BilledByDocument)


def _billed_rows(lines: Iterable[_LineSources]) -> tuple[BilledRow, ...]:
    """The OMS rows and adjustments that a document's lines bill, each once."""
    rows: dict[tuple[SourceKind, str], BilledRow] = {}
    for line in lines:
        kind, month = SOURCE_KIND_OF[line.line_type], line.performed_on[:7]
        for source_id, fingerprint in line.sources:
            rows[kind, source_id] = BilledRow(kind, source_id, month, fingerprint)
    return tuple(rows.values())
