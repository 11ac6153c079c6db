"""Adjustments: rows that a person adds to a customer's month, such as a discount or a forgotten item."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from billing_pipeline.money import round_half_up
from billing_pipeline.problems import UsageError

_MOST: Final = Decimal("9999999999.99")


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One added row, in the customer's currency; a discount has a negative price.

    `vat_percent` None is allowed, as in OMS rows, only if the customer's tax type makes it 0.
    Raises UsageError for a value that does not fit the columns of the OMS contract.
    """

    adjustment_id: str
    month: str
    customer_number: str
    title: str
    quantity: Decimal
    unit_price_net: Decimal
    vat_percent: Decimal | None
    unit: str = ""
    item_number: str = ""

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise UsageError("an adjustment needs a title: it is the text on the invoice")
        _check("quantity", self.quantity, 3, Decimal("0.001"), Decimal("999999999.999"))
        _check("price", self.unit_price_net, 2, -_MOST, _MOST)
        if self.vat_percent is not None:
            _check("vat", self.vat_percent, 2, Decimal(0), Decimal(100))


def _check(name: str, value: Decimal, decimals: int, least: Decimal, most: Decimal) -> None:
    if not (value.is_finite() and least <= value <= most):
        raise UsageError(f"{name} of the adjustment is {value}: give a number from {least} to {most}")
    if value != round_half_up(value, decimals):
        raise UsageError(f"{name} of the adjustment is {value}: give at most {decimals} decimals")
