"""The page tells what the status tells, in both languages, loads nothing, and takes no text for markup."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import openpyxl
import pytest

from billing_pipeline.problems import Code
from billing_pipeline.report.month import OUTCOMES
from billing_pipeline.report.month_page import month_page, words_of
from billing_pipeline.report.month_report import MonthReport, ReportFacts
from billing_pipeline.report.month_spreadsheet import to_csv, write_excel
from billing_pipeline.steps.write_report import make_report, told_otherwise, write_report
from billing_pipeline_tests.support.plain_months import PlainMonths

HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}"


def billed(tmp_path: Path, **cells: str | None) -> PlainMonths:
    """October of two customers: one is billed, of the other a price is missing."""
    months = PlainMonths(tmp_path)
    for number in ("10023", "10024"):
        months.oms.customer(number)
    months.oms.service("S-1", "10023", completed_at="2026-10-05T08:00:00Z", **cells)
    months.oms.service("S-2", "10024", completed_at="2026-10-05T08:00:00Z", unit_price_net=None)
    months.run("2026-10")
    return months


def report_of(months: PlainMonths, month: str = "2026-10") -> MonthReport:
    return make_report(months.wiring, month)


class Page(HTMLParser):
    """The text of a page, its tags, and every address in it."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self._silent = False
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._silent = tag in ("script", "style")
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action")]

    def handle_endtag(self, tag: str) -> None:
        self._silent = False

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.text += data


@pytest.mark.parametrize("language", ["de", "en"])
def test_the_page_shows_counts_totals_and_customers_of_the_status(tmp_path: Path, language: str) -> None:
    report = report_of(billed(tmp_path))
    page = Page(month_page(report, language))  # type: ignore[arg-type]
    text = " ".join(page.text.split())
    amount = "{:,.2f}".format(report.status.totals["EUR"]["gross"] / 100)
    if language == "de":
        amount = amount.translate(str.maketrans(",.", ".,"))
    assert f"{amount} EUR" in text
    assert all(name in text for name in ("10023", "10024", "2026-10-10023"))
    assert words_of(language)["codes"]["PRICE_MISSING"] in text
    assert "enter one in the OMS" in text


def test_the_sums_by_rate_are_the_totals(tmp_path: Path) -> None:
    report = report_of(billed(tmp_path))
    sums = {one.currency: (one.net, one.vat, one.gross) for one in report.vat}
    assert sums == {
        currency: (total["net"], total["vat"], total["gross"])
        for currency, total in report.status.totals.items()
    }


def test_nothing_is_loaded_from_anywhere(tmp_path: Path) -> None:
    page = Page(month_page(report_of(billed(tmp_path)), "en"))
    assert page.addresses
    assert all(address.startswith("data:image/svg+xml;base64,") for address in page.addresses)


def test_no_text_becomes_markup(tmp_path: Path) -> None:
    months = PlainMonths(tmp_path)
    months.oms.customer(HOSTILE)
    months.oms.service("<b>S-1</b>", HOSTILE, completed_at="2026-10-05T08:00:00Z", unit_price_net=None)
    months.run("2026-10")
    page = month_page(report_of(months), "en")
    parsed = Page(page)
    assert parsed.tags.count("script") == 1
    assert b"<b>S-1</b>" not in page
    assert "<b>S-1</b>" in parsed.text
    assert HOSTILE in parsed.text


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    report = report_of(billed(tmp_path))
    assert month_page(report, "de") == month_page(report, "de")


def test_both_languages_have_every_word_outcome_and_code() -> None:
    german, english = words_of("de"), words_of("en")
    assert german.keys() == english.keys()
    for words in (german, english):
        assert set(words["outcomes"]) == set(OUTCOMES)
        assert set(words["codes"]) == {str(code) for code in Code}
        assert all(words["codes"].values())


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w*)\}", text))


def test_both_languages_have_the_same_placeholders() -> None:
    german, english = words_of("de"), words_of("en")
    assert all(
        placeholders(german[name]) == placeholders(english[name])
        for name in german
        if isinstance(german[name], str)
    )


def test_a_report_says_what_has_changed_since_the_last_one(tmp_path: Path) -> None:
    months = billed(tmp_path)
    first = write_report(months.wiring, "2026-10")
    assert (first.report.told_at, first.report.changes) == (None, ())
    assert told_otherwise(months.ledger, months.wiring.billing, "2026-10") is None
    months.oms.change_service("S-2", unit_price_net="20.00")
    months.run("2026-10")
    assert told_otherwise(months.ledger, months.wiring.billing, "2026-10") is not None
    for _ in range(2):  # made twice, it says the same
        report = write_report(months.wiring, "2026-10").report
        (change,) = report.changes
        assert (change.customer_number, change.change) == ("10024", "changed")
        assert getattr(change.before, "outcome", None) == "blocked"
        assert getattr(change.now, "order_number", None) == "2026-10-10024"
        assert [item[2] for item in report.settled] == ["PRICE_MISSING"]
    assert "blocked" in Page(month_page(report, "en")).text


def test_facts_survive_their_json(tmp_path: Path) -> None:
    facts = report_of(billed(tmp_path)).facts
    assert ReportFacts.from_json(facts.to_json()) == facts


def test_a_month_that_was_never_billed_says_so(tmp_path: Path) -> None:
    months = billed(tmp_path)
    report = report_of(months, "2026-09")
    assert "has not been billed yet" in Page(month_page(report, "en")).text
    assert told_otherwise(months.ledger, months.wiring.billing, "2026-09") is None


def test_late_rows_and_decisions_are_on_the_page(tmp_path: Path) -> None:
    months = billed(tmp_path)
    months.oms.service("S-9", "10023", completed_at="2026-10-20T08:00:00Z")
    months.oms.service("S-10", "10023", completed_at="2026-11-20T08:00:00Z")
    months.ledger.omissions.add(month="2026-11", customer_number="10024", reason="on leave", author="Ann Lee")
    months.run("2026-11")
    report = report_of(months, "2026-11")
    assert [(row.source_id, row.month) for row in report.late] == [("S-9", "2026-10")]
    assert any("Ann Lee: on leave" in event.detail for event in report.decisions)
    assert "Ann Lee: on leave" in Page(month_page(report, "en")).text


def test_what_an_e_invoice_would_lack_is_told_and_blocks_nobody(tmp_path: Path) -> None:
    report = report_of(billed(tmp_path, unit="Fahrt"))
    assert {one.field for one in report.e_invoice_of("10023")} >= {"unit"}
    assert report.status.counts["delivered"] == 1


def test_the_table_has_the_numbers_of_the_status_and_no_formula(tmp_path: Path) -> None:
    months = PlainMonths(tmp_path)
    months.oms.customer("=1+1")
    months.oms.service("S-1", "=1+1", completed_at="2026-10-05T08:00:00Z")
    months.run("2026-10")
    report = report_of(months)
    (row,) = csv.DictReader(io.StringIO(to_csv(report).decode("utf-8-sig")), delimiter=";")
    (customer,) = report.status.customers
    assert row["customer_number"] == "'=1+1"
    assert row["gross"] == f"{customer.gross // 100}.{customer.gross % 100:02d}"
    write_excel(report, tmp_path / "table.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "table.xlsx").active
    assert sheet is not None
    cells = {heading.value: cell for heading, cell in zip(sheet[1], sheet[2], strict=True)}
    assert (cells["customer_number"].value, cells["customer_number"].data_type) == ("=1+1", "s")
    assert round(float(str(cells["gross"].value)) * 100) == customer.gross


def test_the_command_writes_page_and_tables_and_says_where(tmp_path: Path) -> None:
    months = billed(tmp_path)
    answer = months.installation.command(
        "report", "2026-10", "--out", "o.html", "--csv", "o.csv", "--excel", "o.xlsx"
    )
    assert (answer.status, answer.out.split()) == (0, ["o.html", "o.csv", "o.xlsx"]), answer.err
    assert b'<html lang="de">' in (tmp_path / "o.html").read_bytes()
    stored = months.installation.command("report", "2026-10", "--language", "en")
    assert b'<html lang="en">' in Path(stored.out.strip()).read_bytes()
    assert months.installation.command("report", "2026-13").status == 2
    refused = months.installation.command("report", "2026-10", "--out", "no/where/o.html")
    assert refused.status == 2
    assert "--out no/where/o.html: cannot be written" in refused.err
