"""Which rows of earlier months are read in full with a month, so that looking back costs little.

Of each earlier month all ids are seen. Where they and what is billed of them are as at the last look, only rows that
are not simply billed, or that `updated_at` says have changed since, are read; else also those that are not billed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import TEXT, array, frame_of
from billing_pipeline.billing.rows import FEE, SERVICE
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import MonthLook
from billing_pipeline.oms.contract import CANCELLATION_FEES, SERVICES
from billing_pipeline.oms.extract import Extract, MonthReading
from billing_pipeline.oms.heads import Heads
from billing_pipeline.oms.period import months_back, months_between, previous_month

COMMITTED_LATER: Final = timedelta(days=1)
"""So long may a change be under way in the OMS after it was stamped, or its clock go after ours."""

_KINDS: Final[Mapping[str, str]] = {SERVICES.name: SERVICE, CANCELLATION_FEES.name: FEE}

_LOOKS: Final = pa.schema(
    [("month", TEXT), ("row_count", pa.int64())]
    + [(name, TEXT) for name in ("digest", "billed_state", "absent", "looked_at")]
)


@dataclass(frozen=True)
class LookBack:
    """How far back rows were looked at with a month, and the look at each of these months, the month itself last."""

    first_month: str
    looks: tuple[MonthLook, ...]

    @property
    def absent(self) -> dict[str, list[str]]:
        """By source kind, the ids of rows that are billed and were not in the OMS in their own month."""
        found: dict[str, list[str]] = {}
        for kind, source_id in (one for look in self.looks for one in look.absent):
            found.setdefault(kind, []).append(source_id)
        return found

    def as_frame(self) -> pd.DataFrame:
        """The looks, as they are stored with what was read."""
        columns = {name: [_as_cell(getattr(look, name)) for look in self.looks] for name in _LOOKS.names}
        return frame_of({field.name: pa.array(columns[field.name], field.type) for field in _LOOKS})

    @classmethod
    def of_frame(cls, first_month: str, frame: pd.DataFrame) -> LookBack:
        """What `as_frame` gave."""
        rows = ({str(name): cell for name, cell in row.items()} for row in frame.to_dict("records"))
        return cls(first_month, tuple(MonthLook(**_of_cells(row)) for row in rows))


def first_month_to_read(ledger: Ledger, month: str, late_months: int, first_month: str) -> str:
    """The oldest month of which rows are looked at with those of `month`, which it may be itself.

    Late rows are looked for `late_months` back, as far as months were billed here at all. Rows of older months that
    this month bills already, or that a person has admitted, are read however old they are.
    """
    oldest = max(months_back(month, late_months), first_month)
    wanted = {past for past in ledger.months.known() if oldest <= past}
    wanted |= ledger.billed.rows_by(month).keys()
    wanted |= {one.month for one in ledger.admissions.current()}
    return min((past for past in wanted if past < month), default=month)


@dataclass(frozen=True)
class Before:
    """What the ledger knew before the OMS was read: whatever happens meanwhile makes the next look differ from it."""

    month: str
    first_month: str
    billed_states: Mapping[str, str]
    at: datetime


def before_reading(ledger: Ledger, month: str, first_month: str) -> Before:
    """To be asked before the OMS is. Raises: LedgerUnavailable."""
    at = datetime.now(UTC)
    states = ledger.looks.billed_states(months_between(first_month, month))
    return Before(month, first_month, states, at)


def look_back(
    reading: MonthReading, before: Before, ledger: Ledger, *, also: Collection[str]
) -> tuple[Extract, LookBack]:
    """The month's rows, those of earlier months that must be read in full, and the customers of `also`.

    Raises: the errors of reading the OMS; LedgerUnavailable.
    """
    month = before.month
    earlier = months_between(before.first_month, previous_month(month))
    heads = reading.heads()
    # Entries first: a look is never older than the entries that were noted with it.
    wanted = _to_read_anyway(ledger, before)
    last_looks = ledger.looks.of([*earlier, month])
    whole, looks = [], []
    twice: dict[str, set[str]] = {kind: set() for kind in wanted}
    for one in (*earlier, month):
        last, now = last_looks.get(one), heads[one]
        look = MonthLook(one, now.count, now.digest, before.billed_states[one], (), before.at)
        if last is not None and _is_same(last, look):
            look = replace(look, absent=last.absent)
        else:
            billed = ledger.billed.ids_of(one)
            look = replace(look, absent=tuple(_absent(billed, now)))
            if last is not None and one != month:
                _add(wanted, _unbilled(billed, now))
        looks.append(look)
        _add(wanted, look.absent)
        if one == month:
            break
        if last is None:
            whole.append(one)
        else:
            _add(wanted, _changed_since(now, last.looked_at - COMMITTED_LATER))
            _add(twice, _in_both(now, heads[month]))
    # Those of the month itself are read already.
    ids = {
        name: _not_among(wanted[kind], heads[month].ids[name]) | twice[kind] for name, kind in _KINDS.items()
    }
    # A column of ids for each month: what is read in full needs the room.
    del heads, now
    return reading.extract(whole=whole, ids=ids, also=also), LookBack(before.first_month, tuple(looks))


def looks_to_keep(
    look_back: LookBack, extract: Extract, billed: pd.DataFrame, standings: pd.DataFrame
) -> list[MonthLook]:
    """The looks, once all rows of these months are billed or have an entry in `standings`.

    Rows of a month that have neither are about to be sent, and may never be: the next look compares all of its ids.
    """
    open_months: set[str] = set()
    for kind, frame, name in (
        (SERVICE, extract.services, "service_id"),
        (FEE, extract.cancellation_fees, "fee_id"),
    ):
        of_kind = [
            array(rows["source_id"]).filter(pc.equal(array(rows["source_kind"]), kind))
            for rows in (billed, standings)
        ]
        unknown = pc.invert(pc.is_in(array(frame[name]), pa.concat_arrays(of_kind)))
        open_months |= set(pc.unique(array(frame["month"]).filter(unknown)).to_pylist())
    return [replace(look, billed_state="") if look.month in open_months else look for look in look_back.looks]


def _not_among(wanted: set[str], ids: pa.Array) -> set[str]:
    return set(_without(pa.array(sorted(wanted), TEXT), ids).to_pylist())


def _to_read_anyway(ledger: Ledger, before: Before) -> dict[str, set[str]]:
    """What is not simply billed, what people admitted, and what the month bills already, as far back as is looked."""
    months = months_between(before.first_month, before.month)
    wanted: dict[str, set[str]] = {kind: set() for kind in _KINDS.values()}
    _add(wanted, ((one.source_kind, one.source_id) for one in ledger.admissions.current()))
    entries = ledger.rows.census(months)
    _add(wanted, zip(entries["source_kind"], entries["source_id"], strict=True))
    for rows in ledger.billed.rows_by(before.month).values():
        _add(wanted, rows)
    return wanted


def _is_same(last: MonthLook, now: MonthLook) -> bool:
    return (last.row_count, last.digest, last.billed_state) == (now.row_count, now.digest, now.billed_state)


def _add(wanted: dict[str, set[str]], rows: Iterable[tuple[str, str]]) -> None:
    for kind, source_id in rows:
        if kind in wanted:
            wanted[kind].add(source_id)


def _absent(billed: Mapping[str, pa.Array], now: Heads) -> Iterable[tuple[str, str]]:
    for name, kind in _KINDS.items():
        if kind in billed:
            yield from _pairs(kind, _without(billed[kind], now.ids[name]))


def _unbilled(billed: Mapping[str, pa.Array], now: Heads) -> Iterable[tuple[str, str]]:
    for name, kind in _KINDS.items():
        yield from _pairs(kind, _without(now.ids[name], billed.get(kind, pa.array([], TEXT))))


def _changed_since(now: Heads, since: datetime) -> Iterable[tuple[str, str]]:
    """Rows that were changed at that time or later; those too of which it cannot be read when."""
    for name, kind in _KINDS.items():
        cells = now.updated_at[name]
        changed = pc.fill_null(pc.greater_equal(cells, pa.scalar(since, cells.type)), True)
        yield from _pairs(kind, now.ids[name].filter(changed))


def _in_both(now: Heads, other: Heads) -> Iterable[tuple[str, str]]:
    """An id that two months have is a fault of the OMS, which shows only where both rows are read."""
    for name, kind in _KINDS.items():
        yield from _pairs(kind, now.ids[name].filter(pc.is_in(now.ids[name], other.ids[name])))


def _without(ids: pa.Array, others: pa.Array) -> pa.Array:
    return ids.filter(pc.invert(pc.is_in(ids, others)))


def _pairs(kind: str, ids: pa.Array) -> Iterable[tuple[str, str]]:
    return ((kind, source_id) for source_id in ids.to_pylist())


def _as_cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return json.dumps([list(one) for one in value]) if isinstance(value, tuple) else value


def _of_cells(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "row_count": int(row["row_count"]),
        "absent": tuple((kind, one) for kind, one in json.loads(row["absent"])),
        "looked_at": datetime.fromisoformat(row["looked_at"]),
    }
