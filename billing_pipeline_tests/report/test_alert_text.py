"""What an alert says: customer, reason, remedy, link; one message, however many they are."""

from __future__ import annotations

from billing_pipeline.problems import Code, Problem
from billing_pipeline.report.alert_text import (
    NAMED_CUSTOMERS,
    FailedCheck,
    RunNews,
    digest,
    overdue_alert,
    run_alert,
    unknown_alert,
)
from billing_pipeline.report.month import CustomerStatus, MonthStatus

MONTH = "2026-10"
LINK = "https://dagster.example.com/runs/abc"


def blocked(number: str, message: str = "Service S-1 has no price: enter it in the OMS") -> CustomerStatus:
    return CustomerStatus(
        number, "blocked", problems=(Problem(Code.PRICE_MISSING, number, message, source_id="S-1"),)
    )


def test_a_customer_is_named_with_month_reason_row_remedy_and_a_link_to_the_run() -> None:
    alert = run_alert(RunNews("customer_delivery", [MONTH], customers=[(MONTH, blocked("10023"))]), LINK)
    assert alert.title == "Billing 2026-10: 1 customer is not delivered"
    assert alert.body == (
        "Customer 10023, 2026-10: BLOCKED\n"
        "  PRICE_MISSING (S-1): Service S-1 has no price: enter it in the OMS\n\n"
        f"The run: {LINK}\n"
    )


def test_a_run_with_all_kinds_of_news_is_one_message() -> None:
    news = RunNews(
        "monthly_billing",
        [MONTH],
        failure="BILLING_OMS_URL: cannot connect",
        checks=[FailedCheck("invoice_lines", "month_size", MONTH, "12 times as much as usual")],
        customers=[(MONTH, blocked("10023"))],
    )
    body = run_alert(news, LINK).body
    assert body.splitlines()[0] == "monthly_billing failed: BILLING_OMS_URL: cannot connect"
    assert "Check month_size of invoice_lines failed (2026-10): 12 times as much as usual" in body
    assert "Customer 10023" in body


def test_a_thousand_customers_are_one_readable_message() -> None:
    customers = [(MONTH, blocked(f"{number}")) for number in range(1_000)]
    alert = run_alert(RunNews("customer_delivery", [MONTH], customers=customers), LINK)
    assert alert.title == "Billing 2026-10: 1000 customers are not delivered"
    assert alert.body.count("Customer ") == NAMED_CUSTOMERS
    assert f"and {1_000 - NAMED_CUSTOMERS} more customers: `billing-pipeline status 2026-10`" in alert.body


def test_a_very_long_reason_is_cut() -> None:
    assert len(run_alert(RunNews("job", [MONTH], failure="x" * 100_000), LINK).body) < 2_000


def test_a_run_without_news_is_none() -> None:
    assert not RunNews("customer_delivery", [MONTH])


def test_a_delivered_month_is_not_overdue() -> None:
    status = MonthStatus(MONTH, (CustomerStatus("1", "omitted"), CustomerStatus("2", "nothing_to_bill")))
    assert overdue_alert(status) is None


def test_a_month_that_nobody_billed_is_overdue_and_says_what_to_do() -> None:
    alert = overdue_alert(MonthStatus(MONTH), "https://dagster.example.com")
    assert alert is not None
    assert alert.title == "Billing 2026-10: not delivered"
    assert "billing-pipeline run 2026-10" in alert.body
    assert "https://dagster.example.com" in alert.body


def test_an_overdue_month_names_its_counts_and_who_is_missing() -> None:
    alert = overdue_alert(MonthStatus(MONTH, (CustomerStatus("1", "omitted"), blocked("10023"))))
    assert alert is not None
    assert "2 customers = 1 omitted + 1 BLOCKED" in alert.body
    assert "Customer 10023, 2026-10: BLOCKED" in alert.body


def test_a_month_nobody_can_tell_of_says_why() -> None:
    assert "cannot connect" in unknown_alert(MONTH, "BILLING_LEDGER_URL: cannot connect").body


def test_the_same_need_has_the_same_digest_and_another_reason_another() -> None:
    assert digest(MONTH, blocked("1")) == digest(MONTH, blocked("1"))
    others = {
        digest(MONTH, blocked("1", "another")),
        digest("2026-09", blocked("1")),
        digest(MONTH, blocked("2")),
    }
    assert len(others - {digest(MONTH, blocked("1"))}) == 3


def test_a_message_has_a_bound_and_says_where_all_of_it_is() -> None:
    checks = [FailedCheck("asset", f"check {number}", "2026-10", "x" * 900) for number in range(100)]
    alert = run_alert(RunNews("job", ["2026-10"] * 50, checks=checks), "https://dagster.example.com/runs/1")
    assert len(alert.body) < 9_000
    assert len(alert.title) < 200
    assert alert.body.endswith("All of it: https://dagster.example.com/runs/1\n")
