"""The sandbox's strict reader of Custom CSV: what it takes, and that it names every fault with its row."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.sandbox.custom_csv import COLUMNS, Fault, read_orders
from billing_pipeline_tests.support.custom_csv import ONE_ROW, custom_csv


def faults_of(data: bytes) -> list[str]:
    orders, faults = read_orders(data)
    assert orders == ()
    return [str(fault) for fault in faults]


def test_an_order_is_read_with_all_its_rows() -> None:
    data = custom_csv({}, {"title": "Anfahrt", "item_number": "", "sku": "", "quantity": "0.333"})
    (order,), faults = read_orders(data)
    assert faults == ()
    assert (order.order_number, order.purchase_date.isoformat()) == ("2026-10-10023", "2026-10-31")
    assert order.cells["name"] == "Müller & Söhne GmbH"
    assert order.cells["zipcode"] == "01067"
    assert [(line.title, line.item_number, line.quantity) for line in order.lines] == [
        ("Battery change service", "BATT-2", Decimal(1)),
        ("Anfahrt", "", Decimal("0.333")),
    ]


def test_the_order_of_the_fields_does_not_matter() -> None:
    assert read_orders(custom_csv({}, columns=sorted(COLUMNS))) == read_orders(custom_csv({}))


def test_line_breaks_quotes_and_semicolons_inside_quotes_belong_to_the_text() -> None:
    title = 'Battery "change";\nScooter 4711\n- Front (70,00 EUR)\ttab'
    (order,), _ = read_orders(custom_csv({"title": title}))
    assert order.lines[0].title == title


def test_several_orders_in_one_file_are_kept_apart() -> None:
    other = {"order_number": "2026-10-10024", "customer_number": "10024"}
    orders, _ = read_orders(custom_csv({}, other, {}))
    assert [(order.order_number, len(order.lines)) for order in orders] == [
        ("2026-10-10023", 2),
        ("2026-10-10024", 1),
    ]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("item_price", "178,50"),
        ("item_price", "1.178.50"),
        ("item_price", "178.5"),
        ("item_price", "178"),
        ("item_price", "1e2"),
        ("item_price", " 178.50"),
        ("item_price", "+178.50"),
        ("item_price", "\u0663.\u0665\u0660"),
        ("item_price", "nan"),
        ("item_price", ""),
        ("quantity", "0"),
        ("quantity", "0.000"),
        ("quantity", "-1"),
        ("quantity", "1,5"),
        ("quantity", "1.0001"),
        ("vat_percent", ""),
        ("vat_percent", "19"),
        ("vat_percent", "19.000"),
        ("vat_percent", "100.01"),
        ("purchase_date", "31.10.2026"),
        ("purchase_date", "2026-02-30"),
        ("purchase_date", "20261031"),
        ("purchase_date", ""),
        ("payment_date", "today"),
        ("currency", "eur"),
        ("country", "Germany"),
        ("tax_type", "reverse-charge"),
        ("item_type", "discount"),
        ("order_shipping_price", "4.90"),
        ("order_number", ""),
        ("customer_number", "  "),
        ("title", "\n"),
        ("title", "beep \x07"),
        ("street", "\x00"),
    ],
)
def test_a_cell_of_the_wrong_form_is_named_with_its_row(column: str, value: str) -> None:
    faults = faults_of(custom_csv({}, {column: value}))
    assert any(fault.startswith(f"row 2, {column} = {value!r}: ") for fault in faults)


def test_every_fault_is_reported_not_only_the_first() -> None:
    assert faults_of(custom_csv({"quantity": "0"}, {"item_price": "x", "vat_percent": "y"})) == [
        "row 1, quantity = '0': expected a quantity above 0 such as 1 or 0.333",
        "row 2, item_price = 'x': expected a price such as 1234.50",
        "row 2, vat_percent = 'y': expected a rate from 0.00 to 100.00",
    ]


def test_a_missing_an_unknown_and_a_repeated_field_are_named() -> None:
    columns = [name for name in ONE_ROW if name != "vat_percent"]
    assert faults_of(custom_csv({}, columns=[*columns, "unit", "title"])) == [
        "file, unit = '': not a field of Custom CSV",
        "file, title = '': field stands 2 times",
        "file, vat_percent = '': field is missing",
    ]


def test_a_byte_order_mark_is_not_part_of_a_field_name() -> None:
    faults = faults_of(b"\xef\xbb\xbf" + custom_csv({}))
    assert faults[0] == "file, \ufefforder_number = '': not a field of Custom CSV"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "field is missing"),
        (custom_csv(), "file: no rows after the header"),
        (custom_csv({})[:-3] + b"\n", "unexpected end of data"),
        (custom_csv({}).replace(b'"EUR"', b'"EUR"x'), "not CSV at line 2"),
        (custom_csv({}).replace(b'"EUR";', b'"EUR";;'), "row 1: 36 cells, the header has 35"),
        (custom_csv({}) + b"\n", "row 2: 0 cells, the header has 35"),
        (custom_csv({}).decode().encode("iso-8859-1"), "not UTF-8: byte"),
        (custom_csv({}).replace(b";", b","), "is missing"),
        (custom_csv({"quantity": "999999999", "item_price": "999999999999.99"}), "beyond any invoice"),
    ],
)
def test_a_file_that_is_not_custom_csv_is_refused(data: bytes, message: str) -> None:
    assert message in "\n".join(faults_of(data))


def test_a_file_cut_off_between_two_cells_is_refused() -> None:
    whole = custom_csv({}, {"title": "second"})
    cut = whole.rindex(b'"1";')
    assert faults_of(whole[:cut]) == ["row 2: 33 cells, the header has 35"]


@pytest.mark.parametrize("column", ["customer_number", "name", "currency", "purchase_date", "shipping_city"])
def test_the_rows_of_an_order_must_agree_on_order_and_customer(column: str) -> None:
    other = {"currency": "CHF", "purchase_date": "2026-10-30"}.get(column, "other")
    (fault,) = faults_of(custom_csv({}, {column: other}))
    assert fault == f"row 2, {column} = {other!r}: row 1 of the same order says otherwise"


def test_a_customer_needs_a_company_or_a_last_name() -> None:
    assert faults_of(custom_csv({"name": ""})) == ["row 1, name = '': a company or a last name is needed"]
    assert read_orders(custom_csv({"name": "", "lastname": "Roth"}))[1] == ()


@pytest.mark.parametrize("tax_type", ["intra-community-trade", "export"])
def test_a_tax_free_order_must_not_carry_vat(tax_type: str) -> None:
    assert read_orders(custom_csv({"tax_type": tax_type, "vat_percent": "0.00"}))[1] == ()
    (fault,) = faults_of(custom_csv({"tax_type": tax_type}))
    assert fault == f"row 1, vat_percent = '19.00': with tax type {tax_type} it must be 0.00"


def test_a_fault_without_a_row_names_the_file() -> None:
    assert str(Fault(0, "", "", "empty")) == "file: empty"


def test_the_files_of_the_product_are_taken_by_a_reader_that_never_saw_its_code() -> None:
    golden = sorted((Path(__file__).parents[1] / "golden").glob("*.csv"))
    assert golden
    assert {path.name: read_orders(path.read_bytes())[1] for path in golden} == {
        path.name: () for path in golden
    }
