"""Works a correction out: the next revision of a month that was sent, from what the OMS says now.

Without a record, so that a correction that changes nothing, or cannot be made, leaves none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import Billing, Delivery
from billing_pipeline.easybill.difference import Difference, difference
from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.export import CustomerExport, export_customers
from billing_pipeline.problems import Code, PipelineError, Problem, UsageError
from billing_pipeline.report.month import CustomerStatus
from billing_pipeline.report.text import WORDS
from billing_pipeline.steps.bill_month import Billed, bill_part, keep
from billing_pipeline.steps.remove_draft import RemovedDraft
from billing_pipeline.steps.wiring import Wiring

OF_EVERY_REVISION = frozenset({"order_number", "file_name"})


class NothingToCorrect(UsageError):
    """Nothing was sent that could be corrected, or it is as the OMS has it."""


@dataclass(frozen=True)
class Corrected:
    """What became of a correction.

    `replaced`: the delivery whose draft is to be removed once the correction has arrived. `difference` and `status`
    are None where the correction could not be made, for the reasons in `problems`. `error` ended the delivery.
    `taken_back`: the old file was taken back from the inbox before anybody read it, and nothing of it is left.
    `removed`: the drafts that `--remove-draft` removed. `is_unchanged`: there was nothing to do but that.
    """

    replaced: Delivery
    difference: Difference | None = None
    status: CustomerStatus | None = None
    problems: tuple[Problem, ...] = ()
    error: PipelineError | None = None
    taken_back: bool = False
    removed: tuple[RemovedDraft, ...] = ()
    is_unchanged: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether nothing of the correction is left to do but to remove an old draft."""
        return self.has_arrived or self.is_unchanged or (self.status is None and self.is_gone)

    @property
    def is_gone(self) -> bool:
        """Whether nothing is left of what the correction replaces."""
        return self.taken_back or self.replaced.order_number in {
            one.delivery.order_number for one in self.removed
        }

    @property
    def has_arrived(self) -> bool:
        """Whether the old draft may be removed."""
        return self.status is not None and self.status.outcome in {"delivered", "unchanged"}

    def lines(self, language: str) -> Iterator[str]:
        """For people: what became of it, the difference per line and in total, and the draft to remove."""
        old = self.replaced
        if self.is_unchanged:
            yield f"{old.month}, customer {old.customer_number}: {old.order_number} stands, as the OMS has it"
        elif self.status is None and self.is_gone:
            done = "was taken back" if self.taken_back else "is withdrawn"
            yield f"{old.order_number} {done}, and {old.month} has nothing left to bill {old.customer_number}"
        elif self.status is None or self.difference is None:
            yield f"{old.month}, customer {old.customer_number}: not corrected, {old.order_number} stands"
        else:
            new = self.difference.after
            yield (
                f"{new.order_number} for {old.order_number}: {WORDS[self.status.outcome]}, {new.file_name}"
            )
            yield from (f"  {self.difference.line_text(line, language)}" for line in self.difference.lines)
            yield from (f"  also changed: {field}" for field in self._other_fields())
            yield f"  total: {self.difference.totals(language)}"
        for problem in self.problems:
            yield f"  {problem.code}: {problem.message}"
        yield from (one.line() for one in self.removed)
        if self.taken_back:
            yield f"{old.file_name} was taken back from the inbox before: no draft of it is to be removed."
        elif self.is_gone and self.status is not None and not self.has_arrived:
            yield (
                f"{old.order_number} is withdrawn, and nothing stands in its place yet: `billing-pipeline run "
                f"{old.month} --customer {old.customer_number}` goes on with the correction."
            )
        elif self.has_arrived and not self.is_gone:
            draft = f" {old.draft_id}" if old.draft_id is not None else ""
            yield f"Remove the draft{draft} of {old.order_number} ({old.file_name}) in EASY Bill: it is replaced."
        elif self.status is not None and not self.is_gone:
            yield (
                f"Do not remove the draft of {old.order_number} yet: `billing-pipeline run {old.month} --customer "
                f"{old.customer_number}` goes on with the correction."
            )

    def as_json(self) -> dict[str, Any]:
        """For scripts; amounts are minor units, and `difference` and `customer` null where none could be made."""
        old, change = self.replaced, self.difference
        return {
            "month": old.month,
            "customer_number": old.customer_number,
            "customer": self.status.as_json() if self.status else None,
            "problems": [problem.as_json() for problem in self.problems],
            "replaces": {
                "order_number": old.order_number,
                "file": old.file_name,
                "draft_id": old.draft_id,
                "may_be_removed": self.has_arrived and not self.is_gone,
                "taken_back": self.taken_back,
                "removed": [one.delivery.order_number for one in self.removed],
            },
            "difference": change
            and {
                "lines": [change.line_text(line, "en") for line in change.lines],
                "other_fields": self._other_fields(),
                **{
                    name: {"before": getattr(change.before, name), "after": getattr(change.after, name)}
                    for name in ("net", "vat", "gross")
                },
            },
        }

    def _other_fields(self) -> list[str]:
        return other_fields(self.difference) if self.difference else []


@dataclass(frozen=True)
class CorrectionDraft:
    """A correction that is worked out. `changes` is None where it cannot be made, for the reasons in `problems`, or
    where there is `nothing_left` to bill: then the correction is that what was sent is withdrawn.
    """

    replaced: Delivery
    billed: Billed
    changes: Difference | None
    problems: tuple[Problem, ...]
    nothing_left: bool = False

    def keep(self, wiring: Wiring) -> Billing:
        """Stores it as a billing of its own. Raises: StoreError, LedgerUnavailable."""
        return keep(self.billed, wiring, self.replaced.month, kind="correction", run_id=str(uuid4()))


def work_out_correction(wiring: Wiring, month: str, customer_number: str) -> CorrectionDraft:
    """The next revision of a customer's month as it would be now.

    Raises: NothingToCorrect where nothing was sent, or nothing has changed; the errors of reading OMS, ledger and
    store.
    """
    ledger = wiring.ledger.open()
    replaced = _last_sent(ledger, month, customer_number)
    billed = bill_part(wiring, month, customers=[customer_number], reopened=[customer_number])
    export = _export_of(billed, wiring, month, replaced)
    if export.file is None:
        return CorrectionDraft(
            replaced,
            billed,
            None,
            export.problems,
            nothing_left=export.outcome in {"nothing_to_bill", "omitted"},
        )
    before = Document.from_json(wiring.blobs.get("document", replaced.document_sha256))
    changes = difference(before, export.file.document)
    if not changes.lines and not other_fields(changes):
        raise NothingToCorrect(
            f"{month} of customer {customer_number} is as order {replaced.order_number} has it: nothing was sent"
        )
    return CorrectionDraft(replaced, billed, changes, ())


def other_fields(changes: Difference) -> list[str]:
    """What has changed beside the lines, and is not another with every revision."""
    return [field for field in changes.fields if field not in OF_EVERY_REVISION]


def _export_of(billed: Billed, wiring: Wiring, month: str, replaced: Delivery) -> CustomerExport:
    (export,) = export_customers(
        billed.part,
        billed.extract.customers,
        month=month,
        rules=wiring.billing.rules,
        layouts=wiring.billing.layouts_of([replaced.customer_number]),
        revisions={replaced.customer_number: replaced.revision + 1},
    )
    return export


def _last_sent(ledger: Ledger, month: str, customer_number: str) -> Delivery:
    sent = ledger.deliveries.last_sent(month).get(customer_number)
    if sent is None:
        raise nothing_sent(month, customer_number)
    return sent


def nothing_sent(month: str, customer_number: str) -> NothingToCorrect:
    """That a customer's month was not sent, so that it is billed rather than corrected."""
    return NothingToCorrect(
        f"nothing was sent to customer {customer_number} for {month}, so there is nothing to correct: "
        f"`billing-pipeline run {month} --customer {customer_number}` bills it"
    )


def nothing_left(replaced: Delivery) -> Problem:
    """What a person does where a month has nothing left to bill, and the receiver has taken what was sent."""
    number, month = replaced.customer_number, replaced.month
    return Problem(
        Code.CHANGED_AFTER_DELIVERY,
        number,
        f"{month} has nothing left to bill customer {number}, so nothing can be sent in place of "
        f"{replaced.order_number}: remove its draft in EASY Bill, or cancel the invoice there, then `billing-pipeline "
        f"release {replaced.order_number} --as withdrawn --reason TEXT --by NAME` says so",
        source_id=replaced.order_number,
    )
