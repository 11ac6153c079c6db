"""Exports and parcels as a run would make them, with as little said as a test needs."""

from __future__ import annotations

from billing_pipeline.delivery.records import BilledRow, Export, Parcel
from billing_pipeline.store.blobs import BlobStore, sha256_of

MONTH = "2026-10"


def rendered(
    customer_number: str = "10023",
    data: bytes = b"order_number;sku\n1;2\n",
    *,
    month: str = MONTH,
    revision: int = 1,
) -> Export:
    """An export with a file of these bytes."""
    suffix = f"-r{revision}" if revision > 1 else ""
    return Export(
        month=month,
        customer_number=customer_number,
        outcome="rendered",
        order_number=f"{month}-{customer_number}{suffix}",
        file_name=f"easybill_{month}_{customer_number}{suffix.replace('-', '_')}.csv",
        sha256=sha256_of(data),
        document_sha256=sha256_of(b"document of " + data),
        size_bytes=len(data),
        line_count=1,
        currency="EUR",
        net=15_000,
        vat=2_850,
        gross=17_850,
        layout="easybill-custom-csv",
    )


def service(source_id: str, *, month: str = MONTH, fingerprint: str = "f") -> BilledRow:
    return BilledRow("service", source_id, month, fingerprint)


def parcel(
    customer_number: str = "10023",
    data: bytes = b"order_number;sku\n1;2\n",
    *,
    month: str = MONTH,
    revision: int = 1,
    billed: tuple[BilledRow, ...] | None = None,
    store: BlobStore | None = None,
) -> Parcel:
    """A parcel of these bytes, which bills one service named after the customer; kept in `store` if given."""
    if store is not None:
        store.put("csv", data)
    rows = (service(f"S-{customer_number}", month=month),) if billed is None else billed
    return Parcel(rendered(customer_number, data, month=month, revision=revision), rows, revision)
