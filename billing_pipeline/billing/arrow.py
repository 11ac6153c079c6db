"""Helpers between pandas and Arrow.

Frames are pandas with Arrow columns; what pandas cannot do (exact decimals, joining text) is done on the Arrow arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

TEXT: Final = pa.string()
FLAG: Final = pa.bool_()
MINOR: Final = pa.int64()
INSTANT: Final = pa.timestamp("us", tz="UTC")
QUANTITY: Final = pa.decimal128(12, 3)
PRICE: Final = pa.decimal128(12, 2)
PERCENT: Final = pa.decimal128(5, 2)
FILE_PRICE: Final = pa.decimal128(18, 3)


def array(column: pd.Series[Any]) -> pa.Array:
    """The Arrow array of an Arrow-backed column, in one chunk; not a copy where it is in one already."""
    return in_one_chunk(column.array.__arrow_array__())


def in_one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """The same as one array. `combine_chunks` copies a single chunk too (pyarrow 26): an eighth of a run went there."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def with_columns(frame: pd.DataFrame, **columns: pa.Array) -> pd.DataFrame:
    """The frame with these Arrow arrays as columns, added or replaced."""
    return frame.assign(**{name: pd.arrays.ArrowExtensionArray(values) for name, values in columns.items()})


def frame_of(columns: dict[str, pa.Array]) -> pd.DataFrame:
    """A frame of these Arrow arrays, with a fresh range index."""
    frame: pd.DataFrame = pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def where(frame: pd.DataFrame, mask: pa.Array) -> pd.DataFrame:
    """The rows for which the mask is true (null is not), with a fresh range index."""
    chosen = mask.fill_null(False)
    if not len(frame) or pc.all(chosen).as_py():  # nothing to take row by row, from every column
        return frame.reset_index(drop=True)
    if not pc.any(chosen).as_py():
        return frame.iloc[:0].reset_index(drop=True)
    kept: pd.DataFrame = frame[chosen.to_numpy(zero_copy_only=False)]
    return kept.reset_index(drop=True)


def distinct(column: pd.Series[Any]) -> set[Any]:
    """The different values of an Arrow-backed column, null as None. Its iterator makes an object of each cell first."""
    return set(pc.unique(array(column)).to_pylist())


def each_row(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows, with the columns as attributes and None for null. Slow: for the few rows of a message."""
    if not len(frame):
        # Most messages have no rows, and to look into forty columns costs more than the rest of a small bill.
        return
    names = list(frame.columns)
    for values in zip(*(array(frame[name]).to_pylist() for name in names), strict=True):
        yield SimpleNamespace(**dict(zip(names, values, strict=True)))


def in_portions(ends: npt.NDArray[np.int64], most: int) -> Iterator[slice]:
    """Neighbours in portions of at most so much together, or of one alone. `ends`: how much there is up to each."""
    begin = 0
    while begin < len(ends):
        before = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield slice(begin, end)
        begin = end


def constant(value: object, kind: pa.DataType, length: int) -> pa.Array:
    """An array with the same value `length` times."""
    return pa.repeat(pa.scalar(value, kind), length)


def all_of(*masks: pa.Array) -> pa.Array:
    """True where every mask is; null counts as false."""
    result = masks[0].fill_null(False)
    for mask in masks[1:]:
        result = pc.and_(result, mask.fill_null(False))
    return result


def any_of(*masks: pa.Array) -> pa.Array:
    """True where one of the masks is; null counts as false."""
    result = masks[0].fill_null(False)
    for mask in masks[1:]:
        result = pc.or_(result, mask.fill_null(False))
    return result


def negation(mask: pa.Array) -> pa.Array:
    """True where the mask is not true; null counts as false."""
    return pc.invert(mask.fill_null(False))


def by_distinct(function: Callable[..., object], kind: pa.DataType, *columns: pa.Array) -> pa.Array:
    """`function(*values)` for every row, called once for each distinct combination of values.

    For what only Python can compute (a customer's rule, a formatted number), where few combinations occur.
    """
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        encoded = column.dictionary_encode(null_encoding="encode")
        codes = codes * max(len(encoded.dictionary), 1) + encoded.indices.to_numpy(zero_copy_only=False)
    _, first, place = np.unique(codes, return_index=True, return_inverse=True)
    rows = zip(*(column.take(pa.array(first)).to_pylist() for column in columns), strict=True)
    return pa.array([function(*row) for row in rows], kind).take(pa.array(place))


def in_pairs(first: pa.Array, second: pa.Array, pairs: frozenset[tuple[str, str]]) -> pa.Array:
    """True where (first, second) is one of `pairs` of texts; a null is in no pair."""
    if not pairs:
        return constant(False, FLAG, len(first))
    return by_distinct(lambda *pair: pair in pairs, FLAG, first, second)


def joined(*parts: pa.Array, separator: str) -> pa.Array:
    """The parts of each row, with `separator` between them; a part that is null or empty is left out."""
    # Arrow's join with null_handling="skip" loses rows in which every part is null (pyarrow 26). Texts are copied once:
    # a month's titles are a third of its memory.
    pieces: list[pa.Array] = []
    begun = constant(False, FLAG, len(parts[0]))
    for part in parts:
        text = part.fill_null("")
        is_there = pc.not_equal(text, "")
        pieces += [pc.if_else(pc.and_(begun, is_there), separator, ""), text]
        begun = pc.or_(begun, is_there)
    return pc.binary_join_element_wise(*pieces, "")
