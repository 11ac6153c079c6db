"""The words, dates and numbers of an invoice's texts, in each language.

Belongs here: what changes with the language. Does not: which text stands where (`titles`). Nothing here asks the
machine's locale, so that the same rows make the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from babel.numbers import format_decimal

_ENGLISH_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True)
class Words:
    """The labels of one language."""

    service_date: str
    service_period: str
    cancellation_fee: str
    net: str


WORDS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "de": Words("Leistungsdatum", "Leistungszeitraum", "Stornogebühr", "netto"),
        "en": Words("Service date", "Service period", "Cancellation fee", "net"),
    }
)


def date_text(day: date, language: str) -> str:
    """14.10.2026 (de), 14 October 2026 (en)."""
    if language == "de":
        return f"{day.day:02d}.{day.month:02d}.{day.year:04d}"
    return f"{day.day} {_ENGLISH_MONTHS[day.month - 1]} {day.year:04d}"


def service_dates_text(first: date, last: date, language: str) -> str:
    """ "Leistungsdatum 14.10.2026"; of several days "Leistungszeitraum 03.10.2026 - 14.10.2026"."""
    words = WORDS[language]
    if first == last:
        return f"{words.service_date} {date_text(first, language)}"
    return f"{words.service_period} {date_text(first, language)} - {date_text(last, language)}"


@lru_cache(maxsize=65_536)
def quantity_text(quantity: Decimal, language: str) -> str:
    """With as few decimals as it needs: 1.000, 0,333 (de), 1,000, 0.333 (en)."""
    return format_decimal(quantity, format="#,##0.###", locale=language, decimal_quantization=False)
