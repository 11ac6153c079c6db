"""The rows that a plan bills: each by one delivery at a time, in the plan's own transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from billing_pipeline.delivery.ledger.tables import billed_rows, deliveries
from billing_pipeline.delivery.records import BilledRow, Delivery, Parcel
from billing_pipeline.problems import Code, Problem

_BILLED_BY = sa.select(billed_rows).where(
    billed_rows.c.delivery_id == sa.bindparam("delivery"), billed_rows.c.released_at.is_(None)
)


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
