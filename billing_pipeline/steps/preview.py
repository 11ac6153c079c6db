"""The exact files of a month as a run would make them now, with nothing sent: a preview, and a dry run.

Either is a billing of its own, so that neither changes what a run sends.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from uuid import uuid4

from billing_pipeline.billing.arrow import each_row
from billing_pipeline.billing.kept_back_text import kept_back_told
from billing_pipeline.billing.rules import load_rules
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import Billing, MonthCustomer
from billing_pipeline.easybill.export import CustomerExport, export_customers
from billing_pipeline.easybill.layout import Layout, load_layout
from billing_pipeline.easybill.manifest import Manifest, ManifestFile, manifest_of
from billing_pipeline.easybill.spreadsheet import to_excel
from billing_pipeline.oms.period import period_of
from billing_pipeline.problems import Code, Problem, problems_of
from billing_pipeline.report.month import CustomerStatus, MonthStatus, month_status
from billing_pipeline.settings import Settings
from billing_pipeline.steps.bill_month import bill_part, keep
from billing_pipeline.steps.make_files import export_of
from billing_pipeline.steps.settling import require_open
from billing_pipeline.steps.wiring import build_wiring
from billing_pipeline.store.blobs import sha256_of


@dataclass(frozen=True)
class Preview:
    """The exports of a month, by customer number, and the billing they are made of."""

    billing: Billing
    exports: tuple[CustomerExport, ...]
    layout: Layout
    drift: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    ledger: Ledger

    @property
    def problems(self) -> list[Problem]:
        """Why some have no file."""
        return [problem for export in self.exports for problem in export.problems]

    @property
    def is_of_everybody(self) -> bool:
        """Whether it is the whole month, which alone can be approved."""
        return not self.billing.customers

    @cached_property
    def manifest(self) -> Manifest:
        """The files, so that one hash stands for them."""
        return manifest_of(
            self.billing.month,
            (
                ManifestFile(
                    export.customer_number,
                    export.file.file_name,
                    sha256_of(export.file.data),
                    len(export.file.data),
                )
                for export in self.exports
                if export.file is not None
            ),
        )

    def write_excel(self, folder: Path) -> Path:
        """The month as a spreadsheet in which no text is run as a formula."""
        path = folder / f"easybill_{self.billing.month}.xlsx"
        folder.mkdir(parents=True, exist_ok=True)
        to_excel((export.file.document for export in self.exports if export.file), path, self.layout)
        return path

    def status(self) -> MonthStatus:
        """The outcome per customer as it is now, with these files in place of those made before."""
        now = datetime.now(UTC)
        rows = [
            MonthCustomer(
                export=export_of(made, self.billing),
                export_run_id=self.billing.run_id,
                exported_at=now,
                delivery_outcome=None,
                delivery_problems=(),
                delivery_sha256="",
                delivery_run_id="",
                delivered_at=None,
                closed_at=None,
            )
            for made in self.exports
        ]
        month = self.billing.month
        deliveries = self.ledger.deliveries.of_month(month)
        found = month_status(month, rows, deliveries, self.drift, self.warnings)
        return replace(found, customers=tuple(map(_if_ready, found.customers)))


def preview_month(
    settings: Settings,
    month: str,
    *,
    customers: Collection[str] = (),
    services: Collection[str] = (),
    accept_new_ids: bool = False,
) -> Preview:
    """The files of the whole month, of some customers, or of those who have these services and nothing else of theirs.

    Raises: the errors of reading the OMS, the rules and the layout; UsageError for a service that nobody has.
    """
    period_of(month, settings.timezone)
    wiring = build_wiring(settings)
    rules, ledger = wiring.billing.rules, wiring.ledger.open()
    billed = bill_part(wiring, month, customers=customers, services=services, accept_new_ids=accept_new_ids)
    billing = keep(billed, wiring, month, kind="dry_run", run_id=str(uuid4()))
    part = billed.part
    exports = export_customers(
        part,
        billed.extract.customers,
        month=month,
        rules=rules,
        layouts=wiring.billing.layouts_of(part.roster["customer_number"]),
        revisions=ledger.deliveries.revisions(month),
    )
    return Preview(
        billing,
        tuple(exports),
        load_layout(rules.layout or settings.layout),
        tuple(problems_of(part.drift)),
        (*kept_back_told(each_row(part.kept_back), rules.language), *problems_of(part.warnings)),
        ledger,
    )


def dry_run(
    settings: Settings,
    month: str,
    *,
    customers: Collection[str] = (),
    services: Collection[str] = (),
    before_end: bool = False,
    accept_new_ids: bool = False,
) -> MonthStatus:
    """The month as a run would find it, each file made, checked and logged.

    Raises: as `preview_month`; UsageError where the month is not over or settled, unless `before_end`.
    """
    require_open(settings, load_rules(settings.rules), month, before_end=before_end)
    preview = preview_month(
        settings, month, customers=customers, services=services, accept_new_ids=accept_new_ids
    )
    preview.ledger.months.log_exports(
        [export_of(made, preview.billing) for made in preview.exports], preview.billing.run_id
    )
    status = preview.status()
    return status.only(preview.billing.customers) if preview.billing.customers else status


def _if_ready(customer: CustomerStatus) -> CustomerStatus:
    """Of one whose file is good, that it was not sent is no fault of a dry run; where one was sent, it is a change."""
    codes = {problem.code for problem in customer.problems}
    if customer.stands or customer.outcome != "failed" or codes != {Code.NOT_DELIVERED_YET}:
        return customer
    return replace(customer, problems=(), is_ready=True)
