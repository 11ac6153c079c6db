"""Many of Dagster's records in one transaction: what a run says of its customers, and what it plans for them.

Stored one by one, a record costs four statements in three transactions, each statement built anew, and the check that
is planned for a thousand partitions is written out as text a thousand times. What is stored is the same to the byte.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from threading import RLock
from typing import Any, Final

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluation,
    AssetCheckEvaluationPlanned,
)
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from sqlalchemy.engine import Connection

_RECORDS: Final = frozenset(
    {
        dg.DagsterEventType.ASSET_MATERIALIZATION,
        dg.DagsterEventType.ASSET_OBSERVATION,
        dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    }
)
_PLANS: Final = frozenset(
    {
        dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
        dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    }
)
_BATCHED: Final = _RECORDS | _PLANS
_MOST_WAITING: Final = 500
_LONGEST_WAIT_S: Final = 1.0

_CHECKS = AssetCheckExecutionsTable
# What is set is said when it is executed: the columns are named by its parameters.
_EVALUATED = _CHECKS.update().where(
    _CHECKS.c.asset_key == sa.bindparam("of_asset"),
    _CHECKS.c.check_name == sa.bindparam("of_check"),
    _CHECKS.c.run_id == sa.bindparam("of_run"),
    _CHECKS.c.partition == sa.bindparam("of_partition"),
)


class BatchedEventLog(SqlEventLogStorage):
    """What an event log on SQL does for many events at once. For a class that says how it connects."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Dagster hands over a run's plans in batches if this is set, and has no other way to be told.
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(_MOST_WAITING))
        self._waiting: list[EventLogEntry] = []
        self._waiting_since = 0.0
        self._together = False
        self._waiting_lock = RLock()
        self._known_tables: set[str] = set()
        self._known_columns: set[str] = set()
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]

    def has_table(self, table_name: str) -> bool:
        """Remembers a table once seen: none is ever dropped, and Dagster asks at every materialization."""
        if table_name not in self._known_tables and super().has_table(table_name):  # type: ignore[safe-super]
            self._known_tables.add(table_name)
        return table_name in self._known_tables

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        """Remembers a column once seen, as `has_table` does a table."""
        if column_name not in self._known_columns and super()._has_asset_key_col_on_connection(
            conn, column_name
        ):
            self._known_columns.add(column_name)
        return column_name in self._known_columns

    @contextmanager
    def together(self) -> Iterator[None]:
        """While it lasts, records of partitions wait for one another: for a second at most, as long as more come.

        Any other event brings them to the log before it, and so does the end, however it comes. A process that is
        killed loses what waited; nothing that decides anything is among it.
        """
        self._together = True
        try:
            yield
        finally:
            self._together = False
            self._store_waiting()

    def store_event(self, event: EventLogEntry) -> None:
        """As the parent's, or later (`together`)."""
        with self._waiting_lock:
            if not (self._together and _may_wait(event)):
                self._store_waiting()
                super().store_event(event)
                return
            now = time.monotonic()
            if not self._waiting:
                self._waiting_since = now
            self._waiting.append(event)
            if len(self._waiting) >= _MOST_WAITING or now - self._waiting_since >= _LONGEST_WAIT_S:
                self._store_waiting()

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """As many calls of `store_event`, of an asset's last event alone where only the last one leaves a trace."""
        with self._waiting_lock:
            self._store_waiting()
            for run_id, some in groupby(events, key=lambda event: event.run_id):
                of_run = list(some)
                if all(map(_fits_a_batch, of_run)):
                    self._store_batch(run_id, of_run)
                else:
                    for event in of_run:
                        super().store_event(event)

    def _store_waiting(self) -> None:
        with self._waiting_lock:
            events, self._waiting = self._waiting, []
            if events:
                self.store_event_batch(events)

    def _store_batch(self, run_id: str, events: Sequence[EventLogEntry]) -> None:
        rows = [self._event_to_row(event) for event in events]
        ids = self._insert_events(run_id, rows)
        of_assets = [(event, place) for event, place in zip(events, ids, strict=True) if _asset_of(event)]
        # By asset and kind: `asset_keys` holds of each the last one alone.
        last = {(event.dagster_event_type, _asset_of(event)): (event, place) for event, place in of_assets}
        evaluated: list[dict[str, Any]] = []
        for event, place, row in zip(events, ids, rows, strict=True):
            if event.dagster_event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
                self._store_asset_check_evaluation_planned(event, place)
            elif event.dagster_event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                evaluated.append(_evaluation(event, place, row))
        with self.index_transaction() as connection:
            if of_assets:
                self._store_asset_event_tags(
                    connection, [event for event, _ in of_assets], [place for _, place in of_assets]
                )
            for event, place in last.values():
                self._store_asset_event(connection, event, place)
            _store_evaluations(connection, evaluated)

    def _insert_events(self, run_id: str, rows: Sequence[dict[str, Any]]) -> Sequence[int]:
        """The events' rows, wherever this log keeps such; the places in the log that all runs share."""
        insert = SqlEventLogStorageTable.insert()
        with self.index_connection() as connection:
            if not connection.dialect.insert_returning:  # SQLite before 3.35, as some systems still have it
                places = [connection.execute(insert, row).inserted_primary_key for row in rows]
                return [int(place[0]) for place in places if place]
            returning = insert.returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
            return connection.execute(returning, list(rows)).scalars().all()

    def _store_asset_check_evaluation_planned(self, event: EventLogEntry, event_id: int | None) -> None:
        """As the parent's, which writes the event out as text for each partition again."""
        planned = _said(event)
        assert isinstance(planned, AssetCheckEvaluationPlanned)
        subset, stored = planned.partitions_subset, self._event_to_row(event)
        row = {
            "asset_key": planned.asset_key.to_string(),
            "check_name": planned.check_name,
            "run_id": event.run_id,
            "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
            "evaluation_event": stored["event"],
            "evaluation_event_timestamp": stored["timestamp"],
            "evaluation_event_storage_id": event_id,
        }
        partitions = subset.get_partition_keys() if subset else [None]
        with self.index_transaction() as connection:
            connection.execute(
                _CHECKS.insert(), [{**row, "partition": partition} for partition in partitions]
            )


def _evaluation(event: EventLogEntry, event_id: int, stored: dict[str, Any]) -> dict[str, Any]:
    """The row of a check; `stored`: the event's own."""
    evaluation = _said(event)
    assert isinstance(evaluation, AssetCheckEvaluation)
    target = evaluation.target_materialization_data
    status = (
        AssetCheckExecutionRecordStatus.SUCCEEDED
        if evaluation.passed
        else AssetCheckExecutionRecordStatus.FAILED
    )
    return {
        "asset_key": evaluation.asset_key.to_string(),
        "check_name": evaluation.check_name,
        "run_id": event.run_id,
        "partition": evaluation.partition,
        "execution_status": status.value,
        "evaluation_event": stored["event"],
        "evaluation_event_timestamp": stored["timestamp"],
        "evaluation_event_storage_id": event_id,
        "materialization_event_storage_id": target.storage_id if target else None,
    }


def _store_evaluations(connection: Connection, evaluated: Sequence[dict[str, Any]]) -> None:
    """Where the check was planned its row is updated, else there is a new one."""
    of_check = itemgetter("asset_key", "check_name", "run_id")
    for (asset_key, check_name, run_id), some in groupby(evaluated, key=of_check):
        planned = sa.select(_CHECKS.c.partition).where(
            _CHECKS.c.asset_key == asset_key, _CHECKS.c.check_name == check_name, _CHECKS.c.run_id == run_id
        )
        known = set(connection.execute(planned).scalars())
        of_row = {"of_asset": asset_key, "of_check": check_name, "of_run": run_id}
        updates, inserts = [], []
        for row in some:
            if row["partition"] in known:
                updates.append({**row, **of_row, "of_partition": row["partition"]})
            else:
                inserts.append(row)
        if updates:
            connection.execute(_EVALUATED, updates)
        if inserts:
            connection.execute(_CHECKS.insert(), inserts)


def _may_wait(event: EventLogEntry) -> bool:
    return event.dagster_event_type in _RECORDS and _fits_a_batch(event)


def _fits_a_batch(event: EventLogEntry) -> bool:
    if event.dagster_event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        # Without a partition its row is found otherwise.
        return bool(event.run_id) and getattr(_said(event), "partition", None) is not None
    return event.dagster_event_type in _BATCHED


def _asset_of(event: EventLogEntry) -> dg.AssetKey | None:
    return event.dagster_event.asset_key if event.dagster_event else None


def _said(event: EventLogEntry) -> object:
    return event.dagster_event.event_specific_data if event.dagster_event else None
