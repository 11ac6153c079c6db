"""The OMS rows behind an invoice as a release before 0.2 kept them beside it: read back as an extract.

Since 0.2 a billing names the stored extract instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

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


def extract_of_rows(rows: Rows) -> Extract:
    """The extract that holds these rows and nothing else; no customers. Raises KeyError for unknown columns."""
    frames = {
        relation.name: frame_of_rows(relation, [_typed(relation, row) for row in rows.get(relation.name, ())])
        for relation in _KEPT
    }
    return Extract(customers=frame_of_rows(CUSTOMERS), **frames)


def _typed(relation: Relation, row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _cell(cell, relation.frame_schema.field(name).type) for name, cell in row.items()}


def _cell(value: Any, kind: pa.DataType) -> object:
    if pa.types.is_decimal(kind):
        return Decimal(value)
    return datetime.fromisoformat(value) if pa.types.is_timestamp(kind) else value
