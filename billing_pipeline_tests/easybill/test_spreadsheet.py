from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from billing_pipeline.easybill.layout import load_layout
from billing_pipeline.easybill.spreadsheet import SpreadsheetFailed, to_excel
from billing_pipeline_tests.golden.documents import CASES
from billing_pipeline_tests.support.documents import a_customer, a_document, a_line

LAYOUT = load_layout()
FORMULAS = ["=1+1", "+1", "-1", "@A1", '=HYPERLINK("x")', "\t=1", "http://evil.example", "{=1}"]


def rows_of(path: Path) -> list[list[Any]]:
    return [list(row) for sheet in openpyxl.load_workbook(path).worksheets for row in sheet.iter_rows()]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_runs_as_a_formula(tmp_path: Path, text: str) -> None:
    document = a_document(a_line(title=text, item_number=text), customer=a_customer(company_name=text))
    to_excel([document], tmp_path / "preview.xlsx", LAYOUT)
    _, row = rows_of(tmp_path / "preview.xlsx")
    cells = {column.name: cell for column, cell in zip(LAYOUT.columns, row, strict=True)}
    for name in ("title", "item_number", "sku", "name"):
        assert (cells[name].data_type, cells[name].value) == ("s", text)
        assert cells[name].hyperlink is None
        assert cells[name].style.startswith("Normal")
        assert cells[name].quotePrefix
    assert not any(cell.data_type == "f" for cell in row)


def test_text_stays_text_and_numbers_and_dates_are_such(tmp_path: Path) -> None:
    to_excel([CASES["leading_zeros"][0]], tmp_path / "preview.xlsx", LAYOUT)
    header, row = rows_of(tmp_path / "preview.xlsx")
    values = {name.value: cell.value for name, cell in zip(header, row, strict=True)}
    assert (values["customer_number"], values["zipcode"], values["item_number"]) == ("00123", "01067", "007")
    assert (values["quantity"], values["item_price"], values["vat_percent"]) == (1, 178.5, 19)
    assert values["purchase_date"] == datetime(2026, 10, 31)  # noqa: DTZ001 (Excel knows no zones)
    assert values["shipping_date"] is None


def test_the_same_documents_are_the_same_workbook(tmp_path: Path) -> None:
    documents = [document for document, _ in CASES.values()]
    for name in ("one.xlsx", "two.xlsx"):
        to_excel(documents, tmp_path / name, LAYOUT)
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "two.xlsx").read_bytes()
    assert len(rows_of(tmp_path / "one.xlsx")) == 1 + sum(len(document.lines) for document in documents)


def test_more_rows_than_a_sheet_holds_go_to_further_sheets(tmp_path: Path) -> None:
    document = a_document(*(a_line(position) for position in range(1, 6)))
    to_excel([document], tmp_path / "preview.xlsx", LAYOUT, most_rows=2)
    sheets = openpyxl.load_workbook(tmp_path / "preview.xlsx").worksheets
    assert [sheet.max_row for sheet in sheets] == [3, 3, 2]


def test_what_cannot_be_written_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(SpreadsheetFailed, match="no/such/folder"):
        to_excel([a_document()], tmp_path / "no/such/folder/preview.xlsx", LAYOUT)
    with pytest.raises(SpreadsheetFailed, match="Excel cannot hold title of 2026-10-10023, line 1"):
        to_excel([a_document(a_line(title="x" * 32_768))], tmp_path / "preview.xlsx", LAYOUT)
