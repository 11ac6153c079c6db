"""What is billed of a month, from the OMS and the ledger: one way for the assets, `preview` and `correct`. No Dagster.

Belongs here: which facts `bill_month` is given. Does not: what it makes of them (`billing/`), or the frames and
records that follow (`customer_steps`).
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import partial

import pandas as pd

from billing_pipeline.billing.bill import BilledMonth, bill_month
from billing_pipeline.billing.omissions import Omission
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.adjustment_records import as_adjustment
from billing_pipeline.easybill.export import block_unfit
from billing_pipeline.oms.extract import Extract
from billing_pipeline.steps.past import first_lookback_month, ledger_view
from billing_pipeline.steps.wiring import Billing, Oms


def extract_of_month(oms: Oms, ledger: Ledger, month: str, late_months: int) -> Extract:
    """The month's rows, those of earlier months among which late ones may be, and the adjustments' customers.

    Raises: the errors of reading the OMS; LedgerUnavailable.
    """
    return oms.extract(
        month,
        lookback_month=first_lookback_month(ledger, month, late_months),
        also=sorted({one.customer_number for one in ledger.adjustments.of_month(month)}),
    )


def bill_extract(
    extract: Extract,
    month: str,
    *,
    ledger: Ledger,
    billing: Billing,
    only_services: Collection[str] = (),
    reopened: Collection[str] = (),
) -> BilledMonth:
    """What is billed of a month by the rules and what the ledger says now.

    `only_services`: of the customers who have these services nothing else is billed; of the others nothing changes.
    `reopened`: customers whose month is billed as if it had not been delivered, for a correction.
    Raises: LedgerUnavailable, LinesInvalid.
    """
    rules = billing.rules
    view = ledger_view(ledger, extract, month, rules.late_months)
    for number in reopened:
        view = view.reopened(number, month)
    bill = partial(
        bill_month,
        extract,
        month,
        rules,
        timezone=billing.timezone,
        ledger_view=view,
        omissions=[
            Omission(one.reason, one.customer_number, one.service_id, one.month, one.author)
            for one in ledger.omissions.current()
        ],
        adjustments=[as_adjustment(one) for one in ledger.adjustments.of_month(month)],
    )
    billed = bill()
    if only_services:
        owners = owners_of(extract, only_services)
        billed = _with_customers_of(billed, bill(only_services=only_services), owners)
    billed = block_unfit(billed, extract.customers, month=month, rules=rules, layout_of=billing.layout_of)
    return _with_billed_before(billed, ledger.deliveries.revisions(month))


def owners_of(extract: Extract, service_ids: Collection[str]) -> set[str]:
    """The customers who have these services, or a fee for one of them."""
    return {
        number
        for frame in (extract.services, extract.cancellation_fees)
        for number in frame[frame["service_id"].isin(list(service_ids))]["customer_number"]
    }


def _with_customers_of(month: BilledMonth, other: BilledMonth, numbers: Collection[str]) -> BilledMonth:
    """The month, in which these customers are as in the other one."""

    def joined(name: str) -> pd.DataFrame:
        mine, theirs = (getattr(one, name) for one in (month, other))
        parts = [
            mine[~mine["customer_number"].isin(list(numbers))],
            theirs[theirs["customer_number"].isin(list(numbers))],
        ]
        both: pd.DataFrame = pd.concat(parts).sort_values("customer_number", kind="stable", ignore_index=True)
        return both

    return BilledMonth(**{name: joined(name) for name in ("lines", "totals", "roster", "problems", "drift")})


def _with_billed_before(billed: BilledMonth, customer_numbers: Iterable[str]) -> BilledMonth:
    """The month with these customers in its roster too, with nothing to bill where they have no row any more.

    They were billed for it once: that they vanished from the OMS must not make them vanish here.
    """
    gone = sorted(set(customer_numbers) - set(billed.roster["customer_number"]))
    if not gone:
        return billed
    rows = pd.DataFrame(
        {"customer_number": gone, "outcome": "nothing_to_bill", "late_rows": 0, "reason": ""}
    ).astype(billed.roster.dtypes.to_dict())
    roster = pd.concat([billed.roster, rows], ignore_index=True)
    return replace(billed, roster=roster.sort_values("customer_number", ignore_index=True))
