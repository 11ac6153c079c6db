"""Billings: which stored frames belong together, for each time that a month, or a part of it, was billed.

A row is written once and never changed, so that whoever names a billing has the same frames for good.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database, insert
from billing_pipeline.delivery.ledger.tables import billings, deliveries, extracts, month_customers
from billing_pipeline.delivery.records import Billing, BillingKind, ExtractRecord

# Why a frame is still needed.
DELIVERED = "a delivery was made of them"
LAST_FILE = "the last file of a customer was made of them"
NEWEST = "of the month's newest billing, or made after it"


class Billings:
    """Recording extracts and billings, and finding them again."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def record_extract(
        self, month: str, kind: BillingKind, frames: Mapping[str, str], run_id: str, *, first_month: str = ""
    ) -> ExtractRecord:
        """Note one read of the month; its frames are stored already."""
        values: dict[str, Any] = {
            "month": month,
            "kind": kind,
            "frames": dict(frames),
            "run_id": run_id,
            "at": self._db.now(),
            "first_month": first_month,
        }
        with self._db.writing() as connection:
            return ExtractRecord(id=insert(connection, extracts, values), **values)

    def extract_for(self, month: str, run_id: str) -> ExtractRecord | None:
        """The extract of this run, or else the last one of the whole month; None where it was never read."""
        of_month = sa.select(extracts).where(extracts.c.month == month).order_by(extracts.c.id.desc())
        with self._db.reading() as connection:
            for which in (extracts.c.run_id == run_id, extracts.c.kind == "complete"):
                row = connection.execute(of_month.where(which).limit(1)).one_or_none()
                if row is not None:
                    return ExtractRecord(**row._mapping)
        return None

    def record(
        self,
        extract: ExtractRecord,
        kind: BillingKind,
        frames: Mapping[str, str],
        run_id: str,
        *,
        customers: Collection[str] = (),
        rules_sha256: str,
        layouts: Mapping[str, str],
    ) -> Billing:
        """Note one billing; its frames are stored already."""
        values: dict[str, Any] = {
            "month": extract.month,
            "kind": kind,
            "customers": sorted(customers),
            "frames": dict(frames),
            "rules_sha256": rules_sha256,
            "layouts": dict(layouts),
            "run_id": run_id,
            "at": self._db.now(),
        }
        with self._db.writing() as connection:
            billing_id = insert(connection, billings, {"extract_id": extract.id, **values})
        return Billing(id=billing_id, extract=extract, **{**values, "customers": tuple(sorted(customers))})

    def get(self, billing_id: int) -> Billing | None:
        """The billing of that number, None if there is none."""
        return self._last(billings.c.id == billing_id)

    def of_run(self, run_id: str) -> Billing | None:
        """The last billing that this run made, None if it made none."""
        return self._last(billings.c.run_id == run_id)

    def current(self, month: str) -> Billing | None:
        """The last billing of the whole month: what its files are made of unless another one is named."""
        return self._last(billings.c.month == month, billings.c.kind == "complete")

    def since_current(self, month: str) -> list[Billing]:
        """The current billing of the month, and those of parts of it and corrections that came after; in order."""
        newest_complete = (
            sa.select(sa.func.max(billings.c.id))
            .where(billings.c.month == month, billings.c.kind == "complete")
            .scalar_subquery()
        )
        query = (
            _WITH_EXTRACT.where(billings.c.month == month, billings.c.kind != "dry_run")
            .where(billings.c.id >= sa.func.coalesce(newest_complete, 0))
            .order_by(billings.c.id)
        )
        with self._db.reading() as connection:
            return [_billing(row) for row in connection.execute(query)]

    def months_before(self, month: str) -> list[str]:
        """Every month before this one of which a read is on record, the oldest first."""
        query = sa.select(extracts.c.month).distinct().where(extracts.c.month < month)
        with self._db.reading() as connection:
            return list(connection.execute(query.order_by(extracts.c.month)).scalars())

    def frames_named(self, month: str) -> dict[tuple[str, str], str]:
        """Each frame of the month that the ledger names, by asset and hash, and why it is needed; "" if it is not."""
        with self._db.reading() as connection:
            reads = connection.execute(sa.select(extracts).where(extracts.c.month == month)).all()
            made = connection.execute(sa.select(billings).where(billings.c.month == month)).all()
            sent, files = (
                set(connection.execute(sa.select(table.c.billing_id).where(table.c.month == month)).scalars())
                for table in (deliveries, month_customers)
            )
        complete = max((row.id for row in made if row.kind == "complete"), default=0)
        last_read = max((row.id for row in reads if row.kind == "complete"), default=0)
        newest = {row.id for row in made if row.id >= complete and row.kind != "dry_run"}
        read_of = {row.id: row.frames for row in reads}
        whose: dict[str, list[Mapping[str, str]]] = {
            "": [*read_of.values(), *(row.frames for row in made)],
            NEWEST: [read_of[last_read]] if last_read else [],
        }
        for why, ids in ((NEWEST, newest), (LAST_FILE, files), (DELIVERED, sent)):
            whose.setdefault(why, [])
            for row in made:
                if row.id in ids:
                    whose[why] += [row.frames, read_of[row.extract_id]]
        # The strongest reason last: it replaces those before it.
        return {
            frame: why for why, all_frames in whose.items() for one in all_frames for frame in one.items()
        }

    def _last(self, *which: sa.ColumnElement[bool]) -> Billing | None:
        query = _WITH_EXTRACT.where(*which).order_by(billings.c.id.desc()).limit(1)
        with self._db.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _billing(row)


_OF_EXTRACT = "extract_"
_WITH_EXTRACT = sa.select(
    billings, *(column.label(f"{_OF_EXTRACT}{column.name}") for column in extracts.c if column.name != "id")
).join(extracts, extracts.c.id == billings.c.extract_id)


def _billing(row: Any) -> Billing:
    values = dict(row._mapping)
    read = {
        name.removeprefix(_OF_EXTRACT): values.pop(name)
        for name in list(values)
        if name.startswith(_OF_EXTRACT)
    }
    return Billing(extract=ExtractRecord(**read), **{**values, "customers": tuple(values["customers"])})
