"""What would be made again as it is stored is not made; everything that decides a file's bytes makes it anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

import billing_pipeline_tests.golden
from billing_pipeline.easybill import export
from billing_pipeline.easybill.document import CUSTOMER_FIELDS, Document
from billing_pipeline.easybill.document_columns import DocumentColumns
from billing_pipeline.easybill.export import FILES_VERSION, CustomerExport, export_documents
from billing_pipeline.easybill.layout import Layout, load_layout
from billing_pipeline.store.blobs import sha256_of
from billing_pipeline_tests.golden.documents import CASES
from billing_pipeline_tests.support.documents import a_customer, a_document, a_line

LAYOUT: Final = load_layout()
DOCUMENT: Final = a_document(a_line(1), a_line(2))
FILES_OF_VERSION: Final = {
    2: {
        "umlauts": "c35e923a4662349b",
        "quotes_semicolons_line_breaks": "c263a46e7257821f",
        "leading_zeros": "5cfbfa5cdfd48944",
        "cancellation": "5662454fff5f509d",
        "intra_community": "f6a1d0831d22f87b",
        "folded": "ace08d83b258f63c",
        "net_basis": "542f5a5caa8416b5",
        "english": "05b0c3441a2554cd",
        "correction_in_yen": "0bbae073d943ab9a",
        "formulas_and_invisible_text": "0e89bd094e894694",
    },
}
"""The beginning of each golden file's SHA-256, by the version of the code that makes it."""


def made(
    document: Document = DOCUMENT, layout: Layout = LAYOUT, stored: Mapping[str, str] | None = None
) -> CustomerExport:
    [one] = export_documents(DocumentColumns.of([document]), {document.customer_number: layout}, stored or {})
    return one


def made_of(document: Document = DOCUMENT, layout: Layout = LAYOUT) -> str:
    file = made(document, layout).file
    assert file is not None
    return file.made_of


def test_other_bytes_of_the_same_documents_need_another_files_version() -> None:
    """A file that changes: add one to FILES_VERSION, and the new hashes here. A new golden file: its hash alone."""
    folder = Path(billing_pipeline_tests.golden.__path__[0])
    assert {name: sha256_of((folder / f"{name}.csv").read_bytes())[:16] for name in CASES} == (
        FILES_OF_VERSION[FILES_VERSION]
    )


def test_the_same_again_is_as_stored_and_nothing_of_it_is_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    before = made_of()
    assert made_of() == before
    monkeypatch.setattr(export, "render_files", refuse_documents)
    again = made(stored={DOCUMENT.customer_number: before})
    assert again == CustomerExport(DOCUMENT.customer_number, "as_stored")


def refuse_documents(documents: DocumentColumns, layout: Layout) -> list[bytes]:
    assert len(documents) == 0
    return []


def test_one_customer_who_changed_is_made_again_and_the_others_are_not() -> None:
    documents = [a_document(customer_number=number) for number in ("1", "2", "3")]
    layouts = {one.customer_number: LAYOUT for one in documents}
    stored = {
        one.customer_number: one.file.made_of
        for one in export_documents(DocumentColumns.of(documents), layouts, {})
        if one.file is not None
    }
    documents[1] = a_document(a_line(title="something else"), customer_number="2")
    exports = list(export_documents(DocumentColumns.of(documents), layouts, stored))
    assert [(one.customer_number, one.outcome) for one in exports] == [
        ("1", "as_stored"),
        ("2", "rendered"),
        ("3", "as_stored"),
    ]
    assert exports[1].file == made(documents[1]).file


def _other(value: Any) -> Any:
    if isinstance(value, str):
        return {"gross": "net", "EUR": "CHF"}.get(value, f"{value}x")
    if isinstance(value, date):
        return value - timedelta(days=1)
    return value + (Decimal("0.01") if isinstance(value, Decimal) else 1)


def _line_with(name: str) -> Document:
    first, *others = DOCUMENT.lines
    return replace(DOCUMENT, lines=(replace(first, **{name: _other(getattr(first, name))}), *others))


OTHER_DOCUMENTS: Final[Mapping[str, Document]] = {
    **{
        name: replace(DOCUMENT, **{name: _other(getattr(DOCUMENT, name))})
        for name in Document.__slots__
        if name not in ("customer", "lines", "evidence")
    },
    **{
        f"customer.{name}": replace(DOCUMENT, customer=a_customer(**{name: _other(DOCUMENT.customer[name])}))
        for name in CUSTOMER_FIELDS
    },
    **{f"line.{name}": _line_with(name) for name in DOCUMENT.lines[0].__slots__ if name != "sources"},
    "line.sources": replace(DOCUMENT, lines=(replace(DOCUMENT.lines[0], sources=()), *DOCUMENT.lines[1:])),
    "one line less": replace(DOCUMENT, lines=DOCUMENT.lines[:1]),
    "lines in another order": replace(DOCUMENT, lines=DOCUMENT.lines[::-1]),
}


@pytest.mark.parametrize("what", OTHER_DOCUMENTS)
def test_whatever_changes_in_a_document_makes_its_file_anew(what: str) -> None:
    other = OTHER_DOCUMENTS[what]
    assert other != DOCUMENT
    assert made(other, stored={other.customer_number: made_of()}).outcome != "as_stored"


@pytest.mark.parametrize(
    "change",
    [
        {"delimiter": ","},
        {"byte_order_mark": True},
        {"line_ending": "\r\n"},
        {"quoting": "all"},
        {"date_format": "DD.MM.YYYY"},
        {"name": "another"},
        {"columns": LAYOUT.columns[::-1]},
    ],
)
def test_another_layout_makes_the_file_anew(change: dict[str, Any]) -> None:
    layout = LAYOUT.model_copy(update=change)
    again = made(layout=layout, stored={DOCUMENT.customer_number: made_of()})
    assert again.outcome == "rendered"


def test_another_files_version_makes_every_file_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    before = made_of()
    monkeypatch.setattr(export, "FILES_VERSION", FILES_VERSION + 1)
    assert made(stored={DOCUMENT.customer_number: before}).outcome == "rendered"
