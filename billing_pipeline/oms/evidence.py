"""The OMS rows behind an invoice as plain values, to be kept beside it, and read back as an extract years later.

Belongs here: how rows become JSON values and rows again, exactly. Does not: where they are kept (`easybill.document`),
or what is told of them (`billing.explain`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from billing_pipeline.oms.contract import (
    CANCELLATION_FEES,
    CUSTOMERS,
    SERVICE_TASKS,
    SERVICES,
    Relation,
    frame_of_rows,
)
from billing_pipeline.oms.extract import Extract

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""Relation → its rows; of each row the cells that are not null: text, integers, truth values."""

_KEPT: Final = (SERVICES, SERVICE_TASKS, CANCELLATION_FEES)


@dataclass(frozen=True)
class RowsById:
    """Some rows of an extract by service id (the tasks too) and fee id, so that many documents can ask for theirs."""

    services: Mapping[str, Mapping[str, Any]]
    tasks: Mapping[str, Sequence[Mapping[str, Any]]]
    fees: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, extract: Extract, service_ids: Iterable[str], fee_ids: Iterable[str]) -> RowsById:
        """These services, with their tasks, and these fees; ids that the extract does not know are left out."""
        services, fees = list(service_ids), list(fee_ids)
        tasks: dict[str, list[Mapping[str, Any]]] = {}
        for task in _plain(extract.service_tasks, "service_id", services):
            tasks.setdefault(task["service_id"], []).append(task)
        return cls(
            {row["service_id"]: row for row in _plain(extract.services, "service_id", services)},
            tasks,
            {row["fee_id"]: row for row in _plain(extract.cancellation_fees, "fee_id", fees)},
        )

    def rows(self, service_ids: Sequence[str], fee_ids: Sequence[str]) -> Rows:
        """The rows of these ids, by id."""
        return {
            SERVICES.name: [self.services[name] for name in sorted(service_ids) if name in self.services],
            SERVICE_TASKS.name: [task for name in sorted(service_ids) for task in self.tasks.get(name, ())],
            CANCELLATION_FEES.name: [self.fees[name] for name in sorted(fee_ids) if name in self.fees],
        }


def extract_of_rows(rows: Rows) -> Extract:
    """The extract that holds these rows and nothing else; no customers. Raises KeyError for unknown columns."""
    frames = {
        relation.name: frame_of_rows(relation, [_typed(relation, row) for row in rows.get(relation.name, ())])
        for relation in _KEPT
    }
    return Extract(customers=frame_of_rows(CUSTOMERS), **frames)


def _plain(frame: pd.DataFrame, key: str, wanted: Sequence[str]) -> list[dict[str, Any]]:
    chosen = pa.Table.from_pandas(frame[frame[key].isin(wanted)], preserve_index=False)
    return [
        {name: _value(cell) for name, cell in row.items() if cell is not None} for row in chosen.to_pylist()
    ]


def _value(cell: object) -> object:
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    return cell.isoformat() if isinstance(cell, datetime) else cell


def _typed(relation: Relation, row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _cell(cell, relation.frame_schema.field(name).type) for name, cell in row.items()}


def _cell(value: Any, kind: pa.DataType) -> object:
    if pa.types.is_decimal(kind):
        return Decimal(value)
    return datetime.fromisoformat(value) if pa.types.is_timestamp(kind) else value
