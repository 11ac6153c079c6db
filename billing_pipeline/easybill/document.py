"""A customer's month as one document: the lines, the address and the totals, ready to be written in any format.

Belongs here: the document and its canonical JSON, the names it goes by (order number, file name, customer key), and
how documents are made of the month's frames. Does not: what is billed (`billing/`), nor how a format writes it
(`render`, `draft`). A document holds everything a renderer needs, so that stored bytes can be made and checked again
without the OMS.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote, unquote

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.rules import PurchaseDate, Rules
from billing_pipeline.problems import PipelineError, UsageError

CUSTOMER_FIELDS: Final = (
    "company_name",
    "first_name",
    "last_name",
    "street",
    "zip_code",
    "city",
    "state",
    "country",
    "email",
    "phone",
    "vat_id",
    "tax_type",
    "currency",
    "payment_type",
)
"""The columns of the customers relation that a document keeps."""

FORBIDDEN_IN_TEXT: Final = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff"
"""The characters no text of a document holds, as the inside of a character class of `re`: control characters other
than tab and `\\n`, the byte order mark, surrogates."""

_OTHER_LINE_BREAK: Final = r"\r\n|[\r\x{2028}\x{2029}]"
"""Every line break that OMS text may hold and that is not `\\n` (in RE2's syntax)."""


@dataclass(frozen=True, slots=True)
class Source:
    """An OMS row (or adjustment) a line came from, and the fingerprint of its cells when it was billed."""

    source_id: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """One row of the document. Amounts in minor units; `file_price` in major units on the price basis.

    `file_quantity` times `file_price`, half up, is the line's amount on the price basis, even where `quantity` and
    `unit_price_net` are not (a folded line).
    """

    position: int
    line_type: str
    sources: tuple[Source, ...]
    item_number: str
    title: str
    quantity: Decimal
    unit: str
    unit_price_net: int
    net: int
    vat: int
    gross: int
    vat_basis_points: int
    performed_on: date
    file_quantity: Decimal
    file_price: Decimal


@dataclass(frozen=True, slots=True)
class Document:
    """Everything of one customer's month that goes to EASY Bill; amounts in minor units of `currency`.

    `customer` is the row of the customers relation as text, `""` for NULL, with the keys `CUSTOMER_FIELDS`.
    `evidence`: the OMS rows that the lines came from, in documents that a release before 0.2 made (`oms.evidence`);
    since then the billing names them, and this is empty.
    """

    customer_number: str
    month: str
    revision: int
    order_number: str
    file_name: str
    currency: str
    price_basis: str
    customer: Mapping[str, str]
    purchase_date: date
    lines: tuple[DocumentLine, ...]
    net: int
    vat: int
    gross: int
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """The document as canonical JSON: equal documents are equal bytes, on every machine."""
        record = {name: getattr(self, name) for name in self.__slots__}
        if not self.evidence:
            del record["evidence"]
        record["customer"] = dict(self.customer)
        record["lines"] = [
            {name: getattr(line, name) for name in line.__slots__}
            | {"sources": [[source.source_id, source.fingerprint] for source in line.sources]}
            for line in self.lines
        ]
        text = json.dumps(
            record,
            default=_as_text,
            sort_keys=True,
            ensure_ascii=False,
            separators=(",", ":"),
            allow_nan=False,
        )
        return text.encode()

    @classmethod
    def from_json(cls, data: bytes) -> Document:
        """The document of which `to_json` made these bytes. Raises ValueError for anything else."""
        try:
            record: dict[str, Any] = json.loads(data)
            record["lines"] = tuple(_line_of(line) for line in record["lines"])
            record["purchase_date"] = date.fromisoformat(record["purchase_date"])
            return cls(**record)
        except (TypeError, KeyError, AttributeError, ArithmeticError) as fault:
            raise ValueError(f"these bytes are not a document: {fault}") from fault


def plain(number: Decimal) -> str:
    """`number` with as few decimals as it needs and no exponent: `1`, `0.333`, `-12.5`."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _as_text(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a document")


def _line_of(record: dict[str, Any]) -> DocumentLine:
    for name in ("quantity", "file_quantity", "file_price"):
        record[name] = Decimal(record[name])
    record["sources"] = tuple(Source(source_id, fingerprint) for source_id, fingerprint in record["sources"])
    record["performed_on"] = date.fromisoformat(record["performed_on"])
    return DocumentLine(**record)


def customer_key(customer_number: str) -> str:
    """The customer number as partition key and in file names: percent-encoded outside `[A-Za-z0-9_.-]`."""
    return quote(customer_number, safe="").replace("~", "%7E")


def customer_number_of(key: str) -> str:
    """The customer number of a key. Raises UsageError where `customer_key` makes no such key."""
    number = unquote(key, errors="replace")
    if customer_key(number) != key:
        raise UsageError(
            f"{key!r} is not a customer key: percent-encode the customer number outside A-Z a-z 0-9 _ . -"
        )
    return number


def file_name(month: str, customer_number: str, revision: int = 1) -> str:
    """The name under which the inbox gets the file: `easybill_2026-10_10023.csv`, corrections with `_r2`."""
    suffix = "" if revision == 1 else f"_r{revision}"
    return f"easybill_{month}_{customer_key(customer_number)}{suffix}.csv"


def documents(
    lines: pd.DataFrame,
    totals: pd.DataFrame,
    customers: pd.DataFrame,
    *,
    month: str,
    rules: Rules,
    revision_of: Callable[[str], int] = lambda customer_number: 1,
) -> Iterator[Document]:
    """One document per row of `totals`, by customer number (code points); its lines by position.

    Line breaks of any kind become `\\n` here, so that every format writes the same text. Raises FramesDisagree
    where the frames are not of one extract: a customer of the totals is missing or stands twice in `customers`, or
    has other lines than the totals count.
    """
    addresses = _addresses(customers)
    lines_of = _lines_by_customer(lines)
    for total in _records(totals, _TOTAL_COLUMNS, ["customer_number"]):
        number = total["customer_number"]
        own, bases = lines_of.get(number, ([], set()))
        if number not in addresses or len(own) != total["line_count"] or len(bases) != 1:
            raise FramesDisagree(
                f"month {month}: the lines and the customers of customer {number} are not of one extract; "
                "materialise the month's assets again"
            )
        revision = revision_of(number)
        yield Document(
            customer_number=number,
            month=month,
            revision=revision,
            order_number=rules.order_number(month, number, revision),
            file_name=file_name(month, number, revision),
            currency=total["currency"],
            price_basis=bases.copy().pop(),
            customer=addresses[number],
            purchase_date=purchase_date(rules.for_customer(number).purchase_date, month, own),
            lines=tuple(own),
            net=total["net"],
            vat=total["vat"],
            gross=total["gross"],
        )


class FramesDisagree(PipelineError):
    """The month's frames do not belong together, so no document can be made of them."""


def purchase_date(rule: PurchaseDate, month: str, lines: Sequence[DocumentLine]) -> date:
    """The date of the order by the rule of that name. `month`: YYYY-MM. Without lines the last service has no date:
    ValueError."""
    if rule == "last_service_date":
        return max(line.performed_on for line in lines)
    first = date.fromisoformat(f"{month}-01")
    next_month = (first + timedelta(days=31)).replace(day=1)
    return next_month if rule == "first_day_of_next_month" else next_month - timedelta(days=1)


_TOTAL_COLUMNS: Final = ("customer_number", "currency", "line_count", "net", "vat", "gross")
_PLAIN_LINE_COLUMNS: Final = tuple(one.name for one in fields(DocumentLine) if one.name != "sources")


def _records(frame: pd.DataFrame, columns: Sequence[str], order: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows as plain Python values, sorted; every text with `\\n` as its only line break, null as `""`."""
    table = pa.Table.from_pandas(frame[list(columns)], preserve_index=False)
    table = table.sort_by([(column, "ascending") for column in order])
    values = []
    for column in table.columns:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = pc.fill_null(pc.replace_substring_regex(column, _OTHER_LINE_BREAK, "\n"), "")
        values.append(column.to_pylist())
    return (dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True))


def _addresses(customers: pd.DataFrame) -> dict[str, dict[str, str]]:
    """The address of every customer who stands in the frame once."""
    addresses: dict[str, dict[str, str]] = {}
    twice = set()
    for row in _records(customers, ("customer_number", *CUSTOMER_FIELDS), ["customer_number"]):
        number = row.pop("customer_number")
        if number in addresses:
            twice.add(number)
        addresses[number] = row
    return {number: address for number, address in addresses.items() if number not in twice}


def _lines_by_customer(lines: pd.DataFrame) -> dict[str, tuple[list[DocumentLine], set[str]]]:
    """Each customer's lines in file order, and the price bases they are on."""
    columns = ("customer_number", "price_basis", "source_ids", "source_fingerprints", *_PLAIN_LINE_COLUMNS)
    by_customer: dict[str, tuple[list[DocumentLine], set[str]]] = {}
    for row in _records(lines, columns, ["customer_number", "position"]):
        own, bases = by_customer.setdefault(row.pop("customer_number"), ([], set()))
        bases.add(row.pop("price_basis"))
        pairs = zip(row.pop("source_ids"), row.pop("source_fingerprints"), strict=True)
        own.append(DocumentLine(**row, sources=tuple(Source(*pair) for pair in pairs)))
    return by_customer
