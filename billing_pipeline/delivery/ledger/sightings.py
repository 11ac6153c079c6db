"""Files that a person had looked at in the inbox (`reconcile`), of which this ledger did not know.

A sighting is an event, for nothing but the log has to remember it; its detail is written and read here alone. What
follows from one is decided in `delivery.files.orphans`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.events import append
from billing_pipeline.delivery.ledger.signing import signed
from billing_pipeline.delivery.ledger.tables import deliveries, events
from billing_pipeline.delivery.records import Event, State

_ACTION: Final = "reconcile"
_SEEN: Final = re.compile(r" \(saw (?P<path>.+), sha256 (?P<sha256>[0-9a-f]{64}|unreadable)\)\Z")

FileKey = tuple[str, str, int]
"""Month, customer number and revision: what a file name says."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file that was seen at `path`; `sha256` is "" where it could not be read."""

    path: str
    sha256: str


class Sightings:
    """What was seen in the inbox, beside what was sent."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def record(self, key: FileKey, seen: Sighting, *, reason: str, author: str) -> None:
        """Note that a person has had the inbox looked at, and what was there."""
        signed(reason, author)
        month, customer_number, revision = key
        detail = f"{author}: {reason} (saw {seen.path}, sha256 {seen.sha256 or 'unreadable'})"
        with self._db.writing() as connection:
            event = Event(
                0,
                self._db.now(),
                month,
                customer_number,
                revision,
                "",
                "decision",
                _ACTION,
                "success",
                detail,
                "",
            )
            append(connection, [event])

    def of_file(self, key: FileKey) -> list[Sighting]:
        """Where a file of this month, customer and revision was seen, oldest first."""
        month, customer_number, revision = key
        query = (
            sa.select(events.c.detail)
            .where(
                events.c.month == month,
                events.c.customer_number == customer_number,
                events.c.revision == revision,
                events.c.action == _ACTION,
            )
            .order_by(events.c.id)
        )
        with self._db.reading() as connection:
            found = [_SEEN.search(detail) for detail in connection.execute(query).scalars()]
        return [
            Sighting(match["path"], "" if match["sha256"] == "unreadable" else match["sha256"])
            for match in found
            if match is not None
        ]

    def known_files(self) -> frozenset[FileKey]:
        """The files that may be in the inbox for all this ledger knows: committed for sending, held, or looked at."""
        sent = sa.select(deliveries.c.month, deliveries.c.customer_number, deliveries.c.revision).where(
            sa.or_(
                deliveries.c.committed_at.is_not(None),
                deliveries.c.state == State.HELD,
                deliveries.c.released_as == "send",
            )
        )
        seen = sa.select(events.c.month, events.c.customer_number, events.c.revision).where(
            events.c.action == _ACTION
        )
        with self._db.reading() as connection:
            return frozenset((row[0], row[1], row[2]) for row in connection.execute(sa.union(sent, seen)))
