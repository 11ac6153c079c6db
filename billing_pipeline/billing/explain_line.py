"""Explains an invoice line step by step, from its OMS rows to the amounts in the file; always in English.

The steps are computed again from the line and the stored extract; where one does not lead to the line, it says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from billing_pipeline.billing.amounts import PER_WHOLE, RECEIVER_DECIMALS
from billing_pipeline.billing.arrow import each_row
from billing_pipeline.billing.rows import ADJUSTMENT, FEE, SERVICE, fingerprints_now
from billing_pipeline.money import exponent_of, format_minor, from_minor, round_half_up, to_minor
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


def explain_line(
    line: Mapping[str, Any], extract: Extract, *, month: str, currency: str, price_basis: str, timezone: str
) -> list[str]:
    """The steps from the OMS rows to the line, one text each.

    `line`: a `DocumentLine` as a mapping (`dataclasses.asdict`), whose `sources` have `source_id` and `fingerprint`.
    `extract`: the stored one of `month`, the month that was billed.
    """
    kind = SOURCE_KIND_OF[line["line_type"]]
    ids = [source["source_id"] for source in line["sources"]]
    rows = _rows(kind, ids, extract)
    return [
        f"line {line['position']}: {line['line_type']}, {_money(_amount(line, price_basis), currency)} {price_basis}",
        *_sources(line, kind, rows, extract, timezone),
        *_late(line, rows, month),
        *_tasks(line, ids, extract, currency),
        *_net(line, rows, currency),
        *_vat(line, price_basis, currency),
        *_file(line, price_basis, currency),
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
    line: Mapping[str, Any], kind: str, rows: Mapping[str, Any], extract: Extract, timezone: str
) -> Iterator[str]:
    now = fingerprints_now(extract) if rows else {}
    for source in line["sources"]:
        name = source["source_id"]
        if kind == ADJUSTMENT:
            yield f"from adjustment {name}: added by a person, as `adjust list` says"
        elif name not in rows:
            yield f"from {kind} {name}: not in the stored extract of the month any more"
        else:
            yield f"from {_row_words(kind, rows[name], timezone)}"
            if now[kind, name] != source["fingerprint"]:
                yield f"note: {kind} {name} has changed since it was billed: the steps below start from the line"


def _row_words(kind: str, row: Any, timezone: str) -> str:
    instant, price = (
        (row.completed_at, row.unit_price_net) if kind == SERVICE else (row.charged_at, row.amount_net)
    )
    local = instant.astimezone(ZoneInfo(timezone)).isoformat(sep=" ", timespec="seconds")
    costs = "no price" if price is None else f"{price} {row.currency} net"
    vat = "no VAT rate" if row.vat_percent is None else f"{_plain(row.vat_percent)} % VAT"
    if kind == SERVICE:
        quantity = f"{_plain(row.quantity)} {row.unit or ''}".rstrip()
        return f"service {row.service_id}, completed {local}: {quantity} at {costs}, {vat}"
    return f"cancellation fee {row.fee_id} ({row.fee_type}), charged {local}: {costs}, {vat}"


def _late(line: Mapping[str, Any], rows: Mapping[str, Any], month: str) -> Iterator[str]:
    if line["line_type"].startswith("late_"):
        own = ", ".join(sorted({row.month for row in rows.values()}))
        yield f"late: of {own or 'an earlier month'}, which was closed for the customer: billed with {month}"


def _tasks(line: Mapping[str, Any], ids: list[str], extract: Extract, currency: str) -> Iterator[str]:
    tasks = extract.service_tasks
    mine = list(each_row(tasks[tasks["service_id"].isin(ids)].sort_values(["service_id", "position"])))
    if SOURCE_KIND_OF[line["line_type"]] != SERVICE or not mine:
        return
    prices = [task.price_net for task in mine]
    if any(price is None for price in prices):
        yield f"tasks: {len(mine)}, not all of them priced: they are named, and never added to the price"
        return
    total = f"{' + '.join(str(price) for price in prices)} = {sum(prices)} {currency}"
    if sum(to_minor(price, currency) for price in prices) == line["net"]:
        yield f"tasks: {total}, the net of the line, to which nothing is added"
    else:
        yield f"tasks: {total}, each in a row of its own (itemised); the service's own row has no price"


def _net(line: Mapping[str, Any], rows: Mapping[str, Any], currency: str) -> Iterator[str]:
    if len(line["sources"]) > 1:
        parts = " + ".join(_plain(row.quantity) for row in rows.values())
        yield (
            f"grouped: {len(line['sources'])} services with the same article, text, price, VAT and month; "
            f"{parts} = {_plain(line['quantity'])}, and their amounts are added up"
        )
    if not line["unit_price_net"] and any(_price(row) is None for row in rows.values()):
        yield 'price: none in the OMS, so 0 (missing_price = "zero")'
    unit_price = from_minor(line["unit_price_net"], currency)
    exact = line["quantity"] * unit_price
    rounded = round_half_up(exact, exponent_of(currency))
    net = from_minor(line["net"], currency)
    how = f"net: {_plain(line['quantity'])} × {unit_price} = {_plain(exact)}, half up {rounded} {currency}"
    yield how if rounded == net else f"{how}; the rows, each rounded by itself, add up to {net} {currency}"


def _price(row: Any) -> Decimal | None:
    price: Decimal | None = row.unit_price_net if hasattr(row, "unit_price_net") else row.amount_net
    return price


def _vat(line: Mapping[str, Any], price_basis: str, currency: str) -> Iterator[str]:
    net, points = from_minor(line["net"], currency), line["vat_basis_points"]
    factor = 1 + Decimal(points) / PER_WHOLE
    exact = net * factor
    rounded = round_half_up(exact, exponent_of(currency))
    gross, vat = _money(line["gross"], currency), _money(line["vat"], currency)
    how = f"gross: {net} × {_plain(factor)} = {_plain(exact)}, half up {rounded} {currency}"
    if to_minor(rounded, currency) != line["gross"]:
        how += f"; the rows, each rounded by itself, add up to {gross}"
    yield f"{how}; VAT at {_plain(Decimal(points) / 100)} % is the rest, {vat}"
    if price_basis == "net":
        yield "the document: VAT is computed once per rate on the sum of its nets; a line's own is for information"


def _file(line: Mapping[str, Any], price_basis: str, currency: str) -> Iterator[str]:
    exponent = exponent_of(currency)
    amount = from_minor(_amount(line, price_basis), currency)
    unit_price = from_minor(line["unit_price_net"], currency)
    if price_basis == "gross":
        unit_price *= 1 + Decimal(line["vat_basis_points"]) / PER_WHOLE
    unit_price = round_half_up(unit_price, exponent)
    product = round_half_up(line["quantity"] * unit_price, max(exponent, RECEIVER_DECIMALS))
    how = f"file: {_plain(line['quantity'])} × {unit_price} = {product}"
    if product == amount:
        yield f"{how} {currency}, the amount on the {price_basis} basis"
    else:
        yield (
            f"{how} misses {amount} {currency}, so the row is folded: "
            f"{_plain(line['file_quantity'])} × {line['file_price']}, and the title says quantity and unit price"
        )


def _amount(line: Mapping[str, Any], price_basis: str) -> int:
    amount: int = line[price_basis]
    return amount


def _money(minor: int, currency: str) -> str:
    return format_minor(minor, currency, "en")


def _plain(number: Decimal) -> str:
    """The number with as few decimals as it needs, without exponent."""
    return f"{number.normalize():f}"
