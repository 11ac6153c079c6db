"""The asset of a customer and month that closes the loop: the draft EASY Bill made, held against what was sent.

One run takes many customers, in the way of `delivery_assets`: nothing is yielded for the asset, every record is logged
for its own partition, and at the end one failure names whoever needs a person.
"""

import warnings
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from billing_pipeline.defs.asset_records import (
    CUSTOMERS_IN_FAILURE,
    DATA_VERSION_TAG,
    NAMED_IN_FAILURE,
    NOT_BILLED,
    UPLOAD,
)
from billing_pipeline.defs.delivery_assets import customers_by_month
from billing_pipeline.defs.failures import plain_failures
from billing_pipeline.defs.metadata import problems_table
from billing_pipeline.defs.partitions import Partitions, partition_key
from billing_pipeline.delivery.api.account import EasyBillAccount
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.money import format_minor
from billing_pipeline.problems import Problem
from billing_pipeline.steps.read_drafts import DraftRead, Reader, read_drafts
from billing_pipeline.steps.settling import utc_now
from billing_pipeline.steps.wiring import BillingSettings, LedgerAt
from billing_pipeline.store.blobs import BlobStore

DRAFT = dg.AssetKey("easybill_draft")
DRAFT_CHECK = "draft_as_sent"
# A list of EASY Bill's has as many: a smaller run would ask for the same lists as often.
DRAFTS_PER_RUN = 1000


def build_draft_asset(partitions: Partitions) -> dg.AssetsDefinition:
    """`easybill_draft`, with the check `draft_as_sent`; only where an API key is configured."""
    with warnings.catch_warnings():
        # A check with partitions is a preview feature of Dagster, and says so at every load.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        check = dg.AssetCheckSpec(
            DRAFT_CHECK,
            asset=DRAFT,
            partitions_def=partitions.customer_months,
            description="EASY Bill shows exactly one document of the order, for the customer, equal to the cent.",
        )

    @dg.multi_asset(
        name="customer_drafts",
        specs=[
            dg.AssetSpec(
                DRAFT,
                deps=[UPLOAD],
                skippable=True,
                group_name="easybill",
                kinds={"api"},
                description="The draft that EASY Bill made of the file, read back and equal to the cent. Missing: it "
                "does not show yet. Red: it is not as it was sent, or still missing after draft_deadline_hours.",
            )
        ],
        check_specs=[check],
        can_subset=True,
        partitions_def=partitions.customer_months,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=DRAFTS_PER_RUN),
    )
    def customer_drafts(
        context: dg.AssetExecutionContext,
        ledger: dg.ResourceParam[LedgerAt],
        documents: dg.ResourceParam[BlobStore],
        billing: dg.ResourceParam[BillingSettings],
        easybill: dg.ResourceParam[EasyBillAccount],
    ) -> Iterator[dg.AssetCheckResult]:
        records = _DraftRecords(context, language=billing.rules.language)
        with plain_failures():
            reader = Reader(
                easybill,
                ledger.open(),
                documents,
                deadline=timedelta(hours=billing.rules.draft_deadline_hours),
                run_id=context.run.run_id,
                now=utc_now(),
            )
            for month, numbers in customers_by_month(context.partition_keys).items():
                sent = set()
                for read in read_drafts(month, numbers, reader):
                    records.draft(read)
                    sent.add(read.delivery.customer_number)
                for number, outcome in _not_billed(set(numbers) - sent, month, reader.ledger):
                    records.not_billed(number, month, outcome)
        yield from records.verdict(
            check_selected=any(key.name == DRAFT_CHECK for key in context.selected_asset_check_keys)
        )

    return customer_drafts


def _not_billed(numbers: Collection[str], month: str, ledger: Ledger) -> Iterator[tuple[str, str]]:
    """Those of the customers who have nothing to bill in the month, and why."""
    outcomes = {row.export.customer_number: row.export.outcome for row in ledger.months.customers(month)}
    for number in sorted(numbers):
        outcome = outcomes.get(number, "nothing_to_bill")
        if outcome in NOT_BILLED:
            yield number, outcome


class _DraftRecords:
    """Logs each record at once, for its own partition, and remembers whose draft is not right and why."""

    def __init__(self, context: dg.AssetExecutionContext, *, language: str) -> None:
        self._context = context
        self._language = language
        self._wrong: list[tuple[str, Problem]] = []
        self._waiting = 0

    def draft(self, read: DraftRead) -> None:
        """The draft where it is right; a failed check where it is not; nothing where it may still come."""
        delivery = read.delivery
        key = partition_key(delivery.customer_number, delivery.month)
        if read.outcome == "waiting":
            self._waiting += 1
            return
        if read.problem is not None:
            self._wrong.append((delivery.month, read.problem))
        else:
            self._materialized(key, self._metadata(read), _version(read))
        problem = read.problem
        self._context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=DRAFT,
                check_name=DRAFT_CHECK,
                passed=problem is None,
                partition=key,
                description=f"{problem.code}: {problem.message}" if problem else None,
                metadata=_link(read),
            )
        )

    def not_billed(self, customer_number: str, month: str, outcome: str) -> None:
        """A customer to whom nothing was sent."""
        self._materialized(partition_key(customer_number, month), {"outcome": outcome}, "")

    def verdict(self, *, check_selected: bool) -> Iterator[dg.AssetCheckResult]:
        """The check over all of them; then the run fails, if any draft is not right, and names them."""
        if self._waiting:
            self._context.log.info(f"{self._waiting} drafts do not show yet, and may still come")
        if check_selected:
            yield dg.AssetCheckResult(asset_key=DRAFT, check_name=DRAFT_CHECK, passed=not self._wrong)
        if self._wrong:
            named = [
                f"{problem.customer_number} ({month}): {problem.code}: {problem.message}"
                for month, problem in self._wrong[:NAMED_IN_FAILURE]
            ]
            more = len(self._wrong) - len(named)
            raise dg.Failure(
                description="\n".join(
                    [
                        f"Not as sent: {len(self._wrong)}. See to what is named in EASY Bill:",
                        *named,
                        *([f"... and {more} more: billing-pipeline status MONTH"] if more else []),
                    ]
                ),
                metadata={
                    CUSTOMERS_IN_FAILURE: len(self._wrong),
                    "problems": problems_table([problem for _, problem in self._wrong]),
                },
                allow_retries=False,
            )

    def _metadata(self, read: DraftRead) -> dict[str, Any]:
        delivery, document = read.delivery, read.document
        return {
            "outcome": read.outcome,
            "order_number": delivery.order_number,
            **({"document_id": document.id, "is_draft": document.is_draft} if document else {}),
            **_link(read),
            "gross": format_minor(delivery.gross, delivery.currency, self._language),
        }

    def _materialized(self, key: str, metadata: dict[str, Any], version: str) -> None:
        self._context.log_event(
            dg.AssetMaterialization(
                asset_key=DRAFT,
                partition=key,
                metadata=metadata,
                tags={DATA_VERSION_TAG: version} if version else {},
            )
        )


def _version(read: DraftRead) -> str:
    return f"{read.document.id}-{read.document.amount}" if read.document else ""


def _link(read: DraftRead) -> dict[str, Any]:
    return {"link": dg.MetadataValue.url(read.link)} if read.link else {}
