"""Properties that hold for any month, tried by hypothesis on months that it makes up."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any, Final

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing_pipeline.billing.adjustments import Adjustment
from billing_pipeline.billing.arrow import array, each_row
from billing_pipeline.billing.bill import BilledMonth, bill_month
from billing_pipeline.billing.late import gone_of
from billing_pipeline.billing.slices import MOST_ROWS
from billing_pipeline.money import exponent_of, round_half_up, to_minor
from billing_pipeline.oms.extract import Extract
from billing_pipeline.problems import Code, Problem
from billing_pipeline_tests.support.billing import (
    MONTH,
    billed_source,
    ledger,
    outcomes,
    problems_in,
    rules_of,
    same_month,
)
from billing_pipeline_tests.support.extent import FULL
from billing_pipeline_tests.support.frames import TIMEZONE, Row, customer, extract, fee, service, task

CUSTOMERS: Final = ("10023", "10024", "é")
CURRENCIES: Final = {"10023": "EUR", "10024": "JPY", "é": "KWD"}
RULES = {
    name: rules_of(toml)
    for name, toml in {
        "default": "",
        "net": 'price_basis = "net"',
        "grouped": "group_lines = true",
        "grouped net": 'group_lines = true\nprice_basis = "net"',
        "itemised": 'tasks = "itemised"\nlanguage = "en"',
        "mixed": '[customers."10023"]\ngroup_lines = true\n[customers."10024"]\nprice_basis = "net"',
    }.items()
}
EXAMPLES = 300 if FULL else 12
PROPERTY = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
# Each example is billed several times.
OF_MANY_BILLS = settings(PROPERTY, max_examples=EXAMPLES // 2)

quantities = st.sampled_from(["1", "2", "0.5", "0.333", "1000", "12.005"]) | st.decimals(
    Decimal("0.001"), Decimal(2000), places=3
).map(str)
prices = st.sampled_from(["0.00", "0.10", "0.01", "19.99", "150.00"]) | st.decimals(0, 5000, places=2).map(
    str
)
rates = st.sampled_from(["0", "7", "19", "8.1"])
instants = st.integers(0, 30).flatmap(
    lambda day: st.sampled_from(["00:00:00", "09:30:00", "21:59:59.999999"]).map(
        lambda time: f"2026-10-{day + 1:02d}T{time}Z"
    )
)


@st.composite
def services(draw: st.DrawFn) -> tuple[Row, list[Row]]:
    """A service of one of the customers, good or with something wrong, and its tasks."""
    number = draw(st.sampled_from(CUSTOMERS))
    whole = CURRENCIES[number] == "JPY"
    price = draw(prices)
    cells: Row = {
        "customer_number": number,
        "service_name": draw(st.sampled_from(["Battery", "Tyre\nfront"])),
        "completed_at": draw(instants),
        "quantity": draw(quantities),
        "unit_price_net": price.split(".")[0] if whole else price,
        "vat_percent": draw(rates),
        "currency": CURRENCIES[number],
        "status": draw(st.sampled_from(["completed"] * 5 + ["cancelled"])),
    }
    cells |= draw(st.sampled_from([{}] * 12 + [{"unit_price_net": None}, {"vat_percent": None}]))
    names = draw(st.lists(st.sampled_from(["A", "B"]), max_size=2))
    return cells, [{"task_name": name} for name in names]


@st.composite
def months(draw: st.DrawFn) -> Extract:
    """A month of services with tasks, and fees."""
    rows, tasks = [], []
    for count, (cells, names) in enumerate(draw(st.lists(services(), min_size=1, max_size=15))):
        rows.append(service(f"S-{count}", **cells))
        tasks += [task(f"S-{count}", position, **cells) for position, cells in enumerate(names)]
        price = rows[-1]["unit_price_net"]
        if len(names) == 1 and price is not None and rows[-1]["quantity"] == 1:
            tasks[-1]["price_net"] = price
    for count, number in enumerate(draw(st.lists(st.sampled_from(CUSTOMERS), max_size=4))):
        amount = draw(st.sampled_from(["0.00", "25.00"]))
        rows.append(fee(f"F-{count}", customer_number=number, amount_net=amount, currency=CURRENCIES[number]))
    known = [customer(number, currency=currency) for number, currency in CURRENCIES.items()]
    return extract(*rows, customers=known, tasks=tasks)


def billed(month: Extract, rules: str = "default", **others: Any) -> BilledMonth:
    return bill_month(month, MONTH, RULES[rules], timezone=TIMEZONE, **others)


def sums(month: BilledMonth, *columns: str) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for line in each_row(month.lines):
        before = found.get(line.customer_number, (0,) * len(columns))
        found[line.customer_number] = tuple(
            one + getattr(line, column) for one, column in zip(before, columns, strict=True)
        )
    return found


def totals(month: BilledMonth, *columns: str) -> dict[str, tuple[int, ...]]:
    return {
        row.customer_number: tuple(getattr(row, name) for name in columns) for row in each_row(month.totals)
    }


def same(first: BilledMonth, second: BilledMonth) -> bool:
    return all(
        getattr(first, name).equals(getattr(second, name))
        for name in ("lines", "totals", "roster", "problems", "drift")
    )


@PROPERTY
@given(rules=st.sampled_from(sorted(RULES)), month=months())
def test_the_lines_are_the_billable_rows_each_once_and_add_up_to_the_totals(
    rules: str, month: Extract
) -> None:
    result = billed(month, rules)
    blocked = {problem.customer_number for problem in problems_in(result)}
    expected = Counter[str]()
    net = Counter[str]()
    for row in each_row(month.services):
        if row.status == "completed" and row.customer_number not in blocked:
            exact = round_half_up(row.quantity * row.unit_price_net, exponent_of(row.currency))
            net[row.customer_number] += to_minor(exact, row.currency)
            expected[row.service_id] += 1
    for row in each_row(month.cancellation_fees):
        if row.amount_net and row.customer_number not in blocked:
            net[row.customer_number] += to_minor(row.amount_net, row.currency)
            expected[row.fee_id] += 1
    # The rows of an itemised service name it more than once.
    found = {name for names in result.lines["source_ids"] for name in names}
    assert found == set(expected)
    if rules != "itemised":
        assert Counter(name for names in result.lines["source_ids"] for name in names) == expected
    assert {number: of[0] for number, of in sums(result, "net").items()} == {
        number: net[number] for number in net.keys() | sums(result, "net").keys()
    }
    assert totals(result, "net") == sums(result, "net")
    for number, (amount, vat, gross) in totals(result, "net", "vat", "gross").items():
        assert amount + vat == gross
        if RULES[rules].for_customer(number).price_basis == "gross":
            assert (vat, gross) == sums(result, "vat", "gross")[number]


@PROPERTY
@given(rules=st.sampled_from(sorted(RULES)), month=months())
def test_quantity_times_price_of_the_file_is_the_amount_of_the_line(rules: str, month: Extract) -> None:
    for line in each_row(billed(month, rules).lines):
        product = round_half_up(line.file_quantity * line.file_price, exponent_of(line.currency))
        assert to_minor(product, line.currency) == getattr(line, line.price_basis)
        if not line.folded:
            assert line.file_quantity == line.quantity


@PROPERTY
@given(basis=st.sampled_from(["", " net"]), month=months())
def test_grouping_changes_no_total(basis: str, month: Extract) -> None:
    plain, grouped = billed(month, basis.strip() or "default"), billed(month, f"grouped{basis}")
    amounts = ("net", "vat", "gross")
    assert totals(plain, *amounts) == totals(grouped, *amounts)
    assert outcomes(plain) == outcomes(grouped)


@PROPERTY
@given(rules=st.sampled_from(sorted(RULES)), month=months(), seed=st.integers())
def test_the_order_of_the_rows_changes_nothing(rules: str, month: Extract, seed: int) -> None:
    random = Random(seed)

    def shuffled(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.iloc[random.sample(range(len(frame)), len(frame))].reset_index(drop=True)

    mixed = Extract(**{name: shuffled(frame) for name, frame in vars(month).items()})
    assert same(billed(month, rules), billed(mixed, rules))


@OF_MANY_BILLS
@given(month=months())
def test_customer_by_customer_the_month_is_the_same(month: Extract) -> None:
    whole = billed(month, "mixed")
    parts = [
        billed(
            Extract(
                customers=month.customers[month.customers["customer_number"] == number],
                services=month.services[month.services["customer_number"] == number],
                service_tasks=month.service_tasks,
                cancellation_fees=month.cancellation_fees[
                    month.cancellation_fees["customer_number"] == number
                ],
            ),
            "mixed",
        )
        for number in CUSTOMERS
    ]
    for name in ("lines", "totals", "roster", "problems"):
        together = [row for part in parts for row in getattr(part, name).to_dict("records")]
        assert getattr(whole, name).to_dict("records") == together


@OF_MANY_BILLS
@given(
    before=months(),
    month=months(),
    rules=st.sampled_from(sorted(RULES)),
    most_rows=st.integers(1, 6),
    wrong=st.sets(st.sampled_from(CUSTOMERS), max_size=2),
)
def test_in_slices_of_customers_the_month_is_the_same(
    before: Extract, month: Extract, rules: str, most_rows: int, wrong: set[str]
) -> None:
    # What was billed before has the same ids: of other customers, at other prices, or gone.
    first = billed(before, rules)
    sources = [
        billed_source(first, source_id, billed_month="2026-09")
        for source_id in dict.fromkeys(one for ids in first.lines["source_ids"] for one in ids)
    ]
    view = ledger(*sources, closed=[(CUSTOMERS[0], "2026-09"), (CUSTOMERS[1], MONTH)])
    present = {
        "service": array(month.services["service_id"]),
        "fee": array(month.cancellation_fees["fee_id"]),
    }
    view = replace(view, gone=gone_of(view.billed, [MONTH], present))
    others = {
        "ledger_view": view,
        "adjustments": [
            Adjustment(f"A-{number}", MONTH, number, "Bonus", Decimal(1), Decimal(5), Decimal(19))
            for number in CUSTOMERS
        ],
        "also_wrong": [Problem(Code.TEXT_TOO_LONG, number, "too long") for number in sorted(wrong)],
    }
    whole, sliced = (billed(month, rules, most_rows=most, **others) for most in (MOST_ROWS, most_rows))
    assert same_month(whole, sliced)
    others["ledger_view"] = replace(view, billed=view.billed.copy(deep=False))
    its_last_use = Extract(**{name: frame.copy(deep=False) for name, frame in vars(month).items()})
    assert same_month(whole, billed(its_last_use, rules, most_rows=most_rows, let_go=True, **others))


@OF_MANY_BILLS
@given(month=months(), others=months(), status=st.sampled_from(["completed", "broken"]))
def test_test_customers_change_nothing_for_others(month: Extract, others: Extract, status: str) -> None:
    def of_a_test(frame: pd.DataFrame, *keys: str) -> pd.DataFrame:
        test = frame.assign(**{key: ("T" + frame[key]).astype(frame[key].dtype) for key in keys})
        if status == "broken" and "faults" in test:
            test["faults"] = '[{"code":"TEXT_INVALID","field":"x","value":"","message":""}]'
        return test

    added = {
        "customers": of_a_test(others.customers, "customer_number").assign(is_test=True),
        "services": of_a_test(others.services, "customer_number", "service_id"),
        "service_tasks": of_a_test(others.service_tasks, "service_id"),
        "cancellation_fees": of_a_test(others.cancellation_fees, "customer_number", "fee_id"),
    }
    with_tests = Extract(
        **{
            name: pd.concat([frame, added[name].astype(frame.dtypes.to_dict())], ignore_index=True)
            for name, frame in vars(month).items()
        }
    )
    assert same(billed(month, "mixed"), billed(with_tests, "mixed"))
