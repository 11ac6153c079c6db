"""The tables of a terminal: all that the lines say, nothing read as markup, no colour where NO_COLOR is set."""

from __future__ import annotations

import io
import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from billing_pipeline.delivery.records import Event, MonthAudit
from billing_pipeline.report.open_items import OpenItem
from billing_pipeline.report.terminal_tables import print_audit_table, print_log_table, print_open_table

NOW = datetime(2026, 11, 27, tzinfo=UTC)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(params=[True, False])
def no_color(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "140"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    if request.param:
        monkeypatch.setenv("NO_COLOR", "1")
    return bool(request.param)


def test_what_is_open_has_money_age_and_remedy(no_color: bool) -> None:
    item = OpenItem(
        "2026-10",
        "10023",
        "PRICE_MISSING",
        "Service [red]S-1[/red] has no price",
        NOW - timedelta(days=12),
        net=105850,
        currency="EUR",
    )
    stream = Terminal()
    print_open_table([item], NOW, stream, language="de")
    shown = stream.getvalue()
    for part in ("10023", "all of 2026-10", "1.058,50 EUR", "12 days", "Service [red]S-1[/red] has no price"):
        assert part in shown
    assert ("\x1b[33m" in shown) is not no_color


def test_an_audit_shows_the_standings_that_there_are_beside_the_rows_that_they_add_up_to(
    no_color: bool,
) -> None:
    rows = Counter(rows=5, billed=3, set_aside=2, gone=1)
    month = MonthAudit("2026-10", rows, {"EUR": {"billed": 30000, "open": 14000}}, (), "run", NOW)
    stream = Terminal()
    print_audit_table([month], stream, language="en")
    # Bold is no colour: NO_COLOR leaves it.
    plain = re.sub(r"\x1b\[[0-9;]*m|[\u2502\u2503]", "", stream.getvalue())
    header, _, line = plain.splitlines()
    columns = ["month", "rows", "billed", "set", "aside", "gone", "net", "billed", "net", "open"]
    assert header.split() == columns
    assert line.split()[:5] == ["2026-10", "5", "3", "2", "1"]
    assert "300.00 EUR" in line
    assert "140.00 EUR" in line


def test_the_log_marks_what_has_failed_and_stays_aligned_over_many_entries(no_color: bool) -> None:
    events = [
        Event(
            number,
            NOW,
            "2026-10",
            "10023",
            1,
            "2026-10-10023",
            "exchange",
            "rename",
            "failure" if number == 1500 else "success",
            f"entry {number}",
            "run",
        )
        for number in range(2500)
    ]
    stream = Terminal()
    print_log_table(events, stream, timezone="Europe/Berlin")
    shown = stream.getvalue()
    assert shown.count("2026-11-27 01:00:00 CET") == 2500
    assert shown.count("customer") == 1
    assert ("\x1b[31mfailure" in shown) is not no_color
    places = {
        line.index("entry ") for line in shown.replace("\x1b[31m", "").replace("\x1b[0m", "").splitlines()[2:]
    }
    assert len(places) == 1
    assert shown.count("entry ") == 2500
