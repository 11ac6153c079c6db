"""What the rows of a month need to know of their customers: the customers relation, and each one's rules.

Belongs here: bringing customers to rows. Does not: judging them (`checks`).
"""

from __future__ import annotations

from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import FLAG, TEXT, array, by_distinct, negation, where, with_columns
from billing_pipeline.billing.rows import ADJUSTMENT
from billing_pipeline.billing.rules import Rules
from billing_pipeline.money import exponent_of

TAX_FREE: Final = ("intra-community-trade", "export")
"""Tax types of a customer who pays no VAT."""

MAX_EXPONENT: Final = 3
"""The most decimals that the price column of a file has."""


def without_test_customers(frame: pd.DataFrame, customers: pd.DataFrame) -> pd.DataFrame:
    """The rows of customers who are billed for real: a test customer is one whose every row says so."""
    is_test = array(customers["is_test"])
    numbers = array(customers["customer_number"])
    real = numbers.filter(negation(is_test))
    test = numbers.filter(is_test.fill_null(False))
    test = test.filter(negation(pc.is_in(test, real)))
    return where(frame, negation(pc.is_in(array(frame["customer_number"]), test)))


def supported_exponent(currency: str | None) -> int | None:
    """The decimals of a currency in which files can be written, else None."""
    try:
        exponent = exponent_of(currency or "")
    except ValueError:
        return None
    return exponent if exponent <= MAX_EXPONENT else None


def with_customers(rows: pd.DataFrame, customers: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """The rows with `customer_currency`, `exponent`, `tax_type`,
    `tax_free`, and the rules that hold for their customer:
    `language`, `tasks`, `price_basis`, `zero_price` and `group_lines`. m:1; null where the customer is unknown.

    An adjustment has its customer's currency.
    """
    numbers = array(rows["customer_number"])
    # A number that stands twice is a fault of that customer, whom nobody bills then: either row will do.
    place = pc.index_in(numbers, array(customers["customer_number"]))
    currency = array(customers["currency"]).take(place)
    tax_type = array(customers["tax_type"]).take(place)
    is_adjustment = pc.equal(array(rows["source_kind"]), ADJUSTMENT)
    mine = {number: rules.for_customer(number) for number in pc.unique(numbers).to_pylist()}
    return with_columns(
        rows,
        currency=pc.if_else(is_adjustment, currency, array(rows["currency"])),
        customer_currency=currency,
        exponent=by_distinct(supported_exponent, pa.int8(), currency),
        tax_type=tax_type,
        tax_free=pc.is_in(tax_type, pa.array(TAX_FREE, TEXT)),
        language=by_distinct(lambda number: mine[number].language, TEXT, numbers),
        tasks=by_distinct(lambda number: mine[number].tasks, TEXT, numbers),
        price_basis=by_distinct(lambda number: mine[number].price_basis, TEXT, numbers),
        zero_price=by_distinct(lambda number: mine[number].missing_price == "zero", FLAG, numbers),
        group_lines=by_distinct(lambda number: mine[number].group_lines, FLAG, numbers),
    )
