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
from billing_pipeline.billing.rows import ADJUSTMENT, joined_per_row, tasks_of
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
    net: str


LABELS: Final[Mapping[str, Labels]] = MappingProxyType(
    {
        "de": Labels("Leistungsdatum", "Leistungszeitraum", "netto"),
        "en": Labels("Service date", "Service period", "net"),
    }
)


def with_titles(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines with their `title`: name, description, date and location, tasks, each on a line of its own.

    The first line of a folded line also says quantity, unit and unit price.
    """
    is_dated = all_of(
        pc.not_equal(array(lines["source_kind"]), ADJUSTMENT),
        # Of an itemised service only its own row is dated, those of its tasks are not.
        pc.equal(array(lines["part"]).fill_null(0), 0),
    )
    dates = by_distinct(
        service_dates_text,
        TEXT,
        *(array(lines[name]) for name in ("first_performed_on", "performed_on", "language")),
    )
    dated = joined(pc.if_else(is_dated, dates, None), array(lines["location"]), separator=", ")
    return with_columns(
        lines,
        title=joined(
            _heads(lines), array(lines["description"]), dated, array(lines["tasks_text"]), separator="\n"
        ),
    )


def with_task_texts(rows: pd.DataFrame, service_ids: pa.Array, tasks: pd.DataFrame) -> pd.DataFrame:
    """The rows with `tasks_text`: one line such as "- Front battery change (70,00 EUR)" for each task.

    The rows need `currency` and `language`; prices must be whole minor units of that currency.
    """
    mine = tasks_of(service_ids, tasks)
    prices = by_distinct(
        lambda price, currency, language: (
            None if price is None else f" ({format_minor(to_minor(price, currency), currency, language)})"
        ),
        TEXT,
        array(mine["price_net"]),
        array(rows["currency"]).take(array(mine["row"])),
        array(rows["language"]).take(array(mine["row"])),
    )
    texts = pc.binary_join_element_wise("- ", array(mine["task_name"]), prices.fill_null(""), "")
    return with_columns(rows, tasks_text=joined_per_row(texts, array(mine["row"]), len(rows), "\n"))


def date_text(day: date, language: str) -> str:
    """14.10.2026 (de), 14 October 2026 (en)."""
    if language == "de":
        return f"{day.day:02d}.{day.month:02d}.{day.year:04d}"
    return f"{day.day} {_ENGLISH_MONTHS[day.month - 1]} {day.year:04d}"


def service_dates_text(first: date, last: date, language: str) -> str:
    """ "Leistungsdatum 14.10.2026"; of several days "Leistungszeitraum 03.10.2026 - 14.10.2026"."""
    labels = LABELS[language]
    if first == last:
        return f"{labels.service_date} {date_text(first, language)}"
    return f"{labels.service_period} {date_text(first, language)} - {date_text(last, language)}"


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
