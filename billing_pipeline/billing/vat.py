"""VAT: the rate of a row, and the amounts it makes.

Belongs here: which rate holds, and gross from net. Does not: how a document adds up (`totals`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import MINOR, array, with_columns
from billing_pipeline.money import round_half_up_array

PER_WHOLE: Final = 10_000
"""Basis points of 100 %."""

_ONE_BASIS_POINT: Final = pa.scalar(Decimal(1) / PER_WHOLE, pa.decimal128(4, 4))


def with_rates(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `vat_basis_points` (19 % = 1900): 0 where the tax type makes a missing rate so, else null."""
    percent = array(rows["vat_percent"])
    points = pc.multiply(percent, pa.scalar(Decimal(100), pa.decimal128(3, 0))).cast(pa.int32())
    free = pc.if_else(array(rows["tax_free"]), pa.scalar(0, pa.int32()), None)
    return with_columns(rows, vat_basis_points=pc.coalesce(points, free))


def vat_of(net: pa.Array, basis_points: pa.Array) -> pa.Array:
    """The VAT on nets (minor units, int64) at their rates, each rounded half up to a minor unit."""
    return _share(net, basis_points.cast(MINOR))


def gross_of(net: pa.Array, basis_points: pa.Array) -> pa.Array:
    """net × (1 + rate) in minor units (int64), rounded half up, once."""
    return _share(net, pc.add(basis_points.cast(MINOR), PER_WHOLE))


def _share(net: pa.Array, basis_points: pa.Array) -> pa.Array:
    points = basis_points.cast(pa.decimal128(19, 0)).cast(pa.decimal128(6, 0))
    exact = pc.multiply(pc.multiply(net.cast(pa.decimal128(19, 0)), points), _ONE_BASIS_POINT)
    return round_half_up_array(exact, 0).cast(MINOR)
