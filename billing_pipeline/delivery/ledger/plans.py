"""Plans: the bytes with which a customer's month is to be delivered, and the rows they bill (`planned_rows`), as one.

A plan may be superseded until it is committed for sending, never after; a row is billed by one delivery at a time.
Every plan gets a fresh token, so that whoever has read the plan before it cannot take it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database, insert
from billing_pipeline.delivery.ledger.events import Note, about, append
from billing_pipeline.delivery.ledger.liveness import is_free
from billing_pipeline.delivery.ledger.planned_rows import bill, billed_elsewhere, give_up, rows_billed_by
from billing_pipeline.delivery.ledger.tables import deliveries
from billing_pipeline.delivery.records import SENT_STATES, Delivery, Parcel, State
from billing_pipeline.problems import Code, PipelineError, Problem

_FILE_COLUMNS = (
    "order_number",
    "file_name",
    "sha256",
    "document_sha256",
    "size_bytes",
    "line_count",
    "currency",
    "net",
    "vat",
    "gross",
    "layout",
)
_EMPTY_AT_FIRST = (
    "remote_dir",
    "transport",
    "endpoint",
    "temporary_path",
    "remote_path",
    "held_code",
    "held_reason",
    "accepted_sha256",
    "released_as",
)


# Made once, here and in the modules beside this one: SQLAlchemy took longer to put a file's twenty statements together
# than the database to execute them.
_OF_CUSTOMER = (
    sa.select(deliveries)
    .where(
        deliveries.c.customer_number == sa.bindparam("customer"),
        deliveries.c.month == sa.bindparam("in_month"),
    )
    .with_for_update()
)
_INSERTED = sa.insert(deliveries).returning(*deliveries.c)
BY_ID = sa.select(deliveries).where(deliveries.c.id == sa.bindparam("delivery"))
_NAMESAKE = sa.select(deliveries.c.customer_number, deliveries.c.month, deliveries.c.revision).where(
    deliveries.c.order_number == sa.bindparam("order")
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a parcel cannot be planned."""

    problems: tuple[Problem, ...]


class PlanContended(PipelineError):
    """Other runs changed the same rows at every attempt."""


def new_token() -> str:
    """A one-use token; unguessable, so that no two runs ever hold the same."""
    return secrets.token_hex(12)


def delivery_of(row: Any) -> Delivery:
    """A row of `deliveries` as a value."""
    values = dict(zip(row._fields, row, strict=True))
    values["leftovers"] = tuple(values["leftovers"])
    values["state"] = State(values["state"])
    values["held_code"] = Code(values["held_code"]) if values["held_code"] else None
    return Delivery(**values)


class Plans:
    """Planning a parcel."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def plan(self, parcel: Parcel, *, run_id: str, lease_s: float, now: datetime) -> Delivery | Refusal:
        """The delivery of the parcel's customer, month and revision, planned anew where that may be.

        A new row, or one that is not committed for sending and that nobody else is at work on (`is_free`, at `now`), is
        made to say what the parcel says. Any other is returned as it is: its state, and whether `sha256` is the
        parcel's, tell the rest. Refused: a row that another file bills (ALREADY_BILLED), or another's order number.
        """
        for _ in range(10):
            try:
                with self._db.writing() as connection:
                    return _plan(
                        connection, parcel, at=self._db.now(), run_id=run_id, lease_s=lease_s, now=now
                    )
            except sa.exc.IntegrityError:
                # Another run has just inserted the same delivery or billed the same row: now it can be seen.
                continue
        raise PlanContended(
            f"the ledger {self._db.where} could not plan {parcel.export.order_number}: other runs keep changing the "
            "same rows; run the month again when they have finished"
        )


def withdraw_plans(connection: sa.Connection, customers: Sequence[tuple[str, str]], *, at: datetime) -> None:
    """Give up the plans of these (month, customer)s of which nothing was sent, with the rows they were to
    bill. What a correction was to bill is billed by the file again that it was to replace.
    """
    for month, customer_number in customers:
        revisions = _revisions(connection, month, customer_number)
        for delivery in revisions.values():
            if delivery.state is State.PLANNED:
                connection.execute(
                    sa.update(deliveries)
                    .where(deliveries.c.id == delivery.id)
                    .values(token=new_token(), sha256="", updated_at=at)
                )
                give_up(connection, list(rows_billed_by(connection, delivery.id).values()), at=at)


def _plan(
    connection: sa.Connection,
    parcel: Parcel,
    *,
    at: datetime,
    run_id: str,
    lease_s: float,
    now: datetime,
) -> Delivery | Refusal:
    revisions = _revisions(connection, parcel.export.month, parcel.export.customer_number)
    found = revisions.get(parcel.revision)
    if found is not None:
        changeable = found.state is State.PLANNED or (
            found.state is State.UPLOADING and is_free(found, lease_s=lease_s, now=now)
        )
        if not changeable or _says_the_same(connection, found, parcel):
            return found
    problems = _refused(connection, parcel, revisions)
    if problems:
        return Refusal(problems)
    planned = _write(connection, parcel, found, at=at, run_id=run_id)
    bill(connection, planned.id, parcel, revisions, at=at)
    if parcel.reason and parcel.revision > 1:
        corrected = revisions[parcel.revision - 1].order_number
        note = Note("correct", f"{parcel.author}: {parcel.reason} (in place of {corrected})", kind="decision")
        append(connection, [about(planned, note, at=at, run_id=run_id)])
    return planned


def _revisions(connection: sa.Connection, month: str, customer_number: str) -> dict[int, Delivery]:
    rows = connection.execute(_OF_CUSTOMER, {"customer": customer_number, "in_month": month})
    return {delivery.revision: delivery for delivery in map(delivery_of, rows)}


def _says_the_same(connection: sa.Connection, found: Delivery, parcel: Parcel) -> bool:
    if any(getattr(found, name) != getattr(parcel.export, name) for name in _FILE_COLUMNS):
        return False
    return rows_billed_by(connection, found.id).keys() == set(parcel.billed)


def _refused(
    connection: sa.Connection, parcel: Parcel, revisions: Mapping[int, Delivery]
) -> tuple[Problem, ...]:
    export = parcel.export
    corrected = revisions.get(parcel.revision - 1)
    if parcel.revision > 1 and (corrected is None or not _was_sent(corrected)):
        return (
            Problem(
                Code.NOT_DELIVERED_YET,
                export.customer_number,
                f"revision {parcel.revision} of {export.month} cannot be sent: revision {parcel.revision - 1} has "
                "not been delivered; run the month, or release what is held",
            ),
        )
    namesake = connection.execute(_NAMESAKE, {"order": export.order_number}).one_or_none()
    if namesake is not None and namesake != (export.customer_number, export.month, parcel.revision):
        return (
            Problem(
                Code.DUPLICATE_KEY,
                export.customer_number,
                f"order number {export.order_number} belongs to customer {namesake.customer_number}, "
                f"{namesake.month}, revision {namesake.revision}; correct the order number format in the rules",
                field="order_number",
                value=export.order_number,
            ),
        )
    return tuple(billed_elsewhere(connection, parcel))


def _was_sent(delivery: Delivery) -> bool:
    """What may be followed by another revision: it was sent, whether it stands or was withdrawn."""
    return delivery.state in {*SENT_STATES, State.WITHDRAWN} or (
        delivery.state is State.HELD and delivery.committed_at is not None
    )


def _write(
    connection: sa.Connection, parcel: Parcel, found: Delivery | None, *, at: datetime, run_id: str
) -> Delivery:
    if found is not None:
        said = _says(parcel, at=at, run_id=run_id)
        if parcel.reason:
            said |= {"reason": parcel.reason, "author": parcel.author}
        connection.execute(sa.update(deliveries).where(deliveries.c.id == found.id).values(said))
        return delivery_of(connection.execute(BY_ID, {"delivery": found.id}).one())
    said = new_delivery(parcel, at=at, run_id=run_id)
    if connection.dialect.name == "postgresql":
        return delivery_of(connection.execute(_INSERTED, said).one())
    written = insert(connection, deliveries, said)
    return delivery_of(connection.execute(BY_ID, {"delivery": written}).one())


def _says(parcel: Parcel, *, at: datetime, run_id: str) -> dict[str, Any]:
    """What a plan says of the parcel, in the columns of `deliveries`."""
    said: dict[str, Any] = {name: getattr(parcel.export, name) for name in (*_FILE_COLUMNS, "billing_id")}
    return said | {
        "state": State.PLANNED,
        "token": new_token(),
        "holder": "",
        "run_id": run_id,
        "updated_at": at,
    }


def new_delivery(parcel: Parcel, *, at: datetime, run_id: str) -> dict[str, Any]:
    """A new row of `deliveries`, planned."""
    return {
        **_says(parcel, at=at, run_id=run_id),
        **dict.fromkeys(_EMPTY_AT_FIRST, ""),
        "leftovers": [],
        "reason": parcel.reason,
        "author": parcel.author,
        "customer_number": parcel.export.customer_number,
        "month": parcel.export.month,
        "revision": parcel.revision,
        "created_at": at,
    }
