"""Files that a person had looked at in the inbox (`reconcile`), of which this ledger did not know."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.events import Note, append, event_of, require_signature
from billing_pipeline.delivery.ledger.tables import deliveries, sightings
from billing_pipeline.delivery.records import State

FileKey = tuple[str, str, int]
"""Month, customer number and revision: what a file name says."""

_OF_FILE = (
    sa.select(sightings.c.path, sightings.c.sha256)
    .where(
        sightings.c.month == sa.bindparam("in_month"),
        sightings.c.customer_number == sa.bindparam("customer"),
        sightings.c.revision == sa.bindparam("of_revision"),
    )
    .order_by(sightings.c.id)
)


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
        """Note that a person has had the inbox looked at, and what was there. Raises: UsageError without a reason."""
        require_signature(reason, author)
        month, customer_number, revision = key
        at = self._db.now()
        with self._db.writing() as connection:
            connection.execute(
                sa.insert(sightings).values(
                    month=month,
                    customer_number=customer_number,
                    revision=revision,
                    path=seen.path,
                    sha256=seen.sha256,
                    reason=reason,
                    author=author,
                    at=at,
                )
            )
            detail = f"{author}: {reason} (saw {seen.path}, sha256 {seen.sha256 or 'unreadable'})"
            event = event_of(
                Note("reconcile", detail, kind="decision"),
                at=at,
                month=month,
                customer_number=customer_number,
                revision=revision,
            )
            append(connection, [event])

    def of_file(self, key: FileKey) -> list[Sighting]:
        """Where a file of this month, customer and revision was seen, oldest first."""
        month, customer_number, revision = key
        key_of = {"in_month": month, "customer": customer_number, "of_revision": revision}
        with self._db.reading() as connection:
            return [Sighting(row.path, row.sha256) for row in connection.execute(_OF_FILE, key_of)]

    def known_files(self, month: str) -> frozenset[FileKey]:
        """The files of a month that may be in the inbox for all this ledger knows: committed for sending, held, or
        looked at.
        """
        sent = sa.select(deliveries.c.customer_number, deliveries.c.revision).where(*_known(month))
        seen = sa.select(sightings.c.customer_number, sightings.c.revision).where(sightings.c.month == month)
        with self._db.reading() as connection:
            return frozenset((month, row[0], row[1]) for row in connection.execute(sa.union(sent, seen)))

    def known_names(self, month: str) -> frozenset[str]:
        """The names of those of `known_files` that this ledger has sent itself: it spares taking names apart."""
        with self._db.reading() as connection:
            return frozenset(
                connection.execute(sa.select(deliveries.c.file_name).where(*_known(month))).scalars()
            )


def _known(month: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        deliveries.c.month == month,
        sa.or_(
            deliveries.c.committed_at.is_not(None),
            deliveries.c.state == State.HELD,
            deliveries.c.released_as == "send",
        ),
    )
