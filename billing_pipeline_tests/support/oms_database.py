"""OMS databases for tests: rows of the contract as text, written into SQLite or PostgreSQL.

The same rows go into both, so that a test can ask whether both are read alike.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

import psycopg2
import pyarrow as pa

from billing_pipeline.oms.contract import RELATIONS, Column, Relation
from billing_pipeline.oms.demo import create_tables, stored_columns
from billing_pipeline.oms.extract import Extract
from billing_pipeline.oms.row_rules import row_problems
from billing_pipeline.problems import Problem

Cell = str | int | float | bool | bytes | None
Row = dict[str, Cell]


def customer(customer_number: Cell = "10023", **cells: Cell) -> Row:
    """A customer in good order, but for the cells given."""
    row: Row = {
        "customer_number": customer_number,
        "company_name": "Stadtflitzer GmbH",
        "street": "Torstraße 1",
        "zip_code": "10119",
        "city": "Berlin",
        "country": "DE",
        "currency": "EUR",
        "is_test": False,
    }
    return row | cells


def service(service_id: Cell = "S1", customer_number: Cell = "10023", **cells: Cell) -> Row:
    """A completed service of October 2026 in good order, but for the cells given."""
    row: Row = {
        "service_id": service_id,
        "customer_number": customer_number,
        "service_name": "Battery change service",
        "status": "completed",
        "completed_at": "2026-10-14T08:30:00Z",
        "quantity": "1",
        "unit_price_net": "150.00",
        "vat_percent": "19.00",
        "currency": "EUR",
        "updated_at": "2026-10-14T09:00:00Z",
    }
    return row | cells


def task(service_id: Cell = "S1", position: Cell = 1, **cells: Cell) -> Row:
    """A task in good order, but for the cells given."""
    row: Row = {"service_id": service_id, "position": position, "task_name": "Front battery change"}
    return row | cells


def fee(fee_id: Cell = "F1", customer_number: Cell = "10023", **cells: Cell) -> Row:
    """A cancellation fee of October 2026 in good order, but for the cells given."""
    row: Row = {
        "fee_id": fee_id,
        "customer_number": customer_number,
        "fee_type": "no_show",
        "amount_net": "25.00",
        "vat_percent": "19.00",
        "currency": "EUR",
        "charged_at": "2026-10-15T08:30:00Z",
        "updated_at": "2026-10-15T08:30:00Z",
    }
    return row | cells


def write_sqlite(file: Path, rows: Mapping[str, Iterable[Row]], *, typed: bool = True) -> str:
    """A SQLite OMS of these rows, and its URL. `typed`: the contract's tables; else columns without types or keys."""
    statements = create_tables() if typed else _untyped_tables()
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
        for name, listed in rows.items():
            columns = stored_names(RELATIONS[name])
            connection.executemany(
                insert_row(RELATIONS[name], "?"), [[row.get(column) for column in columns] for row in listed]
            )
    return f"sqlite:///{file}"


def write_postgres(url: str, rows: Mapping[str, Iterable[Row]]) -> str:
    """The contract's tables with these rows in the empty PostgreSQL database, and its URL."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        for statement in _postgres_tables():
            cursor.execute(statement)
        for name, listed in rows.items():
            columns = stored_names(RELATIONS[name])
            cursor.executemany(
                insert_row(RELATIONS[name], "%s"), [[row.get(column) for column in columns] for row in listed]
            )
    return url


def problems_in_extract(extract: Extract) -> list[Problem]:
    """The faults of all rows, by customer, row, field and code; a task's fault names its service."""
    tasks = extract.service_tasks.merge(extract.services[["service_id", "customer_number"]])
    found = {
        *row_problems(extract.customers),
        *row_problems(extract.services, "service_id"),
        *row_problems(tasks, "service_id"),
        *row_problems(extract.cancellation_fees, "fee_id"),
    }
    return sorted(found, key=lambda one: (one.customer_number, one.source_id, one.field, one.code))


def insert_row(relation: Relation, placeholder: str) -> str:
    """The INSERT of one row, columns in the contract's order; `placeholder` is the driver's: "?" or "%s"."""
    names = stored_names(relation)
    values = ", ".join([placeholder] * len(names))
    return f"INSERT INTO {relation.name} ({', '.join(names)}) VALUES ({values})"


def stored_names(relation: Relation) -> list[str]:
    """The columns of the relation's table, in the contract's order."""
    return [column.name for column in stored_columns(relation)]


def _postgres_tables() -> list[str]:
    tables = []
    for relation in RELATIONS.values():
        columns = [
            f"{column.name} {_postgres_type(column)}{' NOT NULL' if column.required else ''}"
            for column in stored_columns(relation)
        ]
        key = f"PRIMARY KEY ({', '.join(relation.key)})"
        tables.append(f"CREATE TABLE {relation.name} ({', '.join([*columns, key])})")
    return tables


def _postgres_type(column: Column) -> str:
    kind = column.type
    if pa.types.is_decimal(kind):
        return f"NUMERIC({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ"
    if pa.types.is_boolean(kind):
        return "BOOLEAN"
    return "INTEGER" if pa.types.is_integer(kind) else "TEXT"


def _untyped_tables() -> list[str]:
    return [
        f"CREATE TABLE {name} ({', '.join(stored_names(relation))})" for name, relation in RELATIONS.items()
    ]
