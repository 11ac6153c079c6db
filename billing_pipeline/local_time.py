"""Instants as people read them: by the clock of the billing time zone, with the zone's name. JSON has UTC."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo


def local_time(at: datetime, timezone: str, *, seconds: bool = False) -> str:
    """For example "2026-11-27 13:42 CET"; with its seconds where what is told is shorter than a minute."""
    local = at.astimezone(ZoneInfo(timezone))
    return f"{local:%Y-%m-%d %H:%M:%S %Z}" if seconds else f"{local:%Y-%m-%d %H:%M %Z}"


def local_day(at: datetime, timezone: str) -> str:
    """The day that it is there: "2026-11-27"."""
    return f"{at.astimezone(ZoneInfo(timezone)):%Y-%m-%d}"
