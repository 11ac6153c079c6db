"""The edges between a delivery's states: each a durable compare-and-set on (state, token).

An edge returns the delivery as it is after it, or None if the delivery was no longer as expected: somebody
else has taken it, and the caller stops. What an edge was taken for is logged in the same transaction. When
an edge may be taken is decided in `delivery.files` and `delivery.api`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.events import Note, about, append
from billing_pipeline.delivery.ledger.planned_rows import release_corrected
from billing_pipeline.delivery.ledger.plans import BY_ID, delivery_of, new_token
from billing_pipeline.delivery.ledger.tables import deliveries
from billing_pipeline.delivery.records import SENT_STATES, Delivery, State
from billing_pipeline.problems import Code

# What is set is said when they are executed: the columns are named by its parameters.
_COMPARE_AND_SET = sa.update(deliveries).where(
    deliveries.c.id == sa.bindparam("delivery"),
    deliveries.c.state.in_(sa.bindparam("from_states", expanding=True)),
    deliveries.c.token == sa.bindparam("under_token"),
)
_UNCHANGED = deliveries.c.updated_at == sa.bindparam("unchanged_since")
_EDGES = {
    (at_once, and_unchanged): (edge.returning(*deliveries.c) if at_once else edge)
    for and_unchanged, edge in ((False, _COMPARE_AND_SET), (True, _COMPARE_AND_SET.where(_UNCHANGED)))
    for at_once in (False, True)
}
"""By whether the database tells the row as it is afterwards at once, and whether the time is compared too."""


class Transitions:
    """Moving a delivery from state to state; each method is one edge of 4-delivery."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def take(
        self,
        delivery: Delivery,
        *,
        token: str,
        temporary_path: str,
        remote_path: str,
        remote_dir: str,
        transport: str,
        endpoint: str,
        holder: str,
        run_id: str,
    ) -> Delivery | None:
        """PLANNED or UPLOADING → UPLOADING(token): whoever held it before can no longer commit.

        The temporary file of the token before becomes a leftover, to be removed before the next edge.
        """
        leftovers = delivery.leftovers if delivery.endpoint == endpoint else ()
        if delivery.temporary_path and delivery.endpoint == endpoint:
            leftovers += (delivery.temporary_path,)
        return self._move(
            delivery,
            from_states=(State.PLANNED, State.UPLOADING),
            to={
                "state": State.UPLOADING,
                "token": token,
                "temporary_path": temporary_path,
                "leftovers": list(leftovers),
                "remote_path": remote_path,
                "remote_dir": remote_dir,
                "transport": transport,
                "endpoint": endpoint,
                "holder": holder,
                "run_id": run_id,
            },
        )

    def commit(self, delivery: Delivery, note: Note) -> Delivery | None:
        """UPLOADING(token) → COMMITTING(token): the bytes are frozen, and the rename may happen.

        The caller has removed the leftovers. A correction now replaces what it corrects.
        """
        return self._move(
            delivery,
            from_states=(State.UPLOADING,),
            to={"state": State.COMMITTING, "committed_at": self._db.now(), "leftovers": []},
            note=note,
        )

    def adopt(self, delivery: Delivery, *, holder: str, run_id: str) -> Delivery | None:
        """COMMITTING(token) stays so, with another run at work on the same temporary file.

        Compared with `updated_at` too: of several who find it abandoned, one goes on.
        """
        return self._move(
            delivery,
            from_states=(State.COMMITTING,),
            to={"holder": holder, "run_id": run_id},
            and_unchanged_since=delivery.updated_at,
        )

    def publish(
        self,
        delivery: Delivery,
        note: Note,
        *,
        consumed: bool = False,
        renamed: bool = False,
        presumed: bool = False,
    ) -> Delivery | None:
        """COMMITTING(token) → PUBLISHED, or CONSUMED where the receiver's archive has it already.

        `presumed`: nobody has seen it arrive; it stays on the list until the API, or a person, says that it did.
        `renamed`: the caller has just done the rename itself; what is certain overrules a HELD that another
        one with the same token has entered meanwhile.
        """
        return self._move(
            delivery,
            from_states=(State.COMMITTING, State.HELD) if renamed else (State.COMMITTING,),
            to={
                "state": State.CONSUMED if consumed else State.PUBLISHED,
                "holder": "",
                "held_code": "",
                "held_reason": "",
                "published_at": self._db.now(),
                "presumed_at": self._db.now() if presumed else None,
            },
            note=note,
        )

    def hold(self, delivery: Delivery, code: Code, reason: str, note: Note) -> Delivery | None:
        """UPLOADING(token) or COMMITTING(token) → HELD: a person decides."""
        return self._move(
            delivery,
            from_states=(State.UPLOADING, State.COMMITTING),
            to={"state": State.HELD, "holder": "", "held_code": code, "held_reason": reason},
            note=note,
        )

    def give_back(self, delivery: Delivery, note: Note) -> Delivery | None:
        """After a failure nobody is at work on it: UPLOADING(token) → PLANNED; COMMITTING(token) stays so.

        The token stays, so that the next one knows which temporary file to remove.
        """
        committing = delivery.state is State.COMMITTING
        return self._move(
            delivery,
            from_states=(State.COMMITTING if committing else State.UPLOADING,),
            to={"state": State.COMMITTING if committing else State.PLANNED, "holder": ""},
            note=note,
        )

    def rename_refused(self, delivery: Delivery, note: Note) -> Delivery | None:
        """COMMITTING(token) → PLANNED: the rename was refused to the one who committed, and nobody has adopted it.

        The token and its temporary file stay, so that the next one to take it removes the file.
        """
        return self._move(
            delivery,
            from_states=(State.COMMITTING,),
            to={"state": State.PLANNED, "holder": "", "committed_at": None},
            note=note,
            and_unchanged_since=delivery.updated_at,
        )

    def consumed(self, delivery: Delivery, note: Note) -> Delivery | None:
        """PUBLISHED → CONSUMED: it left the inbox."""
        return self._move(delivery, from_states=(State.PUBLISHED,), to={"state": State.CONSUMED}, note=note)

    def rejected(self, delivery: Delivery, reason: str, note: Note) -> Delivery | None:
        """PUBLISHED or CONSUMED → HELD: the receiver has moved the file to its error directory."""
        return self._move(
            delivery,
            from_states=(State.PUBLISHED, State.CONSUMED),
            to={"state": State.HELD, "held_code": Code.REJECTED_BY_RECEIVER, "held_reason": reason},
            note=note,
        )

    def created(self, delivery: Delivery, note: Note, *, draft_id: int, link: str) -> Delivery | None:
        """COMMITTING(token) → PUBLISHED: EASY Bill has the draft that was made under this token.

        What is certain overrules a HELD that another one with the same token has entered meanwhile.
        """
        return self._move(
            delivery,
            from_states=(State.COMMITTING, State.HELD),
            to={
                "state": State.PUBLISHED,
                "holder": "",
                "held_code": "",
                "held_reason": "",
                "remote_path": link,
                "draft_id": draft_id,
                "published_at": self._db.now(),
            },
            note=note,
        )

    def refused(self, delivery: Delivery, note: Note) -> Delivery | None:
        """COMMITTING(token) → PLANNED: the one request under this token was refused, so that nothing was made of it.

        Only for the caller who sent that request and has the refusal; the token ends with it.
        """
        return self._move(
            delivery,
            from_states=(State.COMMITTING,),
            to={"state": State.PLANNED, "token": new_token(), "holder": "", "committed_at": None},
            note=note,
        )

    def confirm(
        self, delivery: Delivery, note: Note, *, draft_id: int, draft_net: int, draft_gross: int, run_id: str
    ) -> Delivery | None:
        """PUBLISHED or CONSUMED → CONFIRMED: the run has seen the draft in EASY Bill, with the same amounts.

        CONFIRMED again takes back what was wrong with the draft in between.
        """
        return self._move(
            delivery,
            from_states=tuple(SENT_STATES),
            to={
                "state": State.CONFIRMED,
                "held_code": "",
                "held_reason": "",
                "draft_id": draft_id,
                "draft_net": draft_net,
                "draft_gross": draft_gross,
                "confirmed_at": self._db.now(),
                "presumed_at": None,
                "run_id": run_id,
            },
            note=note,
        )

    def note_gone(self, delivery: Delivery, note: Note) -> Delivery | None:
        """The state stays; of a delivery that a later one replaces, EASY Bill shows nothing any more."""
        return self._move(delivery, from_states=(delivery.state,), to={"gone_at": self._db.now()}, note=note)

    def object_to_draft(
        self,
        delivery: Delivery,
        code: Code,
        reason: str,
        note: Note,
        *,
        draft_id: int | None,
        draft_net: int | None,
        draft_gross: int | None,
        run_id: str,
    ) -> Delivery | None:
        """The state stays; the run has seen another draft than was sent, or none (all three None)."""
        return self._move(
            delivery,
            from_states=(delivery.state,) if delivery.state in SENT_STATES else (),
            to={
                "held_code": code,
                "held_reason": reason,
                "draft_id": draft_id,
                "draft_net": draft_net,
                "draft_gross": draft_gross,
                "run_id": run_id,
            },
            note=note,
        )

    def begin_withdrawal(
        self, delivery: Delivery, *, token: str, temporary_path: str, reason: str
    ) -> Delivery | None:
        """PUBLISHED → HELD(token): the file is about to be moved to the temporary path."""
        return self._move(
            delivery,
            from_states=(State.PUBLISHED,),
            to={
                "state": State.HELD,
                "token": token,
                "temporary_path": temporary_path,
                "held_code": Code.DELIVERY_FAILED,
                "held_reason": reason,
            },
        )

    def withdrawn(self, delivery: Delivery, reason: str, note: Note) -> Delivery | None:
        """HELD(token) stays so: the file has been moved to the temporary path."""
        return self._move(delivery, from_states=(State.HELD,), to={"held_reason": reason}, note=note)

    def not_withdrawn(self, delivery: Delivery, note: Note) -> Delivery | None:
        """HELD(token) → PUBLISHED: the receiver has the file."""
        return self._move(
            delivery,
            from_states=(State.HELD,),
            to={"state": State.PUBLISHED, "held_code": "", "held_reason": ""},
            note=note,
        )

    def _move(
        self,
        delivery: Delivery,
        *,
        from_states: tuple[State, ...],
        to: dict[str, Any],
        note: Note | None = None,
        and_unchanged_since: datetime | None = None,
    ) -> Delivery | None:
        at = self._db.now()
        compared = {"delivery": delivery.id, "from_states": from_states, "under_token": delivery.token}
        if and_unchanged_since is not None:
            compared["unchanged_since"] = and_unchanged_since
        # Old SQLites cannot, and none has a way to go for it.
        at_once = self._db.is_postgresql
        edge = _EDGES[at_once, and_unchanged_since is not None]
        with self._db.writing() as connection:
            moved = connection.execute(edge, {**to, "updated_at": at, **compared})
            if moved.rowcount != 1:
                return None
            if not at_once:
                moved = connection.execute(BY_ID, {"delivery": delivery.id})
            after = delivery_of(moved.one())
            if after.state is State.COMMITTING and after.revision > 1:
                release_corrected(connection, after, at=at)
            if note is not None:
                append(connection, [about(after, note, at=at, run_id=after.run_id)])
            return after
