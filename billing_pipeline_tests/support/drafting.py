"""Creating drafts at a sandbox, again and again, as runs on different days would; judged by the sandbox's books."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from billing_pipeline.delivery.api.create import DraftAccount
from billing_pipeline.delivery.api.draft_channel import create_all
from billing_pipeline.delivery.context import DeliveryContext, Destination
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import Delivery, DeliveryResult, Event, Parcel
from billing_pipeline.easybill.api import EasyBillApi
from billing_pipeline.easybill.api_http import ApiHttp
from billing_pipeline.problems import PipelineError
from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline.sandbox.drafts import Draft
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.delivering import Crash, Unchecked, dying_at
from billing_pipeline_tests.support.documents import a_document
from billing_pipeline_tests.support.easybill_api import NoLimit
from billing_pipeline_tests.support.parcels import parcel


def api_of(sandbox: Sandbox, *, api_key: str = "", timeout_s: float = 10.0) -> EasyBillApi:
    """A client of the sandbox that never waits for its turn, nor between two looks."""
    assert sandbox.api_url is not None
    http = ApiHttp(
        sandbox.api_url,
        api_key or sandbox.api_key,
        rate_limit=NoLimit(),
        timeout_s=timeout_s,
        sleep=lambda seconds: None,
    )
    return EasyBillApi(http, sleep=lambda seconds: None)


def draft_parcel(store: BlobStore, customer_number: str, **changed: Any) -> Parcel:
    """A parcel whose document is in the store, as a real export's is."""
    document = a_document(customer_number=customer_number, **changed)
    made = parcel(customer_number, f"the file of {customer_number}\n".encode(), store=store)
    return replace(
        made,
        export=replace(made.export, document_sha256=store.put("document", document.to_json())),
    )


@dataclass
class DraftBench:
    """A sandbox, a ledger and a store; every `send` is a run of its own, at a time that a test may move on."""

    sandbox: Sandbox
    ledger: Ledger
    store: BlobStore
    timeout_s: float = 10.0
    later: timedelta = timedelta()
    lease_s: float = 0.0
    endpoint: str = "api://sandbox"
    error: PipelineError | None = None

    def parcel(self, customer_number: str, *, known: bool = True, **changed: Any) -> Parcel:
        """The parcel of a new customer, exported; `known` to EASY Bill. `changed`: of their document."""
        if known:
            self.sandbox.add_customer(customer_number, company_name="x")
        made = draft_parcel(self.store, customer_number, **changed)
        self.ledger.months.record_exports([made.export], "test")
        return made

    def send_all(
        self,
        parcels: Sequence[Parcel],
        *,
        api: EasyBillApi | None = None,
        customer_ids: Mapping[str, int] | None = None,
        at_crash_point: Callable[[str], None] = lambda edge: None,
    ) -> list[DeliveryResult]:
        """One run over all of them; what ended it is in `error`."""
        results: list[DeliveryResult] = []
        self.error = None
        with nullcontext(api) if api else api_of(self.sandbox, timeout_s=self.timeout_s) as client:
            if customer_ids is None:
                found = client.customers_by_number(each.export.customer_number for each in parcels)
                customer_ids = {number: them[0].id for number, them in found.items() if len(them) == 1}
            try:
                context = DeliveryContext(
                    self.ledger,
                    self.store,
                    Destination("api", self.endpoint, lease_s=self.lease_s),
                    Unchecked(),
                    "run",
                    clock=lambda: datetime.now(UTC) + self.later,
                    at_crash_point=at_crash_point,
                )
                known = [
                    replace(each, customer_id=customer_ids.get(each.export.customer_number))
                    for each in parcels
                ]
                results.extend(create_all(known, DraftAccount(client), context))
            except PipelineError as error:
                self.error = error
        return results

    def send(
        self, each: Parcel, *, at_crash_point: Callable[[str], None] = lambda edge: None
    ) -> DeliveryResult:
        results = self.send_all([each], at_crash_point=at_crash_point)
        assert len(results) == 1, self.error
        return results[0]

    def send_and_die_at(self, edge: str, each: Parcel) -> bool:
        """Whether the run came as far as to die there."""
        with suppress(Crash):
            self.send_all([each], at_crash_point=dying_at(edge))
            return False
        return True

    def row(self, each: Parcel) -> Delivery:
        found = self.ledger.deliveries.of_order(each.export.order_number)
        assert found is not None
        return found

    def drafts(self, each: Parcel) -> list[Draft]:
        """What EASY Bill has of it, by its own books."""
        return [draft for draft in self.sandbox.drafts() if draft.order_number == each.export.order_number]

    def asked(self, each: Parcel) -> int:
        """How often a draft of it was asked for."""
        order = each.export.order_number.encode()
        return sum(
            exchange.method == "POST" and order in exchange.body
            for exchange in self.sandbox.journal.exchanges
        )

    def events(self, each: Parcel) -> list[Event]:
        return self.ledger.events.find(customer_number=each.export.customer_number)
