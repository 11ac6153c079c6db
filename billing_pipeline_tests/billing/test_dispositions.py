"""The second adding up: it is content with what `bill` makes, and finds each thing that is broken on purpose."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from billing_pipeline.billing import dispositions
from billing_pipeline.billing.bill import BilledMonth, bill_month
from billing_pipeline.billing.dispositions import Reconciliation, accounting_faults, reconcile
from billing_pipeline.billing.omissions import Omission
from billing_pipeline.billing.size import judge_size
from billing_pipeline.oms.extract import Extract
from billing_pipeline_tests.support.billing import MONTH, rules_of
from billing_pipeline_tests.support.frames import TIMEZONE, customer, extract, fee, service, task

RULES = rules_of()


def month() -> Extract:
    return extract(
        service("S-1", customer_number="10023", quantity="3", unit_price_net="0.35"),
        service("S-2", customer_number="10023", status="cancelled"),
        service("S-3", customer_number="10024", unit_price_net=None),
        service("S-4", customer_number="10024"),
        service("S-5", customer_number="10025"),
        service("S-6", customer_number="10026"),
        fee("F-1", customer_number="10023"),
        fee("F-2", customer_number="10023", amount_net="0.00"),
        customers=[
            customer("10023"),
            customer("10024"),
            customer("10025", is_test=True),
            customer("10026"),
        ],
    )


def billed(rows: Extract, rules: str = "") -> BilledMonth:
    return bill_month(
        rows,
        MONTH,
        rules_of(rules),
        timezone=TIMEZONE,
        omissions=[Omission("goodwill", "10026", "", MONTH, "anna")],
    )


def look(rows: Extract, found: BilledMonth) -> Reconciliation:
    return reconcile(rows, found, MONTH, RULES)


def test_every_row_of_the_month_has_one_disposition_and_amounts_tie() -> None:
    rows = month()
    found = look(rows, billed(rows))
    assert found.faults == ()
    assert {one.name: one.rows for one in found.dispositions if one.rows} == {
        "billed": 2,
        "blocked customer": 2,
        "omitted": 1,
        "not billable": 2,
        "test customer": 1,
    }
    assert found.rows == sum(one.rows for one in found.dispositions) == 8
    assert found.dispositions[0].net == {"EUR": 105 + 2500}


def test_a_row_that_is_in_no_line_is_found() -> None:
    rows = month()
    made = billed(rows)
    lines = made.lines[made.lines["line_type"] != "cancellation_fee"]
    (fault,) = look(rows, replace(made, lines=lines)).faults
    assert fault == "fee F-1 of customer 10023 is billable, in no line, and nothing says why"


def test_a_line_that_is_a_cent_off_is_found() -> None:
    rows = month()
    made = billed(rows)
    lines = made.lines.assign(net=made.lines["net"] + 1)
    assert (
        "S-1: the OMS's rows come to 105 minor units, their lines to 106"
        in look(rows, replace(made, lines=lines)).faults
    )


def test_a_row_that_is_billed_twice_or_invented_is_found() -> None:
    rows = month()
    made = billed(rows)
    twice = replace(made, lines=pd.concat([made.lines, made.lines.tail(1)], ignore_index=True))
    assert "fee F-1 is billed 2 times" not in look(rows, made).faults
    assert any("their lines to" in fault or "billed 2 times" in fault for fault in look(rows, twice).faults)
    without = replace(rows, cancellation_fees=rows.cancellation_fees.head(0))
    assert (
        "fee F-1 is in a line of customer 10023 and not in the extract as theirs"
        in look(without, made).faults
    )


def test_a_row_in_the_lines_of_another_customer_is_found() -> None:
    rows = month()
    made = billed(rows)
    others = pd.Series(["99999"] * len(made.lines), dtype=made.lines["customer_number"].dtype)
    faults = look(rows, replace(made, lines=made.lines.assign(customer_number=others))).faults
    assert "fee F-1 is in a line of customer 99999 and not in the extract as theirs" in faults


def test_rows_that_nobody_looked_at_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = month()
    made = billed(rows)
    monkeypatch.setattr(dispositions, "portions_of_customers", lambda *_: iter(()))
    assert look(rows, made).faults == ("of 8 services and fees that were read only 0 were looked at",)


def test_in_portions_of_customers_the_verdict_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = month()
    made = billed(rows)
    off = replace(made, lines=made.lines.assign(net=made.lines["net"] + 1))
    whole = look(rows, made), look(rows, off)
    monkeypatch.setattr(dispositions, "ROWS_AT_A_TIME", 1)
    assert (look(rows, made), look(rows, off)) == whole


@pytest.mark.parametrize("rules", ['tasks = "itemised"', "group_lines = true", 'missing_price = "zero"'])
def test_it_ties_under_every_way_of_making_lines(rules: str) -> None:
    rows = extract(
        service("S-1", unit_price_net="150.00"),
        service("S-2", quantity="0.333", unit_price_net="10.05"),
        service("S-3", quantity="0.333", unit_price_net="10.05"),
        service("S-4", unit_price_net=None) if "zero" in rules else service("S-4"),
        tasks=[task("S-1", 1, price_net="70.00"), task("S-1", 2, price_net="80.00")],
    )
    made = bill_month(rows, MONTH, rules_of(rules), timezone=TIMEZONE)
    assert len(made.lines)
    assert reconcile(rows, made, MONTH, rules_of(rules)).faults == ()


def test_every_customer_has_one_outcome_and_lines_if_billed() -> None:
    rows = month()
    made = billed(rows)
    assert list(accounting_faults(rows, made, MONTH)) == []
    forgotten = replace(made, roster=made.roster[made.roster["customer_number"] != "10024"])
    assert list(accounting_faults(rows, forgotten, MONTH)) == [
        "customer 10024 has rows in 2026-10 and no outcome"
    ]
    without_lines = replace(made, lines=made.lines.head(0))
    assert list(accounting_faults(rows, without_lines, MONTH)) == [
        "customer 10023 is to be billed and has no lines"
    ]


@pytest.mark.parametrize(
    ("lines", "before", "size"),
    [
        (100, [90, 110, 100], "usual"),
        (300, [90, 110, 100], "usual"),
        (301, [90, 110, 100], "unusual"),
        (33, [90, 110, 100], "unusual"),
        (1001, [90, 110, 100], "absurd"),
        (0, [90, 110, 100], "absurd"),
        (0, [90, 110], "usual"),
        (10, [1, 1, 1], "usual"),
        (0, [0, 0, 0], "usual"),
        (20, [0, 0, 0], "absurd"),
    ],
)
def test_a_month_is_compared_with_the_median_of_those_before(
    lines: int, before: list[int], size: str
) -> None:
    assert judge_size(lines, before).size == size
