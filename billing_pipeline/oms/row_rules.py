"""What a good row is: pandera schemas over the typed frames, and the faults that they find.

Belongs here: the laws of 2-oms-contract, within a row and between relations. Does not: typing (`conform`), or the
rules of billing (tax types, missing prices, task sums: `billing/`). A schema reports every fault of every row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import iso4217
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.compute as pc
import pycountry

from billing_pipeline.money import exponent_of
from billing_pipeline.oms.conform import CODES
from billing_pipeline.oms.contract import (
    CANCELLATION_FEES,
    CUSTOMERS,
    SERVICE_TASKS,
    SERVICES,
    TEXT,
    Relation,
)
from billing_pipeline.oms.row_faults import Fault, fault_at
from billing_pipeline.problems import Code

# C0 but tab and line breaks, DEL, C1, and the byte order mark. (Lone surrogates cannot be in an Arrow string.)
_CONTROL_CHARACTERS: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}\x{feff}]"

CURRENCIES: Final = frozenset(
    currency.value for currency in iso4217.Currency if currency.exponent is not None
)
COUNTRIES: Final = frozenset(country.alpha_2 for country in pycountry.countries)

_MISSING: Final = "is missing: enter it in the OMS"


@dataclass(frozen=True)
class Law:
    """What must hold for each row: for the cells of `field`, or, `of_row`, for the row whose `field` is blamed.

    `says` goes on after the field and its value: what is wrong, and what to do.
    """

    code: Code
    field: str
    says: str
    holds: Callable[[Any], pd.Series[bool]]
    of_row: bool = False

    @property
    def check(self) -> pandera.Check:
        """The law as pandera knows it; its name finds the law again."""
        return pandera.Check(self.holds, name=self.name)

    @property
    def name(self) -> str:
        """Of this law within its relation."""
        return f"{self.field} {self.says}"


def customer_laws() -> list[Law]:
    """The laws of `customers`."""
    return [
        *_laws_of_every_relation(CUSTOMERS),
        _of_list("currency", CURRENCIES, "ISO 4217"),
        _of_list("country", COUNTRIES, "ISO 3166-1 alpha-2"),
        Law(
            Code.CUSTOMER_INCOMPLETE,
            "company_name",
            "is missing, and so is last_name: enter one of them in the OMS",
            lambda frame: _filled(frame["company_name"]) | _filled(frame["last_name"]),
            of_row=True,
        ),
    ]


def service_laws(customer_numbers: pa.ChunkedArray) -> list[Law]:
    """The laws of `services`, given the customers there are."""
    return [
        *_laws_of_every_relation(SERVICES),
        _known(customer_numbers),
        _of_list("currency", CURRENCIES, "ISO 4217"),
        Law(
            Code.QUANTITY_INVALID,
            "quantity",
            "is not greater than 0: correct it in the OMS",
            lambda quantities: quantities > 0,
        ),
        _not_negative("unit_price_net"),
        _payable("unit_price_net", lambda frame: frame["currency"]),
        _percentage("vat_percent"),
    ]


def task_laws(services: pd.DataFrame) -> list[Law]:
    """The laws of `service_tasks`, whose prices are in the currencies of these services."""
    currencies = services.drop_duplicates("service_id").set_index("service_id")["currency"]
    return [
        *_laws_of_every_relation(SERVICE_TASKS),
        _not_negative("price_net"),
        _payable("price_net", lambda frame: frame["service_id"].map(currencies)),
    ]


def fee_laws(customer_numbers: pa.ChunkedArray) -> list[Law]:
    """The laws of `cancellation_fees`, given the customers there are."""
    return [
        *_laws_of_every_relation(CANCELLATION_FEES),
        _known(customer_numbers),
        _of_list("currency", CURRENCIES, "ISO 4217"),
        _not_negative("amount_net"),
        _payable("amount_net", lambda frame: frame["currency"]),
        _percentage("vat_percent"),
    ]


def schema_of(relation: Relation, laws: Sequence[Law]) -> pandera.DataFrameSchema:
    """The pandera schema of the relation's typed frame under these laws."""
    return pandera.DataFrameSchema(
        {
            column.name: pandera.Column(
                pd.ArrowDtype(column.type),
                checks=[law.check for law in laws if law.field == column.name and not law.of_row],
                nullable=not column.required,
            )
            for column in relation.columns
        },
        checks=[law.check for law in laws if law.of_row],
        name=relation.name,
        strict=True,
        ordered=True,
    )


def prove(
    relation: Relation, laws: Sequence[Law], typed: pd.DataFrame, text: pa.Table, found: Iterable[Fault]
) -> list[Fault]:
    """The faults `found` in typing, and every breach of the laws; `text` is what the typed cells were made of.

    A cell that could not be typed is not reported as missing.
    """
    faults = list(found)
    untyped = {(fault.row, fault.field) for fault in faults}
    by_name = {law.name: law for law in laws}
    try:
        schema_of(relation, laws).validate(typed, lazy=True)
    except pandera.errors.SchemaErrors as breaches:
        cases = breaches.failure_cases
        if cases["index"].isna().any():
            raise  # the frame itself, not a row of it: a fault of this program
        for check, column, index in set(zip(cases["check"], cases["column"], cases["index"], strict=True)):
            row = int(index)
            if law := by_name.get(check):
                faults.append(fault_at(text, relation, row, law.field, law.code, law.says))
            elif (row, column) not in untyped:
                faults.append(fault_at(text, relation, row, column, _code_of_missing(column), _MISSING))
    return faults


def _laws_of_every_relation(relation: Relation) -> list[Law]:
    texts = [column.name for column in relation.columns if column.type == TEXT]
    return [
        Law(
            Code.DUPLICATE_KEY,
            relation.key[-1],
            "is there more than once: only one row may have this key",
            lambda frame: ~frame.duplicated(list(relation.key), keep=False),
            of_row=True,
        ),
        *(
            Law(
                Code.TEXT_INVALID,
                name,
                "holds a control character, or bytes that are not UTF-8: remove them in the OMS",
                _is_clean,
            )
            for name in texts
        ),
    ]


def _of_list(field: str, listed: frozenset[str], name: str) -> Law:
    return Law(
        CODES[field],
        field,
        f"is not in the list of {name}: correct it in the OMS",
        lambda cells: cells.isin(listed),
    )


def _known(customer_numbers: pa.ChunkedArray) -> Law:
    numbers = set(customer_numbers.to_pylist())
    return Law(
        Code.CUSTOMER_UNKNOWN,
        "customer_number",
        "is not among the customers: create the customer in the OMS, or correct the row",
        lambda cells: cells.isin(numbers),
    )


def _not_negative(field: str) -> Law:
    return Law(
        Code.PRICE_INVALID,
        field,
        "is negative: correct it in the OMS; a discount is an adjustment",
        lambda prices: prices >= 0,
    )


def _payable(field: str, currencies: Callable[[pd.DataFrame], pd.Series[str]]) -> Law:
    """A price has no more decimals than its currency (the column's type sees to all with two or more)."""
    undivided = [currency for currency in CURRENCIES if exponent_of(currency) == 0]
    return Law(
        Code.PRICE_INVALID,
        field,
        "has more decimals than its currency: correct it in the OMS",
        lambda frame: ~currencies(frame).isin(undivided) | _is_whole(frame[field]),
        of_row=True,
    )


def _percentage(field: str) -> Law:
    return Law(
        Code.VAT_INVALID,
        field,
        "is not between 0 and 100: correct it in the OMS",
        lambda rates: (rates >= 0) & (rates <= 100),
    )


def _code_of_missing(field: str) -> Code:
    return Code.PRICE_MISSING if field == "amount_net" else CODES.get(field, Code.TEXT_INVALID)


def _filled(texts: pd.Series[str]) -> pd.Series[bool]:
    return _flags(texts, pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(pa.array(texts)), ""), False))


def _is_clean(texts: pd.Series[str]) -> pd.Series[bool]:
    return _flags(texts, pc.invert(pc.match_substring_regex(pa.array(texts), _CONTROL_CHARACTERS)))


def _is_whole(prices: pd.Series[Any]) -> pd.Series[bool]:
    amounts = pa.array(prices)
    return _flags(prices, pc.fill_null(pc.equal(pc.round(amounts), amounts), True))


def _flags(like: pd.Series[Any], flags: pa.ChunkedArray) -> pd.Series[bool]:
    return pd.Series(flags.to_pandas(types_mapper=pd.ArrowDtype).array, index=like.index)
