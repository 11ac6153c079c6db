"""Approvals: which exact files of a month a person lets be sent. They are added, and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database, insert
from billing_pipeline.delivery.ledger.events import Note, append, event_of
from billing_pipeline.delivery.ledger.tables import approvals, approved_files
from billing_pipeline.problems import UsageError

ApprovalKind = Literal["month", "correction"]


@dataclass(frozen=True, slots=True)
class ApprovedFile:
    """One file that may be sent, by its bytes; `document_sha256` names what it was made of."""

    customer_number: str
    file_name: str
    sha256: str
    document_sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person approved: all that a month would send, or one customer's correction. UTC."""

    id: int
    month: str
    kind: ApprovalKind
    manifest_sha256: str
    author: str
    at: datetime


class Approvals:
    """Recording approvals, and asking which file of a customer is approved."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(
        self,
        month: str,
        kind: ApprovalKind,
        manifest_sha256: str,
        files: Sequence[ApprovedFile],
        *,
        author: str,
        run_id: str = "",
    ) -> Approval:
        """Note that a person approves these files, with an event. Raises: UsageError without a name."""
        if not author.strip():
            raise UsageError("an approval needs a name: --by NAME")
        at = self._db.now()
        said = {
            "month": month,
            "kind": kind,
            "manifest_sha256": manifest_sha256,
            "author": author,
            "at": at,
        }
        note = Note("approve", f"{author}: manifest {manifest_sha256}, files: {len(files)}", kind="decision")
        whose = files[0].customer_number if kind == "correction" else ""
        with self._db.writing() as connection:
            approval_id = insert(connection, approvals, said)
            if files:
                connection.execute(
                    sa.insert(approved_files),
                    [{"approval_id": approval_id, **_columns(one)} for one in files],
                )
            append(connection, [event_of(note, at=at, month=month, customer_number=whose, run_id=run_id)])
        return Approval(approval_id, month, kind, manifest_sha256, author, at)

    def in_force(self, month: str) -> dict[str, tuple[Approval, ApprovedFile]]:
        """By customer number, the file that may be sent: as the newest approval of the month says, or a newer one of
        the customer's correction.
        """
        newest = (
            sa.select(sa.func.max(approvals.c.id))
            .where(approvals.c.month == month, approvals.c.kind == "month")
            .scalar_subquery()
        )
        query = (
            sa.select(approvals, *(column for column in approved_files.c if column.name != "approval_id"))
            .join(approved_files, approved_files.c.approval_id == approvals.c.id)
            .where(approvals.c.month == month, approvals.c.id >= sa.func.coalesce(newest, 0))
            .order_by(approvals.c.id)
        )
        with self._db.reading() as connection:
            return {row.customer_number: _approved(row) for row in connection.execute(query)}

    def of_month(self, month: str) -> list[tuple[Approval, ApprovedFile]]:
        """Every file of the month that was ever approved, in the order of the approvals."""
        query = (
            sa.select(approvals, *(column for column in approved_files.c if column.name != "approval_id"))
            .join(approved_files, approved_files.c.approval_id == approvals.c.id)
            .where(approvals.c.month == month)
            .order_by(approvals.c.id, approved_files.c.customer_number)
        )
        with self._db.reading() as connection:
            return [_approved(row) for row in connection.execute(query)]


_OF_APPROVAL = ("id", "month", "kind", "manifest_sha256", "author", "at")


def _approved(row: sa.Row[Any]) -> tuple[Approval, ApprovedFile]:
    values = dict(row._mapping)
    approval = Approval(**{name: values.pop(name) for name in _OF_APPROVAL})
    return approval, ApprovedFile(**values)


def _columns(file: ApprovedFile) -> dict[str, str | int]:
    return {name: getattr(file, name) for name in ApprovedFile.__slots__}
