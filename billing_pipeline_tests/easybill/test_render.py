from __future__ import annotations

import decimal
import hashlib
import os
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.easybill import document_columns
from billing_pipeline.easybill.document_columns import DocumentColumns
from billing_pipeline.easybill.layout import Layout, load_layout
from billing_pipeline.easybill.render import render_csv, render_files
from billing_pipeline_tests.support.documents import a_customer, a_document, a_line, check_file

LAYOUT = load_layout()


def varied(**changed: Any) -> Layout:
    """The packaged layout, written differently."""
    return Layout.model_validate(LAYOUT.model_dump() | changed)


def test_a_row_is_text_in_quotes_and_numbers_and_dates_bare() -> None:
    document = a_document(
        a_line(
            title='Wechsel "vorn"\n- Akku; links',
            file_quantity=Decimal("0.333"),
            file_price=Decimal("1234.5"),
        ),
        customer_number="00123",
    )
    header, row = render_csv(document, LAYOUT).decode().split("\n", 1)
    assert header.startswith("order_number;purchase_date;")
    assert row == (
        '"2026-10-00123";2026-10-31;;;"EUR";;"invoice";"00123";"rechnung@mueller-soehne.example";"+49 30 1234567";'
        '"Jörg";"Weiß";"Müller & Söhne GmbH";"Straße des 17. Juni 135";"10623";"Berlin";"";"DE";"DE123456789";"";'
        '"";"";"";"";"";"";"";"";"BAT-CHG";"BAT-CHG";"item";"Wechsel ""vorn""\n- Akku; links";0.333;1234.50;19.00\n'
    )


@pytest.mark.parametrize("most_lines", [1, 2, 3])
def test_however_many_lines_are_looked_at_together_the_files_are_those_of_each_document_alone(
    monkeypatch: pytest.MonkeyPatch, most_lines: int
) -> None:
    documents = [
        a_document(*(a_line(position) for position in range(1, lines + 1)), customer_number=str(lines))
        for lines in (2, 1, 4)
    ]
    alone = [render_csv(one, LAYOUT) for one in documents]
    monkeypatch.setattr(document_columns, "MOST_LINES", most_lines)
    assert render_files(DocumentColumns.of(documents), LAYOUT) == alone


@pytest.mark.parametrize(
    ("quantity", "written"), [("1.000", "1"), ("0.333", "0.333"), ("12.500", "12.5"), ("1E+3", "1000")]
)
def test_a_quantity_has_as_few_decimals_as_it_needs(quantity: str, written: str) -> None:
    data = render_csv(a_document(a_line(file_quantity=Decimal(quantity))), LAYOUT)
    assert data.decode().endswith(f";{written};178.50;19.00\n")


@pytest.mark.parametrize(
    ("price", "written"),
    [("0", "0.00"), ("-0.00", "0.00"), ("-10.7", "-10.70"), ("1000000.000", "1000000.00")],
)
def test_a_price_has_two_decimals(price: str, written: str) -> None:
    data = render_csv(a_document(a_line(file_price=Decimal(price))), LAYOUT)
    assert data.decode().endswith(f";1;{written};19.00\n")


def test_a_price_with_more_decimals_than_its_column_is_not_rounded_but_refused() -> None:
    with pytest.raises(ValueError, match=r"1\.234 has more than the 2 decimals of column item_price"):
        render_csv(a_document(a_line(file_price=Decimal("1.234"))), LAYOUT)


@pytest.mark.parametrize(
    ("changed", "ends"),
    [
        ({"delimiter": ",", "quoting": "all", "decimal_mark": ","}, b'"item","T","1","178,50","19,00"\n'),
        ({"line_ending": "\r\n"}, b'"item";"T";1;178.50;19.00\r\n'),
        ({"delimiter": "\t"}, b'"item"\t"T"\t1\t178.50\t19.00\n'),
    ],
)
def test_the_layout_says_how_a_file_is_written(changed: dict[str, str], ends: bytes) -> None:
    layout, document = varied(**changed), a_document(a_line(title="T"))
    data = render_csv(document, layout)
    assert data.endswith(ends)
    assert check_file(data, document, layout) == []


def test_the_layout_says_how_header_dates_and_letters_are_written() -> None:
    document = a_document()
    data = render_csv(
        document, varied(quote_header=True, date_format="DD.MM.YYYY", encoding="iso-8859-1", delimiter="|")
    )
    assert data.startswith(b'"order_number"|"purchase_date"|')
    assert b'|31.10.2026|||"EUR"||' in data
    assert "Müller & Söhne".encode("latin-1") in data
    assert render_csv(document, varied(byte_order_mark=True)).startswith(b"\xef\xbb\xbforder_number;")


def test_the_decimal_context_of_the_caller_does_not_matter() -> None:
    document = a_document(a_line(file_price=Decimal("123456789.12"), file_quantity=Decimal("1234.567")))
    expected = render_csv(document, LAYOUT)
    with decimal.localcontext(decimal.Context(prec=3, rounding=decimal.ROUND_UP)):
        assert render_csv(document, LAYOUT) == expected


HASH_OF_A_FILE = """
import hashlib, locale
from billing_pipeline.easybill.layout import load_layout
from billing_pipeline.easybill.render import render_csv
from billing_pipeline_tests.support.documents import a_customer, a_document, a_line, check_file
locale.setlocale(locale.LC_ALL, "")
document = a_document(a_line(1), a_line(2, title="ü;\\n"), customer=a_customer(city="Köln"))
print(hashlib.sha256(document.to_json() + render_csv(document, load_layout())).hexdigest())
"""


@pytest.mark.parametrize(
    ("zone", "language", "seed"), [("Pacific/Kiritimati", "C", "1"), ("America/New_York", "C.UTF-8", "4242")]
)
def test_a_file_does_not_depend_on_time_zone_language_or_hash_seed(
    zone: str, language: str, seed: str
) -> None:
    environment = {**os.environ, "TZ": zone, "LANG": language, "LC_ALL": language, "PYTHONHASHSEED": seed}
    child = subprocess.run(
        [sys.executable, "-c", HASH_OF_A_FILE], env=environment, capture_output=True, check=True, text=True
    )
    document = a_document(a_line(1), a_line(2, title="ü;\n"), customer=a_customer(city="Köln"))
    expected = hashlib.sha256(document.to_json() + render_csv(document, LAYOUT)).hexdigest()
    assert child.stdout.strip() == expected
