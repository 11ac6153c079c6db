"""Cells of the OMS: what a driver returns, as text; and that text as typed Arrow columns.

Sources hand over every cell as text, NULL apart from ''. `conform` types that text, vectorised and exact: decimals
become decimal128 without passing through a float, instants UTC. What has no exact text (a float in a decimal column,
bytes that are not UTF-8) is marked, and what cannot be typed becomes null: both are faults of the row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.oms.contract import FLAG, INSTANT, TEXT, Column, Relation
from billing_pipeline.oms.oms_errors import OmsShapeWrong
from billing_pipeline.oms.row_rules import CODES, FLOAT_MARK, NOT_UTF8_MARK, Fault, fault_at

_DECIMAL: Final = r"^-?[0-9]+(\.[0-9]+)?$"
_DATE: Final = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME: Final = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?"
_ZONE: Final = r"([Zz]|[+-](0[0-9]|1[0-4]):[0-5][0-9])"
# No wider than what SQLite's julianday() understands, or its queries would return rows of every month.
_ZONED: Final = f"^{_DATE}[T ]{_TIME}{_ZONE}$"
_ZONELESS: Final = re.compile(f"({_DATE})([T ]({_TIME}))?", re.ASCII)
_POSITION: Final = r"^-?[0-9]{1,9}$"
_TRUE: Final = ("t", "true", "1")
_FALSE: Final = ("f", "false", "0")


def table_of_rows(relation: Relation, names: Sequence[str], rows: Iterable[Sequence[object]]) -> pa.Table:
    """The relation's columns as Arrow strings, from a driver's rows with the columns `names`.

    Every column of the contract that is not optional must be among `names`; others are left out.
    """
    fetched = list(rows)
    columns = dict(zip(names, zip(*fetched, strict=True), strict=False))
    empty = [None] * len(fetched)
    return pa.table(
        {column.name: _texts(columns.get(column.name, empty), column) for column in relation.columns},
        schema=text_schema(relation),
    )


def text_schema(relation: Relation) -> pa.Schema:
    """The relation's columns, all Arrow strings."""
    return pa.schema([pa.field(name, pa.string()) for name in relation.column_names])


def instant_text(instant: datetime) -> str:
    """An instant in the contract's text form, in UTC: 2026-09-30T22:00:00Z."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def decode(raw: bytes) -> str:
    """The text of `raw`; bytes that are not UTF-8 become escapes, with `NOT_UTF8_MARK` in front."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return NOT_UTF8_MARK + raw.decode(errors="backslashreplace")


def conform(relation: Relation, text: pa.Table) -> tuple[pa.Table, list[Fault]]:
    """The relation's columns typed as in the contract, and a fault for each cell that could not be typed.

    Call `validate_keys` first: a fault names its row by the key.
    """
    columns, faults = [], []
    for column in relation.columns:
        cells = text[column.name]
        typed = _typed(cells, column)
        columns.append(typed)
        lost = pc.and_(pc.is_null(typed), pc.is_valid(cells))
        faults += [
            fault_at(
                text, relation, row, column.name, CODES[column.name], _reason(cells[row].as_py(), column)
            )
            for row in pc.indices_nonzero(lost).to_pylist()
        ]
    return pa.table(columns, names=list(relation.column_names)), faults


def validate_keys(relation: Relation, text: pa.Table) -> None:
    """Raises OmsShapeWrong where a key or a customer number is NULL, empty or not UTF-8.

    Such a row could be reported to no customer; the message names it by its other cells.
    """
    for name in dict.fromkeys((*relation.key, "customer_number")):
        if name not in relation.column_names:
            continue
        unusable = pc.match_substring_regex(text[name], r"^$|\x00")
        if (row := pc.index(pc.fill_null(unusable, fill_value=True), value=True).as_py()) >= 0:
            cells = {column: text[column][row].as_py() for column in relation.column_names}
            shown = ", ".join(f"{column} {value!r}" for column, value in cells.items() if value)
            raise OmsShapeWrong(
                f"OMS relation {relation.name}: {name} is NULL, empty or no text in the row with"
                f" {shown[:200] or 'nothing'}; a row must have its key: correct it in the OMS"
            )
    if "position" in relation.key:
        whole = pc.match_substring_regex(text["position"], _POSITION)
        if (row := pc.index(whole, value=False).as_py()) >= 0:
            service, position = text["service_id"][row].as_py(), text["position"][row].as_py()
            raise OmsShapeWrong(
                f"OMS relation {relation.name}: position {position!r} of service {service} is not a whole number;"
                " correct it in the OMS"
            )


def instants_of(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """The cells as instants (UTC); null where the text is no instant or has no time zone.

    ISO 8601 with Z or an offset. Digits beyond microseconds are cut off: rounded, an instant could move into the
    next month.
    """
    zoned = pc.if_else(pc.match_substring_regex(cells, _ZONED), cells, pa.scalar(None, pa.string()))
    plain = pc.utf8_upper(pc.replace_substring_regex(zoned, r"(\.[0-9]{6})[0-9]+", r"\1"))
    try:
        return plain.cast(INSTANT)
    except pa.ArrowInvalid:
        # A date that no calendar has (30 February): find which, once for each text.
        known = {text: _instant_or_none(text) for text in plain.unique().to_pylist()}
        return pa.chunked_array([pa.array([known[text] for text in plain.to_pylist()], INSTANT)])


def local_time_of(text: str) -> datetime | None:
    """The date and time of a text without time zone, or of a date; None where it is neither."""
    match = _ZONELESS.match(text)
    if match is None:
        return None
    try:
        return datetime.fromisoformat(match[0])
    except ValueError:
        return None


def _instant_or_none(text: str | None) -> pa.Scalar | None:
    try:
        return pa.scalar(text, pa.string()).cast(INSTANT)
    except pa.ArrowInvalid:
        return None


def _typed(cells: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    if pa.types.is_decimal(column.type):
        return _decimals(cells, column.type)
    if column.type == INSTANT:
        return instants_of(cells)
    if column.type == FLAG:
        return _flags(cells)
    return cells if column.type == TEXT else cells.cast(column.type)


def _decimals(cells: pa.ChunkedArray, kind: pa.Decimal128Type) -> pa.ChunkedArray:
    plain = pc.if_else(pc.match_substring_regex(cells, _DECIMAL), cells, pa.scalar(None, pa.string()))
    # "-007.500" → "-07.5": the zeros that say nothing are gone but for one, so that the digits can be counted.
    # (RE2 reads one digit after a backslash: "\\10" is the first group, then a zero.)
    bare = pc.replace_substring_regex(plain, r"^(-?)0*([0-9]*)(?:\.([0-9]*?)0*)?$", r"\10\2.\3")
    whole, decimals = kind.precision - kind.scale, kind.scale
    fits = pc.match_substring_regex(bare, rf"^-?0[0-9]{{0,{whole}}}\.[0-9]{{0,{decimals}}}$")
    return pc.if_else(fits, bare, pa.scalar(None, pa.string())).cast(kind)


def _flags(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    lower = pc.utf8_lower(cells)
    true, false = (pc.is_in(lower, pa.array(words)) for words in (_TRUE, _FALSE))
    return pc.if_else(pc.or_(true, false), true, pa.scalar(None, FLAG))


def _reason(value: str, column: Column) -> str:
    if column.type == INSTANT:
        return "is no instant with a zone: write 2026-10-14T08:30:00Z, or an offset such as +02:00"
    if column.type == FLAG:
        return "is neither true nor false: write one of them"
    return _reason_for_decimal(value, column.type)


def _reason_for_decimal(value: str, kind: pa.Decimal128Type) -> str:
    if value.endswith(FLOAT_MARK):
        return "is stored as a floating-point number, which is not exact: store decimal text, such as 150.00"
    if re.fullmatch(_DECIMAL, value) is None:
        return "is not a decimal number: write digits and a point, such as 150.00"
    if len(value.partition(".")[2].rstrip("0")) > kind.scale:
        return f"has more than {kind.scale} decimals: correct it in the OMS"
    return f"is too large for NUMERIC({kind.precision},{kind.scale}): correct it in the OMS"


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
