"""Tables in Dagster's metadata read as people read them: one clock, one way to write an amount."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pandas as pd
import pytest

from billing_pipeline.defs.metadata import table, with_amounts


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
