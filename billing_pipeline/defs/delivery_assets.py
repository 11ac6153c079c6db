"""The assets of a customer and month: the CSV and its upload, made by one op over a range of customers.

One run takes many customers and leaves a record for each, because a run per customer would cost seconds of process
start per customer. Two separate assets would not do: an output that is not yielded skips what is downstream, and
one that is yielded materializes every partition of the range, the invalid ones too (1-architecture, measured).
So nothing is yielded for the assets: every record is logged for its own partition, as soon as it is true.
"""

import warnings
from collections.abc import Iterator

import dagster as dg

from billing_pipeline.defs.asset_records import CSV, LAYOUT_CHECK, UPLOAD, CustomerRecords
from billing_pipeline.defs.failures import plain_failures
from billing_pipeline.defs.partitions import CUSTOMER, MONTH, Partitions
from billing_pipeline.delivery.api.account import EasyBillAccount
from billing_pipeline.easybill.document import customer_number_of
from billing_pipeline.oms.period import period_of
from billing_pipeline.steps.make_files import Correction, deliver_files, make_files, stored_exports
from billing_pipeline.steps.settling import require_settled, utc_now
from billing_pipeline.steps.wiring import BillingSettings, ChannelAt, LedgerAt, Progress
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline.store.frames import FrameStore


class CorrectionConfig(dg.Config):
    """A decision to send a month again, as the next revision."""

    reason: str
    author: str


class DeliveryConfig(dg.Config):
    """What one run may be told."""

    force: bool = False
    """Deliver a month that is not over, or not settled."""

    billing: int | None = None
    """The billing that the files are made of; default: the month's current one."""

    correction: CorrectionConfig | None = None
    """Make the next revision of what was sent, of a billing of that kind."""


def build_delivery_assets(
    partitions: Partitions, *, customers_per_run: int, settling_hours: int, first_month: str
) -> dg.AssetsDefinition:
    """`easybill_csv` and `easybill_upload`, with the check `easybill_layout`, as one op over a range."""
    with warnings.catch_warnings():
        # A check with partitions is a preview feature of Dagster, and says so at every load.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        layout_check = dg.AssetCheckSpec(
            LAYOUT_CHECK,
            asset=CSV,
            partitions_def=partitions.customer_months,
            description="The file's bytes, read back by another reader, are what the layout and the lines say.",
        )

    @dg.multi_asset(
        name="customer_files",
        specs=[
            dg.AssetSpec(
                CSV,
                deps=["invoice_lines", "billing_problems", "oms_customers"],
                skippable=True,
                group_name="easybill",
                kinds={"csv"},
                owners=["team:accounting"],
                description="One customer's month as the exact file that EASY Bill imports. Red: the customer is "
                "blocked, and the check easybill_layout says why.",
            ),
            dg.AssetSpec(
                UPLOAD,
                deps=[CSV],
                skippable=True,
                group_name="delivery",
                kinds={"sftp"},
                owners=["team:operations"],
                description="The file, verified in EASY Bill's inbox; sent at most once, whatever is run again. "
                "Red: it is not there, and the run says why.",
            ),
        ],
        check_specs=[layout_check],
        can_subset=True,
        pool="inbox",
        partitions_def=partitions.customer_months,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=customers_per_run),
    )
    def customer_files(
        context: dg.AssetExecutionContext,
        config: DeliveryConfig,
        frames: dg.ResourceParam[FrameStore],
        ledger: dg.ResourceParam[LedgerAt],
        documents: dg.ResourceParam[BlobStore],
        billing: dg.ResourceParam[BillingSettings],
        channel: dg.ResourceParam[ChannelAt],
        easybill: dg.ResourceParam[EasyBillAccount],
        progress: dg.ResourceParam[Progress],
    ) -> Iterator[dg.AssetCheckResult]:
        making = CSV in context.selected_asset_keys
        sending = UPLOAD in context.selected_asset_keys
        records = CustomerRecords(context, language=billing.rules.language)
        decided = config.correction
        correction = None if decided is None else Correction(decided.reason, decided.author)
        for month, numbers in customers_by_month(context.partition_keys).items():
            with plain_failures():
                if making:
                    exports = make_files(
                        numbers,
                        month,
                        billing_id=config.billing,
                        frames=frames,
                        ledger=ledger,
                        documents=documents,
                        billing=billing,
                        run_id=context.run.run_id,
                        correcting=correction is not None,
                    )
                    records.files(exports)
                else:
                    exports = stored_exports(numbers, month, ledger)
                in_month = {export.customer_number for export in exports}
                if sending:
                    now = utc_now()
                    if not config.force:
                        require_settled(
                            month,
                            now=now,
                            timezone=billing.timezone,
                            settling_hours=settling_hours,
                            first_month=first_month,
                        )
                    results = deliver_files(
                        exports,
                        month,
                        ledger=ledger,
                        documents=documents,
                        billing=billing,
                        channel=channel,
                        easybill=easybill,
                        run_id=context.run.run_id,
                        month_is_over=now >= period_of(month, billing.timezone).end,
                        correction=correction,
                    )
                    for export, result in progress.over(results, f"{month} delivered", len(exports)):
                        records.upload(export, result)
                for number in numbers:
                    if number not in in_month:
                        records.nothing_to_bill(number, month, making=making, sending=sending)
        yield from records.verdict(
            check_selected=any(key.name == LAYOUT_CHECK for key in context.selected_asset_check_keys)
        )

    return customer_files


def customers_by_month(keys: list[str]) -> dict[str, list[str]]:
    """The customer numbers of a range, by month; both in the order of the range."""
    customers: dict[str, list[str]] = {}
    for key in keys:
        if not isinstance(key, dg.MultiPartitionKey):
            raise TypeError(f"{key!r} is not a key of customer and month")
        parts = key.keys_by_dimension
        customers.setdefault(parts[MONTH], []).append(customer_number_of(parts[CUSTOMER]))
    return customers
