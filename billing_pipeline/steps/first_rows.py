"""The first rows of the OMS as they are mapped, with what is wrong in them, for `doctor`: read as a run reads them.

Whoever maps their own database sees here whether a price is a price. What names a person is masked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import pandas as pd

from billing_pipeline.oms.extract import Extract
from billing_pipeline.oms.period import month_of
from billing_pipeline.oms.row_rules import row_problems
from billing_pipeline.problems import PERSONAL_FIELDS, Problem, masked, without_personal_values
from billing_pipeline.settings import Settings
from billing_pipeline.steps.wiring import Oms

ROWS: Final = 3
_WIDTH: Final = 30
_PERSONAL: Final = PERSONAL_FIELDS | {"state"}
_SOURCES: Final = {
    "customers": None,
    "services": "service_id",
    "service_tasks": "service_id",
    "cancellation_fees": "fee_id",
}


@dataclass(frozen=True)
class FirstRows:
    """Of one relation the first rows of `month`, by column. `count`: all there are. `problems`: of those shown."""

    relation: str
    month: str
    count: int
    rows: tuple[Mapping[str, str | None], ...]
    problems: tuple[Problem, ...]

    def lines(self) -> Iterator[str]:
        """A line for each column, with its value in each row; then what is wrong."""
        shown = "the only row" if self.count == 1 else f"the first {len(self.rows)} of {self.count} rows"
        yield f"{self.relation} of {self.month}, {shown} as mapped:"
        width = max(len(column) for column in self.rows[0])
        for column in self.rows[0]:
            cells = "  ".join(f"{_cut(row[column]):<{_WIDTH}}" for row in self.rows)
            yield f"  {column:<{width}}  {cells}".rstrip()
        yield from (f"  {one.code}: {one.message}" for one in self.problems)

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "relation": self.relation,
            "month": self.month,
            "count": self.count,
            "rows": [dict(row) for row in self.rows],
            "problems": [problem.as_json() for problem in self.problems],
        }


def months_with_rows(oms: Oms, settings: Settings) -> dict[str, int]:
    """How many services and fees each month has, from BILLING_FIRST_MONTH to the running one; those with none left out.

    Raises: the errors of `oms.source`.
    """
    running = month_of(datetime.now(UTC), settings.timezone)
    with oms.reading(running, min(settings.first_month, running)) as reading:
        return {month: heads.count for month, heads in reading.heads().items() if heads.count}


def has_rows(extract: Extract, month: str) -> bool:
    """Whether the month has a service or a fee, or one that no month can be told of."""
    return any(len(_of_month(frame, month)) for frame in (extract.services, extract.cancellation_fees))


def first_rows(extract: Extract, month: str, timezone: str) -> Iterator[FirstRows]:
    """The first rows of each relation that has any."""
    zone = ZoneInfo(timezone)
    for relation, source in _SOURCES.items():
        frame = _of_month(getattr(extract, relation), month)
        shown = frame.head(ROWS)
        if shown.empty:
            continue
        named = shown
        if "customer_number" not in shown:
            # A task does not name the customer of its service.
            owners = extract.services[["service_id", "customer_number"]].drop_duplicates("service_id")
            named = shown.merge(owners, on="service_id", how="left", validate="m:1")
        yield FirstRows(
            relation,
            month,
            len(frame),
            tuple(
                {
                    str(name): _text(str(name), value, zone)
                    for name, value in row.items()
                    if name not in {"faults", "month"}
                }
                for row in shown.to_dict("records")
            ),
            tuple(map(without_personal_values, row_problems(named, source))),
        )


def _of_month(frame: pd.DataFrame, month: str) -> pd.DataFrame:
    return frame[frame["month"].isna() | (frame["month"] == month)] if "month" in frame else frame


def _text(column: str, value: object, zone: ZoneInfo) -> str | None:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(zone)).isoformat(
            sep=" ", timespec="seconds"
        )
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    return masked(text) if column in _PERSONAL and text else text


def _cut(text: str | None) -> str:
    shown = "NULL" if text is None else " ".join(text.split())
    return shown if len(shown) <= _WIDTH else f"{shown[: _WIDTH - 1]}…"
