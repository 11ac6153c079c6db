"""The assets of a customer and month: the CSV and its upload, made by one op over a range of customers.

One run takes many customers and leaves a record for each, because a run per customer would cost seconds of process
start per customer. Two separate assets would not do: an output that is not yielded skips what is downstream, and
one that is yielded materializes every partition of the range, the invalid ones too (1-architecture, measured).
So nothing is yielded for the assets: every record is logged for its own partition, within a second of being true.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from billing_pipeline.defs.asset_records import CSV, LAYOUT_CHECK, UPLOAD, AssetRecords, plain_failures
from billing_pipeline.defs.jobs import delivers_itself
from billing_pipeline.defs.metadata import link, problems_table
from billing_pipeline.defs.partitions import CUSTOMER, MONTH, Partitions
from billing_pipeline.delivery.api.account import EasyBillAccount
from billing_pipeline.delivery.records import DeliveryResult, Export
from billing_pipeline.easybill.document import customer_number_of
from billing_pipeline.money import format_minor
from billing_pipeline.oms.period import period_of
from billing_pipeline.steps.make_files import Correction, deliver_files, make_files, stored_exports
from billing_pipeline.steps.read_drafts import draft_links
from billing_pipeline.steps.seal import seal_month
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

    before_end: bool = False
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
        blobs: dg.ResourceParam[BlobStore],
        billing: dg.ResourceParam[BillingSettings],
        channel: dg.ResourceParam[ChannelAt],
        easybill: dg.ResourceParam[EasyBillAccount],
        progress: dg.ResourceParam[Progress],
    ) -> Iterator[dg.AssetCheckResult]:
        making = CSV in context.selected_asset_keys
        sending = UPLOAD in context.selected_asset_keys
        language = billing.rules.language
        records = AssetRecords(
            context,
            CSV,
            LAYOUT_CHECK,
            "Not delivered",
            "Mend what the table names, then run the failed partitions again",
        )
        decided = config.correction
        correction = None if decided is None else Correction(decided.reason, decided.author)
        for month, numbers in customers_by_month(context.partition_keys).items():
            with plain_failures():
                checked: frozenset[tuple[str, str]] = frozenset()
                if making:
                    made = make_files(
                        numbers,
                        month,
                        billing_id=config.billing,
                        frames=frames,
                        ledger=ledger,
                        blobs=blobs,
                        billing=billing,
                        run_id=context.run.run_id,
                        correcting=correction is not None,
                    )
                    exports, checked = made.exports, made.checked
                else:
                    exports = stored_exports(numbers, month, ledger)
                links = draft_links(easybill, ledger.open(), [export.order_number for export in exports])
                if making:
                    _record_files(records, exports, month, language, links)
                in_month = {export.customer_number for export in exports}
                if sending:
                    now = utc_now()
                    if not config.before_end:
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
                        frames=frames,
                        ledger=ledger,
                        blobs=blobs,
                        billing=billing,
                        channel=channel,
                        easybill=easybill,
                        run_id=context.run.run_id,
                        month_is_over=now >= period_of(month, billing.timezone).end,
                        checked=checked,
                        correction=correction,
                    )
                    with records.together():
                        for export, result in progress.over(
                            results, f"{month}, customers processed", len(exports)
                        ):
                            shown_at = _shown_at(result, links, billing)
                            _record_upload(records, export, result, language, shown_at)
                    _seal(context.run, ledger, blobs, month)
                with records.together():
                    for number in numbers:
                        if number not in in_month:
                            _record_nothing(records, number, month, [CSV] * making + [UPLOAD] * sending)
        yield from records.verdict()

    return customer_files


def _seal(run: dg.DagsterRun, ledger: LedgerAt, blobs: BlobStore, month: str) -> None:
    """Seals the month, unless the process that makes this run does so after the last range.

    It looks at the whole month: after each of twenty ranges that was a quarter of a run in which nothing had changed.
    """
    if not delivers_itself(run):
        seal_month(ledger.open(), blobs, month)


def customers_by_month(keys: list[str]) -> dict[str, list[str]]:
    """The customer numbers of a range, by month; both in the order of the range."""
    customers: dict[str, list[str]] = {}
    for key in keys:
        if not isinstance(key, dg.MultiPartitionKey):
            raise TypeError(f"{key!r} is not a key of customer and month")
        parts = key.keys_by_dimension
        customers.setdefault(parts[MONTH], []).append(customer_number_of(parts[CUSTOMER]))
    return customers


def _record_files(
    records: AssetRecords, exports: Sequence[Export], month: str, language: str, links: Mapping[str, str]
) -> None:
    """Each customer's file and its check; or the check failed with the reasons, and no file."""
    with records.together():
        for export in exports:
            if export.outcome == "blocked":
                records.refused(export.customer_number, month, export.problems)
            else:
                metadata = _file_metadata(export, language) | link(links.get(export.order_number))
                records.materialized(CSV, export.customer_number, month, metadata, export.sha256)
    places = records.places_of([export.customer_number for export in exports], month)
    with records.together():
        for export in exports:
            number, blocked = export.customer_number, export.outcome == "blocked"
            records.checked(
                number,
                month,
                export.problems if blocked else (),
                {"problems": problems_table(export.problems)} if blocked else {},
                materialization=places.get(number),
            )


def _file_metadata(export: Export, language: str) -> dict[str, Any]:
    if export.outcome != "rendered":
        return {"outcome": export.outcome, **({"reason": export.reason} if export.reason else {})}
    return {
        "outcome": export.outcome,
        "order_number": export.order_number,
        "file": export.file_name,
        "lines": export.line_count,
        "bytes": export.size_bytes,
        "sha256": export.sha256,
        **{
            name: format_minor(getattr(export, name), export.currency, language)
            for name in ("net", "vat", "gross")
        },
        **({"late_rows_waiting": export.late_rows} if export.late_rows else {}),
    }


def _record_nothing(
    records: AssetRecords, customer_number: str, month: str, assets: Sequence[dg.AssetKey]
) -> None:
    """A customer of the range who has nothing in the month."""
    for asset in assets:
        records.materialized(asset, customer_number, month, {"outcome": "nothing_to_bill"})


def _shown_at(result: DeliveryResult, links: Mapping[str, str], billing: BillingSettings) -> str:
    """Where a person sees the draft; over the API that is the place of what was sent itself."""
    return links.get(result.order_number) or (result.remote_path if billing.over_api else "")


def _record_upload(
    records: AssetRecords, export: Export, result: DeliveryResult, language: str, shown_at: str
) -> None:
    """The delivery, where there is nothing left to do for the customer; else why not.

    `shown_at`: where a person sees the draft, "" where that is not known.
    """
    if result.outcome in {"blocked", "failed", "held"}:
        records.refused(export.customer_number, export.month, result.problems)
        return
    metadata: dict[str, Any] = {"outcome": result.outcome}
    if result.problems:
        metadata["warnings"] = problems_table(result.problems)
    if result.at is not None:
        metadata |= {
            "order_number": result.order_number,
            "remote_path": result.remote_path,
            "sha256": result.sha256,
            "bytes": result.size_bytes,
            "delivered_at": dg.MetadataValue.timestamp(result.at),
            "gross": format_minor(export.gross, export.currency, language),
            **link(shown_at),
        }
    records.materialized(UPLOAD, export.customer_number, export.month, metadata, export.sha256)
