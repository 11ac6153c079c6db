"""Tasks as rows of their own, for customers with `tasks = "itemised"`.

Belongs here: splitting a service into its row without price and a row for each task. Does not: whether the tasks add
up to the service (`checks`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import PRICE, QUANTITY, TEXT, all_of, array, constant, where, with_columns
from billing_pipeline.billing.tasks import tasks_of

_NOT_OF_A_TASK: Final = ("item_number", "description", "location", "unit")


def itemised(rows: pd.DataFrame, tasks: pd.DataFrame) -> pd.DataFrame:
    """The rows with `part`: null, or of an itemised service 0 for its own row, and 1, 2 … for those of its tasks.

    A service is itemised if its customer's rules say so, it has a price, and so has each of its tasks, which then
    add up to it. Its own row costs 0, its tasks 1 × their price; all name the service as their source.
    """
    is_split = all_of(
        pc.equal(array(rows["tasks"]), "itemised"),
        pc.is_valid(array(rows["unit_price"])),
        pc.greater(array(rows["task_count"]), 0),
        pc.equal(array(rows["tasks_priced"]), array(rows["task_count"])),
    )
    rows = with_columns(
        rows,
        part=pc.if_else(is_split, pa.scalar(0, pa.int32()), None),
        unit_price=pc.if_else(is_split, pa.scalar(Decimal(0), PRICE), array(rows["unit_price"])),
    )
    services = where(rows, is_split)
    mine = tasks_of(array(services["source_id"]), tasks)
    place = array(mine["row"])
    task_rows = services.take(place.to_numpy()).reset_index(drop=True)
    task_rows = with_columns(
        task_rows,
        part=_counted(place),
        head=array(mine["task_name"]),
        quantity=constant(Decimal(1), QUANTITY, len(mine)),
        unit_price=array(mine["price_net"]),
        **{name: constant(None, TEXT, len(mine)) for name in _NOT_OF_A_TASK},
    )
    return pd.concat([rows, task_rows], ignore_index=True)


def _counted(rows: pa.Array) -> pa.Array:
    """1, 2 … within each run of equal values."""
    places = pa.array(range(len(rows)), pa.int32())
    starts = pc.index_in(rows, rows)
    return pc.add(pc.subtract(places, starts), 1).cast(pa.int32())
