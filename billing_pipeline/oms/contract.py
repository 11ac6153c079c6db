"""The OMS contract as data: four relations with their columns, types and keys, and frames of that shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import pandas as pd
import pyarrow as pa

TEXT: Final = pa.string()
PRICE: Final = pa.decimal128(12, 2)
QUANTITY: Final = pa.decimal128(12, 3)
PERCENT: Final = pa.decimal128(5, 2)
INSTANT: Final = pa.timestamp("us", tz="UTC")
FLAG: Final = pa.bool_()
POSITION: Final = pa.int32()


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the contract. `required`: NULL there is a fault of the row. `optional`: a query need not yield it."""

    name: str
    type: pa.DataType
    required: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation. `key`: its primary key; `instant`: the column that decides to which month a row belongs.

    `row_name`: how messages name a row, with the key's columns in braces.
    """

    name: str
    row_name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    instant: str | None = None

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns that the OMS provides, in the contract's order."""
        return tuple(column.name for column in self.columns)

    @property
    def optional_names(self) -> frozenset[str]:
        """The columns that it may leave out: they are NULL then."""
        return frozenset(column.name for column in self.columns if column.optional)

    @property
    def frame_schema(self) -> pa.Schema:
        """The extract's columns: those of the contract, then `month` where rows have an instant, then `faults`."""
        fields = [pa.field(column.name, column.type) for column in self.columns]
        if self.instant is not None:
            fields.append(pa.field("month", TEXT))
        return pa.schema([*fields, pa.field("faults", TEXT)])


CUSTOMERS: Final = Relation(
    "customers",
    "customer {customer_number}",
    (
        Column("customer_number", TEXT, required=True),
        Column("company_name", TEXT),
        Column("first_name", TEXT),
        Column("last_name", TEXT),
        Column("street", TEXT),
        Column("zip_code", TEXT),
        Column("city", TEXT),
        Column("state", TEXT),
        Column("country", TEXT),
        Column("email", TEXT),
        Column("phone", TEXT),
        Column("vat_id", TEXT),
        Column("tax_type", TEXT),
        Column("currency", TEXT, required=True),
        Column("payment_type", TEXT),
        Column("is_test", FLAG, required=True),
    ),
    key=("customer_number",),
)

SERVICES: Final = Relation(
    "services",
    "service {service_id}",
    (
        Column("service_id", TEXT, required=True),
        Column("customer_number", TEXT, required=True),
        Column("service_code", TEXT),
        Column("service_name", TEXT, required=True),
        Column("description", TEXT),
        Column("status", TEXT, required=True),
        Column("sub_status", TEXT),
        Column("completed_at", INSTANT),
        Column("cancelled_at", INSTANT),
        Column("quantity", QUANTITY, required=True),
        Column("unit", TEXT),
        Column("unit_price_net", PRICE),
        Column("vat_percent", PERCENT),
        Column("currency", TEXT, required=True),
        Column("cost_center", TEXT),
        Column("location", TEXT),
        Column("provider", TEXT),
        Column("updated_at", INSTANT, required=True),
    ),
    key=("service_id",),
    instant="completed_at",
)

SERVICE_TASKS: Final = Relation(
    "service_tasks",
    "task {position} of service {service_id}",
    (
        Column("service_id", TEXT, required=True),
        Column("position", POSITION, required=True),
        Column("task_name", TEXT, required=True),
        Column("price_net", PRICE),
    ),
    key=("service_id", "position"),
)

CANCELLATION_FEES: Final = Relation(
    "cancellation_fees",
    "fee {fee_id}",
    (
        Column("fee_id", TEXT, required=True),
        Column("service_id", TEXT),
        Column("customer_number", TEXT, required=True),
        Column("fee_type", TEXT, required=True),
        Column("description", TEXT),
        Column("amount_net", PRICE, required=True),
        Column("vat_percent", PERCENT),
        Column("currency", TEXT, required=True),
        Column("charged_at", INSTANT, required=True),
        Column("updated_at", INSTANT, required=True),
        # Of the cancelled service.
        Column("service_name", TEXT, optional=True),
        Column("cancelled_at", INSTANT, optional=True),
    ),
    key=("fee_id",),
    instant="charged_at",
)

RELATIONS: Final[Mapping[str, Relation]] = MappingProxyType(
    {relation.name: relation for relation in (CUSTOMERS, SERVICES, SERVICE_TASKS, CANCELLATION_FEES)}
)


def frame_of_table(table: pa.Table) -> pd.DataFrame:
    """The table as pandas, every column `pd.ArrowDtype`, with a fresh range index."""
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def with_optional_columns(relation: Relation, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its optional columns, null where a release that did not know them has kept it."""
    missing = [name for name in relation.optional_names if name not in frame]
    if not missing:
        return frame
    schema = relation.frame_schema
    frame = frame.assign(
        **{
            name: pd.Series(
                [None] * len(frame), index=frame.index, dtype=pd.ArrowDtype(schema.field(name).type)
            )
            for name in missing
        }
    )
    return frame[[name for name in schema.names if name in frame]]


def frame_of_rows(relation: Relation, rows: Iterable[Mapping[str, Any]] = ()) -> pd.DataFrame:
    """A frame with the extract's columns from rows of typed values (Decimal, aware datetime, str …).

    Columns that a row leaves out are null. Raises KeyError for a column that the relation does not have.
    """
    schema = relation.frame_schema
    listed = [dict(row) for row in rows]
    for row in listed:
        if unknown := row.keys() - set(schema.names):
            raise KeyError(f"{relation.name} has no column {', '.join(sorted(unknown))}")
    return frame_of_table(pa.Table.from_pylist(listed, schema=schema))
