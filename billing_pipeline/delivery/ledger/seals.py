"""The seals of months, in one chain: each names the one made before it. They are added, and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database, insert
from billing_pipeline.delivery.ledger.tables import seals


@dataclass(frozen=True, slots=True)
class Seal:
    """What stood delivered of a month at one time (UTC); its content is in the store, under `sha256`.

    `previous_sha256`: of the seal made before it, of whatever month, "" for the first. `facts_sha256`: of the content
    without what differs from seal to seal: time, program, and the seal before.
    """

    id: int
    month: str
    sha256: str
    previous_sha256: str
    facts_sha256: str
    at: datetime


class Seals:
    """The chain. What a seal says is in the store, under its hash."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def all(self) -> list[Seal]:
        """Every seal, in the order in which they were made."""
        with self._db.reading() as connection:
            return [Seal(**row._mapping) for row in connection.execute(sa.select(seals).order_by(seals.c.id))]

    def last(self, month: str | None = None) -> Seal | None:
        """The newest seal, of a month or of all; None where there is none."""
        query = sa.select(seals).order_by(seals.c.id.desc()).limit(1)
        if month is not None:
            query = query.where(seals.c.month == month)
        with self._db.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Seal(**row._mapping)

    def add(
        self, month: str, sha256: str, *, previous_sha256: str, facts_sha256: str, at: datetime
    ) -> Seal | None:
        """Puts a seal at the end of the chain; None where another one has been put behind `previous_sha256`."""
        values = {
            "month": month,
            "sha256": sha256,
            "previous_sha256": previous_sha256,
            "facts_sha256": facts_sha256,
            "at": at,
        }
        try:
            with self._db.writing() as connection:
                return Seal(
                    insert(connection, seals, values), month, sha256, previous_sha256, facts_sha256, at
                )
        except sa.exc.IntegrityError:
            return None
