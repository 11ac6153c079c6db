"""One number format throughout: what people are told of money is written as the language of the rules has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from billing_pipeline_tests.support.installation import Installation

MONTH = "2026-10"
GERMAN = re.compile(r"\d,\d\d EUR")
ENGLISH = re.compile(r"\d\.\d\d EUR")
BARE_AMOUNT = re.compile(
    r"(?<![\w.,-])(?<!EUR × )\d[\d.,]*[.,]\d\d(?!\d| EUR| % | net in the customer's currency)"
)
OTHER_CLOCK = re.compile(r"\bUTC\b|\d\dZ\b|\d[+-]\d\d:\d\d")


@pytest.mark.parametrize(("language", "own", "other"), [("de", GERMAN, ENGLISH), ("en", ENGLISH, GERMAN)])
def test_every_command_writes_amounts_in_the_language_of_the_rules(
    tmp_path: Path, language: str, own: re.Pattern[str], other: re.Pattern[str]
) -> None:
    installation = Installation(tmp_path, rules=f'language = "{language}"\nmost_net_per_month = 5000\n')
    oms = installation.oms
    for number in ("10021", "10022", "10023", "10024", "10025"):
        oms.customer(number)
        oms.service(f"S-{number}", number, unit_price_net="1200.00")
    oms.task("S-10022", price_net="1199.99")
    oms.change_service("S-10023", status="done")
    oms.change_service("S-10024", unit_price_net="9000.00")
    adjusted = ("--title", "Discount", "--quantity", "1", "--vat", "19", "--reason", "agreed", "--by", "Ann")
    added = installation.command("adjust", "add", MONTH, "--customer", "10025", "--price=-1300.00", *adjusted)

    first = installation.command("run", MONTH)
    said = {"run": first.out, "adjust add": added.out}
    oms.change_service("S-10021", unit_price_net="1300.00")
    decision = ("--reason", "price mended", "--by", "Ann")
    for name, command in {
        "run again": ("run", MONTH, "--all"),
        "status of the month": ("status", MONTH),
        "status": ("status",),
        "diff": ("diff", MONTH),
        "audit": ("audit", "--from", MONTH, "--to", MONTH),
        "watch": ("watch", MONTH),
        "adjust list": ("adjust", "list", MONTH),
        "explain": ("explain", f"{MONTH}-10021"),
        "correct": ("correct", MONTH, "--customer", "10021", *decision),
    }.items():
        said[name] = installation.command(*command).out
    for name, text in said.items():
        assert own.search(text.replace("net in the customer's currency", "EUR")), f"{name}: {text}"
        assert not other.search(text), f"{name}: {text}"
        assert not BARE_AMOUNT.search(text), f"{name}: {text}"
    log = installation.command("log", "--month", MONTH).out
    assert re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d CES?T  ", log)
    said["log"] = log
    for name, text in said.items():
        assert not OTHER_CLOCK.search(text), f"{name}: {text}"
    codes = (
        "TASK_SUM_MISMATCH",
        "STATUS_UNKNOWN",
        "TOTAL_OVER_LIMIT",
        "NEGATIVE_TOTAL",
        "CHANGED_AFTER_DELIVERY",
    )
    for code in codes:
        assert code in said["run again"]
    one, other_price = ("1.200,00", "1.300,00") if language == "de" else ("1,200.00", "1,300.00")
    assert f"net {one} EUR → {other_price} EUR" in said["run again"]
    assert f"net {one} EUR → {other_price} EUR" in said["diff"]
