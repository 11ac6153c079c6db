"""What a row costs: quantity × unit price, rounded half up to a minor unit, once.

Belongs here: the net of a row, exactly and then in minor units, and its VAT. Does not: the price that a file shows
(`fold`), or what a document adds up to (`totals`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import MINOR, PRICE, all_of, array, by_distinct, with_columns
from billing_pipeline.billing.vat import gross_of
from billing_pipeline.money import round_half_up_array

MAX_MINOR: Final = 10**12 - 1
"""The most minor units of one line: what NUMERIC(12,2) holds of a currency with two decimals."""

FACTOR: Final = pa.decimal128(5, 0)


def minor_units_per_whole(exponents: pa.Array) -> pa.Array:
    """1, 100 or 1000 for exponents 0, 2 or 3."""
    return by_distinct(lambda one: None if one is None else Decimal(10**one), FACTOR, exponents)


def with_nets(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `net` and `unit_net`, in minor units but decimal: they may yet have too many digits, or, of
    `unit_net`, decimals. Null where quantity, price or currency is not known.

    A missing price is 0 where the customer's rules say so.
    """
    price = array(rows["unit_price"])
    is_zero = all_of(array(rows["zero_price"]), pc.is_null(price))
    price = pc.if_else(is_zero, pa.scalar(Decimal(0), PRICE), price)
    unit_net = pc.multiply(price, minor_units_per_whole(array(rows["exponent"])))
    net = round_half_up_array(pc.multiply(array(rows["quantity"]), unit_net), 0)
    return with_columns(rows, unit_net=unit_net, net=net)


def with_amounts(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that passed all checks, with `unit_price_net`, `net` and `gross` in minor units (int64).

    `gross` is net × (1 + rate), half up: what counts on the gross basis, and is for information on the net basis.
    """
    net = array(rows["net"]).cast(MINOR)
    return with_columns(
        rows,
        unit_price_net=array(rows["unit_net"]).cast(MINOR),
        net=net,
        gross=gross_of(net, array(rows["vat_basis_points"])),
    )
