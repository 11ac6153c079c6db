"""The text of a line on the invoice, in German or English.

Dates and numbers do not depend on the machine's locale, so that the same rows give the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from babel.numbers import format_decimal

from billing_pipeline.billing.arrow import TEXT, all_of, array, by_distinct, joined, with_columns
from billing_pipeline.billing.rows import ADJUSTMENT, FEE, joined_per_row, tasks_of
from billing_pipeline.money import format_minor, to_minor

_ENGLISH_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_FIRST_LINE: Final = r"(?s)^(?P<first>[^\r\n\x{2028}\x{2029}]*)(?P<others>.*)$"


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of one language."""

    service_date: str
    service_period: str
    fee_date: str
    cancelled_service: str
    cancelled_on: str
    quantity_in: str
    net: str


LABELS: Final[Mapping[str, Labels]] = MappingProxyType(
    {
        "de": Labels(
            service_date="Leistungsdatum",
            service_period="Leistungszeitraum",
            fee_date="Datum",
            cancelled_service="Stornierte Leistung",
            cancelled_on="storniert am",
            quantity_in="Menge in",
            net="netto",
        ),
        "en": Labels(
            service_date="Service date",
            service_period="Service period",
            fee_date="Date",
            cancelled_service="Cancelled service",
            cancelled_on="cancelled on",
            quantity_in="Quantity in",
            net="net",
        ),
    }
)


def with_titles(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines with their `title`: name, description, what was cancelled, date and location, unit, tasks, each on a
    line of its own.

    The first line of a folded line also says quantity, unit and unit price.
    """
    languages = array(lines["language"])
    is_dated = all_of(
        pc.not_equal(array(lines["source_kind"]), ADJUSTMENT),
        # Of an itemised service only its own row is dated, those of its tasks are not.
        pc.equal(array(lines["part"]).fill_null(0), 0),
    )
    dates = by_distinct(
        dates_text,
        TEXT,
        *(array(lines[name]) for name in ("source_kind", "first_performed_on", "performed_on", "language")),
    )
    cancelled = by_distinct(
        cancellation_text, TEXT, array(lines["cancelled_service"]), array(lines["cancelled_on"]), languages
    )
    units = by_distinct(unit_text, TEXT, array(lines["told_unit"]), languages)
    dated = joined(pc.if_else(is_dated, dates, None), array(lines["location"]), separator=", ")
    return with_columns(
        lines,
        title=joined(
            _heads(lines),
            array(lines["description"]),
            cancelled,
            dated,
            # A folded line's quantity is 1 of nothing; its first line says unit and quantity.
            pc.if_else(array(lines["folded"]), None, units),
            array(lines["tasks_text"]),
            separator="\n",
        ),
    )


def with_task_texts(rows: pd.DataFrame, service_ids: pa.Array, tasks: pd.DataFrame) -> pd.DataFrame:
    """The rows with `tasks_text`: one line such as "- Front battery change (70,00 EUR netto)" for each task.

    Beside a net price column the price needs no such word. The rows need `currency`, `language` and `price_basis`;
    prices must be whole minor units of that currency.
    """
    mine = tasks_of(service_ids, tasks)
    prices = by_distinct(
        _task_price,
        TEXT,
        array(mine["price_net"]),
        *(array(rows[name]).take(array(mine["row"])) for name in ("currency", "language", "price_basis")),
    )
    texts = pc.binary_join_element_wise("- ", array(mine["task_name"]), prices.fill_null(""), "")
    return with_columns(rows, tasks_text=joined_per_row(texts, array(mine["row"]), len(rows), "\n"))


def _task_price(price: Decimal | None, currency: str, language: str, price_basis: str) -> str | None:
    if price is None:
        return None
    net = f" {LABELS[language].net}" if price_basis == "gross" else ""
    return f" ({format_minor(to_minor(price, currency), currency, language)}{net})"


def date_text(day: date, language: str) -> str:
    """14.10.2026 (de), 14 October 2026 (en)."""
    if language == "de":
        return f"{day.day:02d}.{day.month:02d}.{day.year:04d}"
    return f"{day.day} {_ENGLISH_MONTHS[day.month - 1]} {day.year:04d}"


def dates_text(source_kind: str, first: date, last: date, language: str) -> str:
    """ "Leistungsdatum 14.10.2026"; of several days "Leistungszeitraum 03.10.2026 - 14.10.2026"; of a fee "Datum …"."""
    labels = LABELS[language]
    if source_kind == FEE:
        return f"{labels.fee_date} {date_text(last, language)}"
    if first == last:
        return f"{labels.service_date} {date_text(first, language)}"
    return f"{labels.service_period} {date_text(first, language)} - {date_text(last, language)}"


def cancellation_text(service: str | None, day: date | None, language: str) -> str | None:
    """ "Stornierte Leistung: Reparatur, storniert am 11.09.2026", as far as it is known."""
    labels = LABELS[language]
    when = None if day is None else f"{labels.cancelled_on} {date_text(day, language)}"
    if not service or not service.strip():
        return None if when is None else when[:1].upper() + when[1:]
    return f"{labels.cancelled_service}: {service}" + (f", {when}" if when else "")


def unit_text(unit: str | None, language: str) -> str | None:
    """ "Menge in Std"."""
    return f"{LABELS[language].quantity_in} {unit}" if unit else None


@lru_cache(maxsize=65_536)
def quantity_text(quantity: Decimal, language: str) -> str:
    """With as few decimals as it needs: 1.000, 0,333 (de), 1,000, 0.333 (en)."""
    return format_decimal(quantity, format="#,##0.###", locale=language, decimal_quantization=False)


def _heads(lines: pd.DataFrame) -> pa.Array:
    head = array(lines["head"])
    parts = pc.extract_regex(head, _FIRST_LINE)
    units = pc.if_else(array(lines["folded"]), _unit_prices(lines), "")
    return pc.binary_join_element_wise(
        pc.struct_field(parts, "first"), units, pc.struct_field(parts, "others"), ""
    )


def _unit_prices(lines: pd.DataFrame) -> pa.Array:
    """For each line " (0,333 h × 90,00 EUR netto)"."""
    quantities, prices = (
        by_distinct(function, TEXT, *(array(lines[name]) for name in names))
        for function, names in (
            (quantity_text, ("quantity", "language")),
            (format_minor, ("unit_price_net", "currency", "language")),
        )
    )
    net = by_distinct(lambda language: LABELS[language].net, TEXT, array(lines["language"]))
    quantities = joined(quantities, array(lines["unit"]), separator=" ")
    return pc.binary_join_element_wise(" (", quantities, " × ", prices, " ", net, ")", "")
