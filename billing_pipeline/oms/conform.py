"""Text → typed Arrow columns, vectorised and exact; what cannot be typed becomes null and a fault of its row.

Belongs here: how a decimal, an instant, a flag or a position may be written. Does not: whether the value makes
sense (`schemas`). Decimals go from text to decimal128 without a float on the way; trailing zeros are no decimals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.oms.cells import FLOAT_MARK
from billing_pipeline.oms.contract import FLAG, INSTANT, TEXT, Column, Relation
from billing_pipeline.oms.oms_errors import OmsShapeWrong
from billing_pipeline.oms.row_faults import Fault, fault_at
from billing_pipeline.problems import Code

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

CODES: Final[Mapping[str, Code]] = MappingProxyType(
    {
        "unit_price_net": Code.PRICE_INVALID,
        "price_net": Code.PRICE_INVALID,
        "amount_net": Code.PRICE_INVALID,
        "quantity": Code.QUANTITY_INVALID,
        "vat_percent": Code.VAT_INVALID,
        "currency": Code.CURRENCY_INVALID,
        "country": Code.COUNTRY_INVALID,
        "is_test": Code.CUSTOMER_INCOMPLETE,
        "completed_at": Code.TIMESTAMP_WITHOUT_ZONE,
        "cancelled_at": Code.TIMESTAMP_WITHOUT_ZONE,
        "charged_at": Code.TIMESTAMP_WITHOUT_ZONE,
        "updated_at": Code.TIMESTAMP_WITHOUT_ZONE,
    }
)
"""The code of a fault in a column, where it has one of its own; all others are text."""


def conform(relation: Relation, text: pa.Table) -> tuple[pa.Table, list[Fault]]:
    """The relation's columns typed as the contract says, and the cells that could not be.

    The keys must have been proven (`prove_keys`): a fault names its row by them.
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


def prove_keys(relation: Relation, text: pa.Table) -> None:
    """Raises OmsShapeWrong where a cell that says which row it is, or whose, is empty or no text.

    No customer could be told of such a row; the message names it by its other cells.
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
    """The instants that the cells name; null where they name none, or have no zone.

    ISO 8601 with Z or an offset; beyond microseconds digits are cut off, so that no instant moves into the next
    month.
    """
    zoned = pc.if_else(pc.match_substring_regex(cells, _ZONED), cells, pa.scalar(None, pa.string()))
    plain = pc.utf8_upper(pc.replace_substring_regex(zoned, r"(\.[0-9]{6})[0-9]+", r"\1"))
    try:
        return plain.cast(INSTANT)
    except pa.ArrowInvalid:
        # A date that no calendar has (30 February): find which, once for each text.
        known = {text: _instant_or_none(text) for text in plain.unique().to_pylist()}
        return pa.chunked_array([pa.array([known[text] for text in plain.to_pylist()], INSTANT)])


def reading_of(text: str) -> datetime | None:
    """What a time without zone, or a date, says on the clock; None where it says nothing of the kind."""
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
