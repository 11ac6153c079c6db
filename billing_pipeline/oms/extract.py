"""One month of the OMS, read in one snapshot and validated row by row: the input of everything after it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.oms.conform import conform, instant_text, instants_of, local_time_of, validate_keys
from billing_pipeline.oms.contract import (
    CANCELLATION_FEES,
    CUSTOMERS,
    RELATIONS,
    SERVICE_TASKS,
    SERVICES,
    TEXT,
    Relation,
    frame_of_table,
)
from billing_pipeline.oms.heads import (
    WITH_HEADS,
    Heads,
    head_of,
    heads_by_month,
    no_heads,
    unreadable_ids,
)
from billing_pipeline.oms.oms_errors import OmsShapeWrong
from billing_pipeline.oms.period import (
    Period,
    months_between,
    months_of,
    next_month,
    period_of,
    previous_month,
)
from billing_pipeline.oms.row_rules import (
    RowRule,
    customer_rules,
    faults_column,
    fee_rules,
    service_rules,
    task_rules,
    validate,
)
from billing_pipeline.oms.source import OmsSource, Snapshot

# SQLite compares instants in milliseconds, so its queries ask for one second more on each side. A row farther out
# was not selected by the period at all.
_TOLERANCE: Final = timedelta(seconds=1)
# No time zone is farther from UTC: a time without zone lies within this distance of the same time in UTC.
_FARTHEST_ZONE: Final = timedelta(hours=14)
# `customers` has no instant: its query ignores the period, but needs one.
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Extract:
    """The four relations of the contract, Arrow-typed (`Relation.frame_schema`), each sorted by its key.

    `faults`: null for a valid row, else a JSON list of {"code", "field", "value", "message"}. A cell that cannot be
    typed is null; its text is in the fault. `month`: of a service or fee, in the billing time zone; where its instant
    has no time zone, see `Window.rows_of`.
    """

    customers: pd.DataFrame
    services: pd.DataFrame
    service_tasks: pd.DataFrame
    cancellation_fees: pd.DataFrame


@dataclass(frozen=True)
class Window:
    """The rows of an extract: those with `start <= instant < period.end`; months are those of `timezone`.

    `billable_statuses`: a service without an instant is kept where it has one of these, to be reported.
    """

    period: Period
    start: datetime
    timezone: str
    billable_statuses: frozenset[str] = frozenset()

    def rows_of(self, relation: Relation, instant: str, text: pa.Table) -> tuple[pa.Table, pa.ChunkedArray]:
        """The relation's rows within the window, and the month of each.

        A row with an unreadable instant is kept wherever it may belong, so that it is reported. Without a time zone,
        its month is the period's if it may lie in it, else the month as written; if it is no time at all, null.
        Raises OmsShapeWrong for a row from outside the window.
        """
        cells = text[instant]
        instants = instants_of(cells)
        self._validate_inside(relation, instant, text, instants)
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
        if pc.all(kept).as_py():
            return text, months
        return text.filter(kept), months.filter(kept)

    def _is_missed(self, relation: Relation, text: pa.Table) -> pa.ChunkedArray:
        """Whether each row, if it has no instant, should have one: a fee always, a service with such a status."""
        if "status" not in relation.column_names:
            return pa.chunked_array([pa.array([True] * len(text), pa.bool_())])
        return pc.is_in(text["status"], pa.array(sorted(self.billable_statuses), TEXT))

    def _validate_inside(
        self, relation: Relation, instant: str, text: pa.Table, instants: pa.ChunkedArray
    ) -> None:
        near = _between(instants, self.start - _TOLERANCE, self.period.end + _TOLERANCE)
        far = pc.and_(pc.is_valid(instants), pc.invert(near))
        if (row := pc.index(far, value=True).as_py()) >= 0:
            raise OmsShapeWrong(
                f"OMS relation {relation.name}: {text[relation.key[0]][row]} has {instant} {text[instant][row]},"
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


class MonthReading:
    """A month's rows and, in the same snapshot, the heads of those of earlier months, of which some are read in full.

    For the duration of `reading_month`.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        period: Period,
        first: Period,
        timezone: str,
        billable_statuses: Collection[str] = (),
    ) -> None:
        self._snapshot, self._period, self._first, self._timezone = snapshot, period, first, timezone
        self._window = Window(period, first.start, timezone, frozenset(billable_statuses))
        self._text = {
            name: snapshot.read(relation, period.start, period.end) for name, relation in RELATIONS.items()
        }
        self._unreadable: dict[str, pa.Array] = {}

    def heads(self) -> dict[str, Heads]:
        """The heads of each month from the first to the last one. Raises the errors of `extract_month`."""
        earlier = months_between(self._first.month, previous_month(self._period.month))
        found: dict[str, Heads] = {}
        if earlier:
            text = {
                relation.name: self._snapshot.heads(relation, self._first.start, self._period.start)
                for relation in WITH_HEADS
            }
            for relation in WITH_HEADS:
                validate_keys(head_of(relation), text[relation.name])
            found = heads_by_month(text, self._timezone)
            self._unreadable = unreadable_ids(text)
        for relation in WITH_HEADS:
            validate_keys(relation, self._text[relation.name])
        own = heads_by_month(
            {relation.name: self._text[relation.name] for relation in WITH_HEADS}, self._timezone
        )
        return {month: found.get(month, no_heads()) for month in earlier} | {
            self._period.month: own.get(self._period.month, no_heads())
        }

    def extract(
        self,
        *,
        whole: Collection[str] = (),
        ids: Mapping[str, Collection[str]] | None = None,
        also: Collection[str] = (),
    ) -> Extract:
        """The month's extract with, of the earlier months, all rows of those that are `whole`, and those of the `ids`.

        `ids`: by relation; where they do not exist, nothing comes of it. Rows with an unreadable instant come anyway.
        The texts are let go as they become frames: to be asked once, as the last question. Raises the errors of
        `extract_month`.
        """
        own, self._text = self._text, {}
        customers = own.pop(CUSTOMERS.name)
        parts = [own]
        for first, last in _spans(whole):
            start, end = (
                period_of(first, self._timezone).start,
                period_of(last, self._timezone).end,
            )
            parts.append({name: self._snapshot.read(RELATIONS[name], start, end) for name in _OF_SERVICES})
        wanted = {
            relation.name: {
                *(ids or {}).get(relation.name, ()),
                *(self._unreadable[relation.name].to_pylist() if self._unreadable else ()),
            }
            for relation in WITH_HEADS
        }
        if any(wanted.values()):
            parts.append(self._rows_of(wanted))
        text = {CUSTOMERS.name: customers} | {
            name: _without_twice(RELATIONS[name], [part.pop(name) for part in parts if name in part])
            for name in _OF_SERVICES
        }
        return _extract_of_text(text, self._window, also=also)

    def _rows_of(self, wanted: Mapping[str, Collection[str]]) -> dict[str, pa.Table]:
        names = {SERVICES.name: SERVICES.name, SERVICE_TASKS.name: SERVICES.name} | {
            CANCELLATION_FEES.name: CANCELLATION_FEES.name
        }
        return {
            name: self._snapshot.read_ids(
                RELATIONS[name], self._first.start, self._period.start, sorted(wanted[of])
            )
            for name, of in names.items()
            if wanted[of]
        }


_OF_SERVICES: Final = (SERVICES.name, SERVICE_TASKS.name, CANCELLATION_FEES.name)


@contextmanager
def reading_month(
    source: OmsSource,
    month: str,
    *,
    timezone: str,
    first_month: str,
    billable_statuses: Collection[str] = (),
) -> Iterator[MonthReading]:
    """Reads the month, and keeps its snapshot to look back as far as `first_month`. Raises as `extract_month`."""
    period, first = period_of(month, timezone), period_of(first_month, timezone)
    with source.snapshot() as snapshot:
        yield MonthReading(snapshot, period, first, timezone, billable_statuses)


def extract_month(
    source: OmsSource,
    period: Period,
    *,
    timezone: str,
    also: Collection[str] = (),
    billable_statuses: Collection[str] = (),
) -> Extract:
    """The month's extract: services and fees with an instant in the period, whatever their status; fees without an
    instant, and services without one that have a status of `billable_statuses`; the tasks of these services; the
    customers of these rows, and those customers of `also` that exist. What is wrong with a row is in its `faults`.

    Raises OmsUnavailable; OmsShapeWrong where a relation does not match the contract: a column missing, a key
    empty, rows from outside the window.
    """
    with source.snapshot() as snapshot:
        reading = MonthReading(snapshot, period, period, timezone, billable_statuses)
    return reading.extract(also=also)


def _spans(months: Collection[str]) -> list[tuple[str, str]]:
    """The first and last month of each unbroken run of months."""
    spans: list[tuple[str, str]] = []
    for month in sorted(months):
        if spans and next_month(spans[-1][1]) == month:
            spans[-1] = (spans[-1][0], month)
        else:
            spans.append((month, month))
    return spans


def _without_twice(relation: Relation, parts: Sequence[pa.Table]) -> pa.Table:
    """The rows of all these reads, each once: a row that an earlier read has is left out of a later one.

    Rows that have the same key within one read stay: that is a fault, to be reported.
    """
    columns = [relation.key[0], *([relation.instant] if relation.instant else [])]
    kept: list[pa.Table] = []
    seen: list[pa.Array] = []
    for part in parts:
        cells = [pc.fill_null(part[column], "") for column in columns]
        names = pc.binary_join_element_wise(*cells, "\0")
        if kept:
            known = pa.chunked_array([chunk for one in seen for chunk in one.chunks], TEXT)
            part = part.filter(pc.invert(pc.is_in(names, value_set=known)))
        kept.append(part)
        seen.append(names)
    return pa.concat_tables(kept)


def _extract_of_text(text: dict[str, pa.Table], window: Window, *, also: Collection[str] = ()) -> Extract:
    """The extract from the text of the four relations, whose rows may be in any order; `text` is empty afterwards."""
    for name, relation in RELATIONS.items():
        validate_keys(relation, text[name])
    services_text, service_months = window.rows_of(SERVICES, "completed_at", _sorted(SERVICES, text))
    fees_text, fee_months = window.rows_of(CANCELLATION_FEES, "charged_at", _sorted(CANCELLATION_FEES, text))
    owners = [*services_text["customer_number"].chunks, *fees_text["customer_number"].chunks]
    wanted = pa.chunked_array([*owners, pa.array(sorted(also), TEXT)], TEXT)
    customers_text = _rows_with(_sorted(CUSTOMERS, text), "customer_number", wanted)
    tasks_text = _rows_with(_sorted(SERVICE_TASKS, text), "service_id", services_text["service_id"])

    numbers = customers_text["customer_number"]
    services = _frame(SERVICES, services_text, service_rules(numbers), service_months)
    return Extract(
        customers=_frame(CUSTOMERS, customers_text, customer_rules()),
        services=services,
        service_tasks=_frame(SERVICE_TASKS, tasks_text, task_rules(services)),
        cancellation_fees=_frame(CANCELLATION_FEES, fees_text, fee_rules(numbers), fee_months),
    )


def customer_numbers(source: OmsSource) -> list[str]:
    """Every customer number of the OMS except test customers, sorted. Raises the errors of `extract_month`."""
    with source.snapshot() as snapshot:
        text = snapshot.read(CUSTOMERS, _ANY_TIME, _ANY_TIME)
    validate_keys(CUSTOMERS, text)
    typed, _ = conform(CUSTOMERS, text)
    real = pc.fill_null(pc.invert(typed["is_test"]), True)
    return sorted(set(typed.filter(real)["customer_number"].to_pylist()))


def _sorted(relation: Relation, text: dict[str, pa.Table]) -> pa.Table:
    """Sorted by key; rows with the same key, which is a fault, by all other cells: the order is always the same.

    Taken out of `text`, so that a month is not there twice.
    """
    rows = text.pop(relation.name)
    columns = dict.fromkeys((*relation.key, *relation.column_names))
    if "position" in columns:
        rows = rows.append_column("number", rows["position"].cast(pa.int32()))
        columns = dict.fromkeys(("service_id", "number", *columns))
    return rows.sort_by([(column, "ascending") for column in columns]).select(relation.column_names)


def _rows_with(text: pa.Table, column: str, values: pa.ChunkedArray) -> pa.Table:
    return text.filter(pc.is_in(text[column], value_set=values))


def _frame(
    relation: Relation, text: pa.Table, rules: Sequence[RowRule], months: pa.ChunkedArray | None = None
) -> pd.DataFrame:
    typed, untyped = conform(relation, text)
    faults = validate(relation, rules, frame_of_table(typed), text, untyped)
    if months is not None:
        typed = typed.append_column("month", months)
    return frame_of_table(typed.append_column("faults", faults_column(faults, len(typed))))


def _between(instants: pa.ChunkedArray, start: datetime, end: datetime) -> pa.ChunkedArray:
    inside = pc.and_(
        pc.greater_equal(instants, pa.scalar(start, instants.type)),
        pc.less(instants, pa.scalar(end, instants.type)),
    )
    return pc.fill_null(inside, False)
