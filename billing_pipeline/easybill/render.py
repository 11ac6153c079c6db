"""Turns a document into the exact bytes of a CSV file. No I/O, no rounding, no choice: the layout says it all.

Equal documents and layouts give equal bytes under any locale, time zone, hash seed and decimal context. What cannot
be written as the layout says is found before, by `blocking`; here it raises.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

from billing_pipeline.easybill.document import Document, plain
from billing_pipeline.easybill.layout import DATE_FORMATS, EMPTY, FIELDS, Column, Layout, Value


def render_csv(document: Document, layout: Layout) -> bytes:
    """The file of one document: the header, then one row per line, in the order of the lines.

    Raises ValueError where a value does not fit its column (a price with more decimals than the column has, a text
    that the encoding cannot write).
    """
    writers = [_writer(column, layout) for column in layout.columns]
    fields = [FIELDS.get(column.source) for column in layout.columns]
    cells = ["" for _ in layout.columns]
    of_lines = []
    for index, (column, field, write) in enumerate(zip(layout.columns, fields, writers, strict=True)):
        if field is not None and field.of_line is not None:
            of_lines.append((index, field.of_line, write))
        elif field is not None and field.of_document is not None:
            cells[index] = write(field.of_document(document))
        else:
            cells[index] = write(None if column.source == EMPTY else column.value)

    rows = [layout.delimiter.join(_quoted(c.name) if layout.quote_header else c.name for c in layout.columns)]
    for line in document.lines:
        for index, of_line, write in of_lines:
            cells[index] = write(of_line(document, line))
        rows.append(layout.delimiter.join(cells))
    rows.append("")
    text = layout.line_ending.join(rows)
    return ("\ufeff" + text if layout.byte_order_mark else text).encode(layout.encoding)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _bare(text: str) -> str:
    return text


def _writer(column: Column, layout: Layout) -> Callable[[Value], str]:
    """How a value of this column becomes a cell, quotes included."""
    enclose = _quoted if layout.is_quoted(column) else _bare
    date_pattern = DATE_FORMATS[layout.date_format]

    def write(value: Value) -> str:
        if value is None:
            return enclose("")
        if isinstance(value, str):
            return enclose(value)
        if isinstance(value, date):
            return enclose(value.strftime(date_pattern))
        return enclose(_number(value, column).replace(".", layout.decimal_mark))

    return write


def _number(value: Decimal, column: Column) -> str:
    text = plain(value)
    whole, _, fraction = text.partition(".")
    if len(fraction) > column.places:
        raise ValueError(f"{text} has more than the {column.places} decimals of column {column.name}")
    if column.type == "quantity" or not column.places:
        return text
    return f"{whole}.{fraction:0<{column.places}}"
