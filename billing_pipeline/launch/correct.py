"""A correction: the next revision of a month that was sent, from what the OMS says now, and the draft it replaces.

Worked out first without a record, so that a correction that changes nothing, or cannot be made, leaves none; then made
and delivered through Dagster, with the records of any other file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from billing_pipeline.definitions import build_defs
from billing_pipeline.defs.partitions import CUSTOMER, CustomerRange, customers_to_add, range_tags
from billing_pipeline.defs.sensors import DELIVERS_ITSELF_TAG
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.signing import signed
from billing_pipeline.delivery.records import Delivery
from billing_pipeline.easybill.difference import Difference, difference
from billing_pipeline.easybill.document import Document, customer_key
from billing_pipeline.easybill.export import CustomerExport, export_customers
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.launch.run_month import execute, status_now
from billing_pipeline.oms.period import period_of
from billing_pipeline.problems import Code, PipelineError, Problem, UsageError
from billing_pipeline.report.month import CustomerStatus
from billing_pipeline.report.text import WORDS
from billing_pipeline.settings import Settings
from billing_pipeline.steps.bill_month import bill_extract, extract_of_month
from billing_pipeline.steps.wiring import Progress, Rooms, build_rooms

OF_EVERY_REVISION = frozenset({"order_number", "file_name"})


class NothingToCorrect(UsageError):
    """Nothing was sent that could be corrected, or it is as the OMS has it."""


@dataclass(frozen=True)
class Corrected:
    """What became of a correction.

    `replaced`: the delivery whose draft is to be removed once the correction has arrived. `difference` and `status`
    are None where the correction could not be made, for the reasons in `problems`. `error` ended the delivery.
    """

    replaced: Delivery
    difference: Difference | None = None
    status: CustomerStatus | None = None
    problems: tuple[Problem, ...] = ()
    error: PipelineError | None = None

    @property
    def has_arrived(self) -> bool:
        """Whether the old draft may be removed."""
        return self.status is not None and self.status.outcome in {"delivered", "unchanged"}

    def lines(self) -> Iterator[str]:
        """For people: what became of it, the difference per line and in total, and the draft to remove."""
        old = self.replaced
        if self.status is None or self.difference is None:
            yield f"{old.month}, customer {old.customer_number}: not corrected, {old.order_number} stands"
        else:
            new = self.difference.after
            yield (
                f"{new.order_number} for {old.order_number}: {WORDS[self.status.outcome]}, {new.file_name}"
            )
            yield from (f"  {line.text(new.currency)}" for line in self.difference.lines)
            yield from (f"  also changed: {field}" for field in self._other_fields())
            yield f"  total: {self.difference.totals}"
        for problem in self.problems:
            yield f"  {problem.code}: {problem.message}"
        if self.has_arrived:
            draft = f" {old.draft_id}" if old.draft_id is not None else ""
            yield f"Remove the draft{draft} of {old.order_number} ({old.file_name}) in EASY Bill: it is replaced."
        elif self.status is not None:
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
                "may_be_removed": self.has_arrived,
            },
            "difference": change
            and {
                "lines": [line.text(change.after.currency) for line in change.lines],
                "other_fields": self._other_fields(),
                **{
                    name: {"before": getattr(change.before, name), "after": getattr(change.after, name)}
                    for name in ("net", "vat", "gross")
                },
            },
        }

    def _other_fields(self) -> list[str]:
        fields = self.difference.fields if self.difference else ()
        return [field for field in fields if field not in OF_EVERY_REVISION]


def correct_month(
    settings: Settings, month: str, customer_number: str, *, reason: str, author: str, progress: Progress
) -> Corrected:
    """Makes and delivers the next revision of a customer's month.

    Raises: UsageError without reason or author; NothingToCorrect; the errors of reading OMS, ledger and store.
    """
    signed(reason, author)
    period_of(month, settings.timezone)
    rooms = build_rooms(settings, progress)
    ledger = rooms.ledger.open()
    replaced = _last_sent(ledger, month, customer_number)
    rooms.channel.open()
    export = _worked_out(rooms, ledger, month, customer_number)
    if export.document is None:
        return Corrected(replaced, problems=export.problems or (_nothing_left(replaced),))
    before = Document.from_json(rooms.documents.get("document", replaced.document_sha256))
    changes = difference(before, export.document)
    if not changes.lines and not set(changes.fields) - OF_EVERY_REVISION:
        raise NothingToCorrect(
            f"{month} of customer {customer_number} is as order {replaced.order_number} has it: nothing was sent"
        )
    error = _delivered(settings, rooms, month, customer_number, reason, author)
    status = status_now(ledger, rooms.frames, month).only([customer_number]).customers[0]
    return Corrected(replaced, changes, status, status.problems, error)


def _last_sent(ledger: Ledger, month: str, customer_number: str) -> Delivery:
    sent = ledger.deliveries.last_sent(month).get(customer_number)
    if sent is None:
        raise NothingToCorrect(
            f"nothing was sent to customer {customer_number} for {month}, so there is nothing to correct: "
            f"`billing-pipeline run {month} --customer {customer_number}` bills it"
        )
    return sent


def _worked_out(rooms: Rooms, ledger: Ledger, month: str, customer_number: str) -> CustomerExport:
    """The next revision as it would be now."""
    extract = extract_of_month(rooms.oms, ledger, month, rooms.billing.rules.late_months)
    revisions = ledger.deliveries.next_revisions(month)
    (export,) = export_customers(
        bill_extract(extract, month, ledger=ledger, billing=rooms.billing, reopened=[customer_number]),
        extract.customers,
        month=month,
        rules=rooms.billing.rules,
        layout_of=rooms.billing.layout_of,
        only=[customer_number],
        revision_of=lambda number: revisions[number],
    )
    return export


def _nothing_left(replaced: Delivery) -> Problem:
    number, month = replaced.customer_number, replaced.month
    return Problem(
        Code.CHANGED_AFTER_DELIVERY,
        number,
        f"{month} has nothing left to bill customer {number}, so nothing can be sent in place of "
        f"{replaced.order_number}: remove its draft in EASY Bill by hand, and nothing else needs to be done",
        source_id=replaced.order_number,
    )


def _delivered(
    settings: Settings, rooms: Rooms, month: str, customer_number: str, reason: str, author: str
) -> PipelineError | None:
    definitions = build_defs(settings=settings, resources=rooms.as_resources())
    key = customer_key(customer_number)
    tags = {DELIVERS_ITSELF_TAG: "true"}
    correction = {"correction": {"reason": reason, "author": author}, "force": True}
    with open_instance(settings) as instance:
        registered = instance.get_dynamic_partitions(CUSTOMER)
        instance.add_dynamic_partitions(CUSTOMER, customers_to_add([customer_number], registered))
        execute(
            definitions,
            "monthly_billing",
            instance,
            tags=tags,
            partition_key=month,
            ops={"billed_month": {"reopened": [customer_number], "force": True}},
        )
        try:
            execute(
                definitions,
                "customer_delivery",
                instance,
                tags={**tags, **range_tags(CustomerRange(key, key), month)},
                ops={"customer_files": correction},
            )
        except PipelineError as error:
            return error
    return None
