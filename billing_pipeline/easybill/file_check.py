"""Reads a file's bytes back and holds them against the layout and the document: only what passes may be sent.

An independent reader (Python's `csv`): nothing of `render` is used, so that a fault there is found here. What a cell
may look like comes from the layout, as one pattern per column, which is fast, and as a pandera schema, which names
every fault with its row, column and value.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Context, Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Final

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from billing_pipeline import money
from billing_pipeline.easybill.document import FORBIDDEN_IN_TEXT, Document, DocumentLine
from billing_pipeline.easybill.layout import FIELDS, Column, Field, Layout, Value, shortened

_DATES: Final = {
    "YYYY-MM-DD": r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])",
    "DD.MM.YYYY": r"(?:0[1-9]|[12][0-9]|3[01])\.(?:0[1-9]|1[0-2])\.[0-9]{4}",
}
_STRING: Final = pd.ArrowDtype(pa.string())


def _form(column: Column, layout: Layout) -> str:
    """The pattern of a filled cell of a number or date; a number has one way to be written."""
    if column.type == "date":
        return _DATES[layout.date_format]
    mark = re.escape(layout.decimal_mark)
    whole = "(?:0|[1-9][0-9]*)"
    if column.type == "quantity":
        fraction = f"(?:{mark}[0-9]{{0,{column.places - 1}}}[1-9])?" if column.places else ""
    else:
        fraction = f"{mark}[0-9]{{{column.places}}}" if column.places else ""
    return f"-?{whole}{fraction}"


def cell_patterns(layout: Layout) -> list[re.Pattern[str]]:
    """One pattern per column, for `fullmatch`: type, length and whether it may be empty, all in one."""
    patterns = []
    for column in layout.columns:
        if column.type == "constant":
            patterns.append(re.compile(re.escape(column.value)))
        elif column.type == "text":
            filled = r"(?s:(?=.*\S))" if column.required else ""
            patterns.append(re.compile(f"{filled}[^{FORBIDDEN_IN_TEXT}]{{0,{column.max_length or ''}}}"))
        else:
            form = _form(column, layout)
            patterns.append(re.compile(form if column.required else f"(?:{form})?"))
    return patterns


@lru_cache(maxsize=8)
def file_schema(layout: Layout) -> pandera.DataFrameSchema:
    """The pandera schema of the file's cells as text: the layout's columns, all of them, in its order."""
    return pandera.DataFrameSchema(
        {column.name: pandera.Column(_STRING, _rules(column, layout)) for column in layout.columns},
        strict=True,
        ordered=True,
        name=layout.name,
    )


def _rules(column: Column, layout: Layout) -> list[pandera.Check]:
    rules = []

    def rule(holds: Callable[[str], bool], says: str) -> None:
        rules.append(pandera.Check(holds, element_wise=True, error=says))

    if column.type == "constant":
        rule(lambda cell: cell == column.value, f"is not {column.value!r}")
        return rules
    if column.required:
        rule(lambda cell: bool(cell.strip()), "is required but empty")
    if column.type == "text":
        forbidden = re.compile(f"[{FORBIDDEN_IN_TEXT}]")
        rule(lambda cell: forbidden.search(cell) is None, "holds a control character")
        limit = column.max_length
        if limit is not None:
            rule(lambda cell: len(cell) <= limit, f"is longer than {limit} characters")
        return rules
    form = re.compile(_form(column, layout))
    kind = {
        "date": f"is no date {layout.date_format}",
        "decimal": f"is no number with {column.places} decimals",
        "quantity": f"is no number with at most {column.places} decimals and no more than it needs",
    }[column.type]
    rule(lambda cell: cell == "" or form.fullmatch(cell) is not None, kind)
    return rules


def schema_faults(rows: Sequence[Sequence[str]], layout: Layout) -> list[str]:
    """Every cell that is not as the layout says, by row (the first below the header is 1), column and value."""
    frame = pd.DataFrame(
        {
            column.name: pd.Series([row[index] for row in rows], dtype=_STRING)
            for index, column in enumerate(layout.columns)
        }
    )
    try:
        file_schema(layout).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as faults:
        cases = faults.failure_cases.sort_values(["index", "column"], kind="stable")
        return [
            f"row {int(case['index']) + 1}, {case['column']}: {shortened(str(case['failure_case']))} {case['check']}"
            for case in cases.to_dict("records")
        ]
    return []


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
