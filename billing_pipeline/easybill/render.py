"""Turns documents into the exact bytes of their CSV files. No I/O, no rounding, no choice: the layout says it all.

Equal documents and layouts give equal bytes under any locale, time zone, hash seed and decimal context. What cannot
be written as the layout says is found before, by `fitness`; here it raises.
"""

from __future__ import annotations

from functools import partial
from itertools import groupby
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import TEXT, constant
from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.document_columns import DocumentColumns, plain_numbers
from billing_pipeline.easybill.layout import DATE_FORMATS, FIELDS, Column, Layout

_MOST_DIGITS: Final = 38


def render_csv(document: Document, layout: Layout) -> bytes:
    """The file of one document. Raises: as `render_files`."""
    return render_files(DocumentColumns.of([document]), layout)[0]


def render_files(documents: DocumentColumns, layout: Layout) -> list[bytes]:
    """The file of each document: the header, then one row per line, in the order of the lines.

    Raises ValueError where a value does not fit its column (a price with more decimals than the column has, a text
    that the encoding cannot write).
    """
    names = [_quoted(column.name) if layout.quote_header else column.name for column in layout.columns]
    header = ("\ufeff" if layout.byte_order_mark else "") + layout.delimiter.join(names) + layout.line_ending
    # No name for what it is made of, as in `DocumentColumns.json`.
    files = pc.binary_join_element_wise(
        header, documents.joined_lines(documents.of_each_line(partial(_rows, layout=layout))), ""
    )
    if layout.encoding == "utf-8":
        return files.cast(pa.binary()).to_pylist()  # type: ignore[no-any-return]
    return [text.encode(layout.encoding) for text in files.to_pylist()]


def _rows(documents: DocumentColumns, layout: Layout) -> pa.Array:
    """Every line of the documents as its row, line ending included."""
    parts = []
    # What all lines of a document share is written once for the document.
    for of_line, columns in groupby(layout.columns, key=_is_of_line):
        cells = [_cells(documents, column, layout) for column in columns]
        part = pc.binary_join_element_wise(*cells, layout.delimiter)
        parts.append(part if of_line else part.take(documents.document_of_line))
    return pc.binary_join_element_wise(
        pc.binary_join_element_wise(*parts, layout.delimiter), layout.line_ending, ""
    )


def _is_of_line(column: Column) -> bool:
    return column.source in FIELDS and FIELDS[column.source].of_line


def _cells(documents: DocumentColumns, column: Column, layout: Layout) -> pa.Array:
    """The column as cells, quotes included: one per line or, of what all lines share, per document."""
    if column.source in FIELDS:
        texts = _texts(FIELDS[column.source].values(documents), column, layout)
    else:
        texts = constant(column.value, TEXT, len(documents))
    if not layout.is_quoted(column):
        return texts
    return pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")


def _texts(values: pa.Array, column: Column, layout: Layout) -> pa.Array:
    if pa.types.is_date(values.type):
        return pc.strftime(values, format=DATE_FORMATS[layout.date_format]).fill_null("")
    if pa.types.is_decimal(values.type):
        texts = _numbers(values, column)
        return texts if layout.decimal_mark == "." else pc.replace_substring(texts, ".", layout.decimal_mark)
    return values.fill_null("")


def _numbers(values: pa.Array, column: Column) -> pa.Array:
    try:
        exact = values.cast(pa.decimal128(_MOST_DIGITS, column.places))
    except pa.ArrowInvalid:
        too_fine = pc.not_equal(pc.round(values, column.places, round_mode="towards_zero"), values)
        first = plain_numbers(values.filter(too_fine))[0]
        raise ValueError(
            f"{first} has more than the {column.places} decimals of column {column.name}"
        ) from None
    return plain_numbers(exact) if column.type == "quantity" else exact.cast(TEXT)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
