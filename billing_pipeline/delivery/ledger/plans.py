"""Plans: which bytes a customer's month is to be delivered with, and which rows they bill, in one
transaction.

A plan may be superseded until it is committed for sending, never after. Sending is not decided here
(`edges`). Every plan gets a fresh token, so that whoever has read the plan before it cannot take it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database, insert
from billing_pipeline.delivery.records import SENT_STATES, BilledRow, Delivery, Export, Parcel, State
from billing_pipeline.delivery.schema import billed_rows, deliveries
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
_IDS_PER_QUERY = 5_000


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
    values = dict(row._mapping)
    values["leftovers"] = tuple(values["leftovers"])
    values["state"] = State(values["state"])
    values["held_code"] = Code(values["held_code"]) if values["held_code"] else None
    return Delivery(**values)


class Plans(Database):
    """Planning a parcel."""

    def plan(
        self, parcel: Parcel, *, run_id: str, may_take: Callable[[Delivery], bool]
    ) -> Delivery | Refusal:
        """The delivery of the parcel's customer, month and revision, planned with its bytes where that may
        be.

        A new row, or one that is not committed for sending and that `may_take` lets go, is made to say what
        the parcel says. Any other is returned as it is: its state, and whether `sha256` is the parcel's,
        tell the rest. Refused: a row that another file bills (ALREADY_BILLED); an order number that another
        has.
        """
        for _ in range(10):
            try:
                with self._writing() as connection:
                    return _plan(connection, parcel, at=self._now(), run_id=run_id, may_take=may_take)
            except sa.exc.IntegrityError:
                # Another run has just inserted the same delivery or billed the same row: now it can be seen.
                continue
        raise PlanContended(
            f"the ledger {self.where} could not plan {parcel.export.order_number}: other runs keep changing the "
            "same rows; run the month again when they have finished"
        )


def withdraw_plans(connection: sa.Connection, customers: Sequence[tuple[str, str]], *, at: datetime) -> None:
    """Give up the plans of these (month, customer)s of which nothing was sent, with the rows they were to
    bill.
    """
    for month, customer_number in customers:
        withdrawn = list(
            connection.execute(
                sa.select(deliveries.c.id)
                .where(
                    deliveries.c.month == month,
                    deliveries.c.customer_number == customer_number,
                    deliveries.c.state == State.PLANNED,
                )
                .with_for_update()
            ).scalars()
        )
        for delivery_id in withdrawn:
            connection.execute(
                sa.update(deliveries)
                .where(deliveries.c.id == delivery_id)
                .values(token=new_token(), sha256="", updated_at=at)
            )
            _release(connection, billed_rows.c.delivery_id == delivery_id, at=at)


def _plan(
    connection: sa.Connection,
    parcel: Parcel,
    *,
    at: datetime,
    run_id: str,
    may_take: Callable[[Delivery], bool],
) -> Delivery | Refusal:
    revisions = _revisions(connection, parcel.export)
    found = revisions.get(parcel.revision)
    if found is not None:
        changeable = found.state is State.PLANNED or (found.state is State.UPLOADING and may_take(found))
        if not changeable or _says_the_same(connection, found, parcel):
            return found
    problems = _refused(connection, parcel, revisions)
    if problems:
        return Refusal(problems)
    delivery_id = _write(connection, parcel, found, at=at, run_id=run_id)
    _bill(connection, delivery_id, parcel, revisions, at=at)
    return delivery_of(connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).one())


def _revisions(connection: sa.Connection, export: Export) -> dict[int, Delivery]:
    query = sa.select(deliveries).where(
        deliveries.c.customer_number == export.customer_number, deliveries.c.month == export.month
    )
    rows = connection.execute(query.with_for_update())
    return {delivery.revision: delivery for delivery in map(delivery_of, rows)}


def _says_the_same(connection: sa.Connection, found: Delivery, parcel: Parcel) -> bool:
    if any(getattr(found, name) != getattr(parcel.export, name) for name in _FILE_COLUMNS):
        return False
    return {row for row, _ in _billed_by(connection, [found.id])} == set(parcel.billed)


def _billed_by(connection: sa.Connection, delivery_ids: Sequence[int]) -> list[tuple[BilledRow, int]]:
    """The rows these deliveries bill now, with the id in `billed_rows`."""
    query = sa.select(billed_rows).where(
        billed_rows.c.delivery_id.in_(delivery_ids), billed_rows.c.released_at.is_(None)
    )
    return [
        (BilledRow(row.source_kind, row.source_id, row.month, row.fingerprint), row.id)
        for row in connection.execute(query)
    ]


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
    namesake = connection.execute(
        sa.select(deliveries.c.customer_number, deliveries.c.month, deliveries.c.revision).where(
            deliveries.c.order_number == export.order_number
        )
    ).one_or_none()
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
    own = [delivery.id for revision, delivery in revisions.items() if revision <= parcel.revision]
    return tuple(_billed_elsewhere(connection, parcel, own))


def _was_sent(delivery: Delivery) -> bool:
    return delivery.state in SENT_STATES or (
        delivery.state is State.HELD and delivery.committed_at is not None
    )


def _billed_elsewhere(connection: sa.Connection, parcel: Parcel, own: Sequence[int]) -> Iterator[Problem]:
    for kind, ids in _ids_by_kind(parcel.billed):
        query = (
            sa.select(billed_rows.c.source_id, deliveries.c.order_number, deliveries.c.state)
            .join(deliveries, deliveries.c.id == billed_rows.c.delivery_id)
            .where(
                billed_rows.c.source_kind == kind,
                billed_rows.c.source_id.in_(ids),
                billed_rows.c.released_at.is_(None),
                deliveries.c.id.not_in(own),
            )
            .order_by(billed_rows.c.source_id)
        )
        for row in connection.execute(query):
            yield Problem(
                Code.ALREADY_BILLED,
                parcel.export.customer_number,
                f"{kind} {row.source_id} is billed by order {row.order_number} ({row.state}); export "
                f"{parcel.export.month} again, and see `billing-pipeline explain {row.order_number}`",
                source_id=row.source_id,
                field="source_id",
                value=row.source_id,
            )


def _ids_by_kind(rows: Iterable[BilledRow]) -> Iterator[tuple[str, list[str]]]:
    """The ids of each kind, in portions that both databases take as parameters of one query."""
    ids: dict[str, list[str]] = {}
    for row in rows:
        ids.setdefault(row.source_kind, []).append(row.source_id)
    for kind, of_kind in sorted(ids.items()):
        for start in range(0, len(of_kind), _IDS_PER_QUERY):
            yield kind, of_kind[start : start + _IDS_PER_QUERY]


def _write(
    connection: sa.Connection, parcel: Parcel, found: Delivery | None, *, at: datetime, run_id: str
) -> int:
    said: dict[str, Any] = {name: getattr(parcel.export, name) for name in _FILE_COLUMNS}
    said |= {"state": State.PLANNED, "token": new_token(), "holder": "", "run_id": run_id, "updated_at": at}
    if parcel.reason or found is None:
        said |= {"reason": parcel.reason, "author": parcel.author}
    if found is not None:
        connection.execute(sa.update(deliveries).where(deliveries.c.id == found.id).values(said))
        return found.id
    said |= dict.fromkeys(_EMPTY_AT_FIRST, "") | {"leftovers": []}
    said |= {
        "customer_number": parcel.export.customer_number,
        "month": parcel.export.month,
        "revision": parcel.revision,
        "created_at": at,
    }
    return insert(connection, deliveries, said)


def _bill(
    connection: sa.Connection,
    delivery_id: int,
    parcel: Parcel,
    revisions: Mapping[int, Delivery],
    *,
    at: datetime,
) -> None:
    """The rows of this file are billed by it; those of an earlier revision, or plan, that it drops are free."""
    earlier = [delivery.id for revision, delivery in revisions.items() if revision < parcel.revision]
    if earlier:
        _release(connection, billed_rows.c.delivery_id.in_(earlier), at=at)
    wanted = set(parcel.billed)
    billed = _billed_by(connection, [delivery_id]) if parcel.revision in revisions else []
    dropped = [row_id for row, row_id in billed if row not in wanted]
    if dropped:
        _release(connection, billed_rows.c.id.in_(dropped), at=at)
    kept = {row for row, _ in billed} & wanted
    added = [
        {
            "source_kind": row.source_kind,
            "source_id": row.source_id,
            "fingerprint": row.fingerprint,
            "customer_number": parcel.export.customer_number,
            "month": row.month,
            "delivery_id": delivery_id,
        }
        for row in parcel.billed
        if row not in kept
    ]
    if added:
        connection.execute(sa.insert(billed_rows), added)


def _release(connection: sa.Connection, which: sa.ColumnElement[bool], *, at: datetime) -> None:
    connection.execute(
        sa.update(billed_rows).where(which, billed_rows.c.released_at.is_(None)).values(released_at=at)
    )
