"""Standings of rows by hand, as the ledger keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from billing_pipeline.billing.standing import ROW_STANDINGS
from billing_pipeline.delivery.records import RowStanding

AT = datetime(2026, 11, 1, 5, tzinfo=UTC)


def row_standing(source_id: str = "S-1", **cells: Any) -> RowStanding:
    """A service of 10023 in October that was set aside."""
    known: dict[str, Any] = {
        "source_kind": "service",
        "source_id": source_id,
        "month": "2026-10",
        "customer_number": "10023",
        "standing": "set_aside",
        "code": "RULE_CHANGED",
        "message": "only a rule has changed",
        "fingerprint": "f",
        "related_id": "",
        "order_number": "",
        "net": 15_000,
        "currency": "EUR",
        "run_id": "run",
        "since": AT,
        "seen_at": AT,
    } | cells
    return RowStanding(**known)


def standings_frame(rows: Iterable[RowStanding]) -> pd.DataFrame:
    """`ROW_STANDINGS` of these rows."""
    cells = [{name: asdict(row)[name] for name in ROW_STANDINGS.names} for row in rows]
    frame: pd.DataFrame = pa.Table.from_pylist(cells, schema=ROW_STANDINGS).to_pandas(
        types_mapper=pd.ArrowDtype
    )
    return frame
