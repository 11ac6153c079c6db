"""The copy for people: documents as an Excel workbook in which no text can run as a formula.

It is what `preview --excel` writes, and is never sent: the file for EASY Bill carries every text as it is (`render`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.document_columns import DocumentColumns
from billing_pipeline.easybill.layout import FIELDS, Column, Layout, Value
from billing_pipeline.problems import PipelineError

_MOST_ROWS: Final = 1_048_575
"""Rows of a sheet below its header; what is more goes to a further sheet."""


class SpreadsheetFailed(PipelineError):
    """The workbook could not be written; the message names the file, and the cell where it is about one."""


def to_excel(
    documents: Iterable[Document], path: Path, layout: Layout, *, most_rows: int = _MOST_ROWS
) -> None:
    """One row per line of the documents, in the columns of the layout; overwrites `path`.

    Texts are text cells marked as such, so that neither opening nor editing a cell runs `=1+1`; numbers and dates are
    numbers and dates. Equal documents give equal bytes. Raises SpreadsheetFailed.
    """
    # Loaded by whoever runs a month, who mostly writes no workbook.
    import xlsxwriter

    workbook = xlsxwriter.Workbook(str(path), {"constant_memory": True})
    workbook.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)})
    heading = workbook.add_format({"bold": True, "quote_prefix": True})
    formats = [workbook.add_format(_look(column)) for column in layout.columns]
    row, sheet = most_rows, None
    for document in documents:
        for line, values in zip(document.lines, _rows(document, layout), strict=True):
            if sheet is None or row == most_rows:
                sheet, row = workbook.add_worksheet(), 0
                sheet.freeze_panes(1, 0)
                for index, column in enumerate(layout.columns):
                    sheet.write_string(0, index, column.name, heading)
            row += 1
            for index, (column, value, look) in enumerate(zip(layout.columns, values, formats, strict=True)):
                if _write(sheet, row, index, value, look) < 0:
                    raise SpreadsheetFailed(
                        f"{path}: Excel cannot hold {column.name} of {document.order_number}, line {line.position}; "
                        "preview without --excel"
                    )
    try:
        workbook.close()
    except (OSError, xlsxwriter.exceptions.FileCreateError) as fault:
        raise SpreadsheetFailed(
            f"{path}: cannot be written ({fault}); close it in Excel or choose another --out"
        ) from None


def _look(column: Column) -> dict[str, Any]:
    if column.type in ("text", "constant"):
        return {"quote_prefix": True, "valign": "top", "num_format": "@"}
    if column.type == "date":
        return {"num_format": "yyyy-mm-dd", "valign": "top"}
    if column.type == "decimal" and column.places:
        return {"num_format": "0." + "0" * column.places, "valign": "top"}
    return {"valign": "top"}


def _rows(document: Document, layout: Layout) -> Iterator[tuple[Value, ...]]:
    """One row per line, with a value for each column of the layout."""
    count, columns, values = len(document.lines), DocumentColumns.of([document]), []
    for column in layout.columns:
        field = FIELDS.get(column.source)
        if field is None:
            values.append([column.value if column.type == "constant" else None] * count)
        else:
            values.append(field.values(columns).to_pylist() * (1 if field.of_line else count))
    return zip(*values, strict=True)


def _write(sheet: Any, row: int, index: int, value: Value, look: Any) -> int:
    """0 where the cell was written, negative where Excel cannot hold it. `write` would make formulas and links."""
    if isinstance(value, str):
        # An empty string would be a blank cell with the look of one that was filled.
        return int(sheet.write_string(row, index, value, look)) if value else 0
    if isinstance(value, Decimal):
        return int(sheet.write_number(row, index, value, look))
    if isinstance(value, date):
        return int(sheet.write_datetime(row, index, value, look))
    return 0
