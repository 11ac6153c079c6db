"""A month as it would be billed now, while there is time to mend it: nothing is sent, and no run uses any of it."""

from __future__ import annotations

from dataclasses import dataclass

from billing_pipeline.easybill.api_errors import ApiError
from billing_pipeline.easybill.draft_comparison import customer_problems
from billing_pipeline.problems import Problem
from billing_pipeline.report.month import MonthStatus
from billing_pipeline.settings import Settings
from billing_pipeline.steps.preview import preview_month
from billing_pipeline.steps.wiring import build_wiring


@dataclass(frozen=True)
class Rehearsal:
    """The outcomes as they would be. `not_in_easybill`: customers with a file whom EASY Bill does not have exactly
    once; `not_asked`: why nobody could say so, "" where it was asked, or where there is no key to ask with.
    """

    status: MonthStatus
    not_in_easybill: tuple[Problem, ...] = ()
    not_asked: str = ""


def rehearse(settings: Settings, month: str) -> Rehearsal:
    """Bills the month, over or not, for nothing but its problems. Raises: as `preview_month`."""
    preview = preview_month(settings, month)
    numbers = {export.customer_number for export in preview.exports if export.file is not None}
    easybill = build_wiring(settings).easybill
    if not easybill.is_configured or not numbers:
        return Rehearsal(preview.status())
    try:
        with easybill.open_logged(preview.ledger, month=month, run_id=preview.billing.run_id) as api:
            found = api.customers_by_number(numbers)
    except ApiError as error:
        return Rehearsal(preview.status(), not_asked=str(error))
    return Rehearsal(preview.status(), tuple(customer_problems(found)))
