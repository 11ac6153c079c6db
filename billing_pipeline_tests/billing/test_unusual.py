"""What looks unusual is told with its measure; a steady, a new or a small customer is left in peace."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.billing.unusual import (
    CustomerMonth,
    entered_twice,
    typical,
    unusual_fees,
    unusual_prices,
    unusual_totals,
    vanished,
)
from billing_pipeline.oms.contract import SERVICES, frame_of_rows
from billing_pipeline.problems import Code

MONTHS = [f"2026-{number:02d}" for number in range(1, 10)]


def months(nets: list[int], *, lines: int = 10, customer: str = "10023") -> list[CustomerMonth]:
    return [
        CustomerMonth(month, customer, "EUR", net, lines) for month, net in zip(MONTHS, nets, strict=False)
    ]


def total_of(now: int, before: list[int], *, lines: int = 10) -> list[str]:
    found = unusual_totals([CustomerMonth("2026-10", "10023", "EUR", now, lines)], months(before), "en")
    return [str(problem.code) for problem in found]


def test_a_total_far_from_its_own_past_is_told_with_the_median() -> None:
    (found,) = unusual_totals(
        [CustomerMonth("2026-10", "10023", "EUR", 500_000, 10)],
        months([100_000, 102_000, 98_000, 101_000, 99_000]),
        "en",
    )
    assert (found.code, found.customer_number, found.value) == (Code.TOTAL_UNUSUAL, "10023", "500000")
    assert (
        "5,000.00 EUR net; the median of the 5 months before with an invoice is 1,000.00 EUR" in found.message
    )


def test_one_odd_month_in_the_past_hides_nothing() -> None:
    assert total_of(500_000, [100_000, 100_000, 900_000, 100_000, 100_000]) == ["TOTAL_UNUSUAL"]


def test_a_number_of_lines_far_from_its_own_past_is_told() -> None:
    assert total_of(100_000, [100_000] * 5, lines=60) == ["COUNT_UNUSUAL"]


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (900_000, [100_000] * 3),  # too short a past
        (900_000, []),  # a new customer
        (110_000, [100_000] * 9),  # a tenth more, after never a cent
        (8_000, [2_000] * 9),  # small amounts move
        (150_000, [60_000, 160_000, 90_000, 140_000, 110_000, 70_000]),  # it always swings
    ],
)
def test_who_is_new_small_or_swings_as_ever_is_left_in_peace(now: int, before: list[int]) -> None:
    assert total_of(now, before) == []


def test_another_currency_is_no_past() -> None:
    before = [CustomerMonth(month, "10023", "CHF", 100, 1) for month in MONTHS]
    assert not list(unusual_totals([CustomerMonth("2026-10", "10023", "EUR", 10**7, 1)], before, "en"))


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30), st.integers(1, 10**6))
def test_most_of_a_past_is_never_unusual_in_itself(figures: list[int], floor: int) -> None:
    usual = typical(figures, Decimal(floor))
    near = [figure for figure in figures if not usual.is_far(figure)]
    assert 2 * len(near) >= len(figures)


def test_who_was_billed_in_each_of_the_months_before_and_is_not_there_has_vanished() -> None:
    before = [*months([1] * 9), *months([1] * 9, customer="10024"), *months([1] * 3, customer="10025")]
    found = list(vanished(["10024"], before, MONTHS[-4:]))
    assert [(one.code, one.customer_number) for one in found] == [(Code.CUSTOMER_VANISHED, "10023")]


def test_nobody_is_missed_after_three_months() -> None:
    assert not list(vanished([], months([1] * 9), MONTHS[-3:]))


def test_a_spike_of_cancellation_fees_is_told_of_the_month_and_of_the_customer() -> None:
    past = {month: {"10023": 1, "10024": 2} for month in MONTHS}
    since = {"10023": MONTHS[0], "10024": MONTHS[0], "10099": MONTHS[-1]}
    found = list(unusual_fees({"10023": 30, "10024": 2, "10099": 9}, past, since))
    assert [(one.code, one.customer_number) for one in found] == [
        (Code.CANCELLATIONS_UNUSUAL, ""),
        (Code.CANCELLATIONS_UNUSUAL, "10023"),
    ]


def lines(
    *prices: int, customer: str = "10023", item: str = "A-1", title: str = "Cleaning\nOctober"
) -> pd.DataFrame:
    count = len(prices)
    table = pa.table(
        {
            "customer_number": [customer] * count,
            "line_type": ["service"] * count,
            "item_number": [item] * count,
            "title": [title] * count,
            "unit_price_net": pa.array(prices, pa.int64()),
            "currency": ["EUR"] * count,
        }
    )
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def test_a_price_off_its_own_past_is_told_once() -> None:
    (found,) = unusual_prices(lines(7_000, 7_000, 700), [lines(700, 700), lines(700, 720)], "en")
    assert (found.code, found.value) == (Code.PRICE_UNUSUAL, "7000")
    assert found.message.startswith("A-1: 70.00 EUR net each; the median of 4 times before is 7.00 EUR")


def test_a_service_without_an_article_is_known_by_the_first_line_of_its_title() -> None:
    before = [lines(700, 700, 700, 700, item="", title="Cleaning\nSeptember")]
    assert len(list(unusual_prices(lines(7_000, item=""), before, "en"))) == 1


def test_a_price_of_another_customer_or_article_is_no_past() -> None:
    assert not list(unusual_prices(lines(7_000), [lines(*[700] * 9, customer="10024")], "en"))
    assert not list(unusual_prices(lines(7_000), [lines(*[700] * 9, item="A-2")], "en"))
    assert not list(unusual_prices(lines(7_000), [lines(700, 700, 700)], "en"))


def service(service_id: str, **cells: object) -> dict[str, object]:
    return {
        "service_id": service_id,
        "customer_number": "10023",
        "service_name": "Cleaning",
        "status": "completed",
        "completed_at": pd.Timestamp("2026-10-05T08:00:00Z").to_pydatetime(),
        "quantity": Decimal(1),
        "unit_price_net": Decimal(70),
        "currency": "EUR",
        "updated_at": pd.Timestamp("2026-10-05T08:00:00Z").to_pydatetime(),
        "month": "2026-10",
        **cells,
    }


def test_two_services_that_are_equal_in_all_but_their_id_look_entered_twice() -> None:
    rows = [service("S-1"), service("S-2"), service("S-3", unit_price_net=Decimal(71)), service("S-4")]
    frame = frame_of_rows(SERVICES, rows)
    (found,) = entered_twice(frame, "2026-10", ["S-1", "S-2", "S-3"])
    assert (found.code, found.source_id) == (Code.ENTERED_TWICE, "S-2")
    assert "services S-1, S-2 are equal" in found.message
    assert "`billing-pipeline omit add 2026-10 --service S-2 --reason TEXT --by NAME`" in found.message
