"""Rows that a person adds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.billing.adjustments import Adjustment
from billing_pipeline.problems import Code, UsageError
from billing_pipeline_tests.support.billing import (
    MONTH,
    bill,
    billed_source,
    ledger,
    lines_of,
    outcomes,
    problems_in,
)
from billing_pipeline_tests.support.frames import customer, service

ME = "10023"


def adjustment(adjustment_id: str = "A-1", **cells: Any) -> Adjustment:
    said: dict[str, Any] = {
        "adjustment_id": adjustment_id,
        "month": MONTH,
        "customer_number": ME,
        "title": "Treuerabatt",
        "quantity": Decimal(1),
        "unit_price_net": Decimal("-10.00"),
        "vat_percent": Decimal(19),
    }
    return Adjustment(**said | cells)


def test_a_discount_stands_after_all_services_and_lowers_the_total() -> None:
    latest = service(completed_at="2026-10-31T22:59:59.999999Z")
    billed = bill(latest, adjustments=[adjustment("A-2"), adjustment(title="Bonus\nQ4")])
    rows = [(line.line_type, line.title.splitlines()[0], line.net, line.gross) for line in lines_of(billed)]
    assert rows == [
        ("service", "Battery change service", 15000, 17850),
        ("adjustment", "Bonus", -1000, -1190),
        ("adjustment", "Treuerabatt", -1000, -1190),
    ]
    discount = lines_of(billed)[-1]
    assert (discount.title, str(discount.performed_on), discount.performed_month) == (
        "Treuerabatt",
        "2026-10-31",
        MONTH,
    )
    assert (discount.source_ids, discount.currency, discount.item_number) == (["A-2"], "EUR", "")
    assert list(billed.totals["gross"]) == [17850 - 2 * 1190]


def test_a_discount_is_rounded_away_from_zero_and_folded_like_any_row() -> None:
    half_a_cent = adjustment(quantity=Decimal("0.5"), unit_price_net=Decimal("-0.01"))
    _, line = lines_of(bill(service(), adjustments=[half_a_cent], customers=[customer()]))
    assert (line.net, line.gross) == (-1, -1)


def test_a_customer_with_adjustments_alone_is_billed_in_their_currency() -> None:
    one = adjustment(unit_price_net=Decimal("5"), unit="h", item_number="X")
    billed = bill(adjustments=[one], customers=[customer(currency="CHF")])
    assert outcomes(billed) == {ME: "to_bill"}
    (line,) = lines_of(billed)
    assert (line.currency, line.net, line.unit, line.item_number) == ("CHF", 500, "h", "X")


def test_an_adjustment_of_another_month_is_not_ours() -> None:
    assert len(bill(service(), adjustments=[adjustment(month="2026-11")]).lines) == 1


def test_an_adjustment_keeps_the_rules_of_vat_and_of_the_customer() -> None:
    export = [customer(tax_type="export", country="CH")]
    assert [problem.code for problem in problems_in(bill(adjustments=[adjustment()], customers=export))] == [
        Code.VAT_NOT_ALLOWED
    ]
    item = adjustment(vat_percent=None, unit_price_net=Decimal(5))
    free = bill(adjustments=[item], customers=export)
    assert lines_of(free)[0].vat == 0
    assert outcomes(bill(adjustments=[adjustment()], customers=[])) == {ME: "blocked"}
    with_test = [customer(is_test=True)]
    assert outcomes(bill(adjustments=[adjustment()], customers=with_test)) == {}


def test_an_adjustment_is_billed_in_a_class_of_lines_too() -> None:
    item = adjustment(unit_price_net=Decimal(5))
    billed = bill(service(), adjustments=[item], rules='lines = "fees_only"')
    assert [line.line_type for line in lines_of(billed)] == ["adjustment"]


def test_an_adjustment_that_comes_after_delivery_waits() -> None:
    first = bill(service(), adjustments=[adjustment()])
    sources = [billed_source(first, name) for name in ("S-1", "A-1")]
    view = ledger(*sources, closed=[(ME, MONTH)])
    again = bill(service(), adjustments=[adjustment(), adjustment("A-2")], ledger_view=view)
    assert again.lines.equals(first.lines)
    assert list(again.roster["late_rows"]) == [1]


def test_an_adjustment_that_was_deleted_or_edited_after_delivery_is_told_of() -> None:
    first = bill(service(), adjustments=[adjustment()])
    view = ledger(billed_source(first, "A-1"), closed=[(ME, MONTH)])
    for now in ([], [adjustment(title="Other")]):
        assert list(bill(service(), adjustments=now, ledger_view=view).drift["source_id"]) == ["A-1"]


@pytest.mark.parametrize(
    ("cells", "word"),
    [
        ({"title": " "}, "title"),
        ({"quantity": Decimal(0)}, "quantity"),
        ({"quantity": Decimal("-1")}, "quantity"),
        ({"quantity": Decimal("0.0001")}, "quantity"),
        ({"quantity": Decimal("1.2345")}, "quantity"),
        ({"quantity": Decimal("NaN")}, "quantity"),
        ({"unit_price_net": Decimal("0.001")}, "price"),
        ({"unit_price_net": Decimal("1e10")}, "price"),
        ({"vat_percent": Decimal("100.01")}, "vat"),
        ({"vat_percent": Decimal("-1")}, "vat"),
    ],
)
def test_what_an_adjustment_cannot_say_is_refused_by_name(cells: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        adjustment(**cells)
