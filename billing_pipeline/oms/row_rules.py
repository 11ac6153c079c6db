"""What a valid row is, as pandera rules over the typed frames, and the faults of the rows that break them.

Covers the contract, within a row and between relations; rules of billing (tax types, missing prices, task sums) are
in `billing/`. A fault is kept with its row in the `faults` column; `row_problems` turns faults into problems.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import iso4217
import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.compute as pc
import pycountry

from billing_pipeline.money import exponent_of
from billing_pipeline.oms.contract import (
    CANCELLATION_FEES,
    CUSTOMERS,
    SERVICE_TASKS,
    SERVICES,
    TEXT,
    Relation,
)
from billing_pipeline.problems import Code, Problem

FLOAT_MARK: Final = " (float)"
"""Appended to the text of a float in a decimal column, so that it cannot pass for a decimal."""
NOT_UTF8_MARK: Final = "\0"
"""In front of text that was not UTF-8: a control character, which no valid text contains."""

# C0 but tab and line breaks, DEL, C1, and the byte order mark. (Lone surrogates cannot be in an Arrow string.)
_CONTROL_CHARACTERS: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}\x{feff}]"

CURRENCIES: Final = frozenset(
    currency.value for currency in iso4217.Currency if currency.exponent is not None
)
COUNTRIES: Final = frozenset(country.alpha_2 for country in pycountry.countries)

_SHOWN_CHARACTERS: Final = 80
_MISSING: Final = "is missing: enter it in the OMS"
_NO_INSTANT: Final = "is missing, so it belongs to no month and would never be billed: enter it in the OMS"


CODES: Final[Mapping[str, Code]] = MappingProxyType(
    {
        "unit_price_net": Code.PRICE_INVALID,
        "price_net": Code.PRICE_INVALID,
        "amount_net": Code.PRICE_INVALID,
        "quantity": Code.QUANTITY_INVALID,
        "vat_percent": Code.VAT_INVALID,
        "currency": Code.CURRENCY_INVALID,
        "country": Code.COUNTRY_INVALID,
        "is_test": Code.CUSTOMER_INCOMPLETE,
        "completed_at": Code.TIMESTAMP_WITHOUT_ZONE,
        "cancelled_at": Code.TIMESTAMP_WITHOUT_ZONE,
        "charged_at": Code.TIMESTAMP_WITHOUT_ZONE,
        "updated_at": Code.TIMESTAMP_WITHOUT_ZONE,
    }
)
"""The code of a fault in a column, where it has one of its own; all others are text."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault of one row. `row`: its index. `value`: the cell's text, "" for NULL, control characters escaped."""

    row: int
    field: str
    code: Code
    value: str
    message: str


def fault_at(text: pa.Table, relation: Relation, row: int, field: str, code: Code, says: str) -> Fault:
    """The fault of one cell; `text` holds the relation's cells before typing.

    `says`: the rest of the message after field and value: what is wrong, and what to do.
    """
    key = {column: text[column][row].as_py() for column in relation.key}
    name = relation.row_name.format(**{column: _printable(value) for column, value in key.items()})
    cell = text[field][row].as_py()
    value = "" if cell is None else _printable(cell.removeprefix(NOT_UTF8_MARK))
    stands = field if cell is None else f'{field} "{_shortened(value)}"'
    return Fault(row, field, code, value, f"{name[:1].upper()}{name[1:]}: {stands} {says}")


def faults_column(faults: Iterable[Fault], length: int) -> pa.Array:
    """The `faults` column of `length` rows: null, or a JSON list of {"code", "field", "value", "message"}.

    Sorted by field and code, so that the same rows always give the same text.
    """
    by_row: dict[int, set[Fault]] = {}
    for fault in faults:
        by_row.setdefault(fault.row, set()).add(fault)
    texts = (_as_json(by_row[row]) if row in by_row else None for row in range(length))
    return pa.array(texts, pa.string())


def row_problems(frame: pd.DataFrame, source: str | None = None) -> Iterator[Problem]:
    """The problems in the `faults` column of a frame that has a `customer_number`.

    `source`: the column with the id of the OMS row; None where the rows are customers.
    """
    faulty = frame[frame["faults"].notna()]
    names = [""] * len(faulty) if source is None else faulty[source]
    for customer_number, name, faults in zip(faulty["customer_number"], names, faulty["faults"], strict=True):
        for fault in json.loads(faults):
            yield Problem(
                code=Code(fault["code"]),
                customer_number=customer_number,
                source_id=name,
                field=fault["field"],
                value=fault["value"],
                message=fault["message"],
            )


@dataclass(frozen=True)
class RowRule:
    """A rule that each row must meet. `holds`: a frame's column `field` → True for each cell that meets it.

    `of_row`: `holds` takes the whole frame instead, and a fault is reported on `field`. `says`: the rest of the message
    after field and value: what is wrong, and what to do.
    """

    code: Code
    field: str
    says: str
    holds: Callable[[Any], pd.Series[bool]]
    of_row: bool = False

    @property
    def check(self) -> pandera.Check:
        """The rule for pandera, which reports failures by its name."""
        return pandera.Check(self.holds, name=self.name)

    @property
    def name(self) -> str:
        """Unique within the relation."""
        return f"{self.field} {self.says}"

    def holds_for_all(self, frame: pd.DataFrame) -> bool:
        """Whether each row meets it for certain; a cell that is NULL breaks no rule of its column."""
        cells = frame if self.of_row else frame[self.field]
        holds = self.holds(cells).to_numpy(dtype=bool, na_value=False)
        return bool(np.all(holds if self.of_row else holds | cells.isna().to_numpy()))


def customer_rules() -> list[RowRule]:
    """The rules of `customers`."""
    return [
        *_rules_of_every_relation(CUSTOMERS),
        _of_list("currency", CURRENCIES, "ISO 4217"),
        _of_list("country", COUNTRIES, "ISO 3166-1 alpha-2"),
        RowRule(
            Code.CUSTOMER_INCOMPLETE,
            "company_name",
            "is missing, and so is last_name: enter one of them in the OMS",
            lambda frame: _filled(frame["company_name"]) | _filled(frame["last_name"]),
            of_row=True,
        ),
    ]


def service_rules(customer_numbers: pa.ChunkedArray) -> list[RowRule]:
    """The rules of `services`. `customer_numbers`: the known customers."""
    return [
        *_rules_of_every_relation(SERVICES),
        _known(customer_numbers),
        # Only those whose status is billable are read without one.
        RowRule(
            Code.TIMESTAMP_MISSING,
            "completed_at",
            _NO_INSTANT,
            lambda frame: frame["completed_at"].notna(),
            of_row=True,
        ),
        _of_list("currency", CURRENCIES, "ISO 4217"),
        RowRule(
            Code.QUANTITY_INVALID,
            "quantity",
            "is not greater than 0: correct it in the OMS",
            lambda quantities: quantities > 0,
        ),
        _not_negative("unit_price_net"),
        _payable("unit_price_net", lambda frame: frame["currency"]),
        _percentage("vat_percent"),
    ]


def task_rules(services: pd.DataFrame) -> list[RowRule]:
    """The rules of `service_tasks`; a task's price is in the currency of its service."""
    ids, of_services = pa.array(services["service_id"]), pa.array(services["currency"])

    def currencies(tasks: pd.DataFrame) -> pd.Series[str]:
        # Of two services with one id, which is a fault, the first.
        place = pc.index_in(pa.array(tasks["service_id"]), ids)
        return _cells(tasks, of_services.take(place))

    return [
        *_rules_of_every_relation(SERVICE_TASKS),
        _not_negative("price_net"),
        _payable("price_net", currencies),
    ]


def fee_rules(customer_numbers: pa.ChunkedArray) -> list[RowRule]:
    """The rules of `cancellation_fees`. `customer_numbers`: the known customers."""
    return [
        *_rules_of_every_relation(CANCELLATION_FEES),
        _known(customer_numbers),
        _of_list("currency", CURRENCIES, "ISO 4217"),
        _not_negative("amount_net"),
        _payable("amount_net", lambda frame: frame["currency"]),
        _percentage("vat_percent"),
    ]


def schema_of(relation: Relation, rules: Sequence[RowRule]) -> pandera.DataFrameSchema:
    """The pandera schema of the relation's typed frame, with these rules."""
    return pandera.DataFrameSchema(
        {
            column.name: pandera.Column(
                pd.ArrowDtype(column.type),
                checks=[rule.check for rule in rules if rule.field == column.name and not rule.of_row],
                nullable=not column.required,
            )
            for column in relation.columns
        },
        checks=[rule.check for rule in rules if rule.of_row],
        name=relation.name,
        strict=True,
        ordered=True,
    )


def validate(
    relation: Relation, rules: Sequence[RowRule], typed: pd.DataFrame, text: pa.Table, found: Iterable[Fault]
) -> list[Fault]:
    """All faults of the relation's rows: those `found` while typing, and every broken rule.

    `text`: the cells before typing, for messages. A cell that could not be typed is not reported as missing too.
    """
    faults = list(found)
    # pandera's price is by column and check, not by row: it is asked for the rows only where there are some to name.
    broken = [rule for rule in rules if len(typed) and not rule.holds_for_all(typed)]
    if not broken and _is_of(relation, typed):
        return faults
    untyped = {(fault.row, fault.field) for fault in faults}
    by_name = {rule.name: rule for rule in rules}
    try:
        schema_of(relation, broken).validate(typed, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        cases = errors.failure_cases
        if cases["index"].isna().any():
            raise  # about the frame, not about a row of it: a bug of this program
        for check, column, index in set(zip(cases["check"], cases["column"], cases["index"], strict=True)):
            row = int(index)
            rule = by_name.get(check)
            field = rule.field if rule is not None else column
            if (row, field) in untyped and (rule is None or rule.of_row):
                continue
            code, says = (rule.code, rule.says) if rule is not None else _of_missing(field)
            faults.append(fault_at(text, relation, row, field, code, says))
    return faults


def _is_of(relation: Relation, typed: pd.DataFrame) -> bool:
    """Whether the frame has the relation's columns, typed, and nothing required is missing."""
    types = [(column.name, pd.ArrowDtype(column.type)) for column in relation.columns]
    required = [column.name for column in relation.columns if column.required]
    return list(typed.dtypes.items()) == types and not any(typed[name].hasnans for name in required)


def _rules_of_every_relation(relation: Relation) -> list[RowRule]:
    texts = [column.name for column in relation.columns if column.type == TEXT]
    return [
        RowRule(
            Code.DUPLICATE_KEY,
            relation.key[-1],
            "is there more than once: only one row may have this key",
            lambda frame: _is_alone(frame, relation.key),
            of_row=True,
        ),
        *(
            RowRule(
                Code.TEXT_INVALID,
                name,
                "holds a control character, or bytes that are not UTF-8: remove them in the OMS",
                _is_clean,
            )
            for name in texts
        ),
    ]


def _of_list(field: str, listed: frozenset[str], name: str) -> RowRule:
    return RowRule(
        CODES[field],
        field,
        f"is not in the list of {name}: correct it in the OMS",
        lambda cells: cells.isin(listed),
    )


def _known(customer_numbers: pa.ChunkedArray) -> RowRule:
    numbers = set(customer_numbers.to_pylist())
    return RowRule(
        Code.CUSTOMER_UNKNOWN,
        "customer_number",
        "is not among the customers: create the customer in the OMS, or correct the row",
        lambda cells: cells.isin(numbers),
    )


def _not_negative(field: str) -> RowRule:
    return RowRule(
        Code.PRICE_INVALID,
        field,
        "is negative: correct it in the OMS; a discount is an adjustment",
        lambda prices: prices >= 0,
    )


def _payable(field: str, currencies: Callable[[pd.DataFrame], pd.Series[str]]) -> RowRule:
    """A price has no more decimals than its currency (the column's type sees to all with two or more)."""
    undivided = [currency for currency in CURRENCIES if exponent_of(currency) == 0]
    return RowRule(
        Code.PRICE_INVALID,
        field,
        "has more decimals than its currency: correct it in the OMS",
        lambda frame: ~currencies(frame).isin(undivided) | _is_whole(frame[field]),
        of_row=True,
    )


def _percentage(field: str) -> RowRule:
    return RowRule(
        Code.VAT_INVALID,
        field,
        "is not between 0 and 100: correct it in the OMS",
        lambda rates: (rates >= 0) & (rates <= 100),
    )


def _of_missing(field: str) -> tuple[Code, str]:
    """The code of a missing cell, and what is said of it."""
    if field == "charged_at":
        return Code.TIMESTAMP_MISSING, _NO_INSTANT
    return Code.PRICE_MISSING if field == "amount_net" else CODES.get(field, Code.TEXT_INVALID), _MISSING


def _filled(texts: pd.Series[str]) -> pd.Series[bool]:
    return _cells(texts, pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(pa.array(texts)), ""), False))


def _is_alone(frame: pd.DataFrame, key: Sequence[str]) -> pd.Series[bool]:
    """Whether each row is the only one with its key.

    An extract's rows come sorted: nearly always each is beyond the one before it, which needs no table of all keys.
    """
    is_beyond, is_same = pa.scalar(False), pa.scalar(True)
    for name in key:
        cells = pa.array(frame[name])
        before, after = cells[:-1], cells[1:]
        is_beyond = pc.or_(is_beyond, pc.and_(is_same, pc.greater(after, before)))
        is_same = pc.and_(is_same, pc.equal(after, before))
    if pc.all(pc.fill_null(is_beyond, False)).as_py() is not False:
        return pd.Series(True, index=frame.index)
    alone: pd.Series[bool] = ~frame.duplicated(list(key), keep=False)
    return alone


def _is_clean(texts: pd.Series[str]) -> pd.Series[bool]:
    return _cells(texts, pc.invert(pc.match_substring_regex(pa.array(texts), _CONTROL_CHARACTERS)))


def _is_whole(prices: pd.Series[Any]) -> pd.Series[bool]:
    amounts = pa.array(prices)
    return _cells(prices, pc.fill_null(pc.equal(pc.round(amounts), amounts), True))


def _cells(like: pd.Series[Any] | pd.DataFrame, cells: pa.ChunkedArray) -> pd.Series[Any]:
    """One cell for each row of `like`, with its index."""
    return pd.Series(cells.to_pandas(types_mapper=pd.ArrowDtype).array, index=like.index)


def _as_json(faults: Iterable[Fault]) -> str:
    listed = [
        {"code": fault.code, "field": fault.field, "value": fault.value, "message": fault.message}
        for fault in sorted(faults)
    ]
    return json.dumps(listed, ensure_ascii=False)


def _printable(value: str) -> str:
    if value.isprintable():
        return value
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in value)


def _shortened(value: str) -> str:
    return value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}…"
