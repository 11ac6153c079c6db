"""The sandbox's arithmetic: half up, on both bases, and that a net amount survives the way through gross."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.sandbox.receiver_amounts import Amounts, document_amounts, half_up, line_amounts

RATES = st.integers(0, 10_000).map(lambda basis_points: Decimal(basis_points) / 100)


@pytest.mark.parametrize(
    ("cents", "rounded"),
    [("0.5", 1), ("1.5", 2), ("2.5", 3), ("2.4999", 2), ("-0.5", -1), ("-2.5", -3), ("0", 0)],
)
def test_half_a_cent_goes_away_from_zero(cents: str, rounded: int) -> None:
    assert half_up(Decimal(cents)) == rounded


def test_on_the_gross_basis_the_net_is_taken_out_of_the_gross() -> None:
    assert line_amounts(Decimal(1), Decimal(17850), Decimal(19), "gross") == Amounts(15000, 2850, 17850)
    assert line_amounts(Decimal("0.333"), Decimal(100), Decimal(7), "gross") == Amounts(31, 2, 33)


def test_on_the_net_basis_vat_is_computed_once_per_rate() -> None:
    lines = [
        (rate, line_amounts(Decimal(1), Decimal(price), rate, "net"))
        for rate, price in ((Decimal(19), 3), (Decimal(19), 3), (Decimal(7), 100))
    ]
    # 19 % of 6 cents is 1.14, not the 1 + 1 that the lines would add up to.
    assert document_amounts(lines, "net") == Amounts(106, 8, 114)


def test_on_the_gross_basis_a_document_is_the_sum_of_its_lines() -> None:
    lines = [(Decimal(19), line_amounts(Decimal(1), Decimal(3), Decimal(19), "gross"))] * 2
    assert document_amounts(lines, "gross") == Amounts(6, 0, 6)


@given(net=st.integers(-(10**13), 10**13), vat_percent=RATES)
def test_a_net_amount_is_always_recovered_from_its_rounded_gross(net: int, vat_percent: Decimal) -> None:
    gross = half_up(net * (100 + vat_percent) / 100)
    amounts = line_amounts(Decimal(1), Decimal(gross), vat_percent, "gross")
    assert (amounts.net, amounts.gross) == (net, gross)


@given(
    quantity=st.integers(1, 10**9).map(lambda thousandths: Decimal(thousandths) / 1000),
    price=st.integers(-(10**9), 10**9).map(Decimal),
    vat_percent=RATES,
)
def test_a_line_is_rounded_once_and_exactly(quantity: Decimal, price: Decimal, vat_percent: Decimal) -> None:
    amounts = line_amounts(quantity, price, vat_percent, "gross")
    assert abs(Fraction(amounts.gross) - Fraction(quantity) * Fraction(price)) <= Fraction(1, 2)
    net = Fraction(amounts.gross) / (1 + Fraction(vat_percent) / 100)
    assert abs(Fraction(amounts.net) - net) <= Fraction(1, 2)
    assert amounts.net + amounts.vat == amounts.gross
