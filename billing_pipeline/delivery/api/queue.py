"""Many drafts through EASY Bill's API, one after another: what is asked once for all, and when to stop trying.

One at a time, because the account's requests a minute bound the pace, not the waiting for an answer. Trying a request
again is the client's affair (`easybill.api_http`); what one draft takes is `drafting`'s.

One customer's fault does not stop the others. A refused key, a used-up allowance, and `FAILURES_IN_A_ROW` requests
in a row without an answer do: the drafts that are left fail at once, and the error is raised when all have been told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from billing_pipeline.delivery.api.create import DOUBT_S, Account, create_draft
from billing_pipeline.delivery.context import DeliveryContext, Verify, unverified
from billing_pipeline.delivery.files.pool import FAILURES_IN_A_ROW
from billing_pipeline.delivery.files.recovery import Places
from billing_pipeline.delivery.ledger import Ledger, utc_now
from billing_pipeline.delivery.records import Delivery, DeliveryResult, Parcel
from billing_pipeline.delivery.results import result_of
from billing_pipeline.delivery.transports.protocol import DeliveryError
from billing_pipeline.easybill.api import EasyBillApi
from billing_pipeline.easybill.api_errors import (
    ApiError,
    ApiUnavailable,
    KeyRefused,
    OutcomeUnknown,
    RateLimitExhausted,
)
from billing_pipeline.easybill.api_models import EasyBillDocument
from billing_pipeline.easybill.draft_comparison import days_of_documents
from billing_pipeline.problems import Code, PipelineError, Problem
from billing_pipeline.store.blobs import BlobStore, StoreError

TRANSPORT: Final = "api"

_LEASE_S: Final = 960.0
"""Another run's delivery is not taken over while it may still be waiting for its turn."""


def create_all(
    parcels: Sequence[Parcel],
    api: EasyBillApi,
    ledger: Ledger,
    store: BlobStore,
    *,
    endpoint: str,
    customer_ids: Mapping[str, int],
    run_id: str,
    template: str = "",
    verify: Verify = unverified,
    doubt_s: float = DOUBT_S,
    lease_s: float = _LEASE_S,
    clock: Callable[[], datetime] = utc_now,
    at_crash_point: Callable[[str], None] = lambda edge: None,
) -> Iterator[DeliveryResult]:
    """Create the parcels' drafts, and yield one result for each, as they come.

    `endpoint` names the account for the ledger; `customer_ids` as in `drafting.Account`. Each outcome is in the
    ledger (`record_outcomes`) before it is yielded; the exports are recorded already. Raises: after every parcel's
    result, the ApiError that ended the delivery; at once, LedgerUnavailable.
    """
    context = DeliveryContext(
        ledger=ledger,
        store=store,
        places=Places(""),
        transport=TRANSPORT,
        endpoint=endpoint,
        run_id=run_id,
        verify=verify,
        lease_s=lease_s,
        clock=clock,
        at_crash_point=at_crash_point,
    )
    account = Account(api, customer_ids, _MonthsBefore(api).document, template=template, doubt_s=doubt_s)
    ended_by: PipelineError | None = None
    without_answer = 0
    for parcel in parcels:
        result = None
        if ended_by is None:
            try:
                result = create_draft(parcel, account, context)
                without_answer = 0
            except (ApiError, DeliveryError, StoreError) as error:
                without_answer = without_answer + 1 if isinstance(error, _WITHOUT_ANSWER) else 0
                if isinstance(error, _ENDS_ALL) or without_answer >= FAILURES_IN_A_ROW:
                    ended_by = error
                result = _failed(parcel, str(error), context)
        else:
            result = _failed(parcel, f"not tried any more: {ended_by}", context)
        ledger.months.record_outcomes([result], run_id)
        yield result
    if ended_by is not None:
        raise ended_by


_WITHOUT_ANSWER: Final = (ApiUnavailable, OutcomeUnknown)
_ENDS_ALL: Final = (KeyRefused, RateLimitExhausted)


def _failed(parcel: Parcel, why: str, context: DeliveryContext) -> DeliveryResult:
    problem = Problem(Code.DELIVERY_FAILED, parcel.export.customer_number, why)
    return result_of(parcel, context.clock(), "failed", (problem,))


@dataclass
class _MonthsBefore:
    """The account's documents around a month, as they were when the first of its orders was to be sent."""

    api: EasyBillApi
    _months: dict[str, dict[str, EasyBillDocument]] = field(default_factory=dict)

    def document(self, delivery: Delivery) -> EasyBillDocument | None:
        """The document that has the delivery's order number as its own or as external id; None if there was none."""
        if delivery.month not in self._months:
            documents = self.api.documents(dated=days_of_documents(delivery.month))
            by_order = {document.order_number: document for document in documents}
            by_order |= {document.external_id: document for document in documents if document.external_id}
            self._months[delivery.month] = by_order
        return self._months[delivery.month].get(delivery.order_number)
