from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from billing_pipeline.easybill.layout import LayoutInvalid, layout_table, load_layout, packaged_layouts

# As 3-billing-rules lists them.
HEADER = (
    "order_number;purchase_date;shipping_date;payment_date;currency;order_shipping_price;payment_type;"
    "customer_number;email;phone_number;firstname;lastname;name;street;zipcode;city;state;country;vat_id;tax_type;"
    "shipping_firstname;shipping_lastname;shipping_name;shipping_street;shipping_zipcode;shipping_city;"
    "shipping_state;shipping_country;sku;item_number;item_type;title;quantity;item_price;vat_percent"
)

PACKAGED = (
    resources.files("billing_pipeline.easybill")
    .joinpath("layouts/easybill-custom-csv.toml")
    .read_text(encoding="utf-8")
)


def layout_with(folder: Path, old: str, new: str) -> Path:
    """The packaged layout with one place changed, as a deployer's file."""
    assert PACKAGED.count(old) == 1, f"{old!r} must stand once"
    path = folder / "own.toml"
    path.write_text(PACKAGED.replace(old, new), encoding="utf-8")
    return path


def test_the_packaged_layout_is_custom_csv() -> None:
    layout = load_layout()
    assert ";".join(column.name for column in layout.columns) == HEADER
    assert layout.name in packaged_layouts()
    assert (layout.delimiter, layout.encoding, layout.line_ending) == (";", "utf-8", "\n")
    assert not layout.byte_order_mark
    assert (layout.quoting, layout.decimal_mark, layout.price_basis) == ("text", ".", "rules")
    for column in layout.columns:
        longest = {"title": 10_000}.get(column.name, 255) if column.type == "text" else None
        assert column.max_length == longest
        assert column.meaning


def test_a_layout_may_be_a_file_of_ones_own(tmp_path: Path) -> None:
    path = layout_with(tmp_path, 'price_basis = "rules"', 'price_basis = "net"')
    assert load_layout(path).price_basis == "net"
    assert load_layout(str(path)) == load_layout(path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('delimiter = ";"', 'delimiter = ":"', "delimiter: Input should be ';', ',', '\\t' or '|'"),
        ('delimiter = ";"', 'delimeter = ";"', "delimeter: is no key of a layout; the keys here are: name"),
        ('delimiter = ";"', "", "delimiter: is missing"),
        ("quote_header = false", 'quote_header = "no"', "quote_header: Input should be a valid boolean"),
        ('decimal_mark = "."', 'decimal_mark = ";"', "decimal_mark: Input should be '.' or ','"),
        ('delimiter = ";"', 'delimiter = ","\nname = "x"', "is not TOML: Cannot overwrite a value"),
        ('encoding = "utf-8"', 'encoding = "utf-16"', "encoding: Input should be 'utf-8' or 'iso-8859-1'"),
        ("byte_order_mark = false", "byte_order_mark = true\nquirk = 1", "quirk: is no key of a layout"),
        ('source = "line.title"', 'source = "line.tittle"', "columns[title]: 'source' is 'line.tittle', which is no"),
        ('text", source = "line.title"', 'date", source = "line.title"', "columns[title]: 'type' is 'date', but line"),
        ("max_length = 10000", "max_length = 0", "columns[title].max_length: Input should be greater than"),
        ("max_length = 10000", 'max_length = "many"', "columns[title].max_length: Input should be a valid integer"),
        ("max_length = 10000", "longest = 1", "columns[title].longest: is no key of a layout; the keys here are: name"),
        ('name = "title"', 'nmae = "title"', "columns[32].nmae: is no key of a layout"),
        ('name = "title"', 'name = "quantity"', "the name 'quantity' stands twice"),
        ('name = "title"', 'name = "tit;le"', "a name holds the delimiter; set quote_header = true"),
        ('source = "line.file_price"', 'source = "line.gross"', "exactly one column must have the source line.file_p"),
        ('value = "item"', 'value = ""', "columns[item_type]: a required constant needs a 'value'"),
        ('value = "item"', 'value = "item", source = "line.title"', "a constant has a 'value', and neither 'source'"),
        (
            'source = "document.purchase_date"',
            'source = "document.purchase_date", max_length = 10',
            "columns[purchase_date]: 'max_length' does not go with type 'date'",
        ),
        ('source = "line.title"', 'source = "empty"', "a column with source 'empty' cannot be required"),
    ],
)  # fmt: skip
def test_a_wrong_layout_is_refused_with_file_and_key(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = layout_with(tmp_path, old, new)
    with pytest.raises(LayoutInvalid) as refusal:
        load_layout(path)
    message = str(refusal.value)
    assert message.startswith(f"layout {path}: ")
    assert says in message
    assert "\n" not in message
    assert refusal.value.exit_status == 2


def test_a_delimiter_that_is_the_decimal_mark_needs_quotes_around_all(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    confusing = PACKAGED.replace('delimiter = ";"', 'delimiter = ","').replace(
        'decimal_mark = "."', 'decimal_mark = ","'
    )
    path.write_text(confusing, encoding="utf-8")
    with pytest.raises(LayoutInvalid, match="decimal_mark: is the delimiter"):
        load_layout(path)
    path.write_text(confusing.replace('quoting = "text"', 'quoting = "all"'), encoding="utf-8")
    assert load_layout(path).quoting == "all"


def test_a_layout_that_is_not_there_is_refused_with_the_names_that_are(tmp_path: Path) -> None:
    with pytest.raises(LayoutInvalid, match="one of: easybill-custom-csv"):
        load_layout("easybill-custom")
    with pytest.raises(LayoutInvalid, match="cannot be read"):
        load_layout(tmp_path)
    (tmp_path / "latin.toml").write_bytes('name = "ü"'.encode("latin-1"))
    with pytest.raises(LayoutInvalid, match="is not UTF-8"):
        load_layout(tmp_path / "latin.toml")


def test_the_table_for_people_has_every_column_and_the_form_of_the_file() -> None:
    layout = load_layout()
    first, empty, *table = layout_table(layout).splitlines()
    assert "delimiter `;`" in first
    assert "UTF-8 without byte order mark" in first
    assert "prices as price_basis of the rules says" in first
    assert not empty
    assert len(table) == 2 + len(layout.columns)
    assert all(row.count(" | ") == 6 for row in table[2:])
    assert "| 32 | `title` | text | 10000 | yes | `line.title`:" in table[33]
