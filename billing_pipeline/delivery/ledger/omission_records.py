"""Omissions: what a person leaves out of a month or for good, a customer or a service; who, when and why.

A removal is a mark, and the log has both. What an omission does to the lines is `billing`'s affair.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database, insert
from billing_pipeline.delivery.ledger.events import Note, append, event_of, require_signature
from billing_pipeline.delivery.ledger.tables import omissions, row_standings
from billing_pipeline.delivery.records import Event, OmissionRecord
from billing_pipeline.problems import UsageError

_ALWAYS = "always"


class Omissions:
    """Adding, removing and listing omissions."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(
        self,
        *,
        month: str | None,
        customer_number: str = "",
        service_id: str = "",
        fee_id: str = "",
        reason: str,
        author: str,
    ) -> OmissionRecord:
        """Leave a customer, a service or a fee out of a month (None: for good). Raises: UsageError.

        What of it was open is so no longer. What was sent stays sent.
        """
        require_signature(reason, author)
        if len([one for one in (customer_number, service_id, fee_id) if one]) != 1:
            raise UsageError(
                "an omission names a customer, a service or a fee: --customer N, --service ID or --fee ID"
            )
        at = self._db.now()
        with self._db.writing() as connection:
            values = {
                "month": month or _ALWAYS,
                "customer_number": customer_number,
                "service_id": service_id,
                "fee_id": fee_id,
                "reason": reason,
                "author": author,
                "created_at": at,
                "removed_reason": "",
                "removed_by": "",
            }
            omission_id = insert(connection, omissions, values)
            added = _omission(
                connection.execute(sa.select(omissions).where(omissions.c.id == omission_id)).one()
            )
            append(connection, [_of_omission(added, "omit", at)])
            which: list[sa.ColumnElement[bool]] = [
                row_standings.c.standing.in_(("set_aside", "late", "blocked", "to_bill"))
            ]
            if month is not None:
                which.append(row_standings.c.month == month)
            for column, kind, value in (
                (row_standings.c.customer_number, None, customer_number),
                (row_standings.c.source_id, "service", service_id),
                (row_standings.c.source_id, "fee", fee_id),
            ):
                if value:
                    which.append(column == value)
                    which += [row_standings.c.source_kind == kind] if kind else []
            connection.execute(
                sa.update(row_standings)
                .where(*which)
                .values(standing="omitted", code="", message=f"{reason} ({author})", since=at, seen_at=at)
            )
        return added

    def since(self, at: datetime) -> list[OmissionRecord]:
        """The omissions that were added or removed after this instant."""
        query = sa.select(omissions).where(sa.or_(omissions.c.created_at > at, omissions.c.removed_at > at))
        with self._db.reading() as connection:
            return [_omission(row) for row in connection.execute(query)]

    def remove(self, omission_id: int, *, reason: str, author: str) -> OmissionRecord:
        """End an omission; it stays in the list as removed. Raises: UsageError."""
        require_signature(reason, author)
        at = self._db.now()
        removal = {"removed_reason": reason, "removed_by": author, "removed_at": at}
        with self._db.writing() as connection:
            removed = connection.execute(
                sa.update(omissions)
                .where(omissions.c.id == omission_id, omissions.c.removed_at.is_(None))
                .values(removal)
            )
            if removed.rowcount != 1:
                raise UsageError(
                    f"there is no omission {omission_id} in force; see `billing-pipeline omit list`"
                )
            after = _omission(
                connection.execute(sa.select(omissions).where(omissions.c.id == omission_id)).one()
            )
            append(
                connection, [_of_omission(replace(after, reason=reason, author=author), "omit remove", at)]
            )
        return after

    def current(self, *, month: str | None = None, removed: bool = False) -> list[OmissionRecord]:
        """The omissions in force: of one month and for good if it is named. With `removed`, the others too."""
        query = sa.select(omissions).order_by(omissions.c.id)
        if month is not None:
            query = query.where(omissions.c.month.in_([month, _ALWAYS]))
        if not removed:
            query = query.where(omissions.c.removed_at.is_(None))
        with self._db.reading() as connection:
            return [_omission(row) for row in connection.execute(query)]


def _omission(row: Any) -> OmissionRecord:
    values = dict(row._mapping)
    return OmissionRecord(**{**values, "month": None if values["month"] == _ALWAYS else values["month"]})


def _of_omission(omission: OmissionRecord, action: str, at: datetime) -> Event:
    named = (
        ("service", omission.service_id),
        ("fee", omission.fee_id),
        ("customer", omission.customer_number),
    )
    what = next(f"{kind} {name}" for kind, name in named if name)
    note = Note(action, f"{omission.author}: {omission.reason} ({what})", kind="decision")
    return event_of(note, at=at, month=omission.month or _ALWAYS, customer_number=omission.customer_number)
