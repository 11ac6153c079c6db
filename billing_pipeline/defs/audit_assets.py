"""The asset `revenue_audit`: the account of a month's rows against ledger, files and drafts, and what is open of it."""

from collections.abc import Iterator

import dagster as dg

from billing_pipeline.defs.asset_records import plain_failures
from billing_pipeline.defs.metadata import open_table
from billing_pipeline.defs.month_checks import month_check_spec
from billing_pipeline.defs.partitions import Partitions
from billing_pipeline.delivery.api.account import EasyBillAccount
from billing_pipeline.money import format_minor
from billing_pipeline.steps.audit import COUNTS, audit
from billing_pipeline.steps.wiring import BillingSettings, ChannelAt, LedgerAt, NoProgress, Oms, Wiring
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline.store.frames import FrameStore

AUDIT = "revenue_audit"
NOTHING_OPEN = "nothing_open"
NAMED = 5


def build_audit_asset(partitions: Partitions) -> dg.AssetsDefinition:
    """`revenue_audit`, with the check `nothing_open`: red for a month of which something needs a person."""
    check = month_check_spec(
        NOTHING_OPEN,
        AUDIT,
        partitions,
        "Every row of the month is billed, or a person has said why not. Red: the table says what is "
        "open, since when, and what to do.",
    )

    @dg.multi_asset(
        name="audited_month",
        specs=[
            dg.AssetSpec(
                AUDIT,
                deps=["invoice_lines"],
                group_name="billing",
                kinds={"sql"},
                owners=["team:accounting"],
                description="Every row of the month in the OMS, read again, against ledger, stored files and EASY "
                "Bill's drafts: each has one standing, and they add up.",
            )
        ],
        check_specs=[check],
        pool="oms",
        partitions_def=partitions.months,
    )
    def audited_month(
        context: dg.AssetExecutionContext,
        oms: dg.ResourceParam[Oms],
        frames: dg.ResourceParam[FrameStore],
        ledger: dg.ResourceParam[LedgerAt],
        blobs: dg.ResourceParam[BlobStore],
        billing: dg.ResourceParam[BillingSettings],
        channel: dg.ResourceParam[ChannelAt],
        easybill: dg.ResourceParam[EasyBillAccount],
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        month = context.partition_key
        wiring = Wiring(oms, frames, ledger, blobs, billing, channel, easybill, NoProgress())
        with plain_failures():
            found = audit(wiring, month, month)
        account = found.months[0]
        language = billing.rules.language
        wrong = [f"{item.customer_number} {item.code}" for item in found.open]
        wrong += [f"{finding.customer_number} {finding.code}" for finding in account.findings]
        yield dg.MaterializeResult(
            asset_key=AUDIT,
            metadata={
                **{name: account.rows[name] for name in COUNTS},
                **{
                    f"{name}_{currency}": format_minor(sums[name], currency, language)
                    for currency, sums in account.amounts.items()
                    for name in ("billed", "open")
                },
                "open": open_table(found.open, language, billing.timezone),
            },
        )
        named = "; ".join(wrong[:NAMED]) + (", …" if len(wrong) > NAMED else "")
        yield dg.AssetCheckResult(
            asset_key=AUDIT,
            check_name=NOTHING_OPEN,
            passed=not wrong,
            description=f"open: {len(wrong)} ({named})" if wrong else None,
            metadata={"open": open_table(found.open, language, billing.timezone)} if found.open else {},
        )

    return audited_month
