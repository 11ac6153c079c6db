"""The ledger: the one record that decides whether something may be sent, in SQLite or PostgreSQL.

`open_ledger` is the way in. Each concern has its module: `exports` (the current word on a customer's
month), `plans` (bytes and billed rows), `edges` (compare-and-set between states), `drafts` (what EASY Bill
shows), `withdrawals`, `decisions` (what people decide about held deliveries), `omissions` and
`adjustments`, `reading`, `sightings`, `events`. Nothing in it is ever deleted.
"""

from __future__ import annotations

from billing_pipeline.delivery.ledger.adjustment_records import Adjustments
from billing_pipeline.delivery.ledger.database import (
    Clock,
    LedgerTooNew,
    LedgerUnavailable,
    make_engine,
    utc_now,
)
from billing_pipeline.delivery.ledger.releases import Decisions
from billing_pipeline.delivery.ledger.drafts import Drafts
from billing_pipeline.delivery.ledger.events import Events, Note
from billing_pipeline.delivery.ledger.months import Exports
from billing_pipeline.delivery.ledger.migrate import migrate
from billing_pipeline.delivery.ledger.omission_records import Omissions
from billing_pipeline.delivery.ledger.plans import PlanContended, Plans, Refusal, new_token
from billing_pipeline.delivery.ledger.deliveries import Reading
from billing_pipeline.delivery.ledger.sightings import Sightings
from billing_pipeline.delivery.ledger.withdrawals import Withdrawals

__all__ = [
    "Clock",
    "Ledger",
    "LedgerTooNew",
    "LedgerUnavailable",
    "Note",
    "PlanContended",
    "Refusal",
    "new_token",
    "open_ledger",
    "utc_now",
]


class Ledger(
    Exports, Plans, Drafts, Withdrawals, Decisions, Omissions, Adjustments, Reading, Sightings, Events
):
    """All that the ledger does, on one pooled engine; safe for several threads and processes."""


def open_ledger(url: str, *, clock: Clock = utc_now) -> Ledger:
    """The ledger behind an SQLAlchemy URL, brought to the current schema.

    Several processes may open an empty one at once. Raises: UsageError for a URL that cannot be one,
    LedgerUnavailable, LedgerTooNew.
    """
    engine = make_engine(url)
    migrate(engine)
    return Ledger(engine, clock=clock)
