"""Tables in Dagster's metadata read as people read them: one clock, one way to write an amount."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pandas as pd
import pytest

from billing_pipeline.defs.metadata import link, open_table, table, with_amounts
from billing_pipeline.report.open_items import OpenItem


def test_an_instant_is_shown_by_the_billings_clock_and_a_day_as_it_is() -> None:
    frame = pd.DataFrame(
        {
            "at": [pd.Timestamp(datetime(2026, 9, 30, 22, 30, tzinfo=UTC)), pd.NaT],
            "on": [date(2026, 10, 1), None],
        }
    )
    shown = table(frame, ("at", "on"), "Europe/Berlin")
    assert [row.data for row in shown.records] == [
        {"at": "2026-10-01 00:30:00+02:00", "on": "2026-10-01"},
        {"at": None, "on": None},
    ]


@pytest.mark.parametrize(("language", "net"), [("de", "1.058,50 EUR"), ("en", "1,058.50 EUR")])
def test_the_amounts_of_lines_are_written_as_the_totals_are(language: str, net: str) -> None:
    lines = pd.DataFrame({"net": [105850], "vat": [0], "gross": [105850], "currency": ["EUR"]})
    assert with_amounts(lines, language)[["net", "gross"]].iloc[0].tolist() == [net, net]


def test_each_open_item_says_what_it_is_about() -> None:
    at = datetime(2026, 11, 1, 23, 30, tzinfo=UTC)
    items = [
        OpenItem("2026-10", "10023", "PRICE_MISSING", "has no price", at, net=14000, currency="EUR"),
        OpenItem("2026-10", "10024", "DRAFT_TO_REMOVE", "remove it", at, order_number="2026-10-10024"),
        OpenItem("2026-10", "10025", "RULE_CHANGED", "look", at, source_kind="service", source_id="S-1"),
    ]
    rows = [row.data for row in open_table(items, "de", "Europe/Berlin").records]
    assert [row["what"] for row in rows] == ["all of 2026-10", "2026-10-10024", "service S-1"]
    assert [row["net"] for row in rows] == ["140,00 EUR", "", ""]
    assert {row["since"] for row in rows} == {"2026-11-02"}


def test_where_no_address_is_known_there_is_no_link() -> None:
    assert (link(""), link(None)) == ({}, {})
    assert link("https://example.com/1")["link"].value == "https://example.com/1"
