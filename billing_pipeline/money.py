"""Money: integer minor units, exact decimals, the one rounding function, as a scalar and over Arrow arrays.

Minor units are cents, or what ISO 4217 says of a currency. No float enters or leaves this module.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

import iso4217
from babel.numbers import format_decimal

# It takes a while to load, and who tells an amount, such as `status`, wants no columns.
if TYPE_CHECKING:
    import pyarrow as pa

DecimalArray = TypeVar("DecimalArray", "pa.Array", "pa.ChunkedArray")

MAX_PRECISION: Final = 38
"""Digits of an Arrow decimal128; every product of two contract columns fits (12 + 12 + 1)."""

_CONTEXT: Final = Context(prec=2 * MAX_PRECISION)


@cache
def exponent_of(currency: str) -> int:
    """The decimals of a currency's minor unit by ISO 4217: EUR 2, JPY 0, KWD 3.

    Raises ValueError for what is no currency code and for codes without a minor unit (XAU, XXX).
    """
    try:
        exponent = iso4217.Currency(currency).exponent
    except ValueError:
        raise ValueError(f"{currency!r} is not an ISO 4217 currency code") from None
    if exponent is None:
        raise ValueError(f"{currency!r} has no minor unit in ISO 4217, so nothing can be billed in it")
    return int(exponent)


def round_half_up(amount: Decimal, decimals: int = 0) -> Decimal:
    """`amount` with exactly `decimals` decimals, ties away from zero (2.5 → 3, -2.5 → -3).

    The rounding rule of the house, and that of PostgreSQL's `round(numeric)`. Zero has no sign.
    """
    if not amount.is_finite():
        raise ValueError(f"{amount} is not an amount")
    rounded = amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP, context=_CONTEXT)
    return rounded if rounded else abs(rounded)


def round_half_up_array(amounts: DecimalArray, decimals: int) -> DecimalArray:
    """`round_half_up` for every element of a decimal128 array; null stays null, chunks stay chunks.

    The result is decimal128 with scale `decimals` and room for the digit that rounding may add. Raises
    TypeError for anything but decimals: a float has lost what is to be rounded.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = amounts.type
    if not pa.types.is_decimal128(kind):
        raise TypeError(f"only decimal128 can be rounded exactly, not {kind}")
    if decimals >= kind.scale:
        return amounts.cast(
            pa.decimal128(min(MAX_PRECISION, kind.precision + decimals - kind.scale), decimals)
        )
    roomy = amounts.cast(pa.decimal128(min(MAX_PRECISION, kind.precision + 1), kind.scale))
    # Arrow's name for ties away from zero; its default is half to even.
    rounded = pc.round(roomy, decimals, round_mode="half_towards_infinity")
    return rounded.cast(pa.decimal128(roomy.type.precision - kind.scale + decimals, decimals))


def to_minor(amount: Decimal, currency: str) -> int:
    """`amount` in minor units: 70.00 EUR → 7000, 70 JPY → 70, 70.00 KWD → 70000.

    Raises ValueError where that would not be whole: round first, knowingly.
    """
    minor = amount.scaleb(exponent_of(currency), context=_CONTEXT)
    if not minor.is_finite() or minor != minor.to_integral_value():
        raise ValueError(f"{amount} {currency} is not a whole number of minor units")
    return int(minor)


def from_minor(minor: int, currency: str) -> Decimal:
    """The amount of `minor` units, with the decimals of the currency: 7000, EUR → 70.00."""
    return Decimal(minor).scaleb(-exponent_of(currency), context=_CONTEXT)


@lru_cache(maxsize=65_536)
def format_minor(minor: int, currency: str, language: str) -> str:
    """The amount as people of that language read it: "1.070,00 EUR" (de), "1,070.00 EUR" (en)."""
    return format_price(from_minor(minor, currency), currency, language)


def format_price(amount: Decimal, currency: str, language: str) -> str:
    """As `format_minor`; what is no whole number of minor units keeps its decimals: "1.070,125 EUR" (de)."""
    in_minor = round_half_up(amount, exponent_of(currency))
    if in_minor == amount:
        amount = in_minor
    return f"{format_amount(amount, language)} {currency}"


def format_number(number: Decimal, language: str) -> str:
    """A quantity, factor or rate with as few decimals as it needs: "1.000,5" (de), "1,000.5" (en)."""
    return format_amount(number.normalize(_CONTEXT), language)


def format_amount(amount: Decimal, language: str) -> str:
    """As `format_price` without its currency, for sentences that say it otherwise: "1.070,00" (de)."""
    exponent = amount.as_tuple().exponent
    decimals = max(0, -exponent) if isinstance(exponent, int) else 0
    pattern = "#,##0." + "0" * decimals if decimals else "#,##0"
    # decimal_quantization would round by babel's rule; there is nothing left to round.
    return format_decimal(amount, format=pattern, locale=language, decimal_quantization=False)
