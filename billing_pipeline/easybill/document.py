"""A customer's month as one document: the lines, the address and the totals, ready to be written in any format.

An object, for where one customer is looked at; the documents of a month are `document_columns`. It holds everything
that a format needs, so that stored bytes can be made and checked again without the OMS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote, unquote

from billing_pipeline.billing.rules import PurchaseDate, without_revision_suffix
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
        from billing_pipeline.easybill.document_columns import DocumentColumns

        text: str = DocumentColumns.of([self]).json()[0].as_py()
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
    """The name under which the inbox gets the file: `easybill_2026-10_10023.csv`, corrections with `_r2`.

    What looks like such a suffix in the customer number itself is encoded, as in order numbers.
    """
    suffix = "" if revision == 1 else f"_r{revision}"
    key = customer_key(customer_number)
    if re.search(r"[-_]r([2-9]|[1-9][0-9]+)\Z", key):
        key = without_revision_suffix(key)
    return f"easybill_{month}_{key}{suffix}.csv"


def customer_number_in_file_name(encoded: str) -> str:
    """The customer number that a file name has in this form; `file_name` of it says whether it is really one."""
    return unquote(encoded, errors="replace")


class FramesDisagree(PipelineError):
    """The month's frames do not belong together, so no document can be made of them."""


def purchase_date(rule: PurchaseDate, month: str, last_service: date) -> date:
    """The date of the order by the rule of that name. `month`: YYYY-MM. `last_service`: of the latest line.

    Never before the month, though all its lines be late ones.
    """
    first = date.fromisoformat(f"{month}-01")
    if rule == "last_service_date":
        return max(last_service, first)
    next_month = (first + timedelta(days=31)).replace(day=1)
    return next_month if rule == "first_day_of_next_month" else next_month - timedelta(days=1)
