"""The assets of a month: the frozen extract, the invoice lines, the problems. One partition per month."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg
import pandas as pd

from billing_pipeline.billing.arrow import each_row
from billing_pipeline.billing.bill import BilledMonth
from billing_pipeline.billing.dispositions import OF_EXTRACT, OF_LINES
from billing_pipeline.billing.kept_back_text import kept_back_told
from billing_pipeline.defs.asset_records import plain_failures
from billing_pipeline.defs.metadata import PREVIEW_ROWS, amounts, problems_table, table, with_amounts
from billing_pipeline.defs.month_checks import (
    line_check_specs,
    line_checks,
    relation_check_specs,
    relation_checks,
)
from billing_pipeline.defs.partitions import CUSTOMER, Partitions, customers_to_add
from billing_pipeline.money import from_minor
from billing_pipeline.problems import problems_of
from billing_pipeline.steps.bill_month import (
    Billed,
    bill_extract,
    extract_of_month,
    keep_billed,
    keep_extract,
    kept_look_back,
    month_size,
    require_plausible,
)
from billing_pipeline.steps.current_billing import extract_to_bill
from billing_pipeline.steps.past import ids_of, past_of, require_same_identity
from billing_pipeline.steps.wiring import BillingSettings, LedgerAt, Oms
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline.store.frames import EXTRACTED, FrameStore, read_extract, write_billed

DESCRIPTIONS = {
    "oms_customers": "The customers who have a service or a fee in the month, as the OMS had them.",
    "oms_services": "The services completed in the month, whatever their status, as the OMS had them.",
    "oms_service_tasks": "The tasks that these services include.",
    "oms_cancellation_fees": "The cancellation fees charged in the month.",
}
LINE_COLUMNS = (
    "customer_number",
    "position",
    "line_type",
    "item_number",
    "title",
    "quantity",
    "unit_price_net",
    "net",
    "vat",
    "gross",
    "currency",
    "performed_on",
)


# Whoever reaches the UI reads its metadata, and Dagster keeps it: what names a person is not among it.
PERSONAL = frozenset(
    {
        "company_name",
        "first_name",
        "last_name",
        "street",
        "zip_code",
        "city",
        "state",
        "email",
        "phone",
        "vat_id",
    }
)

# Raised by hand when what these assets hold changes its meaning, so that the UI shows which months were made before.
CODE_VERSION = "1"


class BillingConfig(dg.Config):
    """What one run may be told."""

    force: bool = False
    """Bill a month that is suspiciously small or large against those before it."""

    accept_new_ids: bool = False
    """Bill although so many billed rows have gone from the OMS that their ids must have changed."""


def build_month_assets(partitions: Partitions) -> Sequence[dg.AssetsDefinition]:
    """The extract of a month (four assets, one snapshot) and what is billed of it (two assets, one pass)."""

    @dg.multi_asset(
        name="oms_extract",
        specs=[
            dg.AssetSpec(
                key,
                description=DESCRIPTIONS[key],
                group_name="oms",
                kinds={"sql", "parquet"},
                owners=["team:operations"],
                code_version=CODE_VERSION,
            )
            for key in EXTRACTED
        ],
        check_specs=relation_check_specs(EXTRACTED, partitions),
        pool="oms",
        partitions_def=partitions.months,
    )
    def oms_extract(
        context: dg.AssetExecutionContext,
        oms: dg.ResourceParam[Oms],
        frames: dg.ResourceParam[FrameStore],
        ledger: dg.ResourceParam[LedgerAt],
        billing: dg.ResourceParam[BillingSettings],
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        month = context.partition_key
        with plain_failures():
            extract, looked = extract_of_month(oms, ledger.open(), month, billing)
            kept = keep_extract(extract, looked, frames, ledger.open(), month, "complete", context.run.run_id)
        for key, relation in EXTRACTED.items():
            yield dg.MaterializeResult(
                asset_key=key,
                metadata=_extract_metadata(getattr(extract, relation), month, billing.timezone),
                data_version=dg.DataVersion(kept.frames[key]),
            )
        yield from relation_checks(extract, month, EXTRACTED)

    @dg.multi_asset(
        name="billed_month",
        specs=[
            dg.AssetSpec(
                "invoice_lines",
                deps=list(EXTRACTED),
                description="Every line that is billed in the month: what EASY Bill will show, row by row.",
                group_name="billing",
                kinds={"pandas", "parquet"},
                owners=["team:accounting"],
                code_version=CODE_VERSION,
            ),
            dg.AssetSpec(
                "billing_problems",
                deps=list(EXTRACTED),
                description="Every problem found, with the customer, the row, and what to do about it. "
                "A customer with a problem is not billed in part.",
                group_name="billing",
                kinds={"pandas", "parquet"},
                owners=["team:accounting"],
                code_version=CODE_VERSION,
            ),
        ],
        check_specs=line_check_specs(partitions),
        partitions_def=partitions.months,
    )
    def billed_month(
        context: dg.AssetExecutionContext,
        config: BillingConfig,
        frames: dg.ResourceParam[FrameStore],
        blobs: dg.ResourceParam[BlobStore],
        ledger: dg.ResourceParam[LedgerAt],
        billing: dg.ResourceParam[BillingSettings],
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        month = context.partition_key
        with plain_failures():
            read = extract_to_bill(month, context.run.run_id, ledger.open(), frames)
            extract = read_extract(frames, month, read.frames)
            past = past_of(
                ledger.open(),
                ids_of(extract),
                month,
                first_month_read=read.first_month or month,
                look_back=kept_look_back(read, frames),
                frames=frames,
                billing=billing,
            )
            if not config.accept_new_ids:
                require_same_identity(past, ledger.open())
            named = past.named()
            billed = bill_extract(extract, month, past, ledger=ledger.open(), billing=billing, let_go=True)
            stored = write_billed(frames, month, billed)
            lines_metadata = _lines_metadata(billed, billing)
            # From here on rows are asked where they ended, and what they are called takes most of their memory.
            billed = replace(billed, lines=billed.lines[OF_LINES])
            extract = read_extract(frames, month, read.frames, OF_EXTRACT)
            kept = keep_billed(
                Billed(extract, billed, named),
                read,
                stored,
                blobs=blobs,
                ledger=ledger.open(),
                billing=billing,
                run_id=context.run.run_id,
            )
        registered = context.instance.get_dynamic_partitions(CUSTOMER)
        context.instance.add_dynamic_partitions(
            CUSTOMER, customers_to_add(billed.roster["customer_number"], registered)
        )
        yield dg.MaterializeResult(
            asset_key="invoice_lines",
            metadata={"billing": kept.id, **lines_metadata},
            data_version=dg.DataVersion(kept.frames["invoice_lines"]),
        )
        yield dg.MaterializeResult(
            asset_key="billing_problems",
            metadata=_problems_metadata(billed, billing.rules.language),
            data_version=dg.DataVersion(kept.frames["billing_problems"]),
        )
        with plain_failures():
            size = month_size(billed, month, frames, ledger.open(), billing.timezone)
        yield from line_checks(extract, billed, month, billing.rules, ledger=ledger.open(), size=size)
        if not config.force:
            with plain_failures():
                require_plausible(month, size)

    return [oms_extract, billed_month]


def _extract_metadata(frame: pd.DataFrame, month: str, timezone: str) -> dict[str, Any]:
    own = frame[frame["month"] == month] if "month" in frame else frame
    faulty = int(own["faults"].notna().sum())
    shown = [column for column in own.columns if column not in {"faults", "month", *PERSONAL}]
    return {
        "dagster/row_count": len(own),
        **({"rows_of_earlier_months": len(frame) - len(own)} if len(own) < len(frame) else {}),
        "rows_with_faults": faulty,
        "first_rows": table(own, shown, timezone),
    }


def _lines_metadata(billed: BilledMonth, billing: BillingSettings) -> dict[str, Any]:
    totals = {
        str(currency): {name: int(sums[name].sum()) for name in ("net", "vat", "gross")}
        for currency, sums in billed.totals.groupby("currency")
    }
    outcomes = billed.roster["outcome"].value_counts()
    return {
        "dagster/row_count": len(billed.lines),
        "totals": amounts(totals, billing.rules.language),
        # In major units and as floats, for the plot over the months and nothing else.
        **{
            f"gross_{currency}": float(from_minor(total["gross"], currency))
            for currency, total in totals.items()
        },
        **{f"customers_{outcome}": int(count) for outcome, count in outcomes.items()},
        "first_rows": table(
            with_amounts(billed.lines.head(PREVIEW_ROWS), billing.rules.language),
            LINE_COLUMNS,
            billing.timezone,
        ),
    }


def _problems_metadata(billed: BilledMonth, language: str) -> dict[str, Any]:
    changed = problems_of(billed.drift)
    warnings = [*kept_back_told(each_row(billed.kept_back), language), *problems_of(billed.warnings)]
    return {
        "dagster/row_count": len(billed.problems),
        "customers_blocked": int((billed.roster["outcome"] == "blocked").sum()),
        "problems": problems_table(problems_of(billed.problems)),
        **({"changed_since_billed": problems_table(changed)} if changed else {}),
        **({"warnings": problems_table(warnings)} if warnings else {}),
    }
