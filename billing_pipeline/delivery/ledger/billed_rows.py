"""Which rows each delivery bills: taking rows over, giving them back, freeing them; a row is billed once at a time.

Each function works in the transaction of its caller. Whether a delivery may be planned at all is `plans`' affair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.tables import billed_rows, deliveries
from billing_pipeline.delivery.records import BilledRow, Delivery, Parcel
from billing_pipeline.problems import Code, Problem

_IDS_PER_QUERY = 5_000


def rows_billed_by(connection: sa.Connection, delivery_id: int) -> dict[BilledRow, int]:
    """The rows that this delivery bills now, with their id in `billed_rows`."""
    query = sa.select(billed_rows).where(
        billed_rows.c.delivery_id == delivery_id, billed_rows.c.released_at.is_(None)
    )
    return {
        BilledRow(row.source_kind, row.source_id, row.month, row.fingerprint): row.id
        for row in connection.execute(query)
    }


def billed_elsewhere(connection: sa.Connection, parcel: Parcel) -> Iterator[Problem]:
    """A problem for each row of the parcel that the file of another month or customer bills, or a later revision.

    Told apart by what the deliveries are of, not by their ids: another run may have planned this very file since
    its caller looked for it.
    """
    export = parcel.export
    another = sa.or_(
        deliveries.c.customer_number != export.customer_number,
        deliveries.c.month != export.month,
        deliveries.c.revision > parcel.revision,
    )
    for kind, ids in _ids_by_kind(parcel.billed):
        query = (
            sa.select(billed_rows.c.source_id, deliveries.c.order_number, deliveries.c.state)
            .join(deliveries, deliveries.c.id == billed_rows.c.delivery_id)
            .where(
                billed_rows.c.source_kind == kind,
                billed_rows.c.source_id.in_(ids),
                billed_rows.c.released_at.is_(None),
                another,
            )
            .order_by(billed_rows.c.source_id)
        )
        for row in connection.execute(query):
            yield Problem(
                Code.ALREADY_BILLED,
                export.customer_number,
                f"{kind} {row.source_id} is billed by order {row.order_number} ({row.state}); export "
                f"{export.month} again, and see `billing-pipeline explain {row.order_number}`",
                source_id=row.source_id,
                field="source_id",
                value=row.source_id,
            )


def _ids_by_kind(rows: Iterable[BilledRow]) -> Iterator[tuple[str, Sequence[str]]]:
    """The ids of each kind, in `portions`."""
    ids: dict[str, list[str]] = {}
    for row in rows:
        ids.setdefault(row.source_kind, []).append(row.source_id)
    for kind, of_kind in sorted(ids.items()):
        for portion in portions(of_kind):
            yield kind, portion


def portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """The ids in portions that both databases take as parameters of one query."""
    for start in range(0, len(ids), _IDS_PER_QUERY):
        yield ids[start : start + _IDS_PER_QUERY]


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
        _release(connection, [row_id for name, row_id in taken_over.items() if name in names], at=at)
    _add(
        connection,
        [
            _values(row, parcel.export.customer_number, delivery_id)
            | {"taken_over_id": taken_over.get((row.source_kind, row.source_id))}
            for row in added
        ],
    )


def give_up(connection: sa.Connection, row_ids: Sequence[int], *, at: datetime) -> None:
    """Free these entries of `billed_rows`; what a correction took over is billed by the file it was to replace."""
    if not row_ids:
        return
    _release(connection, row_ids, at=at)
    replaced = sa.select(billed_rows.c.taken_over_id).where(billed_rows.c.id.in_(row_ids))
    given_back = connection.execute(sa.select(billed_rows).where(billed_rows.c.id.in_(replaced))).all()
    _add(
        connection,
        [
            _values(
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
    _release(connection, sa.select(billed_rows.c.id).where(billed_rows.c.delivery_id.in_(replaced)), at=at)


def _values(row: BilledRow, customer_number: str, delivery_id: int) -> dict[str, Any]:
    return {
        "source_kind": row.source_kind,
        "source_id": row.source_id,
        "fingerprint": row.fingerprint,
        "customer_number": customer_number,
        "month": row.month,
        "delivery_id": delivery_id,
    }


def _add(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(sa.insert(billed_rows), rows)


def _release(
    connection: sa.Connection, row_ids: Sequence[int] | sa.Select[tuple[int]], *, at: datetime
) -> None:
    connection.execute(
        sa.update(billed_rows)
        .where(billed_rows.c.id.in_(row_ids), billed_rows.c.released_at.is_(None))
        .values(released_at=at)
    )
