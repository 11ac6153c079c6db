"""How the month ends for customers to whom nothing is sent, as there is no file or it was sent before. No Dagster.

Somebody who was billed, and now has nothing to bill, is held: what went out must not be forgotten.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from billing_pipeline.delivery.ledger import Ledger, Note
from billing_pipeline.delivery.records import SENT_STATES, Delivery, DeliveryResult, Export, Parcel, result_of
from billing_pipeline.easybill.difference import difference
from billing_pipeline.easybill.document import Document
from billing_pipeline.problems import Code, Problem
from billing_pipeline.store.blobs import BlobStore, StoreError, sha256_of

# What a person accepts as already delivered is known by its bytes; this stands for no file at all.
NO_FILE = sha256_of(b"")


def outcomes_without_file(
    exports: Collection[Export], month: str, *, ledger: Ledger, blobs: BlobStore, run_id: str, language: str
) -> Iterator[tuple[Export, DeliveryResult]]:
    """One result for each of these exports of a month, none of which has a file; who is held is logged, amounts
    as people of `language` read them.

    Raises: LedgerUnavailable.
    """
    sent = ledger.deliveries.last_sent(month) if exports else {}
    for export in exports:
        delivery = sent.get(export.customer_number)
        if delivery is not None and export.outcome in {"nothing_to_bill", "omitted"}:
            result = _after_delivery(export, delivery, blobs, language)
            for problem in result.problems:
                note = Note("hold", problem.message, outcome="failure", kind="decision")
                ledger.events.record_exchange(delivery, note, run_id=run_id)
            yield export, result
        else:
            yield export, _as_exported(export)


def outcomes_as_sent(
    exports: Collection[Export], month: str, ledger: Ledger
) -> list[tuple[Export, DeliveryResult]]:
    """The results of those of these exports whose very bytes were sent, or accepted as sent: `unchanged`.

    What was sent stays so, so that nobody has to plan it to know. Raises: LedgerUnavailable.
    """
    at = datetime.now(UTC)
    orders = [export.order_number for export in exports]
    by_order = {
        delivery.order_number: delivery
        for delivery in ledger.deliveries.of_orders(orders)
        if delivery.month == month
    }
    results = []
    for export in exports:
        found = by_order.get(export.order_number)
        if (
            found is not None
            and found.customer_number == export.customer_number
            and found.state in SENT_STATES
            and export.sha256 in {found.sha256, found.accepted_sha256}
        ):
            parcel = Parcel(export, (), found.revision)
            results.append((export, result_of(parcel, at, "unchanged", remote_path=found.remote_path)))
    return results


def _as_exported(export: Export) -> DeliveryResult:
    outcome = export.outcome
    if outcome in {"blocked", "nothing_to_bill", "omitted"}:
        return DeliveryResult(export.month, export.customer_number, outcome, export.problems)
    if export.problems:
        return DeliveryResult(export.month, export.customer_number, "failed", export.problems)
    problem = Problem(
        Code.NOT_DELIVERED_YET,
        export.customer_number,
        f"no file of {export.month} is made yet: materialize easybill_csv with easybill_upload",
    )
    return DeliveryResult(export.month, export.customer_number, "failed", (problem,))


def _after_delivery(export: Export, sent: Delivery, blobs: BlobStore, language: str) -> DeliveryResult:
    number, month = export.customer_number, export.month
    if sent.accepted_sha256 == NO_FILE:
        return DeliveryResult(month, number, "unchanged", sha256=NO_FILE, order_number=sent.order_number)
    now = "leaves the customer out" if export.outcome == "omitted" else "has nothing left to bill"
    problem = Problem(
        Code.CHANGED_AFTER_DELIVERY,
        number,
        f"{sent.file_name} was sent, and {month} {now} now: {_all_gone(sent, blobs, language)}; mend the OMS, or "
        f"remove the draft of {sent.order_number} in EASY Bill and say so with `billing-pipeline release "
        f"{sent.order_number} --as delivered --reason TEXT --by NAME`",
        source_id=sent.order_number,
    )
    return DeliveryResult(month, number, "held", (problem,), sha256=NO_FILE, order_number=sent.order_number)


def _all_gone(sent: Delivery, blobs: BlobStore, language: str) -> str:
    try:
        before = Document.from_json(blobs.get("document", sent.document_sha256))
    except (StoreError, ValueError) as error:
        return f"the difference cannot be shown, for {error}"
    return difference(before, replace(before, lines=(), net=0, vat=0, gross=0)).text(language)
