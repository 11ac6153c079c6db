"""A thousand customers: looked up, delivered and confirmed in a handful of list calls, by the sandbox's own journal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from billing_pipeline.billing.rules import load_rules
from billing_pipeline.delivery.api.account import EasyBillAccount
from billing_pipeline.delivery.context import DeliveryContext, Places
from billing_pipeline.delivery.files.inbox import Inbox
from billing_pipeline.delivery.ledger import open_ledger
from billing_pipeline.delivery.records import Parcel, State
from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.document_columns import DocumentColumns
from billing_pipeline.easybill.render import render_files
from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline.steps.read_drafts import Reader, read_drafts
from billing_pipeline.steps.send import Sending, send_parcels
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.golden.documents import GROSS
from billing_pipeline_tests.support.delivering import Unchecked, hasty
from billing_pipeline_tests.support.documents import a_document
from billing_pipeline_tests.support.easybill_sandbox import put_file
from billing_pipeline_tests.support.inbox import FakeServer, FakeTransport
from billing_pipeline_tests.support.parcels import rendered

MONTH = "2026-10"
MOST_LIST_CALLS = 10
ALL = range(10_000, 11_000)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "sandbox", import_interval_s=None, requests_per_minute=None) as running:
        yield running
        assert running.journal.violations == []


def parcel_of(document: Document, data: bytes, store: BlobStore) -> Parcel:
    store.put("csv", data)
    export = rendered(document.customer_number, data)
    return Parcel(replace(export, document_sha256=store.put("document", document.to_json())), ())


def imported(sandbox: Sandbox, parcels: list[Parcel], store: BlobStore) -> None:
    """All files as one, which is quicker to import than a thousand."""
    files = [store.get("csv", parcel.export.sha256) for parcel in parcels]
    header = files[0][: files[0].index(b"\n") + 1]
    put_file(sandbox, "all.csv", header + b"".join(file.removeprefix(header) for file in files))
    assert len(sandbox.import_now().imported) == len(parcels)


def test_a_thousand_customers_are_looked_up_and_confirmed_in_at_most_ten_list_calls(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    store, ledger = BlobStore(tmp_path / "store"), hasty(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}"))
    assert sandbox.api_url is not None
    easybill = EasyBillAccount(sandbox.api_url, SecretStr(sandbox.api_key), 600)
    documents = [a_document(customer_number=str(number)) for number in ALL]
    files = render_files(DocumentColumns.of(documents), GROSS)
    parcels = [parcel_of(document, data, store) for document, data in zip(documents, files, strict=True)]
    ledger.months.record_exports([parcel.export for parcel in parcels], "run")
    transport = FakeTransport(FakeServer())
    inbox = Inbox(
        transport, Places("/import"), load_rules(), BlobStore(tmp_path / "store"), connections=1, timeout_s=5
    )
    context = DeliveryContext(ledger, store, inbox.destination, Unchecked(), "run")
    sending = Sending(inbox, easybill, load_rules(), context)

    outcomes = list(send_parcels(parcels, MONTH, sending))
    imported(sandbox, parcels, store)
    reader = Reader(
        easybill, ledger, store, deadline=timedelta(hours=24), run_id="run", now=datetime.now(UTC)
    )
    reads = list(read_drafts(MONTH, [str(number) for number in ALL], reader))

    assert {outcome.outcome for outcome in outcomes} == {"delivered"}
    assert [read.outcome for read in reads] == ["confirmed"] * 1000
    assert {delivery.state for delivery in ledger.deliveries.of_month(MONTH)} == {State.CONFIRMED}
    assert ledger.deliveries.unconfirmed() == []
    calls = [exchange.path for exchange in sandbox.journal.exchanges]
    assert calls == ["/customers", "/customers", "/documents"]
    assert len(calls) <= MOST_LIST_CALLS
    ledger.close()
