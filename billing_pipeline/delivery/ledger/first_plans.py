"""First plans: the parcels of a run of which the ledger knows nothing yet, planned together.

The usual case of `plans`, in a handful of statements for all of them. Everything else is left to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.planned_rows import (
    add_rows,
    billed_elsewhere_of,
    ids_by_kind,
    is_among,
    row_values,
)
from billing_pipeline.delivery.ledger.plans import delivery_of, new_delivery
from billing_pipeline.delivery.ledger.tables import deliveries
from billing_pipeline.delivery.records import Delivery, Parcel

_ROWS_TOGETHER: Final = 5_000
"""Billed rows of one transaction, unless one parcel alone has more: other processes wait for it, some 50 ms."""


class FirstPlans:
    """Planning parcels together."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def plan(self, parcels: Sequence[Parcel], *, run_id: str) -> dict[str, Delivery]:
        """The parcels that were planned, by order number.

        Left out, for `Plans.plan` to say what becomes of them: a correction; a customer and month of which there is a
        delivery; an order number that is taken; a row that a delivery bills. And all that would share a transaction,
        where two of them want the same row, or another run has planned the same meanwhile.
        """
        planned: dict[str, Delivery] = {}
        for some in _portions(sorted(parcels, key=lambda parcel: parcel.export.order_number)):
            try:
                with self._db.writing() as connection:
                    planned |= _plan(connection, some, at=self._db.now(), run_id=run_id)
            except sa.exc.IntegrityError:
                continue
        return planned


def _portions(parcels: Sequence[Parcel]) -> Iterator[list[Parcel]]:
    portion: list[Parcel] = []
    rows = 0
    for parcel in parcels:
        if portion and rows + len(parcel.billed) > _ROWS_TOGETHER:
            yield portion
            portion, rows = [], 0
        portion.append(parcel)
        rows += len(parcel.billed)
    if portion:
        yield portion


def _plan(
    connection: sa.Connection, parcels: Sequence[Parcel], *, at: datetime, run_id: str
) -> dict[str, Delivery]:
    new = _unknown(connection, [parcel for parcel in parcels if parcel.revision == 1 and not parcel.reason])
    if not new:
        return {}
    connection.execute(sa.insert(deliveries), [new_delivery(parcel, at=at, run_id=run_id) for parcel in new])
    orders = is_among(
        deliveries.c.order_number, [parcel.export.order_number for parcel in new], connection.dialect
    )
    planned = {
        one.order_number: one
        for one in map(delivery_of, connection.execute(sa.select(deliveries).where(orders)))
    }
    # In one order everywhere: two plans that want the same rows then wait for each other, and never in a ring.
    rows = sorted(
        ((row, parcel.export) for parcel in new for row in parcel.billed),
        key=lambda pair: (pair[0].source_kind, pair[0].source_id),
    )
    add_rows(
        connection,
        [
            row_values(row, export.customer_number, planned[export.order_number].id) | {"taken_over_id": None}
            for row, export in rows
        ],
    )
    return planned


def _unknown(connection: sa.Connection, parcels: Sequence[Parcel]) -> list[Parcel]:
    """Those of which the ledger knows neither customer and month, nor order number, nor any row."""
    exports = [parcel.export for parcel in parcels]
    numbers = is_among(
        deliveries.c.customer_number, [export.customer_number for export in exports], connection.dialect
    )
    orders = is_among(
        deliveries.c.order_number, [export.order_number for export in exports], connection.dialect
    )
    months = deliveries.c.month.in_({export.month for export in exports})
    known = connection.execute(
        sa.select(deliveries.c.customer_number, deliveries.c.month, deliveries.c.order_number).where(
            sa.or_(sa.and_(months, numbers), orders)
        )
    ).all()
    customers = {(row.customer_number, row.month) for row in known}
    taken = {row.order_number for row in known}
    billed = _billed(connection, parcels)
    return [
        parcel
        for parcel in parcels
        if (parcel.export.customer_number, parcel.export.month) not in customers
        and parcel.export.order_number not in taken
        and not any((row.source_kind, row.source_id) in billed for row in parcel.billed)
    ]


def _billed(connection: sa.Connection, parcels: Sequence[Parcel]) -> set[tuple[str, str]]:
    """The rows of these parcels, by kind and id, that a delivery bills."""
    query = billed_elsewhere_of(connection.dialect.name == "postgresql")
    nobody = {"customer": "", "in_month": "", "from_revision": 0}
    return {
        (kind, row.source_id)
        for kind, ids in ids_by_kind(row for parcel in parcels for row in parcel.billed)
        for row in connection.execute(query, {"kind": kind, "ids": json.dumps(ids), **nobody})
    }
