"""The heads of rows: of many rows only key, instant and `updated_at`, to tell which of them must be read in full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.oms.conform import instants_of
from billing_pipeline.oms.contract import CANCELLATION_FEES, SERVICES, TEXT, Relation
from billing_pipeline.oms.period import months_of

WITH_HEADS: Final = (SERVICES, CANCELLATION_FEES)
"""The relations whose rows belong to a month."""

# No key contains it: `validate_keys` refuses such rows.
_BETWEEN_IDS: Final = "\0"


@dataclass(frozen=True)
class Heads:
    """The rows of one month that have a readable instant. By relation: `ids`, and when each was changed last.

    `updated_at`: UTC, null where it cannot be read.
    """

    ids: Mapping[str, pa.Array]
    updated_at: Mapping[str, pa.Array]

    @property
    def count(self) -> int:
        """How many rows there are."""
        return sum(map(len, self.ids.values()))

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) of all ids, whatever their order: another one where a row is new, gone, or has moved."""
        digest = sha256()
        for name in sorted(self.ids):
            ids = self.ids[name].take(pc.sort_indices(self.ids[name])).to_pylist()
            digest.update(f"{name} {len(ids)}{_BETWEEN_IDS}".encode())
            digest.update(_BETWEEN_IDS.join(ids).encode())
        return digest.hexdigest()


def head_of(relation: Relation) -> Relation:
    """The relation with the columns of its heads alone."""
    wanted = {relation.key[0], relation.instant, "updated_at"}
    return replace(relation, columns=tuple(one for one in relation.columns if one.name in wanted))


def heads_by_month(text: Mapping[str, pa.Table], timezone: str) -> dict[str, Heads]:
    """The heads of each month that has a row in the text of these relations."""
    found: dict[str, dict[str, pa.Table]] = {}
    for name, rows in text.items():
        (relation,) = (one for one in WITH_HEADS if one.name == name)
        table = pa.table(
            {
                "id": rows[relation.key[0]],
                "updated_at": instants_of(rows["updated_at"]),
                "month": months_of(instants_of(rows[str(relation.instant)]), timezone),
            }
        )
        for month in pc.unique(table["month"]).drop_null().to_pylist():
            found.setdefault(month, {})[name] = table.filter(pc.equal(table["month"], month))
    return {month: _heads(tables) for month, tables in found.items()}


def unreadable_ids(text: Mapping[str, pa.Table]) -> dict[str, pa.Array]:
    """By relation, the ids of rows whose instant is there and cannot be read."""
    found = {}
    for name, rows in text.items():
        (relation,) = (one for one in WITH_HEADS if one.name == name)
        cells = rows[str(relation.instant)]
        unread = pc.and_(pc.is_valid(cells), pc.is_null(instants_of(cells)))
        found[name] = rows.filter(unread)[relation.key[0]].combine_chunks()
    return found


def no_heads() -> Heads:
    """The heads of a month without rows."""
    return _heads({})


def _heads(tables: Mapping[str, pa.Table]) -> Heads:
    names = [relation.name for relation in WITH_HEADS]
    instants = pa.timestamp("us", tz="UTC")
    return Heads(
        {
            name: tables[name]["id"].combine_chunks() if name in tables else pa.array([], TEXT)
            for name in names
        },
        {
            name: tables[name]["updated_at"].combine_chunks() if name in tables else pa.array([], instants)
            for name in names
        },
    )
