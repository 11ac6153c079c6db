"""An account of a month looks in full only at who has a row that is not simply billed; it finds what all would."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from billing_pipeline.billing.arrow import each_row
from billing_pipeline.billing.rows import source_rows
from billing_pipeline.billing.standing import STANDINGS, net_amounts
from billing_pipeline.oms.contract import RELATIONS
from billing_pipeline.oms.extract import MonthText
from billing_pipeline.steps import month_account
from billing_pipeline.steps.audit import audit
from billing_pipeline.steps.bill_month import bill_extract
from billing_pipeline.steps.month_account import OPEN, account_of
from billing_pipeline.steps.past import ids_of, past_of
from billing_pipeline_tests.support.installation import Installation
from billing_pipeline_tests.support.plain_months import PlainMonths
from billing_pipeline_tests.support.sent_september import AUGUST, OCTOBER, SEPTEMBER, sent_september, service

RULES = """
[customers."10031"]
lines = "fees_only"
"""


@pytest.fixture
def months(tmp_path: Path, september: Installation) -> PlainMonths:
    return PlainMonths.on(september.copy(tmp_path))


@pytest.fixture(scope="module")
def september(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """September as it was sent to twenty customers, and everything that may become of a row since."""
    months = sent_september(tmp_path_factory.mktemp("september"))
    months.rules(RULES)
    oms = months.oms
    for number in range(24, 43):
        oms.customer(f"100{number}")
        service(months, f"S-{number}", SEPTEMBER, customer_number=f"100{number}", unit_price_net="10.00")
        oms.task(f"S-{number}", 1, price_net="4.00")
        oms.task(f"S-{number}", 2, price_net="6.00")
    oms.fee("F-31", "10031", charged_at="2026-09-12T08:00:00Z")
    oms.fee("F-32", "10032", charged_at="2026-09-12T08:00:00Z")
    oms.change_customer("10033", currency="CHF")
    oms.change_service("S-33", currency="CHF")
    service(months, "S-34b", SEPTEMBER, customer_number="10034", unit_price_net=None)
    service(months, "S-late", AUGUST, customer_number="10023")
    adjust(months, "10032", SEPTEMBER)
    months.run(SEPTEMBER)
    adjust(months, "10026", OCTOBER)
    oms.remove_service("S-25")
    service(months, "S-25b", SEPTEMBER, customer_number="10025", unit_price_net="10.00")
    oms.change_service("S-27", unit_price_net="11.00")
    oms.change_service("S-28", customer_number="10029")
    oms.change_service("S-30", status="cancelled")
    oms.task("S-35", 3)
    oms.change_customer("10036", is_test=1)
    oms.change_service("S-37", completed_at="2026-10-05T08:00:00Z")
    oms.change_service("S-38", quantity="many")
    oms.change_customer("10039", street=None, city=None)
    service(months, "S-39b", SEPTEMBER, customer_number="10039", unit_price_net="3.00")
    service(months, "S-40b", SEPTEMBER, customer_number="10040", status="on hold")
    service(months, "S-40c", SEPTEMBER, customer_number="10040", completed_at=None)
    service(months, "S-41b", SEPTEMBER, customer_number="10041", status="cancelled")
    oms.fee("F-41", "10041", charged_at="2026-09-12T08:00:00Z", amount_net="0.00")
    months.ledger.omissions.add(month=SEPTEMBER, service_id="S-41b", reason="left out", author="Ann")
    service(months, "S-42b", SEPTEMBER, customer_number="10042", status="cancelled", quantity="many")
    service(months, "S-42c", SEPTEMBER, customer_number="10042", unit_price_net="9.00")
    service(months, "S-nobody", SEPTEMBER, customer_number="nobody")
    months.ledger.close()
    return months.installation


@pytest.mark.parametrize("keys", ["own keys", "shared keys"])
@pytest.mark.parametrize("month", [AUGUST, SEPTEMBER, OCTOBER])
def test_it_finds_what_billing_everybody_finds(months: PlainMonths, month: str, keys: str) -> None:
    if keys == "shared keys":
        share_keys(months)
    standings, counts, amounts = plain_account(months, month)
    for most_rows in (6, 15_000):
        found = account_of(months.wiring, month, most_rows=most_rows)
        assert in_order(found.standings) == standings
        assert found.counts == counts
        assert {currency: dict(sums) for currency, sums in found.amounts.items()} == amounts


def test_the_world_of_these_tests_has_every_standing(months: PlainMonths) -> None:
    _, counts, amounts = plain_account(months, SEPTEMBER)
    assert {name for name in STANDINGS if counts[name]} >= {
        *("billed", "not_billable", "set_aside", "blocked", "late")
    }
    assert set(amounts) == {"EUR", "CHF"}


def test_who_has_nothing_but_rows_that_are_simply_billed_is_not_billed_again(
    months: PlainMonths, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: dict[str, set[str]] = {}
    of_customers = MonthText.of_customers

    def seen(text: MonthText, customer_numbers: Any) -> Any:
        extract = of_customers(text, customer_numbers)
        for row in [*each_row(extract.services), *each_row(extract.cancellation_fees)]:
            looked_at.setdefault(row.customer_number, set()).add(
                getattr(row, "fee_id", None) or row.service_id
            )
        return extract

    monkeypatch.setattr(MonthText, "of_customers", seen)
    account_of(months.wiring, SEPTEMBER)
    assert not {"10032", "10033"} & looked_at.keys()
    assert {"10025", "10027", "10029", "10030", "10035", "10036", "10038", "10039"} <= looked_at.keys()
    assert looked_at["10031"] == {"S-31"}  # which the rules do not bill; the fee is billed as it is
    assert looked_at["10040"] == {"S-40", "S-40b", "S-40c"}


def test_a_row_that_is_taken_for_simply_billed_whatever_it_looks_like_is_found_out(
    months: PlainMonths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(rows: Any, billed: Any) -> Any:
        is_billed, _ = careful(rows, billed)
        return is_billed, is_billed

    careful = month_account._billed_as_they_are
    monkeypatch.setattr(month_account, "_billed_as_they_are", careless)
    standings, _, _ = plain_account(months, SEPTEMBER)
    assert in_order(account_of(months.wiring, SEPTEMBER).standings) != standings


def test_the_audit_tells_amounts_by_currency_and_adds_up(months: PlainMonths) -> None:
    (september,) = audit(months.wiring, SEPTEMBER, SEPTEMBER).months
    assert sum(september.rows[name] for name in STANDINGS) == september.rows["rows"]
    assert september.amounts["CHF"] == {"billed": 1000, "open": 0}
    assert september.rows["changed"] > 0
    assert september.rows["gone"] == 2  # one has moved to a month that is not audited with it


def plain_account(months: PlainMonths, month: str) -> tuple[list[Any], Counter[str], dict[str, Any]]:
    """The standings of everybody, billed at once, and each row of the month counted by them, one by one."""
    wiring, ledger, billing = months.wiring, months.ledger, months.wiring.billing
    extract = wiring.oms.extract(month, also=[one.customer_number for one in ledger.adjustments.up_to(month)])
    past = past_of(ledger, ids_of(extract), month, frames=wiring.frames, billing=billing)
    standings = bill_extract(
        extract, month, past, ledger=ledger, billing=billing, of_every_row=True
    ).standings
    entries: dict[tuple[str, str], Any] = {}
    for one in each_row(standings):
        entries.setdefault((one.source_kind, one.source_id), one)
    billed = {(one.source_kind, one.source_id) for one in each_row(past.view.billed)}
    counts: Counter[str] = Counter()
    amounts: dict[str, dict[str, int]] = {}
    rows = source_rows(extract, billing.rules, month, billing.timezone, ())
    for row, net in zip(each_row(rows), net_amounts(rows), strict=True):
        if (row.month or month) != month:
            continue
        name = (row.source_kind, row.source_id)
        standing = "billed" if name in billed else entries[name].standing if name in entries else "to_bill"
        counts["rows"] += 1
        counts[standing] += 1
        kind = "billed" if standing == "billed" else "open" if standing in OPEN else ""
        if kind and net is not None:
            amounts.setdefault(row.currency, {"billed": 0, "open": 0})[kind] += net
    return in_order(standings), counts, amounts


def in_order(standings: pd.DataFrame) -> list[list[tuple[str, Any]]]:
    """The entries, row by row."""
    return sorted(sorted(vars(one).items()) for one in each_row(standings))


def share_keys(months: PlainMonths) -> None:
    """The tables without keys, as an operator's own query may yield them, with some rows twice."""
    with closing(sqlite3.connect(months.oms.file)) as connection, connection:
        for name in RELATIONS:
            connection.execute(f"CREATE TABLE copied AS SELECT * FROM {name}")
            connection.execute(f"DROP TABLE {name}")
            connection.execute(f"ALTER TABLE copied RENAME TO {name}")
        for number, other in (("10023", "10024"), ("10032", "10032"), ("10034", "10026")):
            connection.execute(
                "CREATE TABLE twice AS SELECT * FROM services WHERE customer_number = ?", [number]
            )
            connection.execute("UPDATE twice SET customer_number = ?", [other])
            connection.execute("INSERT INTO services SELECT * FROM twice")
            connection.execute("DROP TABLE twice")
        connection.execute(
            "INSERT INTO cancellation_fees SELECT * FROM cancellation_fees WHERE fee_id = 'F-32'"
        )


def adjust(months: PlainMonths, number: str, month: str) -> None:
    months.ledger.adjustments.add(
        month=month,
        customer_number=number,
        title="discount",
        quantity=Decimal(1),
        unit_price_net=Decimal("-2.00"),
        vat_percent=Decimal(19),
        reason="agreed",
        author="Ann",
    )
