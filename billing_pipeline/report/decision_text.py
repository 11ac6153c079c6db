"""What people have decided - omissions and adjustments - as lines of text and as JSON. Words only, no decisions."""

from __future__ import annotations

from typing import Any

from billing_pipeline.delivery.records import AdjustmentRecord, OmissionRecord
from billing_pipeline.money import format_amount, format_number, round_half_up


def omission_line(omission: OmissionRecord) -> str:
    """For example "omission 1: service S-2, 2026-10: billed by hand (Kim)"."""
    named = (
        ("service", omission.service_id),
        ("fee", omission.fee_id),
        ("customer", omission.customer_number),
    )
    whom = next(f"{kind} {name}" for kind, name in named if name)
    line = (
        f"omission {omission.id}: {whom}, {omission.month or 'always'}: {omission.reason} ({omission.author})"
    )
    if omission.removed_at is not None:
        line += f"; removed: {omission.removed_reason} ({omission.removed_by})"
    return line


def omission_json(omission: OmissionRecord) -> dict[str, Any]:
    """One omission; `month` is "always" where it holds for good, and what does not apply is null."""
    return {
        "id": omission.id,
        "month": omission.month or "always",
        "customer_number": omission.customer_number or None,
        "service_id": omission.service_id or None,
        "fee_id": omission.fee_id or None,
        "reason": omission.reason,
        "by": omission.author,
        "at": f"{omission.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "removed_reason": omission.removed_reason or None,
        "removed_by": omission.removed_by or None,
        "removed_at": f"{omission.removed_at:%Y-%m-%dT%H:%M:%SZ}" if omission.removed_at else None,
    }


def adjustment_line(adjustment: AdjustmentRecord, language: str, order_number: str = "") -> str:
    """For example "adjustment 1: customer 10023, 2026-10: Discount, 1 × -10.00 net in the customer's currency, ...".

    An adjustment has no currency of its own. Numbers are as people of `language` read them. `order_number`: the order
    that bills it, "" if none does.
    """
    quantity = f"{format_number(adjustment.quantity, language)} {adjustment.unit}".rstrip()
    price = round_half_up(adjustment.unit_price_net, 2)
    line = (
        f"adjustment {adjustment.id}: customer {adjustment.customer_number}, {adjustment.month}: {adjustment.title}, "
        f"{quantity} × {format_amount(price, language)} net in the customer's currency, "
        f"{format_number(adjustment.vat_percent, language)} % VAT "
        f"({adjustment.author}: {adjustment.reason})"
    )
    if adjustment.deleted:
        line += "; deleted"
    return f"{line}; billed by {order_number}" if order_number else line


def adjustment_json(adjustment: AdjustmentRecord, order_number: str = "") -> dict[str, Any]:
    """One adjustment as it stands; numbers are text, so that none is rounded on its way."""
    return {
        "id": adjustment.id,
        "version": adjustment.version,
        "month": adjustment.month,
        "customer_number": adjustment.customer_number,
        "title": adjustment.title,
        "quantity": f"{adjustment.quantity:f}",
        "unit": adjustment.unit,
        "item_number": adjustment.item_number,
        "unit_price_net": f"{adjustment.unit_price_net:f}",
        "vat_percent": f"{adjustment.vat_percent:f}",
        "deleted": adjustment.deleted,
        "action": adjustment.action,
        "reason": adjustment.reason,
        "by": adjustment.author,
        "at": f"{adjustment.at:%Y-%m-%dT%H:%M:%SZ}",
        "billed_by": order_number or None,
    }
