"""The asset of a customer and month that closes the loop: the draft EASY Bill made, held against what was sent.

One run takes many customers, in the way of `delivery_assets`: nothing is yielded for the asset, every record is logged
for its own partition, and at the end one failure names whoever needs a person.
"""

import warnings
from collections.abc import Collection, Iterator
from datetime import timedelta

import dagster as dg

from billing_pipeline.defs.asset_records import (
    CSV,
    DRAFT,
    DRAFT_CHECK,
    UPLOAD,
    AssetRecords,
    plain_failures,
)
from billing_pipeline.defs.delivery_assets import customers_by_month
from billing_pipeline.defs.metadata import link, problems_table
from billing_pipeline.defs.partitions import Partitions
from billing_pipeline.delivery.api.account import EasyBillAccount
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import State
from billing_pipeline.money import format_minor
from billing_pipeline.steps.read_drafts import DraftRead, Reader, read_drafts
from billing_pipeline.steps.settling import utc_now
from billing_pipeline.steps.wiring import BillingSettings, LedgerAt
from billing_pipeline.store.blobs import BlobStore

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
        blobs: dg.ResourceParam[BlobStore],
        billing: dg.ResourceParam[BillingSettings],
        easybill: dg.ResourceParam[EasyBillAccount],
    ) -> Iterator[dg.AssetCheckResult]:
        records = AssetRecords(
            context, DRAFT, DRAFT_CHECK, "Not as sent", "See to what the table names in EASY Bill"
        )
        waiting = 0
        with plain_failures():
            reader = Reader(
                easybill,
                ledger.open(),
                blobs,
                deadline=timedelta(hours=billing.rules.draft_deadline_hours),
                run_id=context.run.run_id,
                now=utc_now(),
                language=billing.rules.language,
                timezone=billing.timezone,
            )
            for month, numbers in customers_by_month(context.partition_keys).items():
                sent = set()
                with records.together():
                    for read in read_drafts(month, numbers, reader):
                        waiting += read.outcome == "waiting"
                        _record_draft(records, read, billing.rules.language)
                        sent.add(read.delivery.customer_number)
                    for number, outcome in _not_billed(set(numbers) - sent, month, reader.ledger):
                        records.materialized(DRAFT, number, month, {"outcome": outcome})
        if waiting:
            context.log.info(f"{waiting} drafts do not show yet, and may still come")
        yield from records.verdict()

    return customer_drafts


def _not_billed(numbers: Collection[str], month: str, ledger: Ledger) -> Iterator[tuple[str, str]]:
    """Those of the customers who have nothing to bill in the month, and why."""
    outcomes = {row.export.customer_number: row.export.outcome for row in ledger.months.customers(month)}
    for number in sorted(numbers):
        outcome = outcomes.get(number, "nothing_to_bill")
        if outcome in {"nothing_to_bill", "omitted"}:
            yield number, outcome


def _record_draft(records: AssetRecords, read: DraftRead, language: str) -> None:
    """The draft where it is right; a failed check where it is not; nothing where it may still come."""
    if read.outcome == "waiting":
        return
    delivery, document = read.delivery, read.document
    number, month = delivery.customer_number, delivery.month
    problems = (read.problem,) if read.problem else ()
    if problems:
        records.refused(number, month, problems)
    else:
        metadata = {
            "outcome": read.outcome,
            "order_number": delivery.order_number,
            **({"document_id": document.id, "is_draft": document.is_draft} if document else {}),
            **link(read.link),
            "gross": format_minor(delivery.gross, delivery.currency, language),
        }
        records.materialized(DRAFT, number, month, metadata, _version(read))
        if document and (delivery.state is not State.CONFIRMED or delivery.draft_id != document.id):
            # Both were made before anybody knew of the draft.
            for asset in (CSV, UPLOAD):
                records.observed(asset, number, month, link(read.link))
    told = {"problems": problems_table(problems)} if problems else {}
    records.checked(number, month, problems, {**link(read.link), **told})


def _version(read: DraftRead) -> str:
    return f"{read.document.id}-{read.document.amount}" if read.document else ""
