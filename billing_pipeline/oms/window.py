"""Which rows of a relation lie in the window of a read, and in which month each belongs.

Belongs here: the exact edge of the window, and what is done with instants that cannot be read. Does not: how an
instant is written (`conform`), or what a month is (`period`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.oms.cells import instant_text
from billing_pipeline.oms.conform import instants_of, reading_of
from billing_pipeline.oms.contract import TEXT, Relation
from billing_pipeline.oms.oms_errors import OmsShapeWrong
from billing_pipeline.oms.period import Period, months_of

# SQLite's clock knows milliseconds only, so that its queries ask for a second more on each side; whatever is
# farther out was chosen by another rule than the period.
_EDGE: Final = timedelta(seconds=1)
# No zone is farther from UTC, so that a time without zone is meant somewhere within.
_FARTHEST_ZONE: Final = timedelta(hours=14)


@dataclass(frozen=True)
class Window:
    """The rows that an extract of `period` asks for: `start <= instant < period.end`, months in `timezone`."""

    period: Period
    start: datetime
    timezone: str

    def rows_of(self, relation: Relation, instant: str, text: pa.Table) -> tuple[pa.Table, pa.ChunkedArray]:
        """The relation's rows that lie in the window, and the month of each.

        A row whose instant cannot be read stays wherever it may belong. One without zone is ascribed to the
        period's month where it may lie in it, else to the month that it reads; one that reads nothing, to none.
        Raises OmsShapeWrong for a row from outside the window.
        """
        cells = text[instant]
        instants = instants_of(cells)
        self._prove_inside(relation, instant, text, instants)
        kept = _between(instants, self.start, self.period.end)
        months = months_of(instants, self.timezone)
        required = next(column.required for column in relation.columns if column.name == instant)
        unread = pc.and_(pc.is_null(instants), pc.or_(pc.is_valid(cells), required))
        if pc.any(unread).as_py():
            ascribed = [
                self._ascribed(cell) if unreadable else (False, None)
                for cell, unreadable in zip(cells.to_pylist(), unread.to_pylist(), strict=True)
            ]
            kept = pc.or_(kept, pa.array([keep for keep, _ in ascribed]))
            months = pc.coalesce(months, pa.array([month for _, month in ascribed], TEXT))
        return text.filter(kept), months.filter(kept)

    def _prove_inside(
        self, relation: Relation, instant: str, text: pa.Table, instants: pa.ChunkedArray
    ) -> None:
        near = _between(instants, self.start - _EDGE, self.period.end + _EDGE)
        far = pc.and_(pc.is_valid(instants), pc.invert(near))
        if (row := pc.index(far, value=True).as_py()) >= 0:
            raise OmsShapeWrong(
                f"OMS relation {relation.name}: {text[relation.key[0]][row]} has {instant} {text[instant][row]},"
                f" outside the period from {instant_text(self.start)} to {instant_text(self.period.end)}; its"
                " query must keep to :period_start and :period_end"
            )

    def _ascribed(self, cell: str | None) -> tuple[bool, str | None]:
        reading = None if cell is None else reading_of(cell)
        if reading is None:
            return True, None
        instant = reading.replace(tzinfo=UTC)
        latest = self.period.end + _FARTHEST_ZONE
        if not self.start - _FARTHEST_ZONE <= instant < latest:
            return False, None
        if instant >= self.period.start - _FARTHEST_ZONE:
            return True, self.period.month
        return True, f"{reading:%Y-%m}"


def _between(instants: pa.ChunkedArray, start: datetime, end: datetime) -> pa.ChunkedArray:
    inside = pc.and_(
        pc.greater_equal(instants, pa.scalar(start, instants.type)),
        pc.less(instants, pa.scalar(end, instants.type)),
    )
    return pc.fill_null(inside, False)
