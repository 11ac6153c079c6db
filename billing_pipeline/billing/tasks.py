"""The tasks of services: what they add up to, and how they read. They are part of a service's price.

Belongs here: bringing tasks to their service's row. Does not: rows of their own for tasks (`itemise`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import TEXT, array, by_distinct, frame_of, with_columns
from billing_pipeline.billing.fingerprints import cells_text
from billing_pipeline.money import format_minor, to_minor

_BETWEEN_TASK_CELLS = "\x1e"
_BETWEEN_TASKS = "\x1d"


def tasks_of(service_ids: pa.Array, tasks: pd.DataFrame) -> pd.DataFrame:
    """The tasks of these services, with `row`: the place of the service in `service_ids`; by row and position.

    Tasks of other services are left out; a null id has none. m:1 to the services.
    """
    table = pa.table(
        {name: array(tasks[name]) for name in ("service_id", "position", "task_name", "price_net")}
    )
    table = table.append_column("row", pc.index_in(table["service_id"], service_ids, skip_nulls=True))
    table = table.filter(pc.is_valid(table["row"])).sort_by([("row", "ascending"), ("position", "ascending")])
    return frame_of({name: table[name] for name in table.column_names})


def with_task_facts(rows: pd.DataFrame, service_ids: pa.Array, tasks: pd.DataFrame) -> pd.DataFrame:
    """The rows with `task_count`, `tasks_priced`, `task_sum` (null without a price) and `task_cells`, the tasks as
    text for the fingerprint. `service_ids`: of each row, null where it has no tasks.
    """
    mine = tasks_of(service_ids, tasks)
    sums = (
        pa.table({"row": array(mine["row"]), "price_net": array(mine["price_net"])})
        .group_by("row")
        .aggregate([([], "count_all"), ("price_net", "count"), ("price_net", "sum")])
    )
    place = pc.index_in(pa.array(np.arange(len(rows)), sums["row"].type), sums["row"].combine_chunks())
    cells = cells_text(
        array(mine["position"]),
        array(mine["task_name"]),
        array(mine["price_net"]),
        between=_BETWEEN_TASK_CELLS,
    )
    return with_columns(
        rows,
        task_count=sums["count_all"].combine_chunks().take(place).fill_null(0),
        tasks_priced=sums["price_net_count"].combine_chunks().take(place).fill_null(0),
        task_sum=sums["price_net_sum"].combine_chunks().take(place),
        task_cells=joined_per_row(cells, array(mine["row"]), len(rows), _BETWEEN_TASKS),
    )


def with_task_texts(rows: pd.DataFrame, service_ids: pa.Array, tasks: pd.DataFrame) -> pd.DataFrame:
    """The rows with `tasks_text`: "- Front battery change (70,00 EUR)" for each task, one below the other.

    Every row has a `currency` and a `language`, and prices are whole in that currency.
    """
    mine = tasks_of(service_ids, tasks)
    prices = by_distinct(
        lambda price, currency, language: (
            None if price is None else f" ({format_minor(to_minor(price, currency), currency, language)})"
        ),
        TEXT,
        array(mine["price_net"]),
        array(rows["currency"]).take(array(mine["row"])),
        array(rows["language"]).take(array(mine["row"])),
    )
    texts = pc.binary_join_element_wise("- ", array(mine["task_name"]), prices.fill_null(""), "")
    return with_columns(rows, tasks_text=joined_per_row(texts, array(mine["row"]), len(rows), "\n"))


def joined_per_row(texts: pa.Array, rows: pa.Array, length: int, separator: str) -> pa.Array:
    """The texts of each row, joined; `rows` are their places, ascending. A row without texts has ""."""
    counts = np.bincount(rows.to_numpy(zero_copy_only=False), minlength=length)
    offsets = pa.array(np.concatenate(([0], np.cumsum(counts))), pa.int32())
    return pc.binary_join(pa.ListArray.from_arrays(offsets, texts), separator)
