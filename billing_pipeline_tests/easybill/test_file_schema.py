from __future__ import annotations

import csv
import io

from hypothesis import example, given, settings
from hypothesis import strategies as st

from billing_pipeline.easybill.file_check import cell_patterns, file_schema, schema_faults
from billing_pipeline.easybill.layout import load_layout
from billing_pipeline.easybill.render import render_csv
from billing_pipeline_tests.support.documents import a_document

LAYOUT = load_layout()
NAMES = [column.name for column in LAYOUT.columns]
ROW = list(csv.reader(io.StringIO(render_csv(a_document(), LAYOUT).decode(), newline=""), delimiter=";"))[1]
CELLS = st.one_of(
    st.text(max_size=6),
    st.text("0123456789.-,E+", max_size=8),
    st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", fullmatch=True),
    st.integers(254, 256).map("x".__mul__),
)


def test_the_schema_has_the_columns_of_the_layout_in_its_order() -> None:
    schema = file_schema(LAYOUT)
    assert list(schema.columns) == NAMES
    assert schema.strict
    assert schema.ordered
    assert schema_faults([ROW, ROW], LAYOUT) == []


# Of a schema the rows cost nearly nothing, each validation much: many rows at a time, each with one cell of its own.
@given(st.lists(st.tuples(st.sampled_from(NAMES), CELLS), min_size=1, max_size=20))
@example(
    [
        ("title", " "),
        ("title", "x" * 10_001),
        ("title", "\n\t"),
        ("quantity", "1.0"),
        ("quantity", "0.1"),
        ("item_price", "-0.00"),
        ("shipping_date", ""),
        ("item_type", "items"),
    ]
)
@settings(max_examples=25, deadline=None)
def test_the_schema_and_the_patterns_are_one_rule(cells: list[tuple[str, str]]) -> None:
    rows, unfit = [ROW], set()
    for number, (name, cell) in enumerate(cells, start=2):
        index = NAMES.index(name)
        rows.append([*ROW[:index], cell, *ROW[index + 1 :]])
        if cell_patterns(LAYOUT)[index].fullmatch(cell) is None:
            unfit.add(f"row {number}, {name}")
    assert {fault.partition(": ")[0] for fault in schema_faults(rows, LAYOUT)} == unfit


def test_every_fault_is_told_by_row_and_column() -> None:
    bad = dict(zip(NAMES, ROW, strict=True)) | {"quantity": "", "title": "\x07" * 10_001, "zipcode": "\x07"}
    title = "\\x07" * 59 + "…"
    assert schema_faults([ROW, list(bad.values()), ROW], LAYOUT) == [
        "row 2, quantity: '' is required but empty",
        f"row 2, title: '{title}' holds a control character",
        f"row 2, title: '{title}' is longer than 10000 characters",
        "row 2, zipcode: '\\x07' holds a control character",
    ]
