"""The CSV format as a declaration: the fields that a column may be taken from, and what a layout file may say.

A layout is data. The renderer (`render`), the check of a file (`file_check`) and the table in the documentation
(`layout_table`) all follow from it, so a deployer corrects the format without touching code.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic import Field as Key

from billing_pipeline import money
from billing_pipeline.billing.arrow import TEXT, by_distinct, constant
from billing_pipeline.easybill.document import CUSTOMER_FIELDS
from billing_pipeline.easybill.document_columns import DocumentColumns
from billing_pipeline.problems import UsageError


def cut(value: str, most: int = 60) -> str:
    """The beginning of a value that may be long."""
    return value if len(value) <= most else f"{value[: most - 1]}…"


def shortened(value: str, most: int = 60) -> str:
    """A value on one line, in quotes, cut where it is long."""
    return repr(cut(value, most))


Kind = Literal["text", "decimal", "quantity", "date"]
Value = str | Decimal | date | None

EMPTY: Final = "empty"
"""The source of a column that EASY Bill knows and that this product leaves empty."""


@dataclass(frozen=True, slots=True)
class Field:
    """One source field: of what kind its values are, and how the documents' columns give them.

    `values`: one per line where `of_line`, else one per document. Decimals are in major units.
    """

    kind: Kind
    meaning: str
    values: Callable[[DocumentColumns], pa.Array]
    of_line: bool = False


def _heads(name: str) -> Callable[[DocumentColumns], pa.Array]:
    return lambda documents: documents.heads[name]


def _customer_field(name: str) -> Callable[[DocumentColumns], pa.Array]:
    key = f"customer.{name}"
    return lambda documents: documents.heads.get(key, constant("", TEXT, len(documents)))


def _period_start(documents: DocumentColumns) -> pa.Array:
    return _by_month(documents, lambda first: first)


def _period_end(documents: DocumentColumns) -> pa.Array:
    return _by_month(
        documents,
        lambda first: (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1),
    )


def _by_month(documents: DocumentColumns, day_of: Callable[[date], date]) -> pa.Array:
    return by_distinct(
        lambda month: day_of(date.fromisoformat(f"{month}-01")), pa.date32(), documents.heads["month"]
    )


def _document_fields() -> dict[str, Field]:
    return {
        "document.order_number": Field("text", "the order number", _heads("order_number")),
        "document.customer_number": Field("text", "the customer number, as it is", _heads("customer_number")),
        "document.month": Field("text", "the month, YYYY-MM", _heads("month")),
        "document.currency": Field("text", "ISO 4217 code", _heads("currency")),
        "document.purchase_date": Field("date", "the date of the order", _heads("purchase_date")),
        "document.period_start": Field("date", "first day of the month", _period_start),
        "document.period_end": Field("date", "last day of the month", _period_end),
    }


def _customer_fields() -> dict[str, Field]:
    return {
        f"customer.{name}": Field("text", f"the customer's {name.replace('_', ' ')}", _customer_field(name))
        for name in CUSTOMER_FIELDS
    }


_MOST_DECIMALS: Final = 4
"""Of a currency's minor unit, by ISO 4217."""


def _line_fields() -> dict[str, Field]:
    def line_field(name: str) -> Callable[[DocumentColumns], pa.Array]:
        return lambda documents: documents.lines[name]

    def amount(name: str) -> Callable[[DocumentColumns], pa.Array]:
        def values(documents: DocumentColumns) -> pa.Array:
            factors = by_distinct(
                lambda currency: Decimal(1).scaleb(-money.exponent_of(currency)),
                pa.decimal128(5, _MOST_DECIMALS),
                documents.heads["currency"],
            )
            minor = documents.lines[name].cast(pa.decimal128(30, 0))
            return pc.multiply(minor, factors.take(documents.document_of_line))

        return values

    def position(documents: DocumentColumns) -> pa.Array:
        return documents.lines["position"].cast(pa.decimal128(19, 0))

    def vat_percent(documents: DocumentColumns) -> pa.Array:
        hundredths = documents.lines["vat_basis_points"].cast(pa.decimal128(19, 0))
        return pc.multiply(hundredths, pa.scalar(Decimal("0.01"), pa.decimal128(2, 2)))

    fields: dict[str, tuple[Kind, str, Callable[[DocumentColumns], pa.Array]]] = {
        "position": ("quantity", "1, 2, 3 …", position),
        "line_type": ("text", "service, cancellation_fee …", line_field("line_type")),
        "item_number": ("text", "article number", line_field("item_number")),
        "title": ("text", "the text on the invoice", line_field("title")),
        "unit": ("text", "unit of the quantity", line_field("unit")),
        "performed_on": ("date", "local date of the service", line_field("performed_on")),
        "quantity": ("quantity", "quantity before folding", line_field("quantity")),
        "unit_price_net": ("decimal", "net unit price before folding", amount("unit_price_net")),
        "net": ("decimal", "net amount of the line", amount("net")),
        "vat": ("decimal", "VAT of the line", amount("vat")),
        "gross": ("decimal", "gross amount of the line", amount("gross")),
        "file_quantity": ("quantity", "quantity; 1 where the line is folded", line_field("file_quantity")),
        "file_price": ("decimal", "unit price on the price basis", line_field("file_price")),
        "vat_percent": ("decimal", "VAT rate in percent", vat_percent),
    }
    return {f"line.{name}": Field(*field, of_line=True) for name, field in fields.items()}


FIELDS: Final[Mapping[str, Field]] = _document_fields() | _customer_fields() | _line_fields()
"""Every source field by the name a layout uses."""


DEFAULT_LAYOUT: Final = "easybill-custom-csv"

DATE_FORMATS: Final = {"YYYY-MM-DD": "%Y-%m-%d", "DD.MM.YYYY": "%d.%m.%Y"}
"""How a layout may write dates, and the strftime pattern of each; none depends on the locale."""

NEEDED_SOURCES: Final = (
    "document.order_number",
    "line.file_quantity",
    "line.file_price",
    "line.vat_percent",
)
"""What a file cannot do without: the key of the order, and what its total is computed from."""


class LayoutInvalid(UsageError):
    """A layout file is missing or wrong; the message names the file, the key and what it may be."""


class Column(BaseModel):
    """One column of the file. Lengths are counted in characters (code points)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Annotated[str, Key(min_length=1, pattern=r'^[^"\r\n]+$', description="The name in the header.")]
    type: Annotated[
        Literal["text", "decimal", "quantity", "date", "constant"],
        Key(description="`decimal` has a fixed number of decimals, `quantity` as few as it needs."),
    ]
    source: Annotated[
        str,
        Key(description=f"The field it comes from; `{EMPTY}` for a column left empty. Not for constants."),
    ] = ""
    value: Annotated[str, Key(description="The text of a `constant`.")] = ""
    max_length: Annotated[int | None, Key(ge=1, description="Most characters of a text.")] = None
    decimals: Annotated[
        int | None,
        Key(ge=0, le=3, description="Decimals of a number: 2 for `decimal`, at most 3 for `quantity`."),
    ] = None
    required: Annotated[
        bool, Key(description="Whether every row must say something here; blanks say nothing.")
    ] = False
    meaning: Annotated[str, Key(description="What the column says, for the documentation.")] = ""

    @model_validator(mode="after")
    def _keys_fit_the_type(self) -> Self:
        fault = self._constant_fault() if self.type == "constant" else self._source_fault()
        if fault:
            raise ValueError(fault)
        return self

    def _constant_fault(self) -> str:
        if self.source or self.max_length is not None or self.decimals is not None:
            return "a constant has a 'value', and neither 'source', 'max_length' nor 'decimals'"
        if any(character in self.value for character in "\r\n"):
            return "the 'value' of a constant is one line"
        return "a required constant needs a 'value'" if self.required and not self.value.strip() else ""

    def _source_fault(self) -> str:
        field = FIELDS.get(self.source)
        if field is None and self.source != EMPTY:
            return f"'source' is {self.source!r}, which is no field; one of: {', '.join([EMPTY, *FIELDS])}"
        if field is None and self.required:
            return f"a column with source '{EMPTY}' cannot be required"
        if (
            field is not None
            and self.type != field.kind
            and (field.kind, self.type) != ("quantity", "decimal")
        ):
            return f"'type' is {self.type!r}, but {self.source} is of type {field.kind!r}"
        misplaced = {
            "value": bool(self.value),
            "max_length": self.max_length is not None and self.type != "text",
            "decimals": self.decimals is not None and self.type not in ("decimal", "quantity"),
        }
        return next(
            (f"'{key}' does not go with type {self.type!r}" for key, is_so in misplaced.items() if is_so), ""
        )

    @property
    def places(self) -> int:
        """Decimals of a number: exactly so many for `decimal`, at most so many for `quantity`."""
        if self.decimals is not None:
            return self.decimals
        return 2 if self.type == "decimal" else 3


class Layout(BaseModel):
    """The format of a file: how it is written, and its columns in order."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Annotated[str, Key(min_length=1, description="The name in records and messages.")]
    description: Annotated[str, Key(description="What the layout is for.")] = ""
    delimiter: Annotated[Literal[";", ",", "\t", "|"], Key(description="Between two cells.")]
    encoding: Annotated[
        Literal["utf-8", "iso-8859-1"], Key(description="A text it cannot write blocks its customer.")
    ]
    byte_order_mark: Annotated[bool, Key(description="Whether the file begins with one (UTF-8 only).")]
    line_ending: Annotated[
        Literal["\n", "\r\n"],
        Key(description="After every row, the last one too. Inside a cell it is always \\n."),
    ]
    quoting: Annotated[
        Literal["text", "all"], Key(description='Which cells stand in `"`, with `"` doubled: texts, or all.')
    ]
    quote_header: Annotated[bool, Key(description='Whether the names of the header stand in `"`.')]
    decimal_mark: Annotated[
        Literal[".", ","], Key(description="In numbers; there is no thousands separator.")
    ]
    date_format: Annotated[Literal["YYYY-MM-DD", "DD.MM.YYYY"], Key(description="In dates.")]
    price_basis: Annotated[
        Literal["rules", "gross", "net"],
        Key(description="What the price column holds: what the rules say, or only gross or only net prices."),
    ]
    columns: Annotated[tuple[Column, ...], Key(min_length=1, strict=False)]

    @model_validator(mode="after")
    def _keys_fit_each_other(self) -> Self:
        names = Counter(column.name for column in self.columns)
        twice = sorted(name for name, count in names.items() if count > 1)
        if twice:
            raise ValueError(f"columns: the name {twice[0]!r} stands twice")
        sources = Counter(column.source for column in self.columns)
        for source in NEEDED_SOURCES:
            if sources[source] != 1:
                raise ValueError(f"columns: exactly one column must have the source {source}")
        if self.byte_order_mark and self.encoding != "utf-8":
            raise ValueError("byte_order_mark: only UTF-8 has one")
        if self.quoting == "text" and self.decimal_mark == self.delimiter:
            raise ValueError("decimal_mark: is the delimiter; set quoting = 'all' or another delimiter")
        if not self.quote_header and any(self.delimiter in column.name for column in self.columns):
            raise ValueError("columns: a name holds the delimiter; set quote_header = true")
        return self

    def is_quoted(self, column: Column) -> bool:
        """Whether the cells of this column stand in quotes."""
        return self.quoting == "all" or column.type in ("text", "constant")

    def takes(self, price_basis: str) -> bool:
        """Whether a document that adds up on this basis can be written."""
        return self.price_basis in ("rules", price_basis)

    def column_of(self, source: str) -> int:
        """The index of the first column with this source. Raises ValueError where there is none."""
        return [column.source for column in self.columns].index(source)


def packaged_layouts() -> list[str]:
    """The names of the layouts that come with the product."""
    folder = resources.files("billing_pipeline.easybill") / "layouts"
    return sorted(
        entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )


def load_layout(name_or_path: str | Path = DEFAULT_LAYOUT) -> Layout:
    """The layout of a packaged name or of a TOML file.

    Raises LayoutInvalid, naming the file and the key, for whatever the format does not know: an unknown key, a wrong
    type, an unknown source field.
    """
    where, text = _read(name_or_path)
    try:
        declared = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise LayoutInvalid(f"layout {where}: is not TOML: {fault}") from None
    try:
        return Layout.model_validate(declared)
    except ValidationError as fault:
        raise LayoutInvalid(f"layout {where}: {_first_fault(fault, declared)}") from None


def _read(name_or_path: str | Path) -> tuple[str, str]:
    if str(name_or_path) in packaged_layouts():
        packaged = resources.files("billing_pipeline.easybill") / "layouts" / f"{name_or_path}.toml"
        return str(name_or_path), packaged.read_text(encoding="utf-8")
    path = Path(name_or_path)
    try:
        return str(path), path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "is not UTF-8"
        raise LayoutInvalid(
            f"layout {path}: cannot be read ({reason}); give the path of a TOML file or one of: "
            f"{', '.join(packaged_layouts())}"
        ) from None


def _first_fault(fault: ValidationError, declared: dict[str, Any]) -> str:
    """The first fault in one line, with its key; a column goes by its name where it has one."""
    errors = fault.errors(include_url=False)
    # A misspelt key is also a missing one; what stands in the file is what people look for.
    first = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    location, kind, message = first["loc"], first["type"], first["msg"].removeprefix("Value error, ")
    place, model = [str(part) for part in location], "Layout"
    if location[:1] == ("columns",) and len(location) > 1 and isinstance(location[1], int):
        column, model = declared["columns"][location[1]], "Column"
        name = column.get("name") if isinstance(column, dict) else None
        place[:2] = [f"columns[{name or location[1] + 1}]"]
    if kind == "extra_forbidden":
        known = Column.model_fields if model == "Column" else Layout.model_fields
        message = f"is no key of a layout; the keys here are: {', '.join(known)}"
    elif kind == "missing":
        message = "is missing"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{'.'.join(place)}: {message}{more}" if place else f"{message}{more}"


def layout_table(layout: Layout) -> str:
    """The format for people: how the file is written, and a Markdown table with one row per column."""
    how = [
        f"delimiter {_shown(layout.delimiter)}",
        f"encoding {layout.encoding.upper()} {'with' if layout.byte_order_mark else 'without'} byte order mark",
        f"line ending {_shown(layout.line_ending)}",
        f"decimal mark {_shown(layout.decimal_mark)}",
        f"dates {layout.date_format}",
        f"quotes around {'every cell' if layout.quoting == 'all' else 'every text, empty ones too'}",
        f"header {'in quotes' if layout.quote_header else 'without quotes'}",
        "prices as price_basis of the rules says"
        if layout.price_basis == "rules"
        else f"prices {layout.price_basis}",
    ]
    rows = [
        "| # | column | type | length | required | comes from | meaning |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, column in enumerate(layout.columns, start=1):
        origin = f"always `{column.value}`" if column.type == "constant" else _origin(column)
        cells = [
            str(number),
            f"`{column.name}`",
            f"{column.type}, {column.places} decimals" if column.type == "decimal" else column.type,
            str(column.max_length or ""),
            "yes" if column.required else "",
            origin,
            column.meaning,
        ]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([f"`{layout.name}`: {'; '.join(how)}.", "", *rows, ""])


def _origin(column: Column) -> str:
    return "always empty" if column.source == EMPTY else f"`{column.source}`: {FIELDS[column.source].meaning}"


def _shown(characters: str) -> str:
    return f"`{characters.encode('unicode_escape').decode()}`"
