"""Fitness in columns says what it says value by value: on any documents, any layouts, any slices of a month."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.easybill.document import CUSTOMER_FIELDS, Document, Source, file_name
from billing_pipeline.easybill.document_columns import DocumentColumns
from billing_pipeline.easybill.fitness import unfit_values
from billing_pipeline.easybill.layout import FIELDS, NEEDED_SOURCES, Column, Layout, load_layout
from billing_pipeline_tests.support.documents import a_customer, a_document, a_line
from billing_pipeline_tests.support.extent import FULL
from billing_pipeline_tests.support.plain_fitness import MINOR_DIGITS, plainly_unfit

TEXT: Final = st.one_of(
    st.sampled_from(
        ["", " ", "\u00a0\t", "\n", "a\x00b", "\x7f", "\x9f", "\u2028", "\ufeff", "é", "€", "=1"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.integers(1, 70).map(lambda count: "ü" * count),
)
NUMBER: Final = st.decimals(min_value=-(10**9), max_value=10**9, places=3)
AMOUNT: Final = st.integers(-(10**12), 10**12)


@st.composite
def lines(draw: st.DrawFn) -> Any:
    sources = draw(st.lists(st.sampled_from(["S-1", "S-2", "S-3"]), max_size=2, unique=True))
    return a_line(
        draw(st.integers(1, 10**6)),
        sources=tuple(Source(one, "f" * 64) for one in sources),
        **{name: draw(TEXT) for name in ("line_type", "item_number", "title", "unit")},
        **{name: draw(NUMBER) for name in ("quantity", "file_quantity", "file_price")},
        **{name: draw(AMOUNT) for name in ("unit_price_net", "net", "vat", "gross")},
        vat_basis_points=draw(st.integers(-99_999, 99_999)),
        performed_on=draw(st.dates(date(2000, 1, 1), date(2099, 12, 31))),
    )


@st.composite
def documents(draw: st.DrawFn) -> Document:
    document = a_document(*draw(st.lists(lines(), min_size=1, max_size=4)))
    return replace(
        document,
        month=draw(st.sampled_from(["2024-02", "2026-10", "2026-12"])),
        order_number=draw(TEXT),
        currency=draw(st.sampled_from(sorted(MINOR_DIGITS))),
        price_basis=draw(st.sampled_from(["gross", "net"])),
        customer=a_customer(**{name: draw(TEXT) for name in CUSTOMER_FIELDS}),
    )


@st.composite
def columns(draw: st.DrawFn, name: str, source: str) -> Column:
    kind = FIELDS[source].kind
    return Column(
        name=name,
        source=source,
        type=draw(st.sampled_from(["quantity", "decimal"])) if kind == "quantity" else kind,
        required=draw(st.booleans()),
        max_length=draw(st.none() | st.integers(1, 40)) if kind == "text" else None,
        decimals=draw(st.none() | st.integers(0, 3)) if kind in ("decimal", "quantity") else None,
    )


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    others = draw(
        st.lists(st.sampled_from([one for one in FIELDS if one not in NEEDED_SOURCES]), max_size=12)
    )
    sources = draw(st.permutations([*NEEDED_SOURCES, *others]))
    return Layout.model_validate(
        load_layout().model_dump()
        | {
            "encoding": draw(st.sampled_from(["utf-8", "iso-8859-1"])),
            "price_basis": draw(st.sampled_from(["rules", "gross", "net"])),
            "columns": [draw(columns(f"c{number}", one)).model_dump() for number, one in enumerate(sources)],
        }
    )


@given(st.lists(documents(), min_size=1, max_size=4), layouts())
@settings(max_examples=150 if FULL else 50)
def test_the_columns_find_what_is_found_value_by_value(made: list[Document], layout: Layout) -> None:
    month = [
        replace(one, customer_number=str(number), file_name=file_name(one.month, str(number)))
        for number, one in enumerate(made)
    ]
    found: dict[str, list[tuple[str, str, str, str]]] = {one.customer_number: [] for one in month}
    for p in unfit_values(DocumentColumns.of(month), layout):
        found[p.customer_number].append((str(p.code), p.source_id, p.field, p.value))
    assert found == {one.customer_number: plainly_unfit(one, layout) for one in month}


def test_the_plain_one_finds_something() -> None:
    """Two that find nothing agree, too."""
    unfit = a_document(
        a_line(title="\x00" * 99, item_number="", file_price=Decimal("1.234")),
        customer=a_customer(city="x" * 256),
    )
    assert {one[:3] for one in plainly_unfit(unfit, load_layout())} == {
        ("TEXT_TOO_LONG", "", "city"),
        ("TEXT_INVALID", "SV-0001", "title"),
        ("LAYOUT_INVALID", "SV-0001", "file_price"),
    }
