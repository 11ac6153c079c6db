"""Months in the billing time zone: which month an instant belongs to, and counting months.

A month is the text "YYYY-MM". Its period is `[first day 00:00 local, first day of the next month 00:00 local)`,
half-open, as UTC instants.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from billing_pipeline.problems import UsageError

# It takes a while to load, and who counts months, such as `status`, wants no columns.
if TYPE_CHECKING:
    import pyarrow as pa

_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Period:
    """The instants of `month`: `start <= instant < end`, both in UTC."""

    month: str
    start: datetime
    end: datetime


def period_of(month: str, timezone: str) -> Period:
    """The period of `month` ("YYYY-MM") in the time zone named `timezone` (IANA).

    Raises UsageError where the month is not written so, or the time zone is unknown.
    """
    return Period(month, _start_of(month, timezone), _start_of(next_month(month), timezone))


def month_of(instant: datetime, timezone: str) -> str:
    """The month of `instant`. Raises ValueError for a time without time zone."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no zone, so it belongs to no month")
    local = instant.astimezone(_zone(timezone))
    month = f"{local.year:04d}-{local.month:02d}"
    # Where clocks go back across midnight, the local date repeats a day of the old month; the period decides.
    period = period_of(month, timezone)
    if instant < period.start:
        return previous_month(month)
    return next_month(month) if instant >= period.end else month


def months_of(instants: pa.ChunkedArray, timezone: str) -> pa.ChunkedArray:
    """`month_of` for every element of a timestamp[us, UTC] array; null stays null."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    extent = pc.min_max(instants).as_py()
    if extent["min"] is None:
        return pa.chunked_array([pa.nulls(len(instants), pa.string())])
    months = [month_of(extent["min"], timezone)]
    last = month_of(extent["max"], timezone)
    while months[-1] < last:
        months.append(next_month(months[-1]))
    starts = pa.array([_start_of(month, timezone) for month in months], instants.type).cast(pa.int64())
    places = np.searchsorted(
        starts.to_numpy(), instants.cast(pa.int64()).fill_null(0).to_numpy(), side="right"
    )
    indices = pa.array(places - 1, mask=instants.is_null().to_numpy())
    return pa.chunked_array([pa.array(months, pa.string()).take(indices)])


def next_month(month: str) -> str:
    """The month after `month`. Raises UsageError where that is no month."""
    return months_back(month, -1)


def previous_month(month: str) -> str:
    """The month before `month`. Raises UsageError where that is no month."""
    return months_back(month, 1)


def months_back(month: str, count: int) -> str:
    """The month `count` months before `month` (after it, where `count` is negative)."""
    year, number = _parts(month)
    index = year * 12 + number - 1 - count
    back = f"{index // 12:04d}-{index % 12 + 1:02d}"
    _parts(back)
    return back


def months_between(first: str, last: str) -> list[str]:
    """Every month from `first` to `last`, both included; none where `first` comes after."""
    months = []
    while first <= last:
        months.append(first)
        first = next_month(first)
    return months


def last_complete_month(now: datetime, timezone: str) -> str:
    """The last month that is over at `now`."""
    return previous_month(month_of(now, timezone))


def _parts(month: str) -> tuple[int, int]:
    match = _MONTH.fullmatch(month)
    if match is None or not 1 <= int(match[1]) <= 9998:
        raise UsageError(f"{month!r} is not a month: write YYYY-MM, such as 2026-10")
    return int(match[1]), int(match[2])


def _zone(timezone: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise UsageError(
            f"{timezone!r} is not a time zone: name one of the IANA list, such as Europe/Berlin"
        ) from None


@lru_cache(maxsize=4096)
def _start_of(month: str, timezone: str) -> datetime:
    year, number = _parts(month)
    # A midnight that the clocks skip is read with the old offset, which is the moment of the change; of one that
    # they show twice, the first is taken.
    midnight = datetime(year, number, 1, tzinfo=_zone(timezone))
    try:
        return midnight.astimezone(UTC)
    except OverflowError:
        raise UsageError(f"{month!r} lies outside the calendar: write YYYY-MM, such as 2026-10") from None
