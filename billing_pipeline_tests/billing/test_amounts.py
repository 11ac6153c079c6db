"""Net, VAT and gross of a line; the quantity and price of the file; folding; currencies."""

from __future__ import annotations

from decimal import Decimal

import pytest

from billing_pipeline.problems import Code
from billing_pipeline_tests.support.billing import bill, line_of, problems_in
from billing_pipeline_tests.support.frames import customer, fee, service


def test_a_line_has_net_vat_and_gross_in_cents() -> None:
    line = line_of(service(quantity="2", unit_price_net="150.00"))
    assert (line.unit_price_net, line.net, line.vat, line.gross) == (15000, 30000, 5700, 35700)
    assert (line.vat_basis_points, line.currency, line.price_basis) == (1900, "EUR", "gross")
    assert (line.quantity, line.file_quantity, line.file_price) == (2, 2, Decimal("178.5"))
    assert not line.folded


@pytest.mark.parametrize(
    ("quantity", "price", "net", "gross"),
    [
        ("0.333", "90.00", 2997, 3566),  # 29.97 × 1.19 = 35.6643
        ("0.5", "0.01", 1, 1),  # half a cent, up
        ("0.005", "99.00", 50, 60),  # 0.495, up; 0.595, up
        ("1.005", "100.00", 10050, 11960),  # 119.595, up
        ("3", "0.00", 0, 0),
    ],
)
def test_amounts_are_rounded_half_up_once_each(quantity: str, price: str, net: int, gross: int) -> None:
    line = line_of(service(quantity=quantity, unit_price_net=price))
    assert (line.net, line.gross, line.vat) == (net, gross, gross - net)


def test_a_row_whose_quantity_times_price_misses_its_amount_is_folded() -> None:
    line = line_of(service(quantity="1000", unit_price_net="0.10"))
    assert line.gross == 11900  # the file would say 1000 × 0.12 = 120.00
    assert line.folded
    assert (line.file_quantity, line.file_price) == (1, Decimal("119"))
    assert (line.quantity, line.unit_price_net) == (1000, 10)


def test_on_the_net_basis_the_price_is_the_net_one_and_nothing_needs_folding() -> None:
    line = line_of(service(quantity="1000", unit_price_net="0.10"), rules='price_basis = "net"')
    assert (line.price_basis, line.folded) == ("net", False)
    assert (line.file_quantity, line.file_price, line.net) == (1000, Decimal("0.1"), 10000)


def test_a_service_of_0_is_a_line_and_a_fee_of_0_is_waived() -> None:
    assert line_of(service(unit_price_net="0.00"), fee(amount_net="0.00")).net == 0


def test_a_waived_fee_is_no_problem_whatever_its_vat_or_currency() -> None:
    billed = bill(service(), fee(amount_net="0.00", vat_percent=None, currency="CHF"))
    assert problems_in(billed) == []


@pytest.mark.parametrize(
    ("currency", "price", "unit_price", "net", "gross", "file_price"),
    [
        ("JPY", "105.00", 105, 315, 375, "125"),  # 374.85 yen, up; 124.95 as a price, up
        ("KWD", "10.05", 10050, 30150, 35879, "11.96"),  # 35.8785 dinars, up
        ("CHF", "10.05", 1005, 3015, 3588, "11.96"),
    ],
)
def test_a_currency_has_its_own_minor_unit(
    currency: str, price: str, unit_price: int, net: int, gross: int, file_price: str
) -> None:
    line = line_of(
        service(quantity="3", unit_price_net=price, currency=currency),
        customers=[customer(currency=currency)],
    )
    assert (line.unit_price_net, line.net, line.gross) == (unit_price, net, gross)
    if not line.folded:
        assert round(line.file_price, 2) == Decimal(file_price)


def test_a_line_in_yen_comes_to_the_same_for_a_receiver_who_counts_in_hundredths() -> None:
    fraction = service(quantity="0.333", unit_price_net="105", currency="JPY")  # 0.333 × 125 = 41.63 for them
    line = line_of(fraction, customers=[customer(currency="JPY")])
    assert (line.net, line.gross) == (35, 42)
    assert (line.file_quantity, line.file_price, line.folded) == (1, 42, True)
    assert "(0,333 Stück × 105 JPY netto)" in line.title


def test_a_price_in_the_file_has_three_decimals_where_the_currency_has() -> None:
    line = line_of(service(unit_price_net="10.05", currency="KWD"), customers=[customer(currency="KWD")])
    assert (line.gross, line.file_price, line.folded) == (11960, Decimal("11.960"), False)


def test_a_price_that_the_currency_cannot_hold_is_a_problem() -> None:
    billed = bill(service(unit_price_net="100.50", currency="JPY"), customers=[customer(currency="JPY")])
    (problem,) = problems_in(billed)
    assert (problem.code, problem.source_id, problem.field) == (Code.PRICE_INVALID, "S-1", "unit_price_net")
    assert problem.value == "100.50"
    assert "JPY" in problem.message


@pytest.mark.parametrize("currency", ["CLF", "UYW"])
def test_a_currency_with_more_decimals_than_a_file_can_hold_is_a_problem(currency: str) -> None:
    billed = bill(service(currency=currency), customers=[customer(currency=currency)])
    (problem,) = problems_in(billed)
    assert (problem.code, problem.source_id, problem.value) == (Code.CURRENCY_INVALID, "", currency)


def test_an_amount_beyond_all_reason_is_a_problem_and_breaks_nothing() -> None:
    billed = bill(service(quantity="999999999.999", unit_price_net="9999999999.99"))
    (problem,) = problems_in(billed)
    assert (problem.code, problem.source_id) == (Code.PRICE_INVALID, "S-1")
