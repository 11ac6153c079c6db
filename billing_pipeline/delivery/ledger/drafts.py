"""What EASY Bill's API shows of a delivery, and the edges that only a delivery through that API takes.

A draft that is not as it was sent does not change the delivery's state: it was sent, and nothing is ever sent again
because of it. What is wrong stands beside the state (`held_code`, `held_reason`) until the draft is right, or a
person accepts it as it is (`decisions.release`).
"""

from __future__ import annotations

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.transitions import Edges
from billing_pipeline.delivery.ledger.events import Note
from billing_pipeline.delivery.ledger.plans import delivery_of, new_token
from billing_pipeline.delivery.records import SENT_STATES, Delivery, State
from billing_pipeline.delivery.ledger.tables import deliveries
from billing_pipeline.problems import Code


class Drafts(Edges):
    """The edges about a draft. Draft amounts are minor units of the delivery's currency."""

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
                "published_at": self._now(),
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
                "confirmed_at": self._now(),
                "run_id": run_id,
            },
            note=note,
        )

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

    def unconfirmed(self) -> list[Delivery]:
        """What was sent, and whose draft has not been seen, or is not right: the last revision of each customer's
        month, by month and customer number.
        """
        later = deliveries.alias("later")
        query = (
            sa.select(deliveries)
            .where(
                deliveries.c.state.in_(SENT_STATES),
                sa.or_(deliveries.c.state != State.CONFIRMED, deliveries.c.held_code != ""),
                ~sa.exists().where(
                    later.c.customer_number == deliveries.c.customer_number,
                    later.c.month == deliveries.c.month,
                    later.c.revision > deliveries.c.revision,
                ),
            )
            .order_by(deliveries.c.month, deliveries.c.customer_number)
        )
        with self._reading() as connection:
            return [delivery_of(row) for row in connection.execute(query)]
