"""The two steps of a customer's month, over any customers of one month: make the files, deliver them. No Dagster.

Each step stores bytes first, then says so in the ledger, then tells its caller; so whatever dies, the ledger never
speaks of bytes that are not stored.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

import pandas as pd

from billing_pipeline.billing.bill import BilledMonth
from billing_pipeline.defs.frames import FrameStore
from billing_pipeline.defs.resources import Billing, Inbox, LedgerAt
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import (
    BilledRow,
    DeliveryResult,
    Export,
    Outcome,
    Parcel,
    SourceKind,
)
from billing_pipeline.delivery.store import Store
from billing_pipeline.delivery.worker import deliver_all
from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.export import CustomerExport, export_customers, file_problems, first_revision
from billing_pipeline.problems import Code, Problem, problems_of

BILLED_FRAMES = {
    "invoice_lines": "lines",
    "billing_problems": "problems",
    "month_totals": "totals",
    "month_roster": "roster",
    "month_drift": "drift",
}

SOURCE_KIND: Mapping[str, SourceKind] = {
    "service": "service",
    "late_service": "service",
    "cancellation_fee": "fee",
    "late_cancellation_fee": "fee",
    "adjustment": "adjustment",
}


def write_billed(frames: FrameStore, month: str, billed: BilledMonth) -> None:
    """Keeps what was billed, as the frames from which files are made."""
    for name, part in BILLED_FRAMES.items():
        frames.write(name, month, getattr(billed, part))


def read_billed(frames: FrameStore, month: str) -> BilledMonth:
    """What was billed of a month. Raises: FrameMissing."""
    return BilledMonth(**{part: frames.read(name, month) for name, part in BILLED_FRAMES.items()})


def record_roster(ledger: Ledger, month: str, billed: BilledMonth, run_id: str) -> None:
    """Tells the ledger who has rows in the month, before any file is made."""
    problems: dict[str, list[Problem]] = {}
    for problem in problems_of(billed.problems):
        problems.setdefault(problem.customer_number, []).append(problem)
    ledger.record_roster(
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


def with_billed_before(billed: BilledMonth, customer_numbers: Iterable[str]) -> BilledMonth:
    """The month with these customers in its roster too, with nothing to bill where they have no row any more.

    They were billed for it once: that they vanished from the OMS must not make them vanish here.
    """
    gone = sorted(set(customer_numbers) - set(billed.roster["customer_number"]))
    if not gone:
        return billed
    rows = pd.DataFrame(
        {"customer_number": gone, "outcome": "nothing_to_bill", "late_rows": 0, "reason": ""}
    ).astype(billed.roster.dtypes.to_dict())
    roster = pd.concat([billed.roster, rows], ignore_index=True)
    return replace(billed, roster=roster.sort_values("customer_number", ignore_index=True))


def make_files(
    customer_numbers: Collection[str],
    month: str,
    *,
    frames: FrameStore,
    ledger: LedgerAt,
    documents: Store,
    billing: Billing,
    run_id: str,
) -> list[Export]:
    """Makes and checks the file of each of these customers who is in the month, and records what came of it.

    One export per customer of the month among them, by customer number. Raises: FrameMissing, StoreError,
    LedgerUnavailable.
    """
    book = ledger.open()
    revisions = book.revisions(month)
    exports = [
        _stored(export, month, documents)
        for export in export_customers(
            read_billed(frames, month),
            frames.read("oms_customers", month),
            month=month,
            rules=billing.rules,
            layout_of=billing.layout_of,
            only=customer_numbers,
            revision_of=lambda number: revisions.get(number, first_revision(number)),
        )
    ]
    book.record_exports(exports, run_id)
    return exports


def stored_exports(customer_numbers: Collection[str], month: str, ledger: LedgerAt) -> list[Export]:
    """What the last export said of each of these customers: what is delivered when nothing is exported anew."""
    wanted = set(customer_numbers)
    return [
        row.export for row in ledger.open().month_customers(month) if row.export.customer_number in wanted
    ]


def deliver_files(
    exports: Iterable[Export],
    *,
    ledger: LedgerAt,
    documents: Store,
    billing: Billing,
    inbox: Inbox,
    run_id: str,
    month_is_over: bool,
) -> Iterator[tuple[Export, Outcome, DeliveryResult | None]]:
    """Delivers each file, at most once, and tells how each customer's month ended, as it becomes known.

    A customer without a file has an outcome too, and no result. Raises: what ends the whole delivery, such as
    InboxRefused or LedgerUnavailable; who was not reached by then has no outcome.
    """
    book = ledger.open()
    exports = list(exports)
    without_file = [
        (export, _outcome_without_file(export, ledger)) for export in exports if not _has_file(export)
    ]
    book.record_outcomes([outcome for _, outcome in without_file], run_id, close_months=month_is_over)
    for export, outcome in without_file:
        yield export, outcome, None
    parcels = {
        (export.month, export.customer_number): _parcel(export, documents)
        for export in exports
        if _has_file(export)
    }
    if not parcels:
        return
    results = deliver_all(
        list(parcels.values()),
        inbox.transport,
        book,
        documents,
        remote_dir=inbox.directory,
        archive_dir=inbox.archive_directory,
        error_dir=inbox.error_directory,
        connections=inbox.connections,
        timeout_s=inbox.timeout_s,
        run_id=run_id,
        verify=lambda parcel, data: _verify(parcel.export, data, documents, billing),
    )
    for result in results:
        export = parcels[result.month, result.customer_number].export
        yield export, _outcome_of(result), result


def _outcome_of(result: DeliveryResult) -> Outcome:
    return Outcome(result.month, result.customer_number, result.outcome, result.problems, result.sha256)


def _has_file(export: Export) -> bool:
    return export.outcome == "rendered"


def _stored(export: CustomerExport, month: str, documents: Store) -> Export:
    """The export as the ledger keeps it, once its bytes are stored."""
    common = {
        "month": month,
        "customer_number": export.customer_number,
        "outcome": export.outcome,
        "problems": export.problems,
        "late_rows": export.late_rows,
        "reason": export.reason,
    }
    if export.document is None or export.data is None:
        return Export(**common)
    document = export.document
    return Export(
        **common,
        order_number=document.order_number,
        file_name=document.file_name,
        sha256=documents.put("csv", export.data),
        document_sha256=documents.put("document", document.to_json()),
        size_bytes=len(export.data),
        line_count=len(document.lines),
        currency=document.currency,
        net=document.net,
        vat=document.vat,
        gross=document.gross,
        layout=export.layout,
    )


def _parcel(export: Export, documents: Store) -> Parcel:
    document = Document.from_json(documents.get("document", export.document_sha256))
    return Parcel(export, billed_rows(document), document.revision)


def billed_rows(document: Document) -> tuple[BilledRow, ...]:
    """The OMS rows and adjustments that a document bills, each once."""
    return tuple(
        {
            (row.source_kind, row.source_id): row
            for row in (
                BilledRow(
                    SOURCE_KIND[line.line_type],
                    source.source_id,
                    f"{line.performed_on:%Y-%m}",
                    source.fingerprint,
                )
                for line in document.lines
                for source in line.sources
            )
        }.values()
    )


def _verify(export: Export, data: bytes, documents: Store, billing: Billing) -> list[str]:
    """The check of the file, once more, on the bytes that are about to be sent: a gate of its own.

    A check in Dagster guards only its own run; an upload by itself would go through.
    """
    document = Document.from_json(documents.get("document", export.document_sha256))
    problems = file_problems(data, document, billing.layout_of(export.customer_number))
    return [problem.message for problem in problems]


def _outcome_without_file(export: Export, ledger: LedgerAt) -> Outcome:
    """How the month ends for a customer to whom nothing is sent.

    Somebody who was billed and now has nothing to bill is held: what went out must not be forgotten.
    """
    outcome = export.outcome
    if outcome in {"nothing_to_bill", "omitted"}:
        sent = [
            delivery
            for delivery in ledger.open().deliveries(export.month)
            if delivery.customer_number == export.customer_number and delivery.committed_at is not None
        ]
        if sent:
            latest = sent[-1]
            return Outcome(
                export.month,
                export.customer_number,
                "held",
                (
                    Problem(
                        Code.CHANGED_AFTER_DELIVERY,
                        export.customer_number,
                        f"{latest.file_name} was sent, and the OMS now has nothing to bill in {export.month}: mend "
                        f"the OMS, or remove the draft of {latest.order_number} in EASY Bill and credit it",
                        source_id=latest.order_number,
                    ),
                ),
            )
    return Outcome(export.month, export.customer_number, outcome, export.problems)
