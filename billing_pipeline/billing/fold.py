"""The quantity and price that a file shows, so that quantity × price is the line's amount on its basis.

The price is rounded to the currency's decimals. Where quantity × that price, half up, misses the line's amount, the
line is folded: quantity 1, the amount as price. The receiver counts in hundredths, whatever the currency: so the
product is held against the amount in hundredths even of a yen. Belongs here: that decision. Does not: saying so in
the title (`titles`).
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

RECEIVER_DECIMALS: Final = 2
"""Those in which EASY Bill counts, even in a currency without any."""


def with_file_prices(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines with `file_quantity`, `file_price` (major units, on the line's price basis) and `folded`."""
    exponents = array(lines["exponent"])
    is_gross = pc.equal(array(lines["price_basis"]), "gross")
    amount = pc.if_else(is_gross, array(lines["gross"]), array(lines["net"]))
    quantity = array(lines["quantity"])
    price = _unit_price(lines, is_gross)
    counted_in = pc.max_element_wise(exponents, pa.scalar(RECEIVER_DECIMALS, exponents.type))
    product = pc.multiply(pc.multiply(quantity, price), minor_units_per_whole(counted_in))
    more = minor_units_per_whole(pc.subtract(counted_in, exponents))
    folded = pc.not_equal(
        round_half_up_array(product, 0), pc.multiply(amount.cast(pa.decimal128(19, 0)), more)
    )
    return with_columns(
        lines,
        file_quantity=pc.if_else(folded, constant(Decimal(1), QUANTITY, len(lines)), quantity),
        file_price=pc.if_else(folded, _major(amount, exponents), price),
        folded=folded,
    )


def _unit_price(lines: pd.DataFrame, is_gross: pa.Array) -> pa.Array:
    """The unit price on the line's basis, rounded half up to the currency's decimals."""
    points = pc.if_else(is_gross, pc.add(array(lines["vat_basis_points"]), PER_WHOLE), PER_WHOLE)
    exponents = array(lines["exponent"])
    minor = array(lines["unit_price_net"]).cast(pa.decimal128(19, 0)).cast(pa.decimal128(15, 0))
    ten_thousandths = points.cast(pa.decimal128(19, 0)).cast(pa.decimal128(6, 0))
    exact = pc.multiply(pc.multiply(minor, ten_thousandths), _shifts(exponents))
    whole, hundredths, thousandths = (
        round_half_up_array(exact, decimals).cast(FILE_PRICE) for decimals in (0, 2, 3)
    )
    return pc.case_when(
        pc.make_struct(pc.equal(exponents, 0), pc.less_equal(exponents, 2)), whole, hundredths, thousandths
    )


def _shifts(exponents: pa.Array) -> pa.Array:
    """10 ** -(4 + exponent): from minor units × ten-thousandths to major units."""
    return by_distinct(lambda one: Decimal(1).scaleb(-4 - one), pa.decimal128(7, 7), exponents)


def _major(minor: pa.Array, exponents: pa.Array) -> pa.Array:
    whole = by_distinct(lambda one: Decimal(1).scaleb(-one), pa.decimal128(4, 3), exponents)
    return pc.multiply(minor.cast(pa.decimal128(19, 0)), whole).cast(FILE_PRICE)
