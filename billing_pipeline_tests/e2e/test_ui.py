"""What operations do in Dagster's web UI: a backfill of past months, red and why, and only the failed once more."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from billing_pipeline_tests.e2e.browser import WAIT_MS, open_page
from billing_pipeline_tests.e2e.conftest import House
from billing_pipeline_tests.support.dagster_dev import wait_for
from billing_pipeline_tests.support.requires import require_program

MONTHS = ("2026-08", "2026-09", "2026-10")
RED = "10022|2026-09"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with open_page(require_program("chromium", package="chromium")) as opened:
        yield opened


def launch_backfill(house: House, page: Page, address: str, button: str, months: str) -> str:
    """Launches a backfill as people do, and waits for its end: its status."""
    before = set(house.dagster.backfill_ids())
    page.goto(f"{house.dagster.url}{address}")
    page.get_by_role("button", name=button).first.click()
    page.get_by_placeholder("ex: 2025-01").fill(months)
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Launch backfill").click()
    (launched,) = wait_for(lambda: set(house.dagster.backfill_ids()) - before, "the backfill")
    return house.dagster.end_of_backfill(launched)


def choose(page: Page, key: str) -> None:
    """Opens a customer and month in the lists of a partitions page."""
    customer, month = key.split("|")
    page.get_by_placeholder("Filter by customer").fill(customer)
    page.get_by_text(customer, exact=True).first.click()
    page.get_by_text(month, exact=True).first.click()


def colours(house: House, page: Page, key: str) -> str:
    """What the partitions page of `easybill_upload` says of a customer and month."""
    page.goto(f"{house.dagster.url}/assets/easybill_upload?view=partitions")
    choose(page, key)
    states = re.compile("Materialized|Failed|Missing")
    heading = page.locator("div", has=page.get_by_text(key, exact=True)).filter(has_text=states).last
    return heading.inner_text(timeout=WAIT_MS)


def test_a_backfill_of_three_months_shows_green_and_red_as_status_says_and_the_mended_one_is_redone(
    house: House, page: Page
) -> None:
    for month in MONTHS:
        house.services(month, without_price="10022" if month == "2026-09" else "")

    assert launch_backfill(
        house, page, "/asset-groups", "Materialize all", f"[{MONTHS[0]}...{MONTHS[-1]}]"
    ) == ("COMPLETED_FAILED")

    outcomes = {
        f"{customer.customer_number}|{month}": customer.outcome
        for month in MONTHS
        for customer in house.status(month).customers
    }
    assert [key for key, outcome in outcomes.items() if outcome != "delivered"] == [RED]
    shown = house.dagster.partitions("easybill_upload")
    assert shown == {"materialized": outcomes.keys() - {RED}, "failed": {RED}}
    assert "Failed" in colours(house, page, RED)
    assert "Materialized" in colours(house, page, "10021|2026-09")
    expect(page.get_by_text("Failed (1)")).to_be_visible()
    expect(page.get_by_text("Materialized (11)")).to_be_visible()

    page.goto(f"{house.dagster.url}/assets/easybill_csv?view=checks")
    page.get_by_text("Latest execution").wait_for()
    page.get_by_text("Partitions", exact=True).last.click()
    choose(page, RED)
    expect(page.get_by_text("PRICE_MISSING (S-2026-09-10022)").first).to_be_visible(timeout=WAIT_MS)

    house.installation.oms.change_service("S-2026-09-10022", unit_price_net="150.00")
    assert launch_backfill(house, page, "/asset-groups", "Materialize all", "2026-09") == "COMPLETED_SUCCESS"
    assert house.dagster.partitions("easybill_upload") == {"materialized": set(outcomes), "failed": set()}
    assert "Materialized" in colours(house, page, RED)
    assert {customer.outcome for customer in house.status("2026-09").customers} == {"delivered", "unchanged"}
    assert house.published("2026-09") == [
        f"2026-09-{number}" for number in ("10020", "10021", "10022", "10023")
    ]
