from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.easybill import file_check
from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.file_check import MOST_REASONS, FileChecker
from billing_pipeline.easybill.layout import load_layout
from billing_pipeline.easybill.render import render_csv
from billing_pipeline_tests.golden.documents import CASES, NET
from billing_pipeline_tests.support.documents import a_customer, a_document, a_line, as_stored, check_file
from billing_pipeline_tests.support.extent import FULL

LAYOUT = load_layout()
TWO_LINES = a_document(
    a_line(1, title='Ü "1"; x\ny', item_number=""),
    a_line(2, item_number="B", file_price=Decimal("89.25"), file_quantity=Decimal("2")),
    customer_number="007",
)
GOOD = render_csv(TWO_LINES, LAYOUT)
STORED_LINES = as_stored(TWO_LINES)


@pytest.mark.parametrize("name", CASES)
def test_the_golden_files_pass(name: str) -> None:
    document, layout = CASES[name]
    assert check_file(render_csv(document, layout), document, layout) == []


ONE_LINE = a_document(
    a_line(title='Ü "1"; x\ny', item_number=""), customer=a_customer(email="", street="", phone="")
)
SMALL = render_csv(ONE_LINE, LAYOUT)
STORED_LINE = as_stored(ONE_LINE)
# To make a checker takes longer than to check: one for thousands of damaged files.
SMALL_CHECK, GOOD_CHECK = FileChecker(STORED_LINE, LAYOUT), FileChecker(STORED_LINES, LAYOUT)


def test_every_single_byte_that_is_not_as_it_should_be_is_found() -> None:
    assert SMALL_CHECK.faults(0, SMALL) == []
    for position, byte in enumerate(SMALL):
        # One bit flipped, and the bytes that have a meaning of their own.
        others = sorted({byte ^ 1, byte ^ 32, *b'";\n0'} - {byte})
        for other in others if FULL else (byte ^ 1, others[position % len(others)]):
            changed = SMALL[:position] + bytes([other]) + SMALL[position + 1 :]
            assert SMALL_CHECK.faults(0, changed), (position, other)


def test_every_byte_too_many_or_too_few_is_found() -> None:
    for position in range(len(SMALL)):
        assert SMALL_CHECK.faults(0, SMALL[:position] + SMALL[position + 1 :]), position
        for byte in b'";\n\r0' if FULL else (b'";\n\r0'[position % 5],):
            inserted = SMALL[:position] + bytes([byte]) + SMALL[position:]
            assert SMALL_CHECK.faults(0, inserted) or inserted == SMALL, (position, byte)


@given(st.data())
@settings(max_examples=300 if FULL else 100)
def test_any_splice_that_changes_the_bytes_is_found(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(GOOD)))
    end = data.draw(st.integers(start, len(GOOD)))
    changed = GOOD[:start] + data.draw(st.binary(max_size=8)) + GOOD[end:]
    assert bool(GOOD_CHECK.faults(0, changed)) == (changed != GOOD)


def swapped(old: str, new: str, data: bytes = GOOD) -> bytes:
    text = data.decode()
    assert text.count(old) >= 1
    return text.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the header is not that of layout easybill-custom-csv"),
        (b"\xef\xbb\xbf" + GOOD, "the file begins with a byte order mark"),
        (GOOD.replace(b"\xc3\x9c", b"\xdc"), "the file is not UTF-8: byte "),
        (swapped("order_number;purchase_date", "purchase_date;order_number"), "the header is not that of layout"),
        (GOOD.replace(b"\n", b"\r\n"), "the header is not that of layout"),
        (GOOD[:-1], "row 2: delimiters, quotes or line ending are not as the layout says"),
        (swapped('"EUR"', "EUR"), "row 1: delimiters, quotes or line ending"),
        (swapped("2026-10-31", '"2026-10-31"'), "row 1: delimiters, quotes or line ending"),
        (swapped('"2026-10-007"', '"2026-10-008"'), "row 1, order_number: '2026-10-008' is not the document's '2026-1"),
        (swapped('"2026-10-007"', '"2026-09-007"'), "row 1, order_number: "),
        (swapped(';"007";', ';"7";'), "row 1, customer_number: '7' is not the document's '007'"),
        (swapped(';"007";', ';"";'), "row 1, customer_number: '' is required but empty"),
        (swapped("178.50", "178.5"), "row 1, item_price: '178.5' is no number with 2 decimals"),
        (swapped("178.50", "1E2"), "row 1, item_price: '1E2' is no number"),
        (swapped("2026-10-31", "2026-13-31"), "row 1, purchase_date: '2026-13-31' is no date YYYY-MM-DD"),
        (swapped("2026-10-31", "2026-02-30"), "row 1, purchase_date: '2026-02-30' is not the document's '2026-10-31'"),
        (swapped(";2;89.25", ";2.0;89.25"), "row 2, quantity: '2.0' is no number with at most 3 decimals"),
        (swapped(";2;89.25", ";3;89.25"), "row 2: quantity times price is 26775, the line 17850 (minor units)"),
        (swapped("178.50", "178.51"), "the file's gross is 35701, the document's 35700 (minor units)"),
        (swapped('"Berlin"', '"Ber\x00in"'), "row 1, city: 'Ber\\x00in' holds a control character"),
        (swapped('"Berlin"', f'"{"x" * 256}"'), "is longer than 255 characters"),
        (swapped('"item"', '"discount"'), "row 1, item_type: 'discount' is not 'item'"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_row_column_and_value(data: bytes, says: str) -> None:
    reasons = check_file(data, TWO_LINES, LAYOUT)
    assert any(says in reason for reason in reasons), reasons
    assert all("\n" not in reason for reason in reasons)


def test_every_fault_is_told_up_to_a_bound() -> None:
    reasons = check_file(swapped('"Berlin"', '""', swapped("178.50", "178.51")), TWO_LINES, LAYOUT)
    assert len(reasons) == 4  # the city, the price, the line's amount, the total
    many = a_document(*(a_line(position) for position in range(1, 101)))
    other = replace(many, customer=a_customer(city="Köln"))
    reasons = check_file(render_csv(other, LAYOUT), many, LAYOUT)
    assert len(reasons) == MOST_REASONS + 1
    assert reasons[-1] == "and 50 more"


@given(st.data())
@settings(max_examples=100 if FULL else 33)
def test_a_few_rows_and_characters_at_a_time_the_same_is_found(data: st.DataObject) -> None:
    rows = GOOD.split(LAYOUT.line_ending.encode())
    mixed = data.draw(st.lists(st.sampled_from(rows[1:-1]), max_size=5))
    start = data.draw(st.integers(len(rows[0]), len(GOOD)))
    changed = [
        LAYOUT.line_ending.encode().join([rows[0], *mixed, b""]),
        GOOD[:start] + data.draw(st.sampled_from([b'"', b";", b"1", b""])) + GOOD[start + 1 :],
    ]
    together = [GOOD_CHECK.faults(0, one) for one in changed]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_check, "ROWS_AT_A_TIME", 1)
        patch.setattr(file_check, "CHARACTERS_AT_A_TIME", 1)
        assert [GOOD_CHECK.faults(0, one) for one in changed] == together


def test_rows_missing_doubled_or_swapped_are_found() -> None:
    lines = GOOD.decode().split("\n")
    header, first, second = lines[0], "\n".join(lines[1:3]), lines[3] + "\n" + lines[4]
    assert "\n".join([header, first, second, ""]).encode() == GOOD
    for rows in ([first], [first, second, second], [second, first], [], [first, first]):
        assert check_file("\n".join([header, *rows, ""]).encode(), TWO_LINES, LAYOUT)


@pytest.mark.parametrize(
    "other",
    [
        replace(TWO_LINES, order_number="2026-10-007-r2"),
        replace(TWO_LINES, customer_number="7"),
        replace(TWO_LINES, currency="CHF"),
        replace(TWO_LINES, purchase_date=date(2026, 11, 1)),
        replace(TWO_LINES, customer=a_customer(city="Bonn")),
        replace(TWO_LINES, gross=35701),
        replace(TWO_LINES, lines=TWO_LINES.lines[::-1]),
        replace(TWO_LINES, lines=()),
        replace(TWO_LINES, price_basis="net"),
    ],
)
def test_the_file_of_another_document_is_refused(other: Document) -> None:
    assert check_file(GOOD, TWO_LINES, LAYOUT) == []
    assert check_file(GOOD, other, LAYOUT)


def test_a_layout_of_one_price_basis_has_no_file_of_the_other() -> None:
    assert check_file(GOOD, TWO_LINES, LAYOUT.model_copy(update={"price_basis": "net"})) == [
        "the document adds up gross, the layout takes only net prices"
    ]


def test_a_document_without_lines_is_nothing_to_send() -> None:
    empty = replace(TWO_LINES, lines=(), net=0, vat=0, gross=0)
    assert check_file(render_csv(empty, LAYOUT), empty, LAYOUT) == [
        "the document has no lines, so there is nothing to send"
    ]


def test_on_the_net_basis_vat_is_computed_once_per_rate() -> None:
    document, layout = CASES["net_basis"]
    data = render_csv(document, layout)
    assert check_file(data, replace(document, vat=3879, gross=24918), layout) == [
        "the file's vat is 3878, the document's 3879 (minor units)",
        "the file's gross is 24917, the document's 24918 (minor units)",
    ]
    assert NET.price_basis == "net"


def test_a_total_beyond_28_digits_is_still_exact() -> None:
    # 999999999505 * 99999999999999999 = 99999999950499999000000000495: rounded to 28 digits it would be a cent more.
    line = a_line(
        file_quantity=Decimal("999999999.505"),
        file_price=Decimal("999999999999999.99"),
        gross=99999999950499999000000000,
    )
    document = a_document(line)
    assert check_file(render_csv(document, LAYOUT), document, LAYOUT) == []


def test_a_missing_row_of_nothing_is_found_though_the_totals_agree() -> None:
    nothing = a_line(2, net=0, vat=0, gross=0, file_price=Decimal(0))
    document = a_document(a_line(1), nothing)
    short = render_csv(a_document(a_line(1)), LAYOUT)
    assert check_file(short, document, LAYOUT) == ["the file has 1 rows, the document 2 lines"]
    doubled = render_csv(a_document(a_line(1), nothing, nothing), LAYOUT)
    assert check_file(doubled, document, LAYOUT) == ["the file has 3 rows, the document 2 lines"]
