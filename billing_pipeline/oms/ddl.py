"""The contract's four tables as SQL, for the demo, for tests, and for whoever wants to build an OMS to it.

Made from `contract`, so that there is one source. In SQLite the exact columns are TEXT: declared NUMERIC, SQLite
would turn '0.10' into a float.
"""

from __future__ import annotations

from typing import Literal

import pyarrow as pa

from billing_pipeline.oms.contract import RELATIONS, Column, Relation

Dialect = Literal["sqlite", "postgresql"]


def create_tables(dialect: Dialect) -> list[str]:
    """A CREATE TABLE statement for each relation of the contract."""
    return [_create(relation, dialect) for relation in RELATIONS.values()]


def insert_row(relation: Relation, placeholder: str) -> str:
    """An INSERT of one row, the columns in the contract's order; `placeholder` as the driver writes it."""
    values = ", ".join([placeholder] * len(relation.columns))
    columns = ", ".join(relation.column_names)
    return f"INSERT INTO {relation.name} ({columns}) VALUES ({values})"  # noqa: S608 - the contract's own names


def _create(relation: Relation, dialect: Dialect) -> str:
    columns = [_column(column, dialect) for column in relation.columns]
    inside = ",\n  ".join([*columns, f"PRIMARY KEY ({', '.join(relation.key)})"])
    return f"CREATE TABLE {relation.name} (\n  {inside}\n)"


def _column(column: Column, dialect: Dialect) -> str:
    required = " NOT NULL" if column.required else ""
    return f"{column.name} {_type(column.type, dialect)}{required}"


def _type(kind: pa.DataType, dialect: Dialect) -> str:
    if pa.types.is_boolean(kind):
        return "BOOLEAN"
    if pa.types.is_integer(kind):
        return "INTEGER"
    if dialect == "sqlite" or pa.types.is_string(kind):
        return "TEXT"
    return "TIMESTAMPTZ" if pa.types.is_timestamp(kind) else f"NUMERIC({kind.precision},{kind.scale})"
