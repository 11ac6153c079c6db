"""Puts the list together: everything open, of all months, from the ledger alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from billing_pipeline.billing.rules import Rules
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.oms.period import months_back, next_month
from billing_pipeline.problems import Code
from billing_pipeline.report.month import month_status
from billing_pipeline.report.open_items import (
    OpenItem,
    adjustment_items,
    customer_items,
    draft_items,
    presumed_items,
    row_items,
    unread_items,
)
from billing_pipeline.steps.settling import utc_now

MONTHS_LOOKED_AFTER = 3


@dataclass(frozen=True)
class OpenList:
    """What is open, oldest month first. `as_of`: when the last of the months was run or audited, None for never."""

    items: tuple[OpenItem, ...]
    as_of: datetime | None


def first_month_looked_after(now: datetime) -> str:
    """The oldest month whose drafts are asked for without being told to.

    Where a key is set after years of files, their drafts are long finished or gone: the job `draft_reconciliation`
    reads such a month on request. What was missing, or not right, stays on the list; so does what was never read.
    """
    return months_back(f"{now:%Y-%m}", MONTHS_LOOKED_AFTER)


def open_list(ledger: Ledger, rules: Rules, first_month: str) -> OpenList:
    """Everything that needs a person. Raises: LedgerUnavailable."""
    standings = ledger.rows.unsettled()
    items: list[OpenItem] = []
    held_orders: set[str] = set()
    for month, numbers in ledger.months.with_open_customers().items():
        rows = {
            row.export.customer_number: row
            for row in ledger.months.customers(month)
            if row.export.customer_number in numbers
        }
        status = month_status(
            month,
            rows.values(),
            [one for one in ledger.deliveries.of_month(month) if one.customer_number in numbers],
        )
        blocked = [row for row in standings if row.standing == "blocked" and row.month == month]
        found = list(customer_items(status, rows, blocked))
        held_orders |= {item.order_number for item in found if item.code == Code.CHANGED_AFTER_DELIVERY}
        items += found
    with_item = {(item.customer_number, item.month) for item in items}
    last = ledger.months.last_finished()
    finished = ledger.months.finished({row.month for row in standings} | set(ledger.months.known()))
    in_reach = (
        first_month if last is None else max(months_back(next_month(last), rules.late_months), first_month)
    )
    items += row_items(
        standings,
        with_item=with_item,
        held_orders=held_orders,
        finished=finished,
        oldest_in_reach=in_reach,
    )
    items += adjustment_items(ledger.adjustments.unbilled(), finished=finished, with_item=with_item)
    items += draft_items(ledger.deliveries.to_remove())
    items += presumed_items(ledger.deliveries.presumed())
    items += unread_items(ledger.deliveries.never_read(before=first_month_looked_after(utc_now())))
    items.sort(key=lambda item: (item.month, item.customer_number, item.source_kind, item.source_id))
    return OpenList(tuple(items), ledger.rows.last_seen())
