"""Explains an invoice line step by step, from its OMS rows to the amounts in the file; in English words.

The steps are computed again from the line and the stored extract; where one does not lead to the line, it says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Literal

from billing_pipeline.billing.amounts import PER_WHOLE, RECEIVER_DECIMALS
from billing_pipeline.billing.arrow import each_row
from billing_pipeline.billing.rows import ADJUSTMENT, FEE, SERVICE, fingerprints_now
from billing_pipeline.local_time import local_time
from billing_pipeline.money import (
    exponent_of,
    format_minor,
    format_number,
    format_price,
    from_minor,
    round_half_up,
    to_minor,
)
from billing_pipeline.oms.extract import Extract

SOURCE_KIND_OF: Final[Mapping[str, Literal["service", "fee", "adjustment"]]] = MappingProxyType(
    {
        "service": SERVICE,
        "late_service": SERVICE,
        "cancellation_fee": FEE,
        "late_cancellation_fee": FEE,
        "adjustment": ADJUSTMENT,
        "late_adjustment": ADJUSTMENT,
    }
)
"""The kind of source row behind each line type."""


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom a line is explained: numbers as `language` has them, the clock of `timezone`."""

    language: str
    timezone: str


def explain_line(
    line: Mapping[str, Any], extract: Extract, reader: Reader, *, month: str, currency: str, price_basis: str
) -> list[str]:
    """The steps from the OMS rows to the line, one text each.

    `line`: a `DocumentLine` as a mapping (`dataclasses.asdict`), whose `sources` have `source_id` and `fingerprint`.
    `extract`: the stored one of `month`, the month that was billed.
    """
    kind = SOURCE_KIND_OF[line["line_type"]]
    ids = [source["source_id"] for source in line["sources"]]
    rows = _rows(kind, ids, extract)
    words = _Words(reader, currency)
    return [
        f"line {line['position']}: {line['line_type']}, {words.money(_amount(line, price_basis))} {price_basis}",
        *_sources(line, kind, rows, extract, words),
        *_late(line, rows, month),
        *_tasks(line, ids, extract, words),
        *_net(line, rows, words),
        *_vat(line, price_basis, words),
        *_file(line, price_basis, words),
    ]


def _rows(kind: str, ids: list[str], extract: Extract) -> dict[str, Any]:
    """The rows of the extract by id, as far as it has them. An adjustment has none."""
    if kind == ADJUSTMENT:
        return {}
    frame, key = (
        (extract.services, "service_id") if kind == SERVICE else (extract.cancellation_fees, "fee_id")
    )
    known = {getattr(row, key): row for row in each_row(frame[frame[key].isin(ids)])}
    return {name: known[name] for name in ids if name in known}


def _sources(
    line: Mapping[str, Any], kind: str, rows: Mapping[str, Any], extract: Extract, words: _Words
) -> Iterator[str]:
    now = fingerprints_now(extract) if rows else {}
    for source in line["sources"]:
        name = source["source_id"]
        if kind == ADJUSTMENT:
            yield f"from adjustment {name}: added by a person, as `adjust list` says"
        elif name not in rows:
            yield f"from {kind} {name}: not in the stored extract of the month any more"
        else:
            yield f"from {_row_words(kind, rows[name], words)}"
            if now[kind, name] != source["fingerprint"]:
                yield f"note: {kind} {name} has changed since it was billed: the steps below start from the line"


def _row_words(kind: str, row: Any, words: _Words) -> str:
    instant, price = (
        (row.completed_at, row.unit_price_net) if kind == SERVICE else (row.charged_at, row.amount_net)
    )
    local = local_time(instant, words.reader.timezone, seconds=True)
    costs = "no price" if price is None else f"{words.price(price, row.currency)} net"
    vat = "no VAT rate" if row.vat_percent is None else f"{words.number(row.vat_percent)} % VAT"
    if kind == SERVICE:
        quantity = f"{words.number(row.quantity)} {row.unit or ''}".rstrip()
        return f"service {row.service_id}, completed {local}: {quantity} at {costs}, {vat}"
    return f"cancellation fee {row.fee_id} ({row.fee_type}), charged {local}: {costs}, {vat}"


def _late(line: Mapping[str, Any], rows: Mapping[str, Any], month: str) -> Iterator[str]:
    if line["line_type"].startswith("late_"):
        own = ", ".join(sorted({row.month for row in rows.values()}))
        yield f"late: of {own or 'an earlier month'}, which was closed for the customer: billed with {month}"


def _tasks(line: Mapping[str, Any], ids: list[str], extract: Extract, words: _Words) -> Iterator[str]:
    tasks = extract.service_tasks
    mine = list(each_row(tasks[tasks["service_id"].isin(ids)].sort_values(["service_id", "position"])))
    if SOURCE_KIND_OF[line["line_type"]] != SERVICE or not mine:
        return
    prices = [task.price_net for task in mine]
    if any(price is None for price in prices):
        yield f"tasks: {len(mine)}, not all of them priced: they are named, and never added to the price"
        return
    total = f"{' + '.join(map(words.price, prices))} = {words.price(sum(prices))}"
    if sum(to_minor(price, words.currency) for price in prices) == line["net"]:
        yield f"tasks: {total}, the net of the line, to which nothing is added"
    else:
        yield f"tasks: {total}, each in a row of its own (itemised); the service's own row has no price"


def _net(line: Mapping[str, Any], rows: Mapping[str, Any], words: _Words) -> Iterator[str]:
    if len(line["sources"]) > 1:
        parts = " + ".join(words.number(row.quantity) for row in rows.values())
        yield (
            f"grouped: {len(line['sources'])} services with the same article, text, price, VAT and month; "
            f"{parts} = {words.number(line['quantity'])}, and their amounts are added up"
        )
    if not line["unit_price_net"] and any(_price(row) is None for row in rows.values()):
        yield 'price: none in the OMS, so 0 (missing_price = "zero")'
    exact = line["quantity"] * from_minor(line["unit_price_net"], words.currency)
    rounded = round_half_up(exact, exponent_of(words.currency))
    how = f"net: {words.number(line['quantity'])} × {words.money(line['unit_price_net'])} = {words.rounded(exact)}"
    if to_minor(rounded, words.currency) != line["net"]:
        how += f"; the rows, each rounded by itself, add up to {words.money(line['net'])}"
    yield how


def _price(row: Any) -> Decimal | None:
    price: Decimal | None = row.unit_price_net if hasattr(row, "unit_price_net") else row.amount_net
    return price


def _vat(line: Mapping[str, Any], price_basis: str, words: _Words) -> Iterator[str]:
    points = line["vat_basis_points"]
    factor = 1 + Decimal(points) / PER_WHOLE
    exact = from_minor(line["net"], words.currency) * factor
    rounded = round_half_up(exact, exponent_of(words.currency))
    how = f"gross: {words.money(line['net'])} × {words.number(factor)} = {words.rounded(exact)}"
    if to_minor(rounded, words.currency) != line["gross"]:
        how += f"; the rows, each rounded by itself, add up to {words.money(line['gross'])}"
    yield f"{how}; VAT at {words.number(Decimal(points) / 100)} % is the rest, {words.money(line['vat'])}"
    if price_basis == "net":
        yield "the document: VAT is computed once per rate on the sum of its nets; a line's own is for information"


def _file(line: Mapping[str, Any], price_basis: str, words: _Words) -> Iterator[str]:
    exponent = exponent_of(words.currency)
    amount = from_minor(_amount(line, price_basis), words.currency)
    unit_price = from_minor(line["unit_price_net"], words.currency)
    if price_basis == "gross":
        unit_price *= 1 + Decimal(line["vat_basis_points"]) / PER_WHOLE
    unit_price = round_half_up(unit_price, exponent)
    product = round_half_up(line["quantity"] * unit_price, max(exponent, RECEIVER_DECIMALS))
    how = f"file: {words.number(line['quantity'])} × {words.price(unit_price)} = {words.price(product)}"
    if product == amount:
        yield f"{how}, the amount on the {price_basis} basis"
    else:
        yield (
            f"{how} misses {words.price(amount)}, so the row is folded: {words.number(line['file_quantity'])} × "
            f"{words.price(line['file_price'])}, and the title says quantity and unit price"
        )


def _amount(line: Mapping[str, Any], price_basis: str) -> int:
    amount: int = line[price_basis]
    return amount


@dataclass(frozen=True, slots=True)
class _Words:
    """Numbers and amounts of a line in words; `currency` is the document's."""

    reader: Reader
    currency: str

    def money(self, minor: int) -> str:
        return format_minor(minor, self.currency, self.reader.language)

    def price(self, amount: Decimal, currency: str = "") -> str:
        """With the decimals that the amount has; `currency` where it is not the document's."""
        return format_price(amount, currency or self.currency, self.reader.language)

    def rounded(self, exact: Decimal) -> str:
        """The amount, and where it has more decimals than its currency, what it is rounded to."""
        rounded = round_half_up(exact, exponent_of(self.currency))
        if rounded == exact:
            return self.price(rounded)
        return f"{self.price(exact.normalize())}, half up {self.price(rounded)}"

    def number(self, number: Decimal) -> str:
        return format_number(number, self.reader.language)
