"""When EASY Bill may be asked next: an account's requests a minute, shared by all processes and hosts of a ledger.

One row per account has the instants of its last bookings. A booking is one compare-and-set in a transaction of its
own, so that nobody waits while another one waits for its turn. Instants are by the database's clock where there is a
server, whose clock all hosts share, and by this machine's on SQLite.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.tables import account_requests


class AccountRequests:
    """Booking turns."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def book(
        self,
        account: str,
        next_turn: Callable[[Sequence[float], float], float],
        *,
        kept: int,
    ) -> float:
        """Book the account's next turn: seconds until it comes, 0 for now.

        `next_turn`: the instant of it, of the last bookings, oldest first, and of now; what it raises comes through,
        and books nothing. `kept`: how many bookings it needs to see.
        """
        while True:
            with self._db.writing() as connection:
                now = self._now(connection)
                version, booked = self._booked(connection, account)
                at = next_turn(booked, now)
                changed = connection.execute(
                    sa.update(account_requests)
                    .where(account_requests.c.account == account, account_requests.c.version == version)
                    .values(version=version + 1, booked=[*booked, at][-kept:])
                )
                if changed.rowcount == 1:
                    return max(at - now, 0.0)

    def _now(self, connection: sa.Connection) -> float:
        if not self._db.is_postgresql:
            return time.time()
        return float(connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

    def _booked(self, connection: sa.Connection, account: str) -> tuple[int, list[float]]:
        query = sa.select(account_requests.c.version, account_requests.c.booked).where(
            account_requests.c.account == account
        )
        row: Any = connection.execute(query).one_or_none()
        if row is None:
            insert = postgresql.insert if self._db.is_postgresql else sqlite.insert
            first = {"account": account, "version": 0, "booked": []}
            connection.execute(insert(account_requests).values(first).on_conflict_do_nothing())
            row = connection.execute(query).one()
        return row.version, list(row.booked)
