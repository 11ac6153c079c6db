"""The one rounding rule, minor units, and amounts as people read them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.money import (
    exponent_of,
    format_minor,
    from_minor,
    round_half_up,
    round_half_up_array,
    to_minor,
)

amounts = st.decimals(min_value=-(10**15), max_value=10**15, places=6)


@pytest.mark.parametrize(
    ("amount", "decimals", "expected"),
    [
        ("0.005", 2, "0.01"),
        ("-0.005", 2, "-0.01"),
        ("0.004999", 2, "0.00"),
        ("-0.001", 2, "0.00"),
        ("2.5", 0, "3"),
        ("-2.5", 0, "-3"),
        ("1.0005", 3, "1.001"),
        ("7", 2, "7.00"),
        ("99999999999999999999999999999.995", 2, "100000000000000000000000000000.00"),
    ],
)
def test_ties_are_rounded_away_from_zero(amount: str, decimals: int, expected: str) -> None:
    assert str(round_half_up(Decimal(amount), decimals)) == expected


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_amount_is_not_rounded(amount: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        round_half_up(Decimal(amount), 2)


@given(amounts, st.integers(0, 6))
def test_rounding_is_decimals_round_half_up(amount: Decimal, decimals: int) -> None:
    assert round_half_up(amount, decimals) == amount.quantize(
        Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP
    )


@given(st.lists(st.none() | amounts), st.integers(0, 8))
def test_the_scalar_and_the_array_are_one_rule(values: list[Decimal | None], decimals: int) -> None:
    array = pa.array(values, pa.decimal128(22, 6))
    rounded = round_half_up_array(array, decimals)
    assert rounded.to_pylist() == [None if v is None else round_half_up(v, decimals) for v in values]
    assert rounded.type.scale == decimals
    assert (
        round_half_up_array(pa.chunked_array([array, array]), decimals).to_pylist() == 2 * rounded.to_pylist()
    )


def test_an_array_has_room_for_the_digit_that_rounding_adds() -> None:
    rounded = round_half_up_array(pa.array([Decimal("99.995")], pa.decimal128(5, 3)), 2)
    assert rounded.to_pylist() == [Decimal("100.00")]


def test_floats_are_refused() -> None:
    with pytest.raises(TypeError, match="double"):
        round_half_up_array(pa.array([0.1]), 2)


@pytest.mark.parametrize(("currency", "exponent"), [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CHF", 2)])
def test_the_exponent_is_that_of_iso_4217(currency: str, exponent: int) -> None:
    assert exponent_of(currency) == exponent


@pytest.mark.parametrize("currency", ["EURO", "eur", "", "ZZZ", "XAU", "XXX"])
def test_what_has_no_minor_unit_is_refused_by_name(currency: str) -> None:
    with pytest.raises(ValueError, match=repr(currency)):
        exponent_of(currency)


@given(st.integers(-(10**18), 10**18), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_minor_units_go_there_and_back(minor: int, currency: str) -> None:
    assert to_minor(from_minor(minor, currency), currency) == minor


@pytest.mark.parametrize(("amount", "currency"), [("0.005", "EUR"), ("100.50", "JPY"), ("NaN", "EUR")])
def test_a_fraction_of_a_minor_unit_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match="minor unit"):
        to_minor(Decimal(amount), currency)


@pytest.mark.parametrize(
    ("minor", "currency", "language", "expected"),
    [
        (7000, "EUR", "de", "70,00 EUR"),
        (7000, "EUR", "en", "70.00 EUR"),
        (123456789, "EUR", "de", "1.234.567,89 EUR"),
        (123456789, "EUR", "en", "1,234,567.89 EUR"),
        (-5, "EUR", "de", "-0,05 EUR"),
        (1500, "JPY", "de", "1.500 JPY"),
        (1500, "KWD", "en", "1.500 KWD"),
        (10**17 + 1, "EUR", "en", "1,000,000,000,000,000.01 EUR"),
    ],
)
def test_amounts_are_written_as_people_of_that_language_read_them(
    minor: int, currency: str, language: str, expected: str
) -> None:
    assert format_minor(minor, currency, language) == expected
