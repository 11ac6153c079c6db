"""The edges of a withdrawal: a published file that is taken back before the receiver has it.

The ledger says HELD before the file is moved, so that a run that dies in between leaves a question for a person, and
not a file of which nobody knows. When a withdrawal is tried is decided in `delivery.withdraw`.
"""

from __future__ import annotations

from billing_pipeline.delivery.ledger.transitions import Edges
from billing_pipeline.delivery.ledger.events import Note
from billing_pipeline.delivery.records import Delivery, State
from billing_pipeline.problems import Code


class Withdrawals(Edges):
    """PUBLISHED → HELD(token), and back; a person decides what becomes of what is held."""

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

    def not_withdrawn(self, delivery: Delivery, note: Note) -> Delivery | None:
        """HELD(token) → PUBLISHED: the receiver has the file."""
        return self._move(
            delivery,
            from_states=(State.HELD,),
            to={"state": State.PUBLISHED, "held_code": "", "held_reason": ""},
            note=note,
        )
