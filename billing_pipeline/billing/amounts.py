"""Amounts: the net of a row, its VAT, the price that the file shows, and what a document adds up to.

Net is quantity × unit price, rounded half up to a minor unit, once. All in exact decimals or integer minor units.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import (
    FILE_PRICE,
    MINOR,
    PRICE,
    QUANTITY,
    TEXT,
    all_of,
    array,
    by_distinct,
    constant,
    frame_of,
    with_columns,
)
from billing_pipeline.money import round_half_up_array

PER_WHOLE: Final = 10_000
"""Basis points of 100 %."""

RECEIVER_DECIMALS: Final = 2
"""The decimals in which EASY Bill counts, even in a currency without any."""

MAX_MINOR: Final = 10**12 - 1
"""The largest amount of one line in minor units: what NUMERIC(12,2) can hold with two decimals."""

_FACTOR: Final = pa.decimal128(5, 0)

TOTALS: Final = pa.schema(
    [
        ("customer_number", TEXT),
        ("currency", TEXT),
        ("line_count", pa.int32()),
        ("net", MINOR),
        ("vat", MINOR),
        ("gross", MINOR),
    ]
)
"""The document's totals in minor units; one row per customer with lines, by customer_number (code point)."""

_ONE_BASIS_POINT: Final = pa.scalar(Decimal(1) / PER_WHOLE, pa.decimal128(4, 4))


def with_rates(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `vat_basis_points` (19 % = 1900). A missing rate is 0 if the tax type is free of VAT, else null."""
    percent = array(rows["vat_percent"])
    points = pc.multiply(percent, pa.scalar(Decimal(100), pa.decimal128(3, 0))).cast(pa.int32())
    free = pc.if_else(array(rows["tax_free"]), pa.scalar(0, pa.int32()), None)
    return with_columns(rows, vat_basis_points=pc.coalesce(points, free))


def minor_units_per_whole(exponents: pa.Array) -> pa.Array:
    """1, 100 or 1000 for exponents 0, 2 or 3."""
    return by_distinct(lambda one: None if one is None else Decimal(10**one), _FACTOR, exponents)


def with_nets(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `net` (quantity × unit price, rounded half up once) and `unit_net`, decimals in minor units.

    Both may still be too large, and `unit_net` not a whole number: `row_problems` reports that. Null where quantity,
    price or currency is unknown. A missing price is 0 where the customer's rules say so.
    """
    price = array(rows["unit_price"])
    is_zero = all_of(array(rows["zero_price"]), pc.is_null(price))
    price = pc.if_else(is_zero, pa.scalar(Decimal(0), PRICE), price)
    unit_net = pc.multiply(price, minor_units_per_whole(array(rows["exponent"])))
    net = round_half_up_array(pc.multiply(array(rows["quantity"]), unit_net), 0)
    return with_columns(rows, unit_net=unit_net, net=net)


def with_amounts(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows without problems, with `unit_price_net`, `net` and `gross` in minor units (int64).

    `gross` is net × (1 + rate), half up. It counts on the gross price basis; on the net basis it is for information.
    """
    net = array(rows["net"]).cast(MINOR)
    return with_columns(
        rows,
        unit_price_net=array(rows["unit_net"]).cast(MINOR),
        net=net,
        gross=gross_of(net, array(rows["vat_basis_points"])),
    )


def with_file_prices(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines with `file_quantity`, `file_price` (major units, on the line's price basis) and `folded`.

    Quantity × price is the line's amount. Where the rounded price misses it, the line is folded: quantity 1, the amount
    as price. EASY Bill counts in hundredths, even of a yen, so the product must be right in hundredths.
    """
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


def totals_of(lines: pd.DataFrame) -> pd.DataFrame:
    """`TOTALS` of the lines. All lines of a customer have the same currency and price basis.

    Basis "gross": net, VAT and gross are sums over the lines. Basis "net": VAT is computed once per rate, on the sum of
    that rate's net amounts, rounded half up (EN 16931); gross = net + VAT.
    """
    by_customer = ["customer_number", "currency", "price_basis"]
    rates = (
        pa.table({name: array(lines[name]) for name in (*by_customer, "vat_basis_points", "net", "vat")})
        .group_by([*by_customer, "vat_basis_points"], use_threads=False)
        .aggregate([("net", "sum"), ("vat", "sum"), ([], "count_all")])
    )
    vat = pc.if_else(
        pc.equal(rates["price_basis"], "net"),
        vat_of(rates["net_sum"].combine_chunks(), rates["vat_basis_points"].combine_chunks()),
        rates["vat_sum"].combine_chunks(),
    )
    sums = (
        rates.append_column("document_vat", vat)
        .group_by(by_customer, use_threads=False)
        .aggregate([("net_sum", "sum"), ("document_vat", "sum"), ("count_all", "sum")])
        .sort_by("customer_number")
        .combine_chunks()
    )
    columns = (
        sums["customer_number"],
        sums["currency"],
        sums["count_all_sum"],
        sums["net_sum_sum"],
        sums["document_vat_sum"],
        pc.add(sums["net_sum_sum"], sums["document_vat_sum"]),
    )
    return frame_of(
        {field.name: column.cast(field.type) for field, column in zip(TOTALS, columns, strict=True)}
    )


def vat_of(net: pa.Array, basis_points: pa.Array) -> pa.Array:
    """The VAT on net amounts (minor units, int64), each rounded half up to a minor unit."""
    return _share(net, basis_points.cast(MINOR))


def gross_of(net: pa.Array, basis_points: pa.Array) -> pa.Array:
    """net × (1 + rate) in minor units (int64), rounded half up, once."""
    return _share(net, pc.add(basis_points.cast(MINOR), PER_WHOLE))


def _share(net: pa.Array, basis_points: pa.Array) -> pa.Array:
    points = basis_points.cast(pa.decimal128(19, 0)).cast(pa.decimal128(6, 0))
    exact = pc.multiply(pc.multiply(net.cast(pa.decimal128(19, 0)), points), _ONE_BASIS_POINT)
    return round_half_up_array(exact, 0).cast(MINOR)


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
