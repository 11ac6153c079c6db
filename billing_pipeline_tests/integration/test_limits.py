"""A limit of the rules blocks who is above it until it is raised for them; without one, nobody is."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing_pipeline_tests.support.plain_months import PlainMonths

MONTH = "2026-10"


def months(tmp_path: Path) -> PlainMonths:
    """Two customers: 10023 comes to 500.00 net, 10024 to 500.01."""
    found = PlainMonths(tmp_path)
    for number, price in (("10023", "500.00"), ("10024", "500.01")):
        found.oms.customer(number)
        found.oms.service(
            f"S-{number}", number, completed_at="2026-10-05T08:00:00Z", quantity="1", unit_price_net=price
        )
    return found


def outcomes(found: PlainMonths) -> dict[str, list[str]]:
    status = found.run(MONTH)
    return {
        one.customer_number: [one.outcome, *(str(problem.code) for problem in one.problems)]
        for one in status.customers
    }


def test_without_a_limit_nobody_is_blocked(tmp_path: Path) -> None:
    assert outcomes(months(tmp_path)) == {"10023": ["delivered"], "10024": ["delivered"]}


def test_who_is_a_cent_above_is_blocked_and_the_remedy_works(tmp_path: Path) -> None:
    found = months(tmp_path)
    found.rules("most_net_per_month = 500\n")
    assert outcomes(found) == {"10023": ["delivered"], "10024": ["blocked", "TOTAL_OVER_LIMIT"]}
    (problem,) = found.customer(MONTH, "10024").problems
    assert "500,01 EUR net, above the limit of 500,00 EUR" in problem.message
    found.rules('most_net_per_month = 500\n[customers."10024"]\nmost_net_per_month = 501\n')
    assert outcomes(found)["10024"] == ["delivered"]


@pytest.mark.parametrize("lower", [499, 1])
def test_a_limit_that_is_set_later_leaves_what_was_sent(tmp_path: Path, lower: int) -> None:
    found = months(tmp_path)
    outcomes(found)
    found.rules(f"most_net_per_month = {lower}\n")
    assert {tuple(one) for one in outcomes(found).values()} <= {("unchanged",), ("delivered",)}
