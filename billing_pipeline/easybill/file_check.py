"""Reads a file's bytes back and holds them against the layout and the document: only what passes may be sent.

An independent reader (Python's `csv`): nothing of `render` is used, so that a fault there is found here. The typed
values a row must say come from the document; what a cell may look like comes from the layout (`schema`). Whether the
document itself may be billed is not asked here (`blocking`).
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Context, Decimal
from operator import itemgetter
from typing import Final

from billing_pipeline import money
from billing_pipeline.easybill.document import Document, DocumentLine
from billing_pipeline.easybill.fields import FIELDS, Field, Value
from billing_pipeline.easybill.file_schema import cell_patterns, schema_faults
from billing_pipeline.easybill.layout import Column, Layout
from billing_pipeline.easybill.words import shortened

MOST_REASONS: Final = 50
"""A ruined file has a fault in every cell; nobody reads more than this."""

_EXACT: Final = Context(prec=100)


def check_csv(data: bytes, document: Document, layout: Layout) -> list[str]:
    """Why these bytes are not the file of this document: one line per reason, empty where they are.

    Rows are numbered from 1, below the header. Amounts are compared to the minor unit, on the document's price basis.
    """
    try:
        text = data.decode(layout.encoding)
    except UnicodeDecodeError as fault:
        return [f"the file is not {layout.encoding.upper()}: byte {fault.start + 1} of {len(data)}"]
    has_mark = text.startswith("\ufeff")
    if has_mark != layout.byte_order_mark:
        return ["the file begins with a byte order mark" if has_mark else "the byte order mark is missing"]
    text = text[1:] if has_mark else text
    reasons = _form_faults(text, layout) or _content_faults(text, document, layout)
    if len(reasons) > MOST_REASONS:
        reasons = [*reasons[:MOST_REASONS], f"and {len(reasons) - MOST_REASONS} more"]
    return reasons


def _form_faults(text: str, layout: Layout) -> list[str]:
    """The bytes between the values: header, delimiters, quotes, line endings. The first fault ends the search, for
    what follows a missing quote means nothing."""
    mark = '"' if layout.quote_header else ""
    header = (
        layout.delimiter.join(f"{mark}{column.name}{mark}" for column in layout.columns) + layout.line_ending
    )
    if not text.startswith(header):
        return [f"the header is not that of layout {layout.name}"]
    delimiter = re.escape(layout.delimiter)
    cells = [
        r'"[^"\r]*(?:""[^"\r]*)*"' if layout.is_quoted(column) else rf'[^"\r\n{delimiter}]*'
        for column in layout.columns
    ]
    row = re.compile(delimiter.join(cells) + layout.line_ending)
    position, number = len(header), 0
    while position < len(text):
        number += 1
        match = row.match(text, position)
        if match is None:
            return [f"row {number}: delimiters, quotes or line ending are not as the layout says"]
        position = match.end()
    return []


def _content_faults(text: str, document: Document, layout: Layout) -> list[str]:
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=layout.delimiter, strict=True)
        rows = list(reader)[1:]
    except csv.Error as fault:
        return [f"the file cannot be read as CSV: {fault}"]
    reasons = []
    if not layout.takes(document.price_basis):
        reasons.append(
            f"the document adds up {document.price_basis}, the layout takes only {layout.price_basis} prices"
        )
    if len(rows) != len(document.lines):
        reasons.append(f"the file has {len(rows)} rows, the document {len(document.lines)} lines")
    if not document.lines:
        reasons.append("the document has no lines, so there is nothing to send")
    fits = [pattern.fullmatch for pattern in cell_patterns(layout)]
    if not all(fit(cell) for row in rows for fit, cell in zip(fits, row, strict=True)):
        # Values that cannot be read as numbers cannot be added up either.
        return reasons + schema_faults(rows, layout)
    reasons += _value_faults(rows, document, layout)
    return reasons + _total_faults(rows, document, layout)


def _value_faults(rows: Sequence[Sequence[str]], document: Document, layout: Layout) -> list[str]:
    """Every cell that does not say what the document says. The cells that all rows share are read once."""
    reasons: list[str] = []
    shared: list[tuple[int, Column, Field]] = []
    of_line: list[tuple[int, Column, Field]] = []
    for index, column in enumerate(layout.columns):
        field = FIELDS.get(column.source, _NOTHING)
        (of_line if field.of_line else shared).append((index, column, field))
    shared_cells: Callable[[Sequence[str]], object] = itemgetter(*(index for index, *_ in shared))
    known_good = None

    for number, (row, line) in enumerate(zip(rows, document.lines, strict=False), start=1):
        to_compare = of_line
        if known_good is None or shared_cells(row) != known_good:
            to_compare = [*shared, *of_line]
        before = len(reasons)
        for index, column, field in to_compare:
            expected = _expected(column, field, document, line)
            if _read(row[index], column, layout) != expected:
                found, meant = shortened(row[index]), shortened("" if expected is None else str(expected))
                reasons.append(f"row {number}, {column.name}: {found} is not the document's {meant}")
        if known_good is None and len(reasons) == before:
            known_good = shared_cells(row)
    return reasons


_NOTHING: Final = Field("text", "", of_document=lambda _: None)


def _expected(column: Column, field: Field, document: Document, line: DocumentLine) -> Value:
    if column.type == "constant":
        return column.value
    value = field.of_line(document, line) if field.of_line else None
    value = field.of_document(document) if field.of_document else value
    return "" if value is None and column.type == "text" else value


def _read(cell: str, column: Column, layout: Layout) -> Value:
    """The value of a cell that has the form of its column."""
    if column.type in ("text", "constant"):
        return cell
    if not cell:
        return None
    if column.type == "date":
        return _date(cell, layout)
    return Decimal(cell.replace(layout.decimal_mark, "."))


def _date(cell: str, layout: Layout) -> date | None:
    parts = [int(part) for part in re.split(r"[-.]", cell)]
    year, month, day = parts if layout.date_format == "YYYY-MM-DD" else reversed(parts)
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _total_faults(rows: Sequence[Sequence[str]], document: Document, layout: Layout) -> list[str]:
    """Adds up quantity times price as the receiver will, and compares with the document, line by line and in total."""
    quantity, price = layout.column_of("line.file_quantity"), layout.column_of("line.file_price")
    rate = layout.column_of("line.vat_percent")
    decimals = money.exponent_of(document.currency)
    reasons = []
    sums: dict[Decimal, int] = defaultdict(int)
    numbers = (quantity, price, rate)
    for number, row in enumerate(rows, start=1):
        count, each, percent = (
            Decimal(row[index].replace(layout.decimal_mark, ".") or 0) for index in numbers
        )
        exact = _EXACT.multiply(count, each)
        amount = money.to_minor(money.round_half_up(exact, decimals), document.currency)
        sums[percent] += amount
        if number <= len(document.lines):
            line = document.lines[number - 1]
            expected = line.gross if document.price_basis == "gross" else line.net
            if amount != expected:
                reasons.append(
                    f"row {number}: quantity times price is {amount}, the line {expected} (minor units)"
                )
    return reasons + _document_faults(sums, document)


def _document_faults(sums: dict[Decimal, int], document: Document) -> list[str]:
    """`sums`: minor units by VAT rate in percent, on the price basis."""
    total = sum(sums.values())
    if document.price_basis == "gross":
        found = {"gross": total}
    else:
        vat = sum(
            int(money.round_half_up(_EXACT.multiply(Decimal(amount), percent).scaleb(-2, _EXACT)))
            for percent, amount in sums.items()
        )
        found = {"net": total, "vat": vat, "gross": total + vat}
    return [
        f"the file's {name} is {amount}, the document's {getattr(document, name)} (minor units)"
        for name, amount in found.items()
        if amount != getattr(document, name)
    ]
