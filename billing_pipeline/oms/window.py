"""Which rows belong to a month, by their instant, and which month is each row's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.oms.conform import instant_text, instants_of, local_time_of
from billing_pipeline.oms.contract import TEXT, Relation
from billing_pipeline.oms.oms_errors import OmsShapeWrong
from billing_pipeline.oms.period import Period, months_of

# SQLite compares instants in milliseconds, so its queries ask for one second more on each side. A row farther out
# was not selected by the period at all.
_TOLERANCE: Final = timedelta(seconds=1)
# No time zone is farther from UTC: a time without zone lies within this distance of the same time in UTC.
_FARTHEST_ZONE: Final = timedelta(hours=14)


@dataclass(frozen=True)
class Window:
    """The rows of an extract: those with `start <= instant < period.end`; months are those of `timezone`.

    `billable_statuses`: a service without an instant is kept where it has one of these, to be reported.
    """

    period: Period
    start: datetime
    timezone: str
    billable_statuses: frozenset[str] = frozenset()

    def rows_of(self, relation: Relation, text: pa.Table) -> pa.Table:
        """The relation's rows within the window, with the `month` of each.

        A row with an unreadable instant is kept wherever it may belong, so that it is reported. Without a time zone,
        its month is the period's if it may lie in it, else the month as written; if it is no time at all, null.
        Raises OmsShapeWrong for a row from outside the window.
        """
        cells = text[relation.instant]
        instants = instants_of(cells)
        self._validate_inside(relation, text, instants)
        kept = _between(instants, self.start, self.period.end)
        months = months_of(instants, self.timezone)
        unread = pc.and_(pc.is_null(instants), pc.or_(pc.is_valid(cells), self._is_missed(relation, text)))
        if pc.any(unread).as_py():
            guesses = [
                self._guess(cell) if unreadable else (False, None)
                for cell, unreadable in zip(cells.to_pylist(), unread.to_pylist(), strict=True)
            ]
            kept = pc.or_(kept, pa.array([keep for keep, _ in guesses]))
            months = pc.coalesce(months, pa.array([month for _, month in guesses], TEXT))
        text = text.append_column("month", months)
        return text if pc.all(kept).as_py() else text.filter(kept)

    def _is_missed(self, relation: Relation, text: pa.Table) -> pa.ChunkedArray:
        """Whether each row, if it has no instant, should have one: a fee always, a service with such a status."""
        if "status" not in relation.column_names:
            return pa.chunked_array([pa.array([True] * len(text), pa.bool_())])
        return pc.is_in(text["status"], pa.array(sorted(self.billable_statuses), TEXT))

    def _validate_inside(self, relation: Relation, text: pa.Table, instants: pa.ChunkedArray) -> None:
        near = _between(instants, self.start - _TOLERANCE, self.period.end + _TOLERANCE)
        far = pc.and_(pc.is_valid(instants), pc.invert(near))
        if (row := pc.index(far, value=True).as_py()) >= 0:
            raise OmsShapeWrong(
                f"OMS relation {relation.name}: {text[relation.key[0]][row]} has {relation.instant} "
                f"{text[relation.instant][row]},"
                f" outside the period from {instant_text(self.start)} to {instant_text(self.period.end)}; its"
                " query must keep to :period_start and :period_end"
            )

    def _guess(self, cell: str | None) -> tuple[bool, str | None]:
        """Whether a row with this unreadable instant is kept, and its month."""
        local_time = None if cell is None else local_time_of(cell)
        if local_time is None:
            return True, None
        instant = local_time.replace(tzinfo=UTC)
        latest = self.period.end + _FARTHEST_ZONE
        if not self.start - _FARTHEST_ZONE <= instant < latest:
            return False, None
        if instant >= self.period.start - _FARTHEST_ZONE:
            return True, self.period.month
        return True, f"{local_time:%Y-%m}"


def _between(instants: pa.ChunkedArray, start: datetime, end: datetime) -> pa.ChunkedArray:
    inside = pc.and_(
        pc.greater_equal(instants, pa.scalar(start, instants.type)),
        pc.less(instants, pa.scalar(end, instants.type)),
    )
    return pc.fill_null(inside, False)
