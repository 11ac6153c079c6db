"""What a run says of one file, from what the ledger says: the result, and the words for people."""

from __future__ import annotations

from datetime import datetime

from billing_pipeline.delivery.records import Delivery, DeliveryResult, Outcome, Parcel
from billing_pipeline.easybill.difference import difference
from billing_pipeline.easybill.document import Document
from billing_pipeline.problems import Code, Problem
from billing_pipeline.store.blobs import BlobStore, StoreError


def result_of(
    parcel: Parcel,
    at: datetime,
    outcome: Outcome,
    problems: tuple[Problem, ...] = (),
    *,
    remote_path: str = "",
) -> DeliveryResult:
    """The result of one parcel."""
    export = parcel.export
    return DeliveryResult(
        month=export.month,
        customer_number=export.customer_number,
        outcome=outcome,
        problems=problems,
        sha256=export.sha256,
        order_number=export.order_number,
        revision=parcel.revision,
        file_name=export.file_name,
        remote_path=remote_path,
        size_bytes=export.size_bytes,
        at=at,
    )


def in_progress(found: Delivery) -> Problem:
    """Another run is at work on the delivery, and was waited for long enough."""
    return Problem(
        Code.DELIVERY_IN_PROGRESS,
        found.customer_number,
        f"another run ({found.run_id}) has been delivering {found.file_name} since "
        f"{found.updated_at:%Y-%m-%d %H:%M:%S} UTC; run the month again when it has ended",
    )


def held(found: Delivery) -> Problem:
    """The delivery is HELD: why, and what a person can do."""
    place = "EASY Bill" if found.transport == "api" else "the inbox"
    return Problem(
        found.held_code or Code.DELIVERY_FAILED,
        found.customer_number,
        f"{found.file_name} is held: {found.held_reason}; look into {place}, then "
        f"`billing-pipeline release {found.order_number} --as send|delivered --reason TEXT --by NAME`",
    )


def changed(parcel: Parcel, found: Delivery, store: BlobStore) -> Problem:
    """The delivery was made with other bytes than the parcel's: what differs, and what a person can do."""
    customer = found.customer_number
    return Problem(
        Code.CHANGED_AFTER_DELIVERY,
        customer,
        f"{found.file_name} was delivered with other content: {_difference(parcel, found, store)}; "
        f"`billing-pipeline correct {found.month} --customer {customer} --reason TEXT --by NAME` replaces it, "
        f"`billing-pipeline release {found.order_number} --as delivered --reason TEXT --by NAME` leaves it as it is",
    )


def _difference(parcel: Parcel, found: Delivery, store: BlobStore) -> str:
    try:
        before, after = (
            Document.from_json(store.get("document", sha256))
            for sha256 in (found.document_sha256, parcel.export.document_sha256)
        )
    except (StoreError, ValueError) as error:
        return f"the difference cannot be shown, for {error}"
    return difference(before, after).text()
