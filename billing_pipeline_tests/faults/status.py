"""`billing-pipeline status`, held against the receivers after each run: what it calls delivered must have arrived.

That a later run would still have brought the file does not help: until then a person was told what is not true.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import sqlalchemy as sa

from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.months import _month_customer
from billing_pipeline.delivery.ledger.plans import delivery_of
from billing_pipeline.delivery.ledger.tables import deliveries, month_customers
from billing_pipeline.delivery.records import Outcome
from billing_pipeline.report.month import month_status

_COUNTING = threading.Lock()
CALLED_DELIVERED = frozenset[Outcome]({"delivered", "unchanged"})


@dataclass
class StatusChecks:
    """How often `status` was asked, how often it said delivered, and of what (by name) that was not true."""

    asked: int = 0
    said_delivered: int = 0
    untrue: list[str] = field(default_factory=list)

    def note(self, name: str, outcome: Outcome, has_arrived: Callable[[], bool]) -> None:
        """`has_arrived` is asked only where it matters."""
        said = outcome in CALLED_DELIVERED
        untrue = said and not has_arrived()
        with _COUNTING:
            self.asked += 1
            self.said_delivered += said
            if untrue:
                self.untrue.append(name)

    def __add__(self, other: StatusChecks) -> StatusChecks:
        return StatusChecks(
            self.asked + other.asked,
            self.said_delivered + other.said_delivered,
            [*self.untrue, *other.untrue],
        )


def outcome_in_status(ledger: Ledger, month: str, customer_number: str) -> Outcome:
    """As `status MONTH --customer N`, without reading the month's other customers."""
    with ledger.database.reading() as connection:
        rows, sent = (
            connection.execute(
                sa.select(table).where(table.c.month == month, table.c.customer_number == customer_number)
            ).all()
            for table in (month_customers, deliveries)
        )
    status = month_status(month, [_month_customer(row._mapping) for row in rows], map(delivery_of, sent))
    (customer,) = status.customers
    return customer.outcome
