"""What German VAT law asks of an invoice: which rates were in force, which tax types there are, what a VAT id is.

Pure facts and functions of single values; `row_problems` and `customer_problems` apply them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal

from stdnum.eu import vat

VatRates = str | Mapping[str, tuple[str, ...]]
"""The rule `vat_rates`: "DE", "any", or ISO date → the rates in percent that were in force from that day on."""

ANY_RATE: Final = "any"
_OF_COUNTRIES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = MappingProxyType(
    {
        # § 12 UStG in its versions; the half year of 2020: § 28 UStG (Zweites Corona-Steuerhilfegesetz).
        "DE": MappingProxyType(
            {
                "1983-07-01": ("14", "7"),
                "1993-01-01": ("15", "7"),
                "1998-04-01": ("16", "7"),
                "2007-01-01": ("19", "7"),
                "2020-07-01": ("16", "5"),
                "2021-01-01": ("19", "7"),
            }
        )
    }
)
NAMED_RATES: Final = (*_OF_COUNTRIES, ANY_RATE)
"""What `vat_rates` may be beside a table of dates."""

EU_MEMBERS: Final = frozenset(code.upper() for code in vat.MEMBER_STATES - {"xi"})
"""The member states, ISO 3166-1 alpha-2 (Greece is GR)."""

_VAT_ID_PREFIX: Final = MappingProxyType({"GR": "EL"})


@dataclass(frozen=True, slots=True)
class TaxType:
    """What a customer's `tax_type` means. `vat_option`: EASY Bill's word for it in its API, None for taxed as usual.

    `csv`: what the CSV's column says of it, None where it cannot. `place`: where such a customer is.
    """

    vat_option: str | None
    csv: str | None = None
    place: Literal["anywhere", "another member state", "outside the EU"] = "anywhere"
    needs_vat_id: bool = False

    @property
    def tax_free(self) -> bool:
        """No VAT is charged: the rate that belongs to it is 0."""
        return self.vat_option is not None


_TAXED: Final = TaxType(None, csv="")
_INTRA_COMMUNITY: Final = TaxType("IG", "intra-community-trade", "another member state", needs_vat_id=True)
_EXPORT: Final = TaxType("AL", "export", "outside the EU")

TAX_TYPES: Final[Mapping[str, TaxType]] = MappingProxyType(
    {
        "intra-community-trade": _INTRA_COMMUNITY,
        "export": _EXPORT,
        "NULL": _TAXED,
        "IG": _INTRA_COMMUNITY,
        "AL": _EXPORT,
        "nStb": TaxType("nStb", place="outside the EU"),
        "nStbUstID": TaxType("nStbUstID", place="another member state", needs_vat_id=True),
        "nStbNoneUstID": TaxType("nStbNoneUstID", place="another member state"),
        "nStbIm": TaxType("nStbIm"),
        "revc": TaxType("revc"),
        "sStfr": TaxType("sStfr"),
        "smallBusiness": TaxType("smallBusiness"),
    }
)
"""Every `tax_type` that a customer may have: the two of the CSV, and each `vat_option` of EASY Bill's API."""

TAX_FREE: Final = tuple(name for name, one in TAX_TYPES.items() if one.tax_free)
"""Tax types of customers who pay no VAT."""


def tax_type_of(name: str | None) -> TaxType:
    """What the cell says; NULL and '' are taxed as usual. Raises KeyError for a tax type that is not known."""
    return TAX_TYPES[name] if name else _TAXED


def canonical_tax_type(name: str | None) -> str:
    """The one word for a tax type that has two (`IG` is `intra-community-trade`); "" for taxed as usual."""
    known = TAX_TYPES.get(name or "", None)
    if known is None:
        return name or ""
    return known.csv if known.csv is not None else name or ""


def vat_rates_of(value: object) -> VatRates:
    """The rule as the rules file has it: a name, or a table of dates. Raises ValueError, saying what to do."""
    if isinstance(value, str):
        if value not in NAMED_RATES:
            raise ValueError(f"it must be one of {', '.join(NAMED_RATES)}, or a table of dates")
        return value
    if not isinstance(value, Mapping) or not value:
        raise ValueError('it must be a name such as "DE", or a table such as { 2021-01-01 = [19, 7] }')
    return {date.fromisoformat(str(day)).isoformat(): _rates(rates) for day, rates in value.items()}


def _rates(rates: object) -> tuple[str, ...]:
    if not isinstance(rates, list | tuple):
        raise ValueError(f"{rates!r} must be a list of rates in percent, such as [19, 7]")
    # A float of TOML becomes the decimal that was written.
    numbers = [Decimal(str(rate)) for rate in rates if not isinstance(rate, bool)]
    if len(numbers) < len(rates) or any(not 0 <= rate <= 100 or rate * 100 % 1 for rate in numbers):
        raise ValueError(f"{rates!r} must be rates in percent, from 0 to 100, with at most two decimals")
    return tuple(str(rate) for rate in numbers)


def rates_on(day: date, vat_rates: VatRates) -> tuple[int, ...] | None:
    """The rates in force on that day, in basis points; none before a table begins, None where any will do."""
    if vat_rates == ANY_RATE:
        return None
    table = _OF_COUNTRIES[vat_rates] if isinstance(vat_rates, str) else vat_rates
    begun = [first for first in table if first <= day.isoformat()]
    return tuple(int(Decimal(rate) * 100) for rate in table[max(begun)]) if begun else ()


def vat_id_fault(vat_id: str, country: str | None) -> str | None:
    """What is wrong with the VAT id of a customer in that country; None where nothing is, or nobody can tell.

    Only those of the EU's member states can be judged. Spaces, points and dashes in it do not matter.
    """
    if country not in EU_MEMBERS:
        return None
    prefix = _VAT_ID_PREFIX.get(country, country)
    plain = "".join(character for character in vat_id.upper() if character.isalnum())
    if not plain.startswith(prefix):
        return f"does not begin with {prefix}, as those of its country do"
    return None if vat.is_valid(plain) else "has not the form or the check digits of a VAT id"
