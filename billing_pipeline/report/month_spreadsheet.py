"""The customers of a month's report as CSV and Excel for people: no text of theirs is run as a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from billing_pipeline.money import exponent_of, from_minor
from billing_pipeline.problems import PipelineError
from billing_pipeline.report.month_report import MonthReport, customer_records

COLUMNS: Final = (
    *(
        "customer_number",
        "outcome",
        "order_number",
        "revision",
        "file",
        "lines",
        "net",
        "vat",
        "gross",
        "currency",
    ),
    *("problems", "late_rows", "e_invoice", "draft"),
)
_AMOUNTS: Final = frozenset({"net", "vat", "gross"})
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


class TableNotWritten(PipelineError):
    """The table could not be written; the message names the file."""


def to_csv(report: MonthReport) -> bytes:
    """UTF-8 with a byte order mark, `;` between cells, amounts as plain decimals ("58.50").

    A text that a spreadsheet would take for a formula is preceded by `'`.
    """
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for cells in _rows(report):
        writer.writerow([_harmless(cell) if isinstance(cell, str) else cell for cell in cells])
    return text.getvalue().encode("utf-8-sig")


def write_excel(report: MonthReport, path: Path) -> None:
    """A workbook with one row per customer; overwrites `path`. Raises: TableNotWritten."""
    # Loaded by whoever runs a month, who mostly writes no workbook.
    import xlsxwriter

    workbook = xlsxwriter.Workbook(str(path), {"constant_memory": True})
    heading = workbook.add_format({"bold": True})
    words = workbook.add_format({"quote_prefix": True, "num_format": "@", "valign": "top"})
    sheet = workbook.add_worksheet(report.month)
    sheet.freeze_panes(1, 1)
    sheet.set_column(0, len(COLUMNS) - 1, 18)
    for place, name in enumerate(COLUMNS):
        sheet.write_string(0, place, name, heading)
    looks = {
        places: workbook.add_format({"num_format": "0." + "0" * places if places else "0", "valign": "top"})
        for places in {0, *(exponent_of(one.currency) for one in report.status.customers if one.currency)}
    }
    for row, cells in enumerate(_rows(report), start=1):
        for place, (name, cell) in enumerate(zip(COLUMNS, cells, strict=True)):
            if isinstance(cell, str) and cell:
                sheet.write_string(row, place, cell, words)
            elif cell is not None and not isinstance(cell, str):
                places = exponent_of(cells[COLUMNS.index("currency")]) if name in _AMOUNTS else 0
                sheet.write_number(row, place, cell, looks[places])
    try:
        workbook.close()
    except (OSError, xlsxwriter.exceptions.FileCreateError) as fault:
        raise TableNotWritten(
            f"--excel {path}: cannot be written ({fault}); close it or choose another"
        ) from None


def _rows(report: MonthReport) -> Iterator[list[Any]]:
    for record in customer_records(report):
        yield [
            from_minor(record[name], record["currency"])
            if name in _AMOUNTS and record[name] is not None
            else record[name]
            for name in COLUMNS
        ]


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
