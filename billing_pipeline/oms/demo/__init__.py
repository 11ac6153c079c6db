"""A demo OMS in SQLite: the months of a made-up company that services e-scooters and batteries.

Belongs here: writing the database. Does not: its rows (`rows`), the deliberate faults among them (`faults`), or the
words they are made of (`catalogue`).
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from billing_pipeline.oms.contract import RELATIONS
from billing_pipeline.oms.ddl import create_tables, insert_row
from billing_pipeline.oms.demo.demo_faults import deliberate_faults
from billing_pipeline.oms.demo.demo_rows import Rows, customer_rows, demo_customers, month_rows
from billing_pipeline.oms.period import months_back

SEED = 4711


def create_demo_oms(
    path: Path,
    *,
    until_month: str,
    months: int = 14,
    customers: int = 300,
    seed: int = SEED,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes the demo OMS to `path`: `months` months, of which `until_month` is the last and has the faults.

    Every row follows from seed, customer and month alone, whatever the machine; so a later demo has the same rows
    for the months of an earlier one, while the deliberate faults are always in the last month (two aside). The
    file appears complete or not at all, in place of any that was there. `on_progress` is told (months done, months).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(descriptor)
    unfinished = Path(name)
    try:
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN")
            for statement in create_tables("sqlite"):
                connection.execute(statement)
            people = demo_customers(customers, seed)
            _insert(connection, {"customers": customer_rows(people)})
            for back in range(months - 1, -1, -1):
                month = months_back(until_month, back)
                rows = month_rows(people, month, seed)
                _insert(connection, rows)
                _insert(connection, deliberate_faults(people, rows, month, back, seed))
                if on_progress is not None:
                    on_progress(months - back, months)
            connection.execute("COMMIT")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _insert(connection: sqlite3.Connection, rows: Rows) -> None:
    for name, listed in rows.items():
        columns = RELATIONS[name].column_names
        connection.executemany(
            insert_row(RELATIONS[name], "?"), [[row.get(column) for column in columns] for row in listed]
        )
