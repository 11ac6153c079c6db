from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.billing.rules import Rules, load_rules
from billing_pipeline.easybill import document_columns
from billing_pipeline.easybill.document import (
    CUSTOMER_FIELDS,
    Document,
    FramesDisagree,
    Source,
    customer_key,
    customer_number_of,
    file_name,
    plain,
    purchase_date,
)
from billing_pipeline.easybill.document_columns import DocumentColumns, documents_of, month_columns
from billing_pipeline.problems import UsageError
from billing_pipeline_tests.support.documents import a_document, a_line

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
AMOUNT = st.integers(-(2**63), 2**63 - 1)
LINES = st.builds(
    a_line,
    position=st.integers(1, 9999),
    sources=st.lists(st.builds(Source, TEXT, TEXT), max_size=3).map(tuple),
    title=TEXT,
    net=AMOUNT,
    quantity=st.decimals(min_value=0, max_value=10**9, places=3),
    file_price=st.decimals(min_value=-(10**12), max_value=10**12, places=2),
)


@given(
    st.builds(a_document, LINES, LINES, customer_number=TEXT, customer=st.fixed_dictionaries({"city": TEXT}))
)
def test_a_document_survives_its_json(document: Document) -> None:
    assert Document.from_json(document.to_json()) == document


@given(
    st.builds(a_document, LINES, LINES, customer_number=TEXT, customer=st.fixed_dictionaries({"city": TEXT}))
)
def test_the_columns_of_a_stored_document_are_those_of_the_document(document: Document) -> None:
    stored, made = DocumentColumns.from_json(document.to_json()), DocumentColumns.of([document])
    for one, other in ((stored.heads, made.heads), (stored.lines, made.lines)):
        assert one.keys() == other.keys()
        for name in one:
            assert one[name].to_pylist() == other[name].to_pylist(), name
    assert stored.ends.tolist() == [2]
    assert stored.json()[0].as_py().encode() == document.to_json()


@given(
    st.lists(st.builds(a_document, LINES, LINES, LINES, customer_number=TEXT), max_size=3), st.integers(1, 4)
)
def test_however_many_lines_are_looked_at_together_the_texts_are_the_same(
    documents: list[Document], most_lines: int
) -> None:
    columns = DocumentColumns.of(documents)
    whole = columns.json().to_pylist()
    assert whole == [one.to_json().decode() for one in documents]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document_columns, "MOST_LINES", most_lines)
        portions = list(columns.some_lines_at_a_time())
        assert all(0 < len(one.lines["net"]) <= most_lines for one in portions)
        assert columns.json().to_pylist() == whole


def test_equal_documents_are_equal_bytes_whatever_the_form_of_their_numbers() -> None:
    one = a_document(a_line(quantity=Decimal("1"), file_price=Decimal("178.5")))
    other = a_document(a_line(quantity=Decimal("1.000"), file_price=Decimal("178.500")))
    assert one.to_json() == other.to_json()
    assert b'"quantity":"1"' in one.to_json()


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"lines":[{}]}', b"\xff", b"null"])
def test_bytes_that_are_no_document_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        Document.from_json(data)
    with pytest.raises(ValueError):
        DocumentColumns.from_json(data)


@pytest.mark.parametrize(
    ("number", "text"),
    [("1", "1"), ("1.000", "1"), ("0.333", "0.333"), ("1E+3", "1000"), ("-0.00", "0"), ("-12.50", "-12.5")],
)
def test_a_plain_number_has_as_few_decimals_as_it_needs(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text


@pytest.mark.parametrize(
    ("number", "key"),
    [
        ("A_1.b-c", "A_1.b-c"),
        ("1~2", "1%7E2"),
        ("a,b|c", "a%2Cb%7Cc"),
        ("K 7/ü", "K%207%2F%C3%BC"),
        ("%41", "%2541"),
    ],
)
def test_a_customer_key_is_percent_encoded(number: str, key: str) -> None:
    assert customer_key(number) == key
    assert file_name("2026-10", number) == f"easybill_2026-10_{key}.csv"
    assert file_name("2026-10", number, 2) == f"easybill_2026-10_{key}_r2.csv"


@given(TEXT)
def test_a_customer_number_survives_its_key(number: str) -> None:
    key = customer_key(number)
    assert customer_number_of(key) == number
    assert set(key) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-%")


@pytest.mark.parametrize("key", ["a b", "1~2", "%7e", "%41", "%", "%FF", "a,b"])
def test_what_is_no_customer_key_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match="is not a customer key"):
        customer_number_of(key)


def test_the_purchase_date_follows_its_rule() -> None:
    last = date(2026, 10, 30)
    assert purchase_date("last_day_of_month", "2026-10", last) == date(2026, 10, 31)
    assert purchase_date("last_day_of_month", "2028-02", last) == date(2028, 2, 29)
    assert purchase_date("first_day_of_next_month", "2026-12", last) == date(2027, 1, 1)
    assert purchase_date("last_service_date", "2026-10", last) == date(2026, 10, 30)


LINE_TYPES: dict[str, pa.DataType] = {
    "customer_number": pa.string(),
    "position": pa.int32(),
    "line_type": pa.string(),
    "source_ids": pa.list_(pa.string()),
    "source_fingerprints": pa.list_(pa.string()),
    "item_number": pa.string(),
    "title": pa.string(),
    "quantity": pa.decimal128(12, 3),
    "unit": pa.string(),
    **{name: pa.int64() for name in ("unit_price_net", "net", "vat", "gross")},
    "vat_basis_points": pa.int32(),
    "performed_on": pa.date32(),
    "price_basis": pa.string(),
    "file_quantity": pa.decimal128(12, 3),
    "file_price": pa.decimal128(18, 3),
    "folded": pa.bool_(),
}
TOTAL_TYPES: dict[str, pa.DataType] = {
    "customer_number": pa.string(),
    "currency": pa.string(),
    "line_count": pa.int32(),
    **{name: pa.int64() for name in ("net", "vat", "gross")},
}
CUSTOMER_TYPES: dict[str, pa.DataType] = {
    "customer_number": pa.string(),
    **dict.fromkeys(CUSTOMER_FIELDS, pa.string()),
    "is_test": pa.bool_(),
}


def frame(rows: list[dict[str, Any]], types: dict[str, pa.DataType]) -> pd.DataFrame:
    table = pa.table({name: pa.array([row.get(name) for row in rows], kind) for name, kind in types.items()})
    made: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return made


def line_row(number: str, position: int, **changed: Any) -> dict[str, Any]:
    line = a_line(position)
    row = {name: getattr(line, name) for name in line.__slots__ if name != "sources"}
    row |= {"customer_number": number, "price_basis": "gross", "folded": False}
    row |= {"source_ids": [f"SV-{position}", "SV-x"], "source_fingerprints": [f"fp-{position}", "fp-x"]}
    return row | changed


def total_row(number: str, lines: int) -> dict[str, Any]:
    return {
        "customer_number": number,
        "currency": "EUR",
        "line_count": lines,
        "net": 15000 * lines,
        "vat": 2850 * lines,
        "gross": 17850 * lines,
    }


Rows = list[dict[str, Any]]


def make(
    lines: Rows,
    totals: Rows,
    customers: Rows,
    rules: Rules | None = None,
    revisions: Mapping[str, int] | None = None,
    most_lines: int = 2,
) -> list[Document]:
    columns = month_columns(
        frame(lines, LINE_TYPES),
        frame(totals, TOTAL_TYPES),
        frame(customers, CUSTOMER_TYPES),
        month="2026-10",
        rules=rules or load_rules(),
        revisions=revisions or {},
        most_lines=most_lines,
    )
    return list(documents_of(columns))


def test_documents_come_by_customer_number_with_their_lines_by_position() -> None:
    made = make(
        [line_row("2", 2), line_row("10", 1), line_row("2", 1)],
        [total_row("2", 2), total_row("10", 1)],
        [{"customer_number": "2", "city": "Berlin"}, {"customer_number": "10"}, {"customer_number": "3"}],
    )
    assert [document.customer_number for document in made] == ["10", "2"]
    second = made[1]
    assert [line.position for line in second.lines] == [1, 2]
    assert second.lines[0].sources == (Source("SV-1", "fp-1"), Source("SV-x", "fp-x"))
    assert (second.order_number, second.file_name) == ("2026-10-2", "easybill_2026-10_2.csv")
    assert (second.net, second.vat, second.gross, second.currency) == (30000, 5700, 35700, "EUR")
    assert second.purchase_date == date(2026, 10, 31)
    assert second.customer["city"] == "Berlin"
    assert second.customer["street"] == ""
    assert second.lines[0].file_price == Decimal("178.50")


def test_a_correction_has_its_own_order_number_and_file(tmp_path: Path) -> None:
    rules_file = tmp_path / "rules.toml"
    rules_file.write_text(
        'order_number_prefix = "OMS-"\n[customers.7]\npurchase_date = "last_service_date"\n'
    )
    made = make(
        [line_row("7", 1), line_row("7", 2, performed_on=date(2026, 10, 9))],
        [total_row("7", 2)],
        [{"customer_number": "7"}],
        rules=load_rules(rules_file),
        revisions={"7": 3},
    )
    assert made[0].revision == 3
    assert made[0].order_number == "OMS-2026-10-7-r3"
    assert made[0].file_name == "easybill_2026-10_7_r3.csv"
    assert made[0].purchase_date == date(2026, 10, 14)


def test_line_breaks_of_any_kind_become_one() -> None:
    text = "a\r\nb\rc\nd\u2028e\u2029f\n\r\ng\th"
    made = make(
        [line_row("7", 1, title=text, item_number=None)],
        [total_row("7", 1)],
        [{"customer_number": "7", "company_name": text}],
    )
    assert made[0].lines[0].title == "a\nb\nc\nd\ne\nf\n\ng\th"
    assert made[0].customer["company_name"] == "a\nb\nc\nd\ne\nf\n\ng\th"
    assert made[0].lines[0].item_number == ""


@pytest.mark.parametrize(
    ("lines", "customers"),
    [
        ([line_row("7", 1)], []),
        ([line_row("7", 1)], [{"customer_number": "7"}, {"customer_number": "7"}]),
        ([line_row("7", 1), line_row("7", 2)], [{"customer_number": "7"}]),
        ([], [{"customer_number": "7"}]),
    ],
)
def test_frames_of_different_extracts_make_no_document(lines: Rows, customers: Rows) -> None:
    with pytest.raises(FramesDisagree, match=r"month 2026-10: .* customer 7 are not of one extract"):
        make(lines, [total_row("7", 1)], customers)
