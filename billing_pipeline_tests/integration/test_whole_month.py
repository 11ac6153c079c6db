"""`delivery_policy = "all_or_nothing"` from the rules to the inbox, by the commands that people use."""

from __future__ import annotations

from pathlib import Path

from billing_pipeline_tests.support.installation import Installation, customer_in, outcomes_in

MONTH = "2026-10"


def test_nothing_reaches_the_inbox_until_the_last_customer_can_be_billed(tmp_path: Path) -> None:
    installation = Installation(tmp_path, rules='delivery_policy = "all_or_nothing"\n')
    for number in ("10023", "10024"):
        installation.oms.customer(number)
        installation.oms.service(f"S-{number}", number)
    installation.oms.change_service("S-10024", unit_price_net=None)
    result = installation.run_json(MONTH)
    assert outcomes_in(result) == {"10023": "failed", "10024": "blocked"}
    (problem,) = customer_in(result, "10023")["problems"]
    assert problem["code"] == "MONTH_HELD_BACK"
    assert "10024 (blocked)" in problem["message"]
    assert installation.files() == {}

    installation.oms.change_service("S-10024", unit_price_net="80.00")
    assert outcomes_in(installation.run_json(MONTH)) == {"10023": "delivered", "10024": "delivered"}
    assert len(installation.files()) == 2
