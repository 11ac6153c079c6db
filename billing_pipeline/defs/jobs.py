"""The jobs: a month's lines, the delivery to its customers, audit and report, and, with an API key, the drafts.

And which runs of them a process makes itself, so that nobody else does what it will do.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    # What `define_asset_job` returns; Dagster has no public name for it.
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

MONTH_ASSETS = (
    "oms_customers",
    "oms_services",
    "oms_service_tasks",
    "oms_cancellation_fees",
    "invoice_lines",
    "billing_problems",
)

# On runs of a process that delivers what it billed, and seals it at its end: `billing-pipeline run`, `correct`.
DELIVERS_ITSELF_TAG = "billing/delivers_itself"


def delivers_itself(run: dg.DagsterRun) -> bool:
    """Whether the process that makes this run delivers and seals its month too; else sensor and ranges of customers do.

    A run that is executed again in the UI has the tags of the first one, whose process has ended.
    """
    return DELIVERS_ITSELF_TAG in run.tags and run.parent_run_id is None


@dataclass(frozen=True)
class Jobs:
    """The jobs by what they do."""

    monthly_billing: "UnresolvedAssetJobDefinition"
    customer_delivery: "UnresolvedAssetJobDefinition"
    revenue_audit: "UnresolvedAssetJobDefinition"
    month_report: "UnresolvedAssetJobDefinition"
    draft_reconciliation: "UnresolvedAssetJobDefinition"
    """Only where an API key is configured: its asset does not exist otherwise."""


def build_jobs() -> Jobs:
    """The jobs; their partitions are those of their assets."""
    return Jobs(
        monthly_billing=dg.define_asset_job(
            "monthly_billing",
            selection=dg.AssetSelection.assets(*MONTH_ASSETS),
            description="Extracts a month from the OMS, makes its invoice lines, and registers its customers.",
        ),
        customer_delivery=dg.define_asset_job(
            "customer_delivery",
            selection=dg.AssetSelection.assets("easybill_csv", "easybill_upload"),
            description="Makes, checks and delivers the files of a range of customers.",
        ),
        revenue_audit=dg.define_asset_job(
            "revenue_audit",
            selection=dg.AssetSelection.assets("revenue_audit"),
            description="Holds every row of a month against ledger, files and drafts; bills and sends nothing.",
        ),
        month_report=dg.define_asset_job(
            "month_report",
            selection=dg.AssetSelection.assets("month_report"),
            description="Makes the page of a month for the accountant; reads and sends nothing.",
        ),
        draft_reconciliation=dg.define_asset_job(
            "draft_reconciliation",
            selection=dg.AssetSelection.assets("easybill_draft"),
            description="Reads the drafts of a range of customers back, and holds them against what was sent.",
        ),
    )
