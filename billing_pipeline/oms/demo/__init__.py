"""Writes a demo OMS in SQLite: the months of a made-up company that services e-scooters and batteries."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Final

import pyarrow as pa

from billing_pipeline.oms.contract import RELATIONS, Column, Relation
from billing_pipeline.oms.demo.demo_faults import deliberate_faults
from billing_pipeline.oms.demo.demo_rows import Rows, demo_customers, month_rows
from billing_pipeline.oms.period import months_back

SEED: Final = 4711
MONTHS: Final = 14


def create_demo_oms(
    path: Path, *, until_month: str, months: int = MONTHS, customers: int = 300, seed: int = SEED
) -> None:
    """Writes the demo OMS to `path`, as `demo_oms_months` does, in one go."""
    for _ in demo_oms_months(path, until_month=until_month, months=months, customers=customers, seed=seed):
        pass


def demo_oms_months(
    path: Path, *, until_month: str, months: int = MONTHS, customers: int = 300, seed: int = SEED
) -> Generator[str, None, None]:
    """Writes the demo OMS to `path` and yields each month once it is written; `until_month` is the last.

    Every row follows from seed, customer and month alone, on every machine: a later demo has the same rows for the
    months of an earlier one. Deliberate faults are in the last month, and two in older ones. The file appears,
    complete, when the last month has been taken; it replaces any that was there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(descriptor)
    unfinished = Path(name)
    try:
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN")
            for statement in create_tables():
                connection.execute(statement)
            people = demo_customers(customers, seed)
            _insert(connection, {"customers": [customer.row for customer in people]})
            for back in range(months - 1, -1, -1):
                month = months_back(until_month, back)
                rows = month_rows(people, month, seed)
                _insert(connection, rows)
                _insert(connection, deliberate_faults(people, rows, month, back, seed))
                yield month
            connection.execute("COMMIT")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def create_tables() -> list[str]:
    """A CREATE TABLE statement of SQLite for each relation of the contract.

    Decimals and instants are TEXT: declared NUMERIC, SQLite would turn '0.10' into a float.
    """
    return [
        f"CREATE TABLE {relation.name} (\n  "
        + ",\n  ".join([*map(_column, stored_columns(relation)), f"PRIMARY KEY ({', '.join(relation.key)})"])
        + "\n)"
        for relation in RELATIONS.values()
    ]


def stored_columns(relation: Relation) -> list[Column]:
    """The columns of the relation's table; the optional ones are of another table, from which a query fetches them."""
    return [column for column in relation.columns if not column.optional]


def _column(column: Column) -> str:
    kind = "TEXT"
    if pa.types.is_boolean(column.type):
        kind = "BOOLEAN"
    elif pa.types.is_integer(column.type):
        kind = "INTEGER"
    return f"{column.name} {kind}{' NOT NULL' if column.required else ''}"


def _insert(connection: sqlite3.Connection, rows: Rows) -> None:
    for name, listed in rows.items():
        columns = [column.name for column in stored_columns(RELATIONS[name])]
        places = ", ".join("?" * len(columns))
        connection.executemany(
            f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({places})",  # noqa: S608 - the contract's own names
            [[row.get(column) for column in columns] for row in listed],
        )
