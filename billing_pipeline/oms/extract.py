"""One month of the OMS, read in one snapshot and validated row by row: the input of everything after it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.oms.conform import conform, validate_keys
from billing_pipeline.oms.contract import (
    CANCELLATION_FEES,
    CUSTOMERS,
    RELATIONS,
    SERVICE_TASKS,
    SERVICES,
    TEXT,
    Relation,
    frame_of_rows,
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
from billing_pipeline.oms.period import (
    Period,
    months_between,
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
from billing_pipeline.oms.window import Window

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
        for name, relation in RELATIONS.items():
            validate_keys(relation, text[name])
            # Taken out, so that a month is not there twice.
            text[name] = _sorted(relation, text.pop(name))
        return _extract_of(dict(vars(_text_within(text, self._window, also=also))))

    def month_text(self, *, also: Collection[str] = ()) -> MonthText:
        """The month's rows alone, with the customers of `also`; instead of `extract`, and as the last question too."""
        text, self._text = self._text, {}
        for name, relation in RELATIONS.items():
            validate_keys(relation, text[name])
        return _text_within(text, self._window, also=also)

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


@dataclass(frozen=True)
class MonthText:
    """A month's rows as they were read: the text of an extract, of which some at a time become frames.

    Services and fees have their `month` beside the columns of their relation.
    """

    customers: pa.Table
    services: pa.Table
    service_tasks: pa.Table
    cancellation_fees: pa.Table

    def portions(self, most_rows: int) -> Iterator[Extract]:
        """Services with their tasks, and fees, typed and not validated: at most so many of each at once, in any order.

        No row has `faults`, and nobody is among the customers.
        """
        for begin in range(0, max(len(self.services), len(self.cancellation_fees)), most_rows):
            services = self.services.slice(begin, most_rows)
            yield Extract(
                customers=frame_of_rows(CUSTOMERS),
                services=_typed(SERVICES, services),
                service_tasks=_typed(
                    SERVICE_TASKS, _rows_with(self.service_tasks, "service_id", services["service_id"])
                ),
                cancellation_fees=_typed(CANCELLATION_FEES, self.cancellation_fees.slice(begin, most_rows)),
            )

    def of_customers(self, customer_numbers: pa.Array) -> Extract:
        """The extract of these customers alone. That others have a row with the same key is not seen."""
        services = _rows_with(self.services, "customer_number", customer_numbers)
        rows = {
            CUSTOMERS: _rows_with(self.customers, "customer_number", customer_numbers),
            SERVICES: services,
            SERVICE_TASKS: _rows_with(self.service_tasks, "service_id", services["service_id"]),
            CANCELLATION_FEES: _rows_with(self.cancellation_fees, "customer_number", customer_numbers),
        }
        return _extract_of({relation.name: _sorted(relation, text) for relation, text in rows.items()})

    def of_rows(self, service_ids: pa.ChunkedArray, fee_ids: pa.ChunkedArray) -> MonthText:
        """With no other services and fees than these."""
        return replace(
            self,
            services=_rows_with(self.services, "service_id", service_ids),
            cancellation_fees=_rows_with(self.cancellation_fees, "fee_id", fee_ids),
        )

    def owners(self) -> set[str]:
        """The customers of its services and fees."""
        columns = (self.services["customer_number"], self.cancellation_fees["customer_number"])
        return {number for column in columns for number in pc.unique(column).to_pylist()}

    def test_customers(self) -> set[str]:
        """The customers of whom a row, perhaps not each, says that they are one."""
        typed, _ = conform(CUSTOMERS, self.customers)
        return set(typed.filter(typed["is_test"])["customer_number"].to_pylist())


def no_extract() -> Extract:
    """The extract of nothing."""
    return Extract(**{name: frame_of_rows(relation) for name, relation in RELATIONS.items()})


def month_text(
    source: OmsSource,
    period: Period,
    *,
    timezone: str,
    also: Collection[str] = (),
    billable_statuses: Collection[str] = (),
) -> MonthText:
    """The rows of `extract_month`, of which some at a time become an extract. Raises: the same, for a wrong shape."""
    with source.snapshot() as snapshot:
        reading = MonthReading(snapshot, period, period, timezone, billable_statuses)
    return reading.month_text(also=also)


def _text_within(text: dict[str, pa.Table], window: Window, *, also: Collection[str]) -> MonthText:
    """What an extract has of the rows of the four relations; `text` is empty afterwards."""
    services, fees = (
        window.rows_of(relation, text.pop(relation.name)) for relation in (SERVICES, CANCELLATION_FEES)
    )
    owners = [*services["customer_number"].chunks, *fees["customer_number"].chunks]
    wanted = pa.chunked_array([*owners, pa.array(sorted(also), TEXT)], TEXT)
    return MonthText(
        customers=_rows_with(text.pop(CUSTOMERS.name), "customer_number", wanted),
        services=services,
        service_tasks=_rows_with(text.pop(SERVICE_TASKS.name), "service_id", services["service_id"]),
        cancellation_fees=fees,
    )


def _extract_of(text: dict[str, pa.Table]) -> Extract:
    """The extract of the rows of the four relations, which are in its order; `text` is empty afterwards."""
    numbers = text[CUSTOMERS.name]["customer_number"]
    customers = _frame(CUSTOMERS, text.pop(CUSTOMERS.name), customer_rules())
    services = _frame(SERVICES, text.pop(SERVICES.name), service_rules(numbers))
    tasks = _frame(SERVICE_TASKS, text.pop(SERVICE_TASKS.name), task_rules(services))
    fees = _frame(CANCELLATION_FEES, text.pop(CANCELLATION_FEES.name), fee_rules(numbers))
    return Extract(customers, services, tasks, fees)


def customer_numbers(source: OmsSource) -> list[str]:
    """Every customer number of the OMS except test customers, sorted. Raises the errors of `extract_month`."""
    with source.snapshot() as snapshot:
        text = snapshot.read(CUSTOMERS, _ANY_TIME, _ANY_TIME)
    validate_keys(CUSTOMERS, text)
    typed, _ = conform(CUSTOMERS, text)
    real = pc.fill_null(pc.invert(typed["is_test"]), True)
    return sorted(set(typed.filter(real)["customer_number"].to_pylist()))


def _sorted(relation: Relation, rows: pa.Table) -> pa.Table:
    """Sorted by key; rows with the same key, which is a fault, by all other cells: the order is always the same.

    Column by column, and the unsorted column is let go: where the caller does not keep them, rows are not there twice.
    """
    columns = dict.fromkeys((*relation.key, *relation.column_names))
    by = rows
    if "position" in columns:
        by = rows.append_column("number", rows["position"].cast(pa.int32()))
        columns = dict.fromkeys(("service_id", "number", *columns))
    order = pc.sort_indices(by, [(column, "ascending") for column in columns])
    del by
    sorted_columns = {}
    for name in rows.column_names:
        sorted_columns[name] = rows[name].take(order)
        rows = rows.drop_columns([name])
    return pa.table(sorted_columns)


def _rows_with(text: pa.Table, column: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return text.filter(pc.is_in(text[column], value_set=values))


def _frame(relation: Relation, text: pa.Table, rules: Sequence[RowRule]) -> pd.DataFrame:
    """The relation's rows typed and validated, as an extract has them."""
    typed, untyped = conform(relation, text)
    faults = validate(relation, rules, frame_of_table(typed), text, untyped)
    return _as_frame(text, typed, faults_column(faults, len(typed)))


def _typed(relation: Relation, text: pa.Table) -> pd.DataFrame:
    """The relation's rows typed, and not validated."""
    typed, _ = conform(relation, text)
    return _as_frame(text, typed, pa.nulls(len(typed), TEXT))


def _as_frame(text: pa.Table, typed: pa.Table, faults: pa.Array) -> pd.DataFrame:
    if "month" in text.column_names:
        typed = typed.append_column("month", text["month"])
    return frame_of_table(typed.append_column("faults", faults))
