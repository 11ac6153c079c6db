"""Plans: the bytes with which a customer's month is to be delivered, and the rows they bill, as one.

A plan may be superseded until it is committed for sending, never after; a row is billed by one delivery at a time.
Every plan gets a fresh token, so that whoever has read the plan before it cannot take it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from billing_pipeline.delivery.ledger.database import Database, insert
from billing_pipeline.delivery.ledger.events import Note, about, append
from billing_pipeline.delivery.ledger.liveness import is_free
from billing_pipeline.delivery.ledger.tables import billed_rows, deliveries
from billing_pipeline.delivery.records import SENT_STATES, BilledRow, Delivery, Parcel, State
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
_BILLED_BY = sa.select(billed_rows).where(
    billed_rows.c.delivery_id == sa.bindparam("delivery"), billed_rows.c.released_at.is_(None)
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


def rows_billed_by(connection: sa.Connection, delivery_id: int) -> dict[BilledRow, int]:
    """The rows that this delivery bills now, with their id in `billed_rows`."""
    return {
        BilledRow(row.source_kind, row.source_id, row.month, row.fingerprint): row.id
        for row in connection.execute(_BILLED_BY, {"delivery": delivery_id})
    }


def billed_elsewhere(connection: sa.Connection, parcel: Parcel) -> Iterator[Problem]:
    """A problem for each row of the parcel that the file of another month or customer bills, or a later revision.

    Told apart by what the deliveries are of, not by their ids: another run may have planned this very file since
    its caller looked for it.
    """
    export = parcel.export
    on_postgresql = connection.dialect.name == "postgresql"
    for kind, ids in ids_by_kind(parcel.billed):
        asked = {
            "kind": kind,
            "ids": json.dumps(ids),
            "customer": export.customer_number,
            "in_month": export.month,
            "from_revision": parcel.revision,
        }
        for row in connection.execute(billed_elsewhere_of(on_postgresql), asked):
            yield Problem(
                Code.ALREADY_BILLED,
                export.customer_number,
                f"{kind} {row.source_id} is billed by order {row.order_number} ({row.state}); export "
                f"{export.month} again, and see `billing-pipeline explain {row.order_number}`",
                source_id=row.source_id,
                field="source_id",
                value=row.source_id,
            )


@cache
def billed_elsewhere_of(on_postgresql: bool) -> sa.Select[tuple[str, str, str]]:
    """Which of `ids` (JSON) of a `kind` a delivery bills that is not of `customer` and `in_month`, or a later one than
    `from_revision`: (source_id, order_number, state), by id.
    """
    ids = sa.bindparam("ids", type_=sa.Text())
    billed = (
        sa.select(billed_rows.c.source_id, deliveries.c.order_number, deliveries.c.state)
        .join(deliveries, deliveries.c.id == billed_rows.c.delivery_id)
        .where(
            billed_rows.c.source_kind == sa.bindparam("kind"),
            billed_rows.c.released_at.is_(None),
            sa.or_(
                deliveries.c.customer_number != sa.bindparam("customer"),
                deliveries.c.month != sa.bindparam("in_month"),
                deliveries.c.revision > sa.bindparam("from_revision"),
            ),
        )
    )
    if not on_postgresql:
        return billed.where(_is_listed(billed_rows.c.source_id, ids)).order_by(billed_rows.c.source_id)
    # Asked for id by id, which leaves the planner no choice. As long as it knows nothing of a new ledger's tables, it
    # would rather read every row that was ever billed, for each file.
    listed = sa.func.json_array_elements_text(sa.cast(ids, sa.JSON()))
    wanted = listed.table_valued("id").render_derived("wanted")
    one = billed.where(billed_rows.c.source_id == wanted.c.id).limit(1).lateral("one")
    return (
        sa.select(one.c.source_id, one.c.order_number, one.c.state)
        .select_from(wanted.join(one, sa.true()))
        .order_by(one.c.source_id)
    )


def ids_by_kind(rows: Iterable[BilledRow]) -> Iterator[tuple[str, Sequence[str]]]:
    """The ids of each kind."""
    ids: dict[str, list[str]] = {}
    for row in rows:
        ids.setdefault(row.source_kind, []).append(row.source_id)
    yield from sorted(ids.items())


_IDS_PER_QUERY = 5_000


def portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """The ids in portions that both databases take as parameters of one query."""
    for start in range(0, len(ids), _IDS_PER_QUERY):
        yield ids[start : start + _IDS_PER_QUERY]


def is_among(
    column: sa.ColumnElement[str], texts: Sequence[str], dialect: sa.Dialect
) -> sa.ColumnElement[bool]:
    """Whether the column has one of these texts, however many: they are one parameter, not one each."""
    if dialect.name == "postgresql":
        return column == sa.any_(sa.cast(list(texts), postgresql.ARRAY(sa.Text)))
    return _is_listed(column, sa.bindparam(None, json.dumps(texts)))


def _is_listed(column: sa.ColumnElement[str], texts: sa.BindParameter[str]) -> sa.ColumnElement[bool]:
    """The same on SQLite; `texts` as JSON."""
    listed = sa.func.json_each(texts).table_valued("value")
    return column.in_(sa.select(listed.c.value))


def bill(
    connection: sa.Connection,
    delivery_id: int,
    parcel: Parcel,
    revisions: Mapping[int, Delivery],
    *,
    at: datetime,
) -> None:
    """The rows of this file are billed by it, and no others.

    A correction takes over the rows that it has in common with the file it replaces. What it leaves out stays
    billed by that one until the correction is committed for sending (`release_corrected`): until then the old
    draft stands, and nobody else may bill its rows.
    """
    wanted = set(parcel.billed)
    billed = rows_billed_by(connection, delivery_id) if parcel.revision in revisions else {}
    give_up(connection, [row_id for row, row_id in billed.items() if row not in wanted], at=at)
    # In one order everywhere: two plans that want the same rows then wait for each other, and never in a ring.
    added = sorted(
        (row for row in wanted if row not in billed), key=lambda row: (row.source_kind, row.source_id)
    )
    corrected = revisions.get(parcel.revision - 1)
    taken_over: dict[tuple[str, str], int] = {}
    if corrected is not None:
        taken_over = {
            (row.source_kind, row.source_id): row_id
            for row, row_id in rows_billed_by(connection, corrected.id).items()
        }
        names = {(row.source_kind, row.source_id) for row in added}
        release_rows(connection, [row_id for name, row_id in taken_over.items() if name in names], at=at)
    add_rows(
        connection,
        [
            row_values(row, parcel.export.customer_number, delivery_id)
            | {"taken_over_id": taken_over.get((row.source_kind, row.source_id))}
            for row in added
        ],
    )


def give_up(connection: sa.Connection, row_ids: Sequence[int], *, at: datetime) -> None:
    """Free these entries of `billed_rows`; what a correction took over is billed by the file it was to replace."""
    if not row_ids:
        return
    release_rows(connection, row_ids, at=at)
    replaced = sa.select(billed_rows.c.taken_over_id).where(billed_rows.c.id.in_(row_ids))
    given_back = connection.execute(sa.select(billed_rows).where(billed_rows.c.id.in_(replaced))).all()
    add_rows(
        connection,
        [
            row_values(
                BilledRow(row.source_kind, row.source_id, row.month, row.fingerprint),
                row.customer_number,
                row.delivery_id,
            )
            | {"taken_over_id": None}
            for row in given_back
        ],
    )


def release_corrected(connection: sa.Connection, correction: Delivery, *, at: datetime) -> None:
    """Free what the files bill that this one replaces, now that it is committed for sending."""
    replaced = sa.select(deliveries.c.id).where(
        deliveries.c.customer_number == correction.customer_number,
        deliveries.c.month == correction.month,
        deliveries.c.revision < correction.revision,
    )
    release_rows(
        connection, sa.select(billed_rows.c.id).where(billed_rows.c.delivery_id.in_(replaced)), at=at
    )


def row_values(row: BilledRow, customer_number: str, delivery_id: int) -> dict[str, Any]:
    """A row of `billed_rows`."""
    return {
        "source_kind": row.source_kind,
        "source_id": row.source_id,
        "fingerprint": row.fingerprint,
        "customer_number": customer_number,
        "month": row.month,
        "delivery_id": delivery_id,
    }


def add_rows(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert these rows of `billed_rows`, in their order."""
    if not rows:
        return
    # As the driver takes them: to bind each value of each row costs SQLAlchemy more than the insert itself.
    names = list(rows[0])
    values: Any
    if connection.dialect.name == "postgresql":
        columns = ", ".join(f"{name} {billed_rows.c[name].type}" for name in names)
        given, values = f"SELECT * FROM json_to_recordset(%s::json) AS given ({columns})", (json.dumps(rows),)  # noqa: S608 (our own columns' names)
    else:
        given, values = f"VALUES ({', '.join('?' * len(names))})", [tuple(row.values()) for row in rows]
    connection.exec_driver_sql(f"INSERT INTO billed_rows ({', '.join(names)}) {given}", values)


def release_rows(
    connection: sa.Connection, row_ids: Sequence[int] | sa.Select[tuple[int]], *, at: datetime
) -> None:
    """Nobody bills these entries of `billed_rows` any more."""
    connection.execute(
        sa.update(billed_rows)
        .where(billed_rows.c.id.in_(row_ids), billed_rows.c.released_at.is_(None))
        .values(released_at=at)
    )
