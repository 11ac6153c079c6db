"""One parcel on its way, by file or by API: planned, checked, waited for, and told as the ledger has it."""

from __future__ import annotations

from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.context import DeliveryContext, held
from billing_pipeline.delivery.ledger import Note, PlanContended, Refusal
from billing_pipeline.delivery.records import (
    SENT_STATES,
    Delivery,
    DeliveryResult,
    Outcome,
    Parcel,
    State,
    failed,
    result_of,
)
from billing_pipeline.easybill.difference import difference
from billing_pipeline.easybill.document import Document
from billing_pipeline.local_time import local_time
from billing_pipeline.problems import Code, Problem
from billing_pipeline.store.blobs import StoreError


class ParcelDelivery:
    """What holds for every way of sending.

    As long as `next` names a delivery, the caller moves it on: a COMMITTING one by finding out what became of it, any
    other by sending `data`. It then sets `published_here` if it published it. `result` is there once `next` is None.
    `planned`: the parcel as it was planned with others of its run. Where somebody has changed that since, it cannot be
    taken under its token, and is planned anew.
    """

    def __init__(self, parcel: Parcel, context: DeliveryContext, planned: Delivery | None = None) -> None:
        self.data = b""
        self.published_here = False
        self._parcel = parcel
        self._context = context
        self._planned_with_others = planned
        self._patience = Deadline(context.destination.patience_s)
        self._attempt = 0
        self._result: DeliveryResult | None = None

    @property
    def result(self) -> DeliveryResult:
        """What became of the parcel."""
        if self._result is None:
            raise RuntimeError("the parcel is still on its way")
        return self._result

    def next(self) -> Delivery | None:
        """The delivery to move on, planned and free; None once nothing is left to do. Raises: LedgerUnavailable."""
        context, export = self._context, self._parcel.export
        if self.published_here and self._is_settled():
            return None
        while True:
            try:
                planned = self._plan()
            except PlanContended as error:
                self._result = failed(self._parcel, context.clock(), str(error))
                return None
            if isinstance(planned, Refusal):
                self._end("failed", planned.problems)
                return None
            context.at_crash_point("planned")
            if planned.state is State.WITHDRAWN:
                self._end("failed", (_withdrawn(planned),))
                return None
            if planned.state in SENT_STATES or planned.state is State.HELD:
                self._settle(planned)
                return None
            attempt, self._attempt = self._attempt, self._attempt + 1
            if attempt > 0 and self._patience.is_over:
                self._end("failed", (_in_progress(planned, context.timezone),))
                return None
            # Planned with other bytes, the lease has expired since the ledger was asked: ask it again.
            superseded = planned.state is State.UPLOADING and planned.sha256 != export.sha256
            if superseded or not context.is_free(planned):
                context.sleep(0.05 * 2 ** min(attempt, 3))
                continue
            if planned.state is not State.COMMITTING and not self._may_be_sent():
                return None
            return planned

    def _plan(self) -> Delivery | Refusal:
        planned, self._planned_with_others = self._planned_with_others, None
        return planned or self._context.ledger.plans.plan(
            self._parcel,
            run_id=self._context.run_id,
            lease_s=self._context.destination.lease_s,
            now=self._context.clock(),
        )

    def _is_settled(self) -> bool:
        """Reads what became of what was published here: nobody plans it, so that to look is enough."""
        found = self._context.ledger.deliveries.of_order(self._parcel.export.order_number)
        if found is None or not (found.state in SENT_STATES or found.state is State.HELD):
            return False
        self._settle(found)
        return True

    def _may_be_sent(self) -> bool:
        """Reads and checks the stored bytes; one that is damaged fails its customer alone."""
        unapproved = self._context.unapproved.get(self._parcel.export.customer_number)
        if unapproved is not None:
            self._end("held", (unapproved,))
            return False
        try:
            self.data = self._context.store.get("csv", self._parcel.export.sha256)
            problems = self._context.problems_before_sending(self._parcel, self.data)
        except StoreError as error:
            self._result = failed(self._parcel, self._context.clock(), str(error))
            return False
        if problems:
            self._end("failed", problems)
        return not problems

    def _settle(self, found: Delivery) -> None:
        """What the ledger says of a delivery that is over, or that a person has to decide about."""
        if found.state is State.HELD:
            self._end("held", (held(found),))
        elif self._parcel.export.sha256 in {found.sha256, found.accepted_sha256}:
            outcome: Outcome = "delivered" if self.published_here else "unchanged"
            self._end(outcome, remote_path=found.remote_path)
        elif found.billing_id is None and self._is_worded_otherwise(found):
            # Release 0.1 sent it, and wrote some titles otherwise: what was sent stands.
            self._end("unchanged", remote_path=found.remote_path)
        else:
            problem = _changed(self._parcel, found, self._context)
            note = Note("hold", problem.message, outcome="failure", kind="decision")
            self._context.ledger.events.record_exchange(found, note, run_id=self._context.run_id)
            self._end("held", (problem,))

    def _is_worded_otherwise(self, found: Delivery) -> bool:
        """Whether the parcel says the same of the same rows as what was sent, in other words."""
        try:
            before, after = (
                Document.from_json(self._context.store.get("document", sha256))
                for sha256 in (found.document_sha256, self._parcel.export.document_sha256)
            )
        except (StoreError, ValueError):
            return False
        return difference(before, after).is_of_words

    def _end(self, outcome: Outcome, problems: tuple[Problem, ...] = (), *, remote_path: str = "") -> None:
        self._result = result_of(
            self._parcel, self._context.clock(), outcome, problems, remote_path=remote_path
        )


def _in_progress(found: Delivery, timezone: str) -> Problem:
    """Another run is at work on the delivery, and was waited for long enough."""
    return Problem(
        Code.DELIVERY_IN_PROGRESS,
        found.customer_number,
        f"another run ({found.run_id}) has been delivering {found.file_name} since "
        f"{local_time(found.updated_at, timezone, seconds=True)}; run the month again when it has ended",
    )


def _withdrawn(found: Delivery) -> Problem:
    """The file is that of an order which was withdrawn: it is never sent again under its number."""
    return Problem(
        Code.EXPORT_OUTDATED,
        found.customer_number,
        f"order {found.order_number} was withdrawn after this file was made: run `billing-pipeline run {found.month} "
        f"--customer {found.customer_number}` to make the next one",
        source_id=found.order_number,
    )


def _changed(parcel: Parcel, found: Delivery, context: DeliveryContext) -> Problem:
    """The delivery was made with other bytes than the parcel's: what differs, and what a person can do."""
    customer = found.customer_number
    return Problem(
        Code.CHANGED_AFTER_DELIVERY,
        customer,
        f"{found.file_name} was delivered with other content: {_difference(parcel, found, context)}; "
        f"`billing-pipeline correct {found.month} --customer {customer} --reason TEXT --by NAME` replaces it, "
        f"`billing-pipeline release {found.order_number} --as delivered --reason TEXT --by NAME` leaves it as it is",
    )


def _difference(parcel: Parcel, found: Delivery, context: DeliveryContext) -> str:
    try:
        before, after = (
            Document.from_json(context.store.get("document", sha256))
            for sha256 in (found.document_sha256, parcel.export.document_sha256)
        )
    except (StoreError, ValueError) as error:
        return f"the difference cannot be shown, for {error}"
    return difference(before, after).text(context.language)
