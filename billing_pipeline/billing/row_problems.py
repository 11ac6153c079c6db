"""Every problem of a month's rows, each with row, field, value and what to do.

Found here is what needs several cells or the rules; what `oms/` found in each row is in `faults` and is passed on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.amounts import MAX_MINOR, minor_units_per_whole
from billing_pipeline.billing.arrow import (
    FLAG,
    all_of,
    any_of,
    array,
    by_distinct,
    each_row,
    negation,
    where,
    with_columns,
)
from billing_pipeline.billing.dates import local_dates
from billing_pipeline.billing.rows import (
    ADJUSTMENT,
    FEE,
    SERVICE,
    service_ids,
    tasks_of,
)
from billing_pipeline.billing.rules import Rules
from billing_pipeline.billing.tax import VatRates, rates_on
from billing_pipeline.money import format_minor, format_number, format_price
from billing_pipeline.oms.row_rules import row_problems
from billing_pipeline.problems import Code, Problem

_NAMES: Final = {SERVICE: "Service", FEE: "Cancellation fee", ADJUSTMENT: "Adjustment"}
_NAME_FIELDS: Final = {SERVICE: "service_name", FEE: "fee_type", ADJUSTMENT: "title"}
_PRICE_FIELDS: Final = {SERVICE: "unit_price_net", FEE: "amount_net", ADJUSTMENT: "unit_price_net"}


def row_faults(rows: pd.DataFrame) -> Iterator[Problem]:
    """The faults that `oms/` found in these source rows."""
    yield from row_problems(rows, "source_id")


def task_faults(services: pd.DataFrame, tasks: pd.DataFrame) -> Iterator[Problem]:
    """The faults that `oms/` found in the tasks of these services (source rows); a problem names the service."""
    place = pc.index_in(array(tasks["service_id"]), array(services["source_id"]))
    owned = with_columns(tasks, customer_number=array(services["customer_number"]).take(place))
    yield from row_problems(where(owned, pc.is_valid(place)), "service_id")


def name_problems(rows: pd.DataFrame, tasks: pd.DataFrame) -> Iterator[Problem]:
    """Rows and tasks whose name is empty: nobody could tell what they are on the invoice."""
    for row in _flagged(rows, _is_blank(array(rows["head"]))):
        field = _NAME_FIELDS[row.source_kind]
        yield _problem(row, Code.TEXT_INVALID, field, row.head, f"has an empty {field}: fill it in the OMS")
    mine = tasks_of(service_ids(rows), tasks)
    blank = array(mine["row"]).filter(_is_blank(array(mine["task_name"])))
    for row in _flagged(rows, pc.is_in(pa.array(range(len(rows)), pa.int32()), blank)):
        yield _problem(
            row, Code.TEXT_INVALID, "task_name", "", "has a task without a name: fill it in the OMS"
        )


def _is_blank(texts: pa.Array) -> pa.Array:
    return pc.equal(pc.utf8_trim_whitespace(texts), "")


def price_problems(rows: pd.DataFrame, language: str) -> Iterator[Problem]:
    """Prices that are missing, or are no whole number of minor units. The rows need their nets (`with_nets`)."""
    unit_net = array(rows["unit_net"])
    missing = all_of(pc.is_null(array(rows["unit_price"])), negation(array(rows["zero_price"])))
    for row in _flagged(rows, missing):
        yield _problem(
            row,
            Code.PRICE_MISSING,
            _PRICE_FIELDS[row.source_kind],
            "",
            'has no price: enter one in the OMS, or set missing_price = "zero" in the rules',
        )
    for row in _flagged(rows, pc.not_equal(unit_net, pc.trunc(unit_net))):
        yield _problem(
            row,
            Code.PRICE_INVALID,
            _PRICE_FIELDS[row.source_kind],
            str(row.unit_price),
            f"costs {format_price(row.unit_price, row.customer_currency, language)}, a currency with {row.exponent} "
            "decimals: correct the price or the currency",
        )
    for row in _flagged(rows, pc.greater(pc.abs(array(rows["net"])), pa.scalar(MAX_MINOR))):
        yield _problem(
            row,
            Code.PRICE_INVALID,
            _PRICE_FIELDS[row.source_kind],
            str(row.unit_price),
            f"costs {format_number(row.quantity, language)} × "
            f"{format_price(row.unit_price, row.customer_currency, language)}, more than a line can hold: correct the "
            "quantity or the price",
        )


def task_problems(rows: pd.DataFrame, tasks: pd.DataFrame, language: str) -> Iterator[Problem]:
    """Tasks that all have a price but do not add up to the service's net; task prices that are no whole minor units.

    A service without a price is not compared with its tasks: its price is set elsewhere.
    """
    for row in _flagged(rows, _has_uncountable_task(rows, tasks)):
        yield _problem(
            row,
            Code.PRICE_INVALID,
            "price_net",
            "",
            f"has a task whose price is no whole amount in {row.customer_currency}, a currency with {row.exponent} "
            "decimals: correct the task's price or the currency",
        )
    all_priced = all_of(
        pc.greater(array(rows["task_count"]), 0),
        pc.equal(array(rows["tasks_priced"]), array(rows["task_count"])),
        pc.is_valid(array(rows["unit_price"])),
    )
    sums = pc.multiply(
        array(rows["task_sum"]).cast(pa.decimal128(28, 2)), minor_units_per_whole(array(rows["exponent"]))
    )
    for row in _flagged(rows, all_of(all_priced, pc.not_equal(sums, array(rows["net"])))):
        net = format_minor(int(row.net), row.customer_currency, language)
        tasks_cost = format_price(row.task_sum, row.customer_currency, language)
        yield _problem(
            row,
            Code.TASK_SUM_MISMATCH,
            "price_net",
            str(row.task_sum),
            f"has tasks whose prices add up to {tasks_cost}, but costs {net}: correct its tasks or its price",
        )


def _has_uncountable_task(rows: pd.DataFrame, tasks: pd.DataFrame) -> pa.Array:
    mine = tasks_of(service_ids(rows), tasks)
    factors = minor_units_per_whole(array(rows["exponent"])).take(array(mine["row"]))
    minor = pc.multiply(array(mine["price_net"]), factors)
    uncountable = array(mine["row"]).filter(pc.not_equal(minor, pc.trunc(minor)))
    return pc.is_in(pa.array(range(len(rows)), pa.int32()), uncountable)


def vat_problems(rows: pd.DataFrame, language: str) -> Iterator[Problem]:
    """VAT rates that are missing or not allowed. The rows need their rates (`with_rates`)."""
    rate = array(rows["vat_basis_points"])
    for row in _flagged(rows, pc.is_null(rate)):
        yield _problem(
            row,
            Code.VAT_INVALID,
            "vat_percent",
            "",
            "has no VAT rate: enter vat_percent in the OMS",
        )
    for row in _flagged(rows, all_of(array(rows["tax_free"]), pc.greater(rate, 0))):
        yield _problem(
            row,
            Code.VAT_NOT_ALLOWED,
            "vat_percent",
            str(row.vat_percent),
            f"has {format_number(row.vat_percent, language)} % VAT, but its customer's tax_type ({row.tax_type}) "
            "allows none: correct the rate or the tax type",
        )


def rate_problems(rows: pd.DataFrame, rules: Rules, timezone: str) -> Iterator[Problem]:
    """VAT rates that were not in force on the row's own date, and 0 % that nothing allows.

    The rows need their rates (`with_rates`). Those of customers who pay no VAT are judged by `vat_problems`.
    """
    numbers, points = array(rows["customer_number"]), array(rows["vat_basis_points"])
    tables = list(dict.fromkeys(_rate_rules(rules, number) for number in ["", *rules.customers]))
    whose = by_distinct(lambda number: tables.index(_rate_rules(rules, number)), pa.int32(), numbers)
    days = local_dates(array(rows["performed_at"]), timezone)

    def is_right(place: int, day: date | None, rate: int | None) -> bool:
        allowed = None if day is None or rate is None else rates_on(day, tables[place].vat_rates)
        return allowed is None or rate in allowed

    right = by_distinct(is_right, FLAG, whose, days, points)
    exempt = all_of(
        pc.equal(points, 0),
        by_distinct(
            lambda place, code: code in tables[place].exempt_codes, FLAG, whose, array(rows["item_number"])
        ),
    )
    wrong = negation(any_of(right, exempt, array(rows["tax_free"])))
    judged = with_columns(rows, performed_on=days, rate_rule=whose)
    for row in _flagged(judged, wrong):
        vat_rates = tables[row.rate_rule].vat_rates
        in_force = rates_on(row.performed_on, vat_rates) or ()
        percents = " or ".join(format_number(Decimal(rate) / 100, rules.language) for rate in in_force)
        named = f'vat_rates = "{vat_rates}"' if isinstance(vat_rates, str) else "the table vat_rates"
        remedy = "correct vat_percent in the OMS"
        if row.source_kind == ADJUSTMENT:
            remedy = f"correct it by `billing-pipeline adjust edit {row.source_id} --vat …`"
        if row.vat_basis_points == 0:
            remedy += (
                ", or give its customer a tax_type, or name its article "
                f"({row.item_number or 'it has none'}) in vat_exempt_codes of the rules"
            )
        yield _problem(
            row,
            Code.VAT_INVALID,
            "vat_percent",
            str(row.vat_percent),
            f"has {format_number(row.vat_percent, rules.language)} % VAT, but on {row.performed_on} it would be "
            f"{percents or 'none that is known'} % ({named} of the rules): {remedy}",
        )


@dataclass(frozen=True)
class _RateRules:
    vat_rates: VatRates
    exempt_codes: tuple[str, ...]

    def __hash__(self) -> int:
        return hash((str(self.vat_rates), self.exempt_codes))


def _rate_rules(rules: Rules, customer_number: str) -> _RateRules:
    mine = rules.for_customer(customer_number)
    return _RateRules(mine.vat_rates, mine.vat_exempt_codes)


def currency_problems(rows: pd.DataFrame) -> Iterator[Problem]:
    """Rows whose currency is not their customer's."""
    mixed = pc.not_equal(array(rows["currency"]), array(rows["customer_currency"]))
    for row in _flagged(rows, mixed):
        yield _problem(
            row,
            Code.MIXED_CURRENCIES,
            "currency",
            row.currency,
            f"is in {row.currency}, but its customer's currency is {row.customer_currency}: correct one of the two",
        )


def unknown_customers(rows: pd.DataFrame, customers: pd.DataFrame) -> Iterator[Problem]:
    """Rows of customers who are not in the customers relation."""
    known = pc.is_in(array(rows["customer_number"]), array(customers["customer_number"]))
    for row in _flagged(rows, negation(known)):
        yield _problem(
            row,
            Code.CUSTOMER_UNKNOWN,
            "customer_number",
            row.customer_number,
            f"names customer {row.customer_number}, whom the customers relation does not know: enter them there, "
            "or correct the row",
        )


def all_problems(faults: Iterable[Problem], found: Iterable[Problem]) -> list[Problem]:
    """All problems, by customer, row, field and code: the `faults` from `oms/`, and those `found` here.

    For a cell with a fault nothing else is reported: it would only follow from the lost value.
    """
    faults = set(faults)
    cells = {_cell(fault) for fault in faults}
    told = faults | {problem for problem in found if _cell(problem) not in cells}
    return sorted(told, key=in_order)


def in_order(problem: Problem) -> tuple[str, ...]:
    """By customer, row, field and code."""
    return (*_cell(problem), problem.code, problem.value, problem.message)


def _cell(problem: Problem) -> tuple[str, str, str]:
    return problem.customer_number, problem.source_id, problem.field


def _flagged(rows: pd.DataFrame, mask: pa.Array) -> Iterator[Any]:
    if pc.any(mask).as_py():
        yield from each_row(where(rows, mask))


def _problem(row: Any, code: Code, field: str, value: str, says: str) -> Problem:
    return Problem(
        code=code,
        customer_number=row.customer_number,
        source_id=row.source_id,
        field=field,
        value=value,
        message=f"{_NAMES[row.source_kind]} {row.source_id} {says}",
    )
