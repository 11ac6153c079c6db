"""Who changes a month after it was delivered is held, and told what differs."""

from __future__ import annotations

from dataclasses import replace

from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import Parcel
from billing_pipeline.easybill.document import Document
from billing_pipeline.problems import Code
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.delivering import Bench
from billing_pipeline_tests.support.documents import a_document, a_line
from billing_pipeline_tests.support.parcels import parcel


def test_who_changes_a_month_after_delivery_is_told_the_difference(
    sqlite_ledger: Ledger, store: BlobStore
) -> None:
    def parcel_of(document: Document, data: bytes) -> Parcel:
        made = parcel(data=data, store=store)
        return replace(
            made, export=replace(made.export, document_sha256=store.put("document", document.to_json()))
        )

    bench = Bench(sqlite_ledger, store)
    bench.send(parcel_of(a_document(), b"before"))
    changed = a_document(a_line(unit_price_net=16000, net=16000, vat=3040, gross=19040))
    [problem] = bench.send(parcel_of(changed, b"after")).problems
    assert problem.code is Code.CHANGED_AFTER_DELIVERY
    assert "net 150.00 EUR → 160.00 EUR, gross 178.50 EUR → 190.40 EUR" in problem.message
    [event] = [event for event in sqlite_ledger.events.find() if event.action == "hold"]
    assert event.detail == problem.message
