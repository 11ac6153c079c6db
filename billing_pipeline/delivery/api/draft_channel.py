"""EASY Bill's API as a channel: a month's drafts one after another, and when to stop trying.

One at a time, because the account's requests a minute bound the pace, not the waiting for an answer. One customer's
fault does not stop the others. A refused key, a used-up allowance, and `FAILURES_IN_A_ROW` requests in a row without an
answer do: the drafts that are left fail at once, and the error is raised when all have been told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from billing_pipeline.delivery.api.account import EasyBillAccount
from billing_pipeline.delivery.api.create import DraftAccount, create_draft
from billing_pipeline.delivery.channel import FAILURES_IN_A_ROW, Found, OrphanFile, Withdrawal
from billing_pipeline.delivery.context import DeliveryContext, Destination
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import SENT_STATES, Delivery, DeliveryResult, Parcel, failed
from billing_pipeline.delivery.transports.protocol import DeliveryError
from billing_pipeline.easybill.api_errors import (
    ApiError,
    ApiUnavailable,
    KeyRefused,
    OutcomeUnknown,
    RateLimitExhausted,
)
from billing_pipeline.problems import PipelineError, UsageError
from billing_pipeline.store.blobs import StoreError

_LEASE_S: Final = 960.0
"""Another run's delivery is not taken over while it may still be waiting for its turn."""

_NO_INBOX: Final = "drafts are created through the API (BILLING_TRANSPORT=api)"


@dataclass(frozen=True)
class DraftChannel:
    """Drafts instead of files. `template`: the PDF template of every draft, "" for the account's own."""

    account: EasyBillAccount
    template: str = ""

    needs_customer_ids: ClassVar[bool] = True

    @property
    def destination(self) -> Destination:
        return Destination("api", self.account.url, lease_s=_LEASE_S)

    def obstacle(self, ledger: Ledger) -> DeliveryError | None:
        """None: a document that the ledger does not know holds its own customer alone."""
        return None

    def send(
        self, month: str, parcels: Sequence[Parcel], context: DeliveryContext
    ) -> Iterator[DeliveryResult]:
        with self.account.open_logged(context.ledger, month=month, run_id=context.run_id) as api:
            yield from create_all(parcels, DraftAccount(api, self.template), context)

    def withdraw(self, month: str, context: DeliveryContext, *, why: str) -> list[Withdrawal]:
        """Withdraws nothing: a draft is never deleted from here."""
        return [
            Withdrawal(delivery, "a draft is never deleted from here")
            for delivery in context.ledger.deliveries.of_month(month)
            if delivery.state in SENT_STATES
        ]

    def take_back(self, delivery: Delivery, context: DeliveryContext, *, why: str) -> str:
        """Never: a draft is looked for, and removed, through the API (`steps.withdrawal`)."""
        return "it is a draft in EASY Bill"

    def find(self, delivery: Delivery) -> Found:
        """No file was sent; EASY Bill itself is asked by whoever has its key."""
        return Found()

    def note_rejected(self, ledger: Ledger) -> list[Delivery]:
        """None: there is no error directory."""
        return []

    def orphans(self, ledger: Ledger) -> list[OrphanFile]:
        """None: there is no inbox."""
        return []

    def inspect_orphans(self, ledger: Ledger) -> list[OrphanFile]:
        raise UsageError(f"there is no inbox to look into: {_NO_INBOX}")

    def try_out(self) -> str:
        return f"none: {_NO_INBOX}"


def create_all(
    parcels: Sequence[Parcel], account: DraftAccount, context: DeliveryContext
) -> Iterator[DeliveryResult]:
    """Create the parcels' drafts, and yield one result for each, as they come.

    Each result is in the ledger before it is yielded; the exports are recorded already. Raises: after every parcel's
    result, the ApiError that ended the delivery; at once, LedgerUnavailable.
    """
    ended_by: PipelineError | None = None
    without_answer = 0
    for parcel in parcels:
        if ended_by is not None:
            result = failed(parcel, context.clock(), f"not tried any more: {ended_by}")
        else:
            try:
                result = create_draft(parcel, account, context)
                without_answer = 0
            except (ApiError, DeliveryError, StoreError) as error:
                without_answer = without_answer + 1 if isinstance(error, _WITHOUT_ANSWER) else 0
                if isinstance(error, _ENDS_ALL) or without_answer >= FAILURES_IN_A_ROW:
                    ended_by = error
                result = failed(parcel, context.clock(), str(error))
        yield context.record(result)
    if ended_by is not None:
        raise ended_by


_WITHOUT_ANSWER: Final = (ApiUnavailable, OutcomeUnknown)
_ENDS_ALL: Final = (KeyRefused, RateLimitExhausted)
