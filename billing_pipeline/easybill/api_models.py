"""What this product reads of EASY Bill's answers, typed; and money as its API has it. No I/O.

EASY Bill counts in hundredths of the currency ("cents", of yen too), as JSON numbers that may be floats: they are
read as decimals and must be whole. Fields that nobody here reads are ignored.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from billing_pipeline import money


def minor_of(cents: int, currency: str) -> int:
    """An amount as EASY Bill counts it, in minor units of the currency: rounded, where these are the larger ones."""
    amount = Decimal(cents).scaleb(-2)
    return money.to_minor(money.round_half_up(amount, money.exponent_of(currency)), currency)


def _whole(value: object) -> object:
    if isinstance(value, Decimal):
        if not value.is_finite() or value != value.to_integral_value():
            raise ValueError(f"{value} is not a whole number of cents")
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is not a number of cents")
    return value


def _empty_for_null(value: object) -> object:
    return "" if value is None else value


Cents = Annotated[int, BeforeValidator(_whole)]
Text = Annotated[str, BeforeValidator(_empty_for_null)]


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Login(_Read):
    """A person (or integration) of the account."""

    id: int
    display_name: Text = ""
    email: Text = ""
    login_type: Text = ""


class Customer(_Read):
    """A customer or supplier. `id` is EASY Bill's own; `number` the customer number, None for mere suppliers."""

    id: int
    number: str | None = None
    display_name: Text = ""
    archived: bool = False


class EasyBillDocument(_Read):
    """A document of EASY Bill. `number` is None while it is a draft; `cancel_id` is set once it is cancelled."""

    id: int
    type: str
    is_draft: bool
    number: str | None = None
    order_number: Text = ""
    external_id: str | None = None
    title: str | None = None
    customer_id: int | None = None
    customer_number: str | None = None
    document_date: date | None = None
    currency: str
    amount: Cents
    amount_net: Cents
    cancel_id: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _customer_number_from_snapshot(cls, read: Any) -> Any:
        if isinstance(read, dict) and isinstance(read.get("customer_snapshot"), dict):
            return read | {"customer_number": read["customer_snapshot"].get("number")}
        return read


class Page(_Read):
    """One page of a list; the items are read by whoever asked."""

    page: Annotated[int, Field(ge=1)]
    pages: Annotated[int, Field(ge=0)]
    limit: int
    total: int
    items: tuple[Any, ...] = ()
