"""Reads files' bytes back and holds them against the layout and their documents: only what passes may be sent.

An independent reader (Python's `csv`): nothing of `render` is used, so that a fault there is found here. What a cell
may look like comes from the layout, as one pattern per column, which is fast, and as a pandera schema, which names
every fault with its row, column and value.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from billing_pipeline import money
from billing_pipeline.billing.arrow import constant
from billing_pipeline.easybill.document import FORBIDDEN_IN_TEXT
from billing_pipeline.easybill.document_columns import DocumentColumns
from billing_pipeline.easybill.layout import FIELDS, Column, Layout, Value, shortened

_DATES: Final = {
    "YYYY-MM-DD": r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])",
    "DD.MM.YYYY": r"(?:0[1-9]|[12][0-9]|3[01])\.(?:0[1-9]|1[0-2])\.[0-9]{4}",
}
_STRING: Final = pd.ArrowDtype(pa.string())


def _cell_form(column: Column, layout: Layout) -> str:
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
            form = _cell_form(column, layout)
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
    form = re.compile(_cell_form(column, layout))
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


def check_csv(data: bytes, documents: DocumentColumns, layout: Layout) -> list[str]:
    """Why these bytes are not the file of this one document: one line per reason, empty where they are.

    Rows are numbered from 1, below the header. Amounts are compared to the minor unit, on the document's price basis.
    """
    return FileChecker(documents, layout).faults(0, data)


ROWS_AT_A_TIME: Final = 4096
"""Rows that are compared together. A cell of a row takes ten times the memory of its bytes."""


@dataclass(frozen=True, slots=True)
class _Expected:
    """What some rows of a document's file say: per column of the layout the value of all of them, or one for each; and
    what the lines and the whole document amount to, in minor units on the price basis."""

    columns: list[Value | list[Value]]
    amounts: list[int]
    document: Mapping[str, Any]


class FileChecker:
    """Reads files of a layout back, and holds each against its document among these."""

    def __init__(self, documents: DocumentColumns, layout: Layout) -> None:
        self._documents = documents
        self._layout = layout
        self._form = _form(layout)
        self._patterns = cell_patterns(layout)
        self._columns = [_values(documents, column) for column in layout.columns]
        heads = ("currency", "price_basis", "net", "vat", "gross")
        self._heads = pa.table({name: documents.heads[name] for name in heads}).to_pylist()

    def faults(self, place: int, data: bytes) -> list[str]:
        """Why these bytes are not the file of the document at this place; empty where they are."""
        layout = self._layout
        try:
            text = data.decode(layout.encoding)
        except UnicodeDecodeError as fault:
            return [f"the file is not {layout.encoding.upper()}: byte {fault.start + 1} of {len(data)}"]
        has_mark = text.startswith("\ufeff")
        if has_mark != layout.byte_order_mark:
            return [
                "the file begins with a byte order mark" if has_mark else "the byte order mark is missing"
            ]
        text = text[1:] if has_mark else text
        reasons = _form_faults(text, layout, *self._form) or self._content_faults(text, place)
        if len(reasons) > MOST_REASONS:
            reasons = [*reasons[:MOST_REASONS], f"and {len(reasons) - MOST_REASONS} more"]
        return reasons

    def _content_faults(self, text: str, place: int) -> list[str]:
        layout, document = self._layout, self._heads[place]
        lines = int(self._documents.ends[place] - self._documents.starts[place])
        count = 0
        of_values: list[str] = []
        of_amounts: list[str] = []
        sums: dict[Decimal, int] = defaultdict(int)
        try:
            for columns in _blocks(text, layout):
                if not self._has_form(columns):
                    # Values that cannot be read as numbers cannot be added up either.
                    rows = list(_rows(text, layout))
                    return _count_faults(len(rows), lines, document, layout) + schema_faults(rows, layout)
                expected = self._expected(place, count, len(columns[0]))
                of_values += _value_faults(columns, expected, layout, first_row=count + 1)
                of_amounts += _amount_faults(columns, expected, layout, sums, first_row=count + 1)
                count += len(columns[0])
        except csv.Error as fault:
            return [f"the file cannot be read as CSV: {fault}"]
        return [
            *_count_faults(count, lines, document, layout),
            *of_values,
            *of_amounts,
            *_document_faults(sums, document),
        ]

    def _has_form(self, columns: Sequence[list[str]]) -> bool:
        return all(
            pattern.fullmatch(cell)
            for pattern, cells in zip(self._patterns, columns, strict=True)
            for cell in set(cells)
        )

    def _expected(self, place: int, first: int, count: int) -> _Expected:
        """Of the rows `first` … of the document at this place, as far as it has so many lines."""
        start = int(self._documents.starts[place]) + first
        length = max(0, min(count, int(self._documents.ends[place]) - start))
        head = self._heads[place]
        return _Expected(
            [
                values.slice(start, length).to_pylist() if _is_of_line(column) else values[place].as_py()
                for column, values in zip(self._layout.columns, self._columns, strict=True)
            ],
            self._documents.lines[head["price_basis"]].slice(start, length).to_pylist(),
            head,
        )


CHARACTERS_AT_A_TIME: Final = 1 << 18
"""So much text is cut into lines together, and up to the end of its last line."""


def _rows(text: str, layout: Layout) -> Iterator[list[str]]:
    """The rows below the header. Raises csv.Error."""
    return islice(csv.reader(_lines(text), delimiter=layout.delimiter, strict=True), 1, None)


def _lines(text: str) -> Iterator[str]:
    """The lines of the text, with their ends. (A `StringIO` takes four bytes for each character.)"""
    for portion in _portions(text):
        *lines, last = portion.split("\n")
        for line in lines:
            yield f"{line}\n"
        if last:
            yield last


def _portions(text: str) -> Iterator[str]:
    """The text in portions of whole lines."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + CHARACTERS_AT_A_TIME) + 1 or len(text)
        yield text[start:end]
        start = end


def _blocks(text: str, layout: Layout) -> Iterator[list[list[str]]]:
    """The columns of the rows, `ROWS_AT_A_TIME`. Raises csv.Error."""
    rows = _rows(text, layout)
    while block := list(islice(rows, ROWS_AT_A_TIME)):
        yield [list(cells) for cells in zip(*block, strict=True)]


def _count_faults(rows: int, lines: int, document: Mapping[str, Any], layout: Layout) -> list[str]:
    """Whether the layout takes such a document, and whether there is a row for each of its lines."""
    reasons = []
    basis = document["price_basis"]
    if not layout.takes(basis):
        reasons.append(f"the document adds up {basis}, the layout takes only {layout.price_basis} prices")
    if rows != lines:
        reasons.append(f"the file has {rows} rows, the document {lines} lines")
    if not lines:
        reasons.append("the document has no lines, so there is nothing to send")
    return reasons


def _form(layout: Layout) -> tuple[str, re.Pattern[str], re.Pattern[str]]:
    """The header, and what a row, and all rows, look like: delimiters, quotes and line endings."""
    mark = '"' if layout.quote_header else ""
    header = layout.delimiter.join(f"{mark}{column.name}{mark}" for column in layout.columns)
    delimiter = re.escape(layout.delimiter)
    cells = [
        r'"[^"\r]*+(?:""[^"\r]*+)*+"' if layout.is_quoted(column) else rf'[^"\r\n{delimiter}]*+'
        for column in layout.columns
    ]
    row = delimiter.join(cells) + layout.line_ending
    return header + layout.line_ending, re.compile(row), re.compile(f"(?:{row})*+")


def _form_faults(
    text: str, layout: Layout, header: str, row: re.Pattern[str], rows: re.Pattern[str]
) -> list[str]:
    """The bytes between the values: header, delimiters, quotes, line endings. The first fault ends the search, for
    what follows a missing quote means nothing."""
    if not text.startswith(header):
        return [f"the header is not that of layout {layout.name}"]
    if rows.fullmatch(text, len(header)):
        return []
    position, number = len(header), 0
    while position < len(text):
        number += 1
        match = row.match(text, position)
        if match is None:
            return [f"row {number}: delimiters, quotes or line ending are not as the layout says"]
        position = match.end()
    return []


def _is_of_line(column: Column) -> bool:
    return column.source in FIELDS and FIELDS[column.source].of_line


def _values(documents: DocumentColumns, column: Column) -> pa.Array:
    """What the cells of the column say: one value per document, or per line."""
    if column.source in FIELDS:
        return FIELDS[column.source].values(documents)
    nothing = "" if column.type == "text" else None
    return constant(column.value if column.type == "constant" else nothing, pa.string(), len(documents))


def _value_faults(
    columns: Sequence[list[str]], expected: _Expected, layout: Layout, *, first_row: int
) -> list[str]:
    """Every cell that does not say what the document says, by row; in a row, first what all rows share."""
    faults: list[tuple[int, bool, int, str]] = []
    for index, (column, cells, meant) in enumerate(
        zip(layout.columns, columns, expected.columns, strict=True)
    ):
        of_line = _is_of_line(column)
        values = meant if isinstance(meant, list) else [meant] * len(cells)
        if cells == values:
            continue
        by_cell = {cell: _read(cell, column, layout) for cell in set(cells)}
        read = [by_cell[cell] for cell in cells]
        if read == values:
            continue
        faults += [
            (
                row,
                of_line,
                index,
                f"row {row}, {column.name}: {shortened(cell)} is not the document's "
                f"{shortened('' if value is None else str(value))}",
            )
            for row, (cell, found, value) in enumerate(
                zip(cells, read, values, strict=False), start=first_row
            )
            if found != value
        ]
    return [message for *_, message in sorted(faults)]


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


def _amount_faults(
    columns: Sequence[list[str]],
    expected: _Expected,
    layout: Layout,
    sums: dict[Decimal, int],
    *,
    first_row: int,
) -> list[str]:
    """Quantity times price, as the receiver will have it, compared line by line, and added to the `sums` by rate."""
    minor_units = Decimal(10) ** money.exponent_of(expected.document["currency"])

    def number(cell: str) -> Decimal:
        return Decimal(cell.replace(layout.decimal_mark, ".") or 0)

    def amount(quantity: str, price: str) -> int:
        exact = _EXACT.multiply(numbers[quantity], numbers[price])
        return int(money.round_half_up(_EXACT.multiply(exact, minor_units)))

    quantities, prices, rates = (
        columns[layout.column_of(f"line.{name}")] for name in ("file_quantity", "file_price", "vat_percent")
    )
    numbers = {cell: number(cell) for cell in {*quantities, *prices, *rates}}
    pairs = list(zip(quantities, prices, strict=True))
    by_pair = {pair: amount(*pair) for pair in set(pairs)}
    amounts = [by_pair[pair] for pair in pairs]
    for rate, one in zip(rates, amounts, strict=True):
        sums[numbers[rate]] += one
    return [
        f"row {row}: quantity times price is {found}, the line {meant} (minor units)"
        for row, (found, meant) in enumerate(zip(amounts, expected.amounts, strict=False), start=first_row)
        if found != meant
    ]


def _document_faults(sums: dict[Decimal, int], document: Mapping[str, Any]) -> list[str]:
    """`sums`: minor units by VAT rate in percent, on the price basis."""
    total = sum(sums.values())
    if document["price_basis"] == "gross":
        found = {"gross": total}
    else:
        vat = sum(
            int(money.round_half_up(_EXACT.multiply(Decimal(amount), percent).scaleb(-2, _EXACT)))
            for percent, amount in sums.items()
        )
        found = {"net": total, "vat": vat, "gross": total + vat}
    return [
        f"the file's {name} is {amount}, the document's {document[name]} (minor units)"
        for name, amount in found.items()
        if amount != document[name]
    ]
