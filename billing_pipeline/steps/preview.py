"""The exact files of a month without a record: what `billing-pipeline preview` shows. Nothing is sent or kept."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from billing_pipeline.easybill.export import CustomerExport, export_customers, first_revision
from billing_pipeline.easybill.layout import Layout, load_layout
from billing_pipeline.easybill.spreadsheet import to_excel
from billing_pipeline.oms.period import period_of
from billing_pipeline.problems import Problem
from billing_pipeline.settings import Settings
from billing_pipeline.steps.bill_month import bill_extract, extract_of_month
from billing_pipeline.steps.wiring import build_rooms


@dataclass(frozen=True)
class Preview:
    """The exports of a month, by customer number."""

    month: str
    exports: tuple[CustomerExport, ...]
    layout: Layout

    @property
    def problems(self) -> list[Problem]:
        """Why some have no file."""
        return [problem for export in self.exports for problem in export.problems]

    def write_excel(self, folder: Path) -> Path:
        """The month as a spreadsheet in which no text is run as a formula."""
        path = folder / f"easybill_{self.month}.xlsx"
        folder.mkdir(parents=True, exist_ok=True)
        to_excel((export.document for export in self.exports if export.document), path, self.layout)
        return path


def preview_month(settings: Settings, month: str, *, customers: Collection[str] = ()) -> Preview:
    """The files as a run would make them now, of the whole month or of some customers.

    Raises: the errors of reading the OMS, the rules and the layout.
    """
    period_of(month, settings.timezone)
    rooms = build_rooms(settings)
    rules = rooms.billing.rules
    ledger = rooms.ledger.open()
    extract = extract_of_month(rooms.oms, ledger, month, rules.late_months)
    billed = bill_extract(extract, month, ledger=ledger, billing=rooms.billing)
    revisions = ledger.deliveries.revisions(month)
    return Preview(
        month,
        tuple(
            export_customers(
                billed,
                extract.customers,
                month=month,
                rules=rules,
                layout_of=rooms.billing.layout_of,
                only=set(customers) or None,
                revision_of=lambda number: revisions.get(number, first_revision(number)),
            )
        ),
        load_layout(rules.layout or settings.layout),
    )
