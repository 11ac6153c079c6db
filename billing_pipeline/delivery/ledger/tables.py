"""The ledger's tables, as SQLAlchemy Core: all of them are imported from here. How they came about is in `migrations`.

A test holds that the migrations, run on an empty database, make exactly these tables. Times are UTC instants; amounts
are minor units; text that is not known is "", never NULL.
"""

from __future__ import annotations

from billing_pipeline.delivery.ledger.record_tables import (
    account_requests,
    approvals,
    approved_files,
    month_reports,
    seals,
)
from billing_pipeline.delivery.ledger.row_tables import (
    adjustment_versions,
    adjustments,
    admissions,
    audits,
    month_looks,
    omissions,
    row_standings,
)
from billing_pipeline.delivery.ledger.sent_tables import (
    billed_rows,
    billings,
    deliveries,
    events,
    extracts,
    finished_months,
    month_customers,
    sightings,
)
from billing_pipeline.delivery.ledger.table_columns import VERSION_TABLE, metadata

__all__ = [
    "VERSION_TABLE",
    "account_requests",
    "adjustment_versions",
    "adjustments",
    "admissions",
    "approvals",
    "approved_files",
    "audits",
    "billed_rows",
    "billings",
    "deliveries",
    "events",
    "extracts",
    "finished_months",
    "metadata",
    "month_customers",
    "month_looks",
    "month_reports",
    "omissions",
    "row_standings",
    "seals",
    "sightings",
]
