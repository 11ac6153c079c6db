"""The month's page as people open it: from a file, in a real browser, on a desktop, a phone and paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from billing_pipeline.report.month_page import month_page
from billing_pipeline.steps.write_report import make_report, write_report
from billing_pipeline_tests.e2e.browser import open_page
from billing_pipeline_tests.support.plain_months import PlainMonths
from billing_pipeline_tests.support.requires import require_program

MONTHS = ("2026-08", "2026-09", "2026-10")
CUSTOMERS = tuple(str(number) for number in range(10020, 10032))
BLOCKED = "10024"
PHONE = 390


@pytest.fixture(scope="module")
def chromium() -> str:
    return require_program("chromium", package="chromium")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of October in each language, with something in every one of its sections that can be filled."""
    folder = tmp_path_factory.mktemp("report")
    months = PlainMonths(folder)
    for number in CUSTOMERS:
        months.oms.customer(number, currency="CHF" if number == "10031" else "EUR")
    for month in MONTHS:
        for place, number in enumerate(CUSTOMERS):
            is_blocked = number == BLOCKED and month != "2026-08"
            months.oms.service(
                f"S-{month}-{number}",
                number,
                completed_at=f"{month}-05T08:00:00Z",
                unit_price_net=None if is_blocked else f"{100 + 7 * place}.00",
                currency="CHF" if number == "10031" else "EUR",
            )
        months.run(month)
    write_report(months.wiring, "2026-10")
    months.oms.change_service(f"S-2026-10-{BLOCKED}", unit_price_net="150000.00")
    months.run("2026-10")
    report = make_report(months.wiring, "2026-10")
    written = {}
    for language in ("de", "en"):
        written[language] = folder / f"october-{language}.html"
        written[language].write_bytes(month_page(report, language))
    return written


@pytest.fixture(scope="module", params=["de", "en"])
def opened(request: pytest.FixtureRequest, chromium: str, pages: dict[str, Path]) -> Iterator[Page]:
    """The page in a window as wide as a desktop's, with whatever it asked of the network or complained of."""
    with open_page(chromium) as page:
        page.on("request", lambda asked: requests.append(asked.url))
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        requests.clear()
        complaints.clear()
        page.goto(pages[request.param].as_uri())
        yield page


requests: list[str] = []
complaints: list[str] = []


def shown(page: Page) -> list[str]:
    """The customers whom the table of all customers shows, in its order."""
    return page.locator("#customers tbody tr:visible th").all_inner_texts()


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_the_page_asks_nothing_of_the_network_and_complains_of_nothing(opened: Page) -> None:
    assert [url for url in requests if not url.startswith("data:")] == [opened.url]
    assert complaints == []
    assert opened.url.startswith("file:")


def test_the_customers_can_be_searched_and_sorted_by_amount(opened: Page) -> None:
    assert shown(opened) == list(CUSTOMERS)
    opened.locator("#search").fill("10031")
    assert shown(opened) == ["10031"]
    opened.locator("#search").fill("")
    gross = opened.locator("#customers thead th").nth(5).get_by_role("button")
    gross.click()
    rising = shown(opened)
    gross.click()
    assert rising[0] == "10020"
    assert shown(opened)[0] == BLOCKED, "the customer with by far the highest invoice"
    assert opened.locator("#customers thead th").nth(5).get_attribute("aria-sort") == "descending"


@pytest.mark.parametrize("width", [1500, PHONE])
def test_axe_finds_nothing_that_keeps_people_out(opened: Page, width: int) -> None:
    opened.set_viewport_size({"width": width, "height": 900})
    found = Axe().run(opened)
    assert found.response["passes"], "axe has looked at something"
    assert found.violations_count == 0, found.generate_report()


def test_on_a_phone_nothing_is_wider_than_the_screen(opened: Page) -> None:
    opened.set_viewport_size({"width": PHONE, "height": 844})
    assert overflow(opened) == 0


def test_without_scripts_the_page_is_whole(opened: Page) -> None:
    assert opened.context.browser is not None
    page = opened.context.browser.new_page(java_script_enabled=False)
    try:
        page.goto(opened.url)
        assert shown(page) == list(CUSTOMERS)
        assert not page.locator("#search").is_visible(), "a field that would do nothing"
        assert page.locator("#customers thead button").count() == 0
    finally:
        page.close()


def test_the_page_prints(opened: Page) -> None:
    printed = opened.pdf(format="A4")
    assert printed.startswith(b"%PDF-")
    opened.emulate_media(media="print")
    assert not opened.locator("#search").is_visible()
    assert opened.locator("#customers tbody tr").last.is_visible()
    opened.emulate_media(media="screen")
