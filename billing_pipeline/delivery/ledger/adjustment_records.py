"""Adjustments: a row that a person adds to a customer's month, until it is billed, with its whole history.

A change, a deletion and its undoing are new versions; none is ever changed or removed. What an adjustment
may say, and does to the lines, is `billing`'s affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from billing_pipeline.billing.adjustments import Adjustment
from billing_pipeline.delivery.ledger.database import Database, insert
from billing_pipeline.delivery.ledger.deliveries import STANDS
from billing_pipeline.delivery.ledger.events import Note, append, event_of, require_signature
from billing_pipeline.delivery.ledger.tables import (
    adjustment_versions,
    adjustments,
    billed_rows,
    deliveries,
)
from billing_pipeline.delivery.records import AdjustmentAction, AdjustmentRecord
from billing_pipeline.oms.period import next_month
from billing_pipeline.problems import UsageError

_CONTENT = ("title", "quantity", "unit_price_net", "vat_percent", "unit", "item_number", "deleted")


def as_adjustment(record: AdjustmentRecord) -> Adjustment:
    """The adjustment as `bill_month` takes it. Raises: UsageError where it says what none may say."""
    return Adjustment(
        adjustment_id=str(record.id),
        month=record.month,
        customer_number=record.customer_number,
        title=record.title,
        quantity=record.quantity,
        unit_price_net=record.unit_price_net,
        vat_percent=record.vat_percent,
        unit=record.unit,
        item_number=record.item_number,
    )


class Adjustments:
    """Adding, changing, deleting, undoing and listing adjustments."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(
        self,
        *,
        month: str,
        customer_number: str,
        title: str,
        quantity: Decimal,
        unit_price_net: Decimal,
        vat_percent: Decimal,
        unit: str = "",
        item_number: str = "",
        reason: str,
        author: str,
    ) -> AdjustmentRecord:
        """Add a row to a customer's month; a discount has a negative price.

        Raises: UsageError for what no adjustment may say, and where the month is closed for the customer.
        """
        require_signature(reason, author)
        at = self._db.now()
        with self._db.writing() as connection:
            _not_closed(connection, month, customer_number)
            adjustment_id = insert(
                connection,
                adjustments,
                {"month": month, "customer_number": customer_number, "created_at": at},
            )
            added = AdjustmentRecord(
                id=adjustment_id,
                version=1,
                month=month,
                customer_number=customer_number,
                title=title,
                quantity=quantity,
                unit_price_net=unit_price_net,
                vat_percent=vat_percent,
                unit=unit,
                item_number=item_number,
                deleted=False,
                action="add",
                reason=reason,
                author=author,
                at=at,
            )
            _write(connection, added)
        return added

    def edit(
        self,
        adjustment_id: int,
        *,
        reason: str,
        author: str,
        title: str | None = None,
        quantity: Decimal | None = None,
        unit_price_net: Decimal | None = None,
        vat_percent: Decimal | None = None,
        unit: str | None = None,
        item_number: str | None = None,
    ) -> AdjustmentRecord:
        """Change what is given, until the adjustment is billed. Raises: UsageError."""
        given = {
            "title": title,
            "quantity": quantity,
            "unit_price_net": unit_price_net,
            "vat_percent": vat_percent,
            "unit": unit,
            "item_number": item_number,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        if not changes:
            raise UsageError(
                "an edit changes something: --title, --quantity, --price, --vat, --unit or --item-number"
            )
        return self._change(adjustment_id, "edit", changes, reason=reason, author=author)

    def delete(self, adjustment_id: int, *, reason: str, author: str) -> AdjustmentRecord:
        """Mark the adjustment as deleted, until it is billed; `undo` brings it back. Raises:
        UsageError.
        """
        return self._change(adjustment_id, "delete", {"deleted": True}, reason=reason, author=author)

    def undo(self, adjustment_id: int, *, reason: str, author: str) -> AdjustmentRecord:
        """Make the adjustment what it was before its last change; undone twice, it is as it was.

        Undoing the addition deletes it. Raises: UsageError.
        """
        return self._change(adjustment_id, "undo", None, reason=reason, author=author)

    def of_month(self, month: str, *, deleted: bool = False) -> list[AdjustmentRecord]:
        """The adjustments of a month as they stand; with `deleted`, those marked as deleted too. By id."""
        current: dict[int, AdjustmentRecord] = {}
        for version in self.history(month):
            current[version.id] = version
        return [adjustment for adjustment in current.values() if deleted or not adjustment.deleted]

    def up_to(self, month: str) -> list[AdjustmentRecord]:
        """The adjustments of a month and of all months before it, as they stand, without the deleted ones; by id."""
        current: dict[int, AdjustmentRecord] = {}
        with self._db.reading() as connection:
            for version in _versions(connection, adjustments.c.month <= month):
                current[version.id] = version
        return [adjustment for adjustment in current.values() if not adjustment.deleted]

    def unbilled(self) -> list[AdjustmentRecord]:
        """The adjustments, of whatever month, that stand and that no order bills for good; by id."""
        billed = (
            sa.select(billed_rows.c.source_id)
            .join(deliveries, deliveries.c.id == billed_rows.c.delivery_id)
            .where(
                billed_rows.c.source_kind == "adjustment",
                billed_rows.c.released_at.is_(None),
                sa.or_(deliveries.c.committed_at.is_not(None), deliveries.c.revision > 1),
            )
        )
        free = sa.cast(adjustments.c.id, sa.Text).not_in(billed)
        current: dict[int, AdjustmentRecord] = {}
        with self._db.reading() as connection:
            for version in _versions(connection, free):
                current[version.id] = version
        return [adjustment for adjustment in current.values() if not adjustment.deleted]

    def since(self, at: datetime) -> list[AdjustmentRecord]:
        """The versions of adjustments, of whatever month, that were written after this instant."""
        with self._db.reading() as connection:
            return _versions(connection, adjustment_versions.c.at > at)

    def history(self, month: str) -> list[AdjustmentRecord]:
        """Every version of every adjustment of a month, by id and version."""
        with self._db.reading() as connection:
            return _versions(connection, adjustments.c.month == month)

    def _change(
        self,
        adjustment_id: int,
        action: AdjustmentAction,
        changes: Mapping[str, Any] | None,
        *,
        reason: str,
        author: str,
    ) -> AdjustmentRecord:
        require_signature(reason, author)
        with self._db.writing() as connection:
            # The row is locked, so that two changes at once become two versions.
            connection.execute(
                sa.select(adjustments.c.id).where(adjustments.c.id == adjustment_id).with_for_update()
            )
            versions = _versions(connection, adjustments.c.id == adjustment_id)
            if not versions:
                raise UsageError(
                    f"there is no adjustment {adjustment_id}; see `billing-pipeline adjust list MONTH`"
                )
            last = versions[-1]
            if last.deleted and action in {"edit", "delete"}:
                raise UsageError(
                    f"adjustment {adjustment_id} is deleted; `adjust undo {adjustment_id}` first"
                )
            _not_billed(connection, adjustment_id)
            if changes is None:
                before = versions[-2] if len(versions) > 1 else replace(last, deleted=True)
                changes = {name: getattr(before, name) for name in _CONTENT}
            after: AdjustmentRecord = replace(
                last,
                **changes,
                version=last.version + 1,
                action=action,
                reason=reason,
                author=author,
                at=self._db.now(),
            )
            _write(connection, after)
        return after


def _not_closed(connection: sa.Connection, month: str, customer_number: str) -> None:
    """Raises UsageError where the customer's month was sent, naming the next one that was not."""
    sent = sa.select(deliveries.c.month, deliveries.c.order_number).where(
        deliveries.c.customer_number == customer_number, deliveries.c.month >= month, *STANDS
    )
    orders = {row.month: row.order_number for row in connection.execute(sent)}
    if month not in orders:
        return
    following = next_month(month)
    while following in orders:
        following = next_month(following)
    raise UsageError(
        f"{month} is closed for customer {customer_number}: order {orders[month]} has been sent; add the adjustment to "
        f"{following}, their next month that is open"
    )


def _not_billed(connection: sa.Connection, adjustment_id: int) -> None:
    order_number = connection.execute(
        sa.select(deliveries.c.order_number)
        .join(billed_rows, billed_rows.c.delivery_id == deliveries.c.id)
        .where(
            billed_rows.c.source_kind == "adjustment",
            billed_rows.c.source_id == str(adjustment_id),
            billed_rows.c.released_at.is_(None),
            deliveries.c.committed_at.is_not(None),
        )
    ).scalar()
    if order_number is not None:
        raise UsageError(
            f"adjustment {adjustment_id} is billed by order {order_number} and can no longer change: "
            "add another one to a later month"
        )


def _write(connection: sa.Connection, version: AdjustmentRecord) -> None:
    as_adjustment(version)
    connection.execute(
        sa.insert(adjustment_versions).values(
            adjustment_id=version.id,
            version=version.version,
            action=version.action,
            title=version.title,
            quantity=str(version.quantity),
            unit_price_net=str(version.unit_price_net),
            vat_percent=str(version.vat_percent),
            unit=version.unit,
            item_number=version.item_number,
            deleted=version.deleted,
            reason=version.reason,
            author=version.author,
            at=version.at,
        )
    )
    note = Note(
        f"adjust {version.action}",
        f"{version.author}: {version.reason} (adjustment {version.id}: {version.title}, "
        f"--quantity {version.quantity} --price {version.unit_price_net} --vat {version.vat_percent})",
        kind="decision",
    )
    append(
        connection,
        [event_of(note, at=version.at, month=version.month, customer_number=version.customer_number)],
    )


def _versions(connection: sa.Connection, which: sa.ColumnElement[bool]) -> list[AdjustmentRecord]:
    query = (
        sa.select(adjustments.c.id, adjustments.c.month, adjustments.c.customer_number, adjustment_versions)
        .join(adjustment_versions, adjustment_versions.c.adjustment_id == adjustments.c.id)
        .where(which)
        .order_by(adjustments.c.id, adjustment_versions.c.version)
    )
    return [
        AdjustmentRecord(
            id=row.id,
            version=row.version,
            month=row.month,
            customer_number=row.customer_number,
            title=row.title,
            quantity=Decimal(row.quantity),
            unit_price_net=Decimal(row.unit_price_net),
            vat_percent=Decimal(row.vat_percent),
            unit=row.unit,
            item_number=row.item_number,
            deleted=row.deleted,
            action=row.action,
            reason=row.reason,
            author=row.author,
            at=row.at,
        )
        for row in connection.execute(query)
    ]
