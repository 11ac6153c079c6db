"""One month of the OMS, read in one snapshot and proven row by row: the frozen input of everything after it.

Belongs here: which rows make up a month's extract, and their order. Does not: how a database is read (`source`),
how text becomes typed (`conform`) or what a good row is (`schemas`); nor what of it is billed (`billing/`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.oms.conform import conform, prove_keys
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
from billing_pipeline.oms.period import Period
from billing_pipeline.oms.row_faults import faults_column, row_problems
from billing_pipeline.oms.row_rules import Law, customer_laws, fee_laws, prove, service_laws, task_laws
from billing_pipeline.oms.source import OmsSource
from billing_pipeline.oms.window import Window
from billing_pipeline.problems import Problem, problems_frame

_NEVER: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Extract:
    """The four relations of the contract, Arrow-typed (`Relation.frame_schema`), each sorted by its key.

    `faults` of a row: null where it is fine, else a JSON list of {"code", "field", "value", "message"}. A cell
    that cannot be typed is null, and its text stands in the fault. `month` of a service or fee: its own month in
    the billing time zone; where its instant has no zone, see `window.Window.rows_of`.
    """

    customers: pd.DataFrame
    services: pd.DataFrame
    service_tasks: pd.DataFrame
    cancellation_fees: pd.DataFrame


def extract_month(
    source: OmsSource,
    period: Period,
    *,
    timezone: str,
    lookback_start: datetime | None = None,
    also: Collection[str] = (),
) -> Extract:
    """The month's extract, with the rows since `lookback_start` where late ones are looked for.

    Services and fees whose instant is in [lookback_start or period.start, period.end), whatever their status; the
    tasks of these services; the customers who own these rows, and those of the numbers in `also` whom the OMS
    knows. Whatever is wrong with a row is in its `faults`.

    Raises OmsUnavailable, and OmsShapeWrong where a relation is not as the contract says: a column missing, a key
    empty, rows from outside the window.
    """
    window = Window(period, lookback_start or period.start, timezone)
    with source.snapshot() as snapshot:
        text = {
            name: snapshot.read(relation, window.start, period.end) for name, relation in RELATIONS.items()
        }
    return extract_of_text(text, window, also=also)


def extract_of_text(text: Mapping[str, pa.Table], window: Window, *, also: Collection[str] = ()) -> Extract:
    """The extract made of the four relations' text, whatever its order; see `extract_month`."""
    for name, relation in RELATIONS.items():
        prove_keys(relation, text[name])
    services_text, service_months = window.rows_of(SERVICES, "completed_at", _sorted(SERVICES, text))
    fees_text, fee_months = window.rows_of(CANCELLATION_FEES, "charged_at", _sorted(CANCELLATION_FEES, text))
    owners = [*services_text["customer_number"].chunks, *fees_text["customer_number"].chunks]
    wanted = pa.chunked_array([*owners, pa.array(sorted(also), TEXT)], TEXT)
    customers_text = _rows_with(_sorted(CUSTOMERS, text), "customer_number", wanted)
    tasks_text = _rows_with(_sorted(SERVICE_TASKS, text), "service_id", services_text["service_id"])

    numbers = customers_text["customer_number"]
    services = _frame(SERVICES, services_text, service_laws(numbers), service_months)
    return Extract(
        customers=_frame(CUSTOMERS, customers_text, customer_laws()),
        services=services,
        service_tasks=_frame(SERVICE_TASKS, tasks_text, task_laws(services)),
        cancellation_fees=_frame(CANCELLATION_FEES, fees_text, fee_laws(numbers), fee_months),
    )


def extract_problems(extract: Extract, month: str | None = None) -> pd.DataFrame:
    """Every fault of the extract as `problems.problems_frame`, ordered by customer, row and field.

    With `month`, only those of its own rows and of rows whose month nobody can tell. A task's fault names its
    service as source, and the service's customer.
    """
    services, fees = (
        frame if month is None else frame[frame["month"].isna() | (frame["month"] == month)]
        for frame in (extract.services, extract.cancellation_fees)
    )
    tasks = extract.service_tasks.merge(services[["service_id", "customer_number"]], validate="m:m")
    owners = set(services["customer_number"]) | set(fees["customer_number"])
    found = [
        *row_problems(extract.customers[extract.customers["customer_number"].isin(owners)]),
        *row_problems(services, "service_id"),
        *row_problems(tasks, "service_id"),
        *row_problems(fees, "fee_id"),
    ]
    # Rows with the same key, which is a fault, may have the same to say.
    return problems_frame(sorted(set(found), key=_in_order))


def customer_numbers(source: OmsSource) -> list[str]:
    """Every customer number of the OMS, test customers aside, in order. Raises the errors of `extract_month`."""
    with source.snapshot() as snapshot:
        text = snapshot.read(CUSTOMERS, _NEVER, _NEVER)
    prove_keys(CUSTOMERS, text)
    typed, _ = conform(CUSTOMERS, text)
    real = pc.fill_null(pc.invert(typed["is_test"]), True)
    return sorted(set(typed.filter(real)["customer_number"].to_pylist()))


def probe(source: OmsSource) -> None:
    """Connects, and runs each query over an empty period: raises what `extract_month` would about the relations."""
    with source.snapshot() as snapshot:
        for relation in RELATIONS.values():
            snapshot.read(relation, _NEVER, _NEVER)


def _in_order(problem: Problem) -> tuple[str, ...]:
    return (problem.customer_number, problem.source_id, problem.field, problem.code, problem.message)


def _sorted(relation: Relation, text: Mapping[str, pa.Table]) -> pa.Table:
    """By key; rows of the same key, which is a fault, by everything else, so that the order is never chance."""
    rows = text[relation.name]
    columns = dict.fromkeys((*relation.key, *relation.column_names))
    if "position" in columns:
        rows = rows.append_column("number", rows["position"].cast(pa.int32()))
        columns = dict.fromkeys(("service_id", "number", *columns))
    return rows.sort_by([(column, "ascending") for column in columns]).select(relation.column_names)


def _rows_with(text: pa.Table, column: str, values: pa.ChunkedArray) -> pa.Table:
    return text.filter(pc.is_in(text[column], value_set=values))


def _frame(
    relation: Relation, text: pa.Table, laws: Sequence[Law], months: pa.ChunkedArray | None = None
) -> pd.DataFrame:
    typed, untyped = conform(relation, text)
    faults = prove(relation, laws, frame_of_table(typed), text, untyped)
    if months is not None:
        typed = typed.append_column("month", months)
    return frame_of_table(typed.append_column("faults", faults_column(faults, len(typed))))
