"""The quantity and price that a file shows, so that quantity × price is the line's amount on its basis.

The price column has two decimals (or as many as the currency, where it has more). Where quantity × that price, half
up, misses the line's amount, the line is folded: quantity 1, the amount as price. Belongs here: that decision. Does
not: saying so in the title (`titles`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.amounts import minor_units_per_whole
from billing_pipeline.billing.arrow import (
    FILE_PRICE,
    QUANTITY,
    array,
    by_distinct,
    constant,
    with_columns,
)
from billing_pipeline.billing.vat import PER_WHOLE
from billing_pipeline.money import round_half_up_array

MIN_DECIMALS: Final = 2
"""Of the price column, even for a currency without any."""


def with_file_prices(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines with `file_quantity`, `file_price` (major units, on the line's price basis) and `folded`."""
    exponents = array(lines["exponent"])
    is_gross = pc.equal(array(lines["price_basis"]), "gross")
    amount = pc.if_else(is_gross, array(lines["gross"]), array(lines["net"]))
    quantity = array(lines["quantity"])
    price = _unit_price(lines, is_gross)
    product = pc.multiply(pc.multiply(quantity, price), minor_units_per_whole(exponents))
    folded = pc.not_equal(round_half_up_array(product, 0), amount.cast(pa.decimal128(19, 0)))
    return with_columns(
        lines,
        file_quantity=pc.if_else(folded, constant(Decimal(1), QUANTITY, len(lines)), quantity),
        file_price=pc.if_else(folded, _major(amount, exponents), price),
        folded=folded,
    )


def _unit_price(lines: pd.DataFrame, is_gross: pa.Array) -> pa.Array:
    """The unit price on the line's basis, rounded half up to the decimals of the price column."""
    points = pc.if_else(is_gross, pc.add(array(lines["vat_basis_points"]), PER_WHOLE), PER_WHOLE)
    exponents = array(lines["exponent"])
    minor = array(lines["unit_price_net"]).cast(pa.decimal128(19, 0)).cast(pa.decimal128(15, 0))
    ten_thousandths = points.cast(pa.decimal128(19, 0)).cast(pa.decimal128(6, 0))
    exact = pc.multiply(pc.multiply(minor, ten_thousandths), _shifts(exponents))
    with_two, with_three = (round_half_up_array(exact, one).cast(FILE_PRICE) for one in (MIN_DECIMALS, 3))
    return pc.if_else(pc.greater(exponents, MIN_DECIMALS), with_three, with_two)


def _shifts(exponents: pa.Array) -> pa.Array:
    """10 ** -(4 + exponent): from minor units × ten-thousandths to major units."""
    return by_distinct(lambda one: Decimal(1).scaleb(-4 - one), pa.decimal128(7, 7), exponents)


def _major(minor: pa.Array, exponents: pa.Array) -> pa.Array:
    whole = by_distinct(lambda one: Decimal(1).scaleb(-one), pa.decimal128(4, 3), exponents)
    return pc.multiply(minor.cast(pa.decimal128(19, 0)), whole).cast(FILE_PRICE)
