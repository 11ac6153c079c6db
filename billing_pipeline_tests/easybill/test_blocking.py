from __future__ import annotations

from decimal import Decimal

import pytest

from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.document_columns import DocumentColumns
from billing_pipeline.easybill.fitness import unfit_values
from billing_pipeline.easybill.layout import Layout, load_layout
from billing_pipeline.problems import Problem
from billing_pipeline_tests.golden.documents import CASES
from billing_pipeline_tests.support.documents import a_customer, a_document, a_line

LAYOUT = load_layout()


def document_problems(document: Document, layout: Layout) -> list[Problem]:
    return unfit_values(DocumentColumns.of([document]), layout)


def told(document: Document, layout: Layout = LAYOUT) -> list[tuple[str, str, str, str]]:
    """Code, row, field and value of every problem."""
    return [(str(p.code), p.source_id, p.field, p.value) for p in document_problems(document, layout)]


@pytest.mark.parametrize("name", CASES)
def test_the_golden_documents_have_no_problem(name: str) -> None:
    document, layout = CASES[name]
    assert document_problems(document, layout) == []


def test_a_title_that_is_too_long_names_row_field_value_and_remedy() -> None:
    document = a_document(a_line(1), a_line(2, title="x" * 10_001))
    assert document_problems(document, LAYOUT) == [
        Problem(
            code=document_problems(document, LAYOUT)[0].code,
            customer_number="10023",
            message="Line 2: title has 10001 characters, column title of layout easybill-custom-csv holds 10000: "
            "shorten it in the OMS.",
            source_id="SV-0002",
            field="title",
            value="x" * 59 + "…",
        )
    ]
    assert document_problems(document, LAYOUT)[0].code == "TEXT_TOO_LONG"


def test_a_length_is_counted_in_characters_not_bytes() -> None:
    assert told(a_document(a_line(title="ü" * 10_000), customer=a_customer(city="千" * 255))) == []
    assert told(a_document(customer=a_customer(city="千" * 256))) == [
        ("TEXT_TOO_LONG", "", "city", "千" * 59 + "…")
    ]


@pytest.mark.parametrize(
    "character",
    ["\x00", "\x07", "\x0b", "\x0c", "\r", "\x1f", "\x7f", "\x85", "\x9f", "\ufeff", "\u2028"],
)
def test_a_control_character_is_named_and_not_repaired(character: str) -> None:
    problems = document_problems(a_document(a_line(title=f"a{character}b")), LAYOUT)
    assert [str(problem.code) for problem in problems] == ["TEXT_INVALID"]
    assert f"U+{ord(character):04X}" in problems[0].message


@pytest.mark.parametrize("text", ["\t", "\n", "=1+1", "@x", "\u200b", "\u00a0", "\u202e", "😀", '"', ";"])
def test_all_other_text_is_legal(text: str) -> None:
    assert told(a_document(a_line(title=f"a{text}b"), customer=a_customer(street=text))) == []


def test_one_fault_in_a_field_of_two_columns_is_told_once() -> None:
    assert told(a_document(a_line(item_number="x\x00"))) == [
        ("TEXT_INVALID", "SV-0001", "item_number", "x\x00")
    ]


def test_every_fault_of_every_line_is_told() -> None:
    document = a_document(
        a_line(1, title=" "),
        a_line(2, file_price=Decimal("0.123")),
        customer=a_customer(first_name="\x01" * 300),
    )
    assert told(document) == [
        ("TEXT_INVALID", "", "first_name", "\x01" * 59 + "…"),
        ("TEXT_TOO_LONG", "", "first_name", "\x01" * 59 + "…"),
        ("TEXT_INVALID", "SV-0001", "title", " "),
        ("LAYOUT_INVALID", "SV-0002", "file_price", "0.123"),
    ]


def layout_requiring(name: str) -> Layout:
    columns = [c.model_copy(update={"required": True}) if c.name == name else c for c in LAYOUT.columns]
    return LAYOUT.model_copy(update={"columns": tuple(columns)})


@pytest.mark.parametrize("street", ["", " \n"])
def test_a_required_cell_of_the_customer_that_is_empty_blocks(street: str) -> None:
    problems = document_problems(a_document(customer=a_customer(street=street)), layout_requiring("street"))
    assert [str(problem.code) for problem in problems] == ["CUSTOMER_INCOMPLETE"]
    assert problems[0].message == (
        "The customer: street is empty, and column street of layout easybill-custom-csv is required: "
        "fill it in the OMS."
    )


def test_a_text_the_encoding_cannot_write_blocks() -> None:
    latin = LAYOUT.model_copy(update={"encoding": "iso-8859-1"})
    assert told(a_document(customer=a_customer(city="Łódź")), latin) == [("TEXT_INVALID", "", "city", "Łódź")]
    assert told(a_document(customer=a_customer(city="Köln")), latin) == []


def test_a_layout_may_take_prices_of_one_basis_only() -> None:
    net = a_document(price_basis="net")
    assert document_problems(net, LAYOUT) == []
    problems = document_problems(net, LAYOUT.model_copy(update={"price_basis": "gross"}))
    assert [(str(p.code), p.field, p.value) for p in problems] == [("LAYOUT_INVALID", "price_basis", "net")]
    assert "set the same price_basis in the rules and in the layout" in problems[0].message
