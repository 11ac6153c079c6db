"""What a database driver hands over, as text: the one form in which cells enter the pipeline.

Belongs here: values → text, exactly, with NULL kept apart from ''. What has no exact text (a float in a decimal
column, bytes that are not UTF-8) becomes text that cannot pass for anything else, so that the row is reported.
Does not belong here: whether the text is a good price or instant (`conform`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

import pyarrow as pa

from billing_pipeline.oms.contract import Column, Relation

FLOAT_MARK: Final = " (float)"
NOT_UTF8_MARK: Final = "\0"
"""Before text that was not UTF-8: a control character, which no good text holds."""


def table_of_rows(relation: Relation, names: Sequence[str], rows: Iterable[Sequence[object]]) -> pa.Table:
    """The relation's columns as Arrow strings, from a driver's rows, whose columns are called `names`.

    Columns beyond the contract are left out; every column of the contract must be among `names`.
    """
    columns = dict(zip(names, zip(*rows, strict=True), strict=False))
    return pa.table(
        {column.name: _texts(columns.get(column.name, ()), column) for column in relation.columns},
        schema=text_schema(relation),
    )


def text_schema(relation: Relation) -> pa.Schema:
    """The relation's columns, all Arrow strings."""
    return pa.schema([pa.field(name, pa.string()) for name in relation.column_names])


def instant_text(instant: datetime) -> str:
    """An instant in the contract's text form, in UTC: 2026-09-30T22:00:00Z."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def decode(raw: bytes) -> str:
    """The text of `raw`; what is not UTF-8 is shown as escapes, behind `NOT_UTF8_MARK`."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return NOT_UTF8_MARK + raw.decode(errors="backslashreplace")


def _texts(values: Sequence[object], column: Column) -> pa.Array:
    try:
        return pa.array(
            [value if value is None or isinstance(value, str) else _text(value, column) for value in values],
            pa.string(),
        )
    except UnicodeEncodeError:
        return pa.array([_without_surrogates(value, column) for value in values], pa.string())


def _text(value: object, column: Column) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return f"{value!r}{FLOAT_MARK}" if pa.types.is_decimal(column.type) else repr(value)
        case Decimal():
            return format(value, "f")
        case datetime() if value.tzinfo is not None:
            return instant_text(value)
        case date():
            return value.isoformat()  # without zone, and so it will be reported
        case bytes() | bytearray() | memoryview():
            return decode(bytes(value))
        case _:
            return str(value)


def _without_surrogates(value: object, column: Column) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else _text(value, column)
    try:
        text.encode()
    except UnicodeEncodeError:
        return NOT_UTF8_MARK + text.encode(errors="backslashreplace").decode()
    return text
