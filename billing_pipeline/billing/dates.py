"""Instants as dates of the billing time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def local_dates(instants: pa.Array, timezone: str) -> pa.Array:
    """The local date of each instant (timestamp[us, UTC]) in that time zone; null stays null."""
    extent = pc.min_max(instants).as_py()
    if extent["min"] is None:
        return pa.nulls(len(instants), pa.date32())
    zone = ZoneInfo(timezone)
    first, last = (extent[end].astimezone(zone).date() for end in ("min", "max"))
    days = [first + timedelta(days=count) for count in range((last - first).days + 1)]
    midnights = [datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC) for day in days]
    starts = pa.array(midnights, instants.type).cast(pa.int64()).to_numpy()
    places = np.searchsorted(starts, instants.cast(pa.int64()).fill_null(0).to_numpy(), side="right") - 1
    indices = pa.array(places, mask=instants.is_null().to_numpy(zero_copy_only=False))
    return pa.array(days, pa.date32()).take(indices)
