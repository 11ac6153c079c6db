"""What a person decides about a delivery: send it after all, accept it as delivered, or say that it has gone.

Each decision is recorded with author and reason, in the transaction that carries it out. A correction is
not here: it is a parcel with the next revision, planned like any other.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.deliveries import STANDS
from billing_pipeline.delivery.ledger.events import Note, about, append, require_signature
from billing_pipeline.delivery.ledger.planned_rows import release_corrected, release_rows
from billing_pipeline.delivery.ledger.plans import delivery_of, new_token
from billing_pipeline.delivery.ledger.row_standings import end_accepted
from billing_pipeline.delivery.ledger.tables import billed_rows, deliveries, month_customers, row_standings
from billing_pipeline.delivery.records import SENT_STATES, Delivery, State
from billing_pipeline.problems import UsageError

ReleaseAs = Literal["send", "delivered", "withdrawn"]


class NotHeld(UsageError):
    """There is nothing to decide about this order, or not in this way."""


class Releases:
    """Releasing what is held."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def release(
        self, order_number: str, *, as_: ReleaseAs, reason: str, author: str, run_id: str = ""
    ) -> Delivery:
        """Carry out a person's decision about a held order, and return the delivery as it is then.

        HELD, "send": planned again, from the stored bytes or from a new export; nothing is sent here. HELD,
        "delivered": PUBLISHED, as the person has seen to it. A difference after delivery (CHANGED_AFTER_DELIVERY),
        "delivered": what was sent stands, and the bytes that were refused are `unchanged` from now on. Billed rows
        that have changed or gone since, "delivered": they stand as they were sent, until they change again. What was
        only presumed to be delivered is so. A draft that is missing or not as it was sent, "delivered": CONFIRMED, as
        the person has seen to it. "withdrawn": the caller has looked, and neither file nor draft is there: WITHDRAWN,
        its rows may be billed anew; of what was replaced already, or withdrawn, only that it is gone.
        Raises: NotHeld where none of these applies.
        """
        require_signature(reason, author)
        at = self._db.now()
        with self._db.writing() as connection:
            row = connection.execute(
                sa.select(deliveries).where(deliveries.c.order_number == order_number).with_for_update()
            ).one_or_none()
            if row is None:
                raise NotHeld(f"the ledger has no order {order_number}; see `billing-pipeline status MONTH`")
            delivery = delivery_of(row)
            # How the month's delivery ended is not at stake where only the draft is.
            outcome_update: dict[str, Any] = {
                "delivery_run_id": run_id,
                "delivery_problems": [],
                "delivered_at": at,
            }
            if as_ == "withdrawn":
                changes, outcome_update = _withdraw(connection, delivery, at=at)
            elif delivery.state is State.HELD:
                changes, outcome_update["delivery_outcome"] = self._of_held(connection, delivery, as_)
            elif delivery.state in SENT_STATES and delivery.held_code is not None:
                changes, outcome_update = self._of_draft(delivery, as_), {}
            elif delivery.state in SENT_STATES:
                changes, outcome_update = _of_difference(connection, delivery, as_, outcome_update, at=at)
            else:
                raise NotHeld(
                    f"order {order_number} is not held but {delivery.state}: run {delivery.month} again instead"
                )
            connection.execute(
                sa.update(deliveries)
                .where(deliveries.c.id == delivery.id)
                .values({**changes, "updated_at": at})
            )
            if outcome_update:
                connection.execute(
                    sa.update(month_customers)
                    .where(
                        month_customers.c.month == delivery.month,
                        month_customers.c.customer_number == delivery.customer_number,
                    )
                    .values(outcome_update)
                )
            was = f" (was held: {delivery.held_reason})" if delivery.held_reason else ""
            note = Note(f"release as {as_}", f"{author}: {reason}{was}", kind="decision")
            append(connection, [about(delivery, note, at=at, run_id=run_id)])
            row = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery.id)).one()
        return delivery_of(row)

    def _of_held(
        self, connection: sa.Connection, delivery: Delivery, as_: ReleaseAs
    ) -> tuple[dict[str, Any], str | None]:
        later = connection.execute(
            sa.select(deliveries.c.order_number).where(
                deliveries.c.customer_number == delivery.customer_number,
                deliveries.c.month == delivery.month,
                deliveries.c.revision > delivery.revision,
            )
        ).scalar()
        if later is not None and as_ == "send":
            raise NotHeld(
                f"order {delivery.order_number} has been corrected by {later}: sending it would bill twice"
            )
        changes: dict[str, Any] = {"held_code": "", "held_reason": "", "holder": "", "released_as": as_}
        if as_ == "send":
            # The person says that it was not received: it is a plan again, and may be superseded. The temporary
            # path stays, so that the next one to take it removes what is left there.
            return {**changes, "state": State.PLANNED, "token": new_token(), "committed_at": None}, None
        at = self._db.now()
        if delivery.committed_at is None and delivery.revision > 1:
            release_corrected(connection, delivery, at=at)
        return {
            **changes,
            "state": State.PUBLISHED,
            "committed_at": delivery.committed_at or at,
            "published_at": at,
        }, "delivered"

    def _of_draft(self, delivery: Delivery, as_: ReleaseAs) -> dict[str, Any]:
        """A draft that is missing, or not as it was sent."""
        if as_ == "send":
            raise _sent_already(delivery)
        return {
            "state": State.CONFIRMED,
            "confirmed_at": self._db.now(),
            "held_code": "",
            "held_reason": "",
            "released_as": as_,
        }


def _withdraw(
    connection: sa.Connection, delivery: Delivery, *, at: datetime
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the delivery and its customer's month become, now that nothing of it is in EASY Bill."""
    if delivery.committed_at is None:
        raise NotHeld(
            f"order {delivery.order_number} was never sent ({delivery.state}), so there is nothing to withdraw: run "
            f"{delivery.month} again, or leave the customer out with `billing-pipeline omit`"
        )
    gone = {
        "gone_at": delivery.gone_at or at,
        "held_code": "",
        "held_reason": "",
        "holder": "",
        "released_as": "withdrawn",
    }
    stands = sa.select(deliveries.c.id).where(deliveries.c.id == delivery.id, *STANDS)
    if connection.execute(stands).scalar() is None:
        return gone, {}
    if delivery.state is State.COMMITTING:
        # Its file may be renamed in this very moment: whoever looked for it just now has not seen it.
        raise NotHeld(
            f"order {delivery.order_number} is on its way ({delivery.state}): run {delivery.month} again first, which "
            "finds out what became of it"
        )
    released = sa.select(billed_rows.c.id).where(billed_rows.c.delivery_id == delivery.id)
    release_rows(connection, released, at=at)
    end_accepted(connection, delivery.order_number, at=at)
    spoken: dict[str, Any] = {"delivery_outcome": None, "delivery_problems": [], "delivered_at": None}
    return {**gone, "state": State.WITHDRAWN, "token": new_token()}, spoken


def _accept_rows(connection: sa.Connection, delivery: Delivery, *, at: datetime) -> bool:
    """The rows of this order that have changed or gone stand as they were sent; whether there are any."""
    changed = connection.execute(
        sa.select(row_standings).where(
            row_standings.c.order_number == delivery.order_number,
            row_standings.c.standing == "billed",
            row_standings.c.ended_at.is_(None),
        )
    ).all()
    for row in changed:
        connection.execute(
            sa.update(billed_rows)
            .where(
                billed_rows.c.source_kind == row.source_kind,
                billed_rows.c.source_id == row.source_id,
                billed_rows.c.delivery_id == delivery.id,
                billed_rows.c.released_at.is_(None),
            )
            .values(accepted=row.fingerprint)
        )
    end_accepted(connection, delivery.order_number, at=at)
    return bool(changed)


def _of_difference(
    connection: sa.Connection,
    delivery: Delivery,
    as_: ReleaseAs,
    outcome_update: dict[str, Any],
    *,
    at: datetime,
) -> tuple[dict[str, Any], dict[str, Any]]:
    told = connection.execute(
        sa.select(month_customers.c.delivery_outcome, month_customers.c.delivery_sha256).where(
            month_customers.c.month == delivery.month,
            month_customers.c.customer_number == delivery.customer_number,
        )
    ).one_or_none()
    differs = told is not None and told.delivery_outcome == "held" and told.delivery_sha256 != delivery.sha256
    if as_ == "send" and differs:
        raise _sent_already(delivery)
    rows_changed = as_ == "delivered" and _accept_rows(connection, delivery, at=at)
    if told is not None and differs:
        return {"accepted_sha256": told.delivery_sha256}, {**outcome_update, "delivery_outcome": "unchanged"}
    if rows_changed or (as_ == "delivered" and delivery.presumed_at is not None):
        return {"presumed_at": None}, {}
    raise NotHeld(f"order {delivery.order_number} is not held: it was delivered ({delivery.state})")


def _sent_already(delivery: Delivery) -> NotHeld:
    return NotHeld(
        f"order {delivery.order_number} was delivered already; to send what the OMS says now, use "
        f"`billing-pipeline correct {delivery.month} --customer {delivery.customer_number}`"
    )
