"""Rules, layouts and currencies from the OMS to the draft that EASY Bill makes of the file."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from billing_pipeline.launch.run_month import run_month
from billing_pipeline.sandbox.books import Books
from billing_pipeline.sandbox.drafts import Draft
from billing_pipeline.sandbox.importer import Importer
from billing_pipeline.steps.settling import MonthNotSettled
from billing_pipeline.steps.wiring import NoProgress
from billing_pipeline_tests.support.installation import Installation, customer_in, outcomes_in
from billing_pipeline_tests.support.plain_months import run_plainly

MONTH = "2026-10"
PACKAGED = (resources.files("billing_pipeline.easybill") / "layouts" / "easybill-custom-csv.toml").read_text(
    "utf-8"
)


def drafts_of(installation: Installation) -> dict[str, Draft]:
    """What EASY Bill makes of the files in the inbox, by customer."""
    books = Books(installation.folder / "easybill.db")
    report = Importer(installation.inbox.parent, books).import_now()
    assert report.refused == ()
    drafts, _ = books.documents()
    return {draft.customer_number or "": draft for draft in drafts}


@pytest.mark.parametrize(
    ("currency", "price", "vat", "quantity", "net", "gross"),
    [
        ("EUR", "33.33", "19", "1", 3333, 3966),
        ("EUR", "0.10", "19", "1000", 10000, 11900),
        ("JPY", "101", "10", "1", 101, 111),
        ("JPY", "105", "19", "0.333", 35, 42),
        ("KWD", "1.25", "0", "1", 1250, 1250),
    ],
)
def test_the_draft_is_the_files_amount_in_every_currency(
    tmp_path: Path, currency: str, price: str, vat: str, quantity: str, net: int, gross: int
) -> None:
    installation = Installation(tmp_path, rules='vat_rates = "any"')
    installation.oms.customer("10023", currency=currency)
    installation.oms.service(
        "S-1", currency=currency, unit_price_net=price, vat_percent=vat, quantity=quantity
    )

    customer = customer_in(run_plainly(installation, MONTH))

    assert (customer["currency"], customer["net"], customer["gross"]) == (currency, net, gross)
    draft = drafts_of(installation)["10023"]
    hundredths = {"EUR": 100, "JPY": 1, "KWD": 1000}[currency]
    assert (draft.currency, draft.gross * hundredths) == (currency, gross * 100)


def test_a_third_decimal_needs_a_layout_that_has_it(tmp_path: Path) -> None:
    (tmp_path / "three.toml").write_text(
        PACKAGED.replace('name = "easybill-custom-csv"', 'name = "three"').replace(
            'source = "line.file_price", decimals = 2', 'source = "line.file_price", decimals = 3'
        )
    )
    rules = f'vat_rates = "any"\n[customers."with"]\nlayout = "{tmp_path / "three.toml"}"\n'
    installation = Installation(tmp_path, rules=rules)
    for number in ("with", "without"):
        installation.oms.customer(number, currency="KWD")
        installation.oms.service(
            f"S-{number}", number, currency="KWD", unit_price_net="1.25", vat_percent="5"
        )

    result = run_plainly(installation, MONTH)

    assert outcomes_in(result) == {"with": "delivered", "without": "blocked"}
    assert customer_in(result, "with")["gross"] == 1313  # 1.3125 dinars, up
    assert installation.files()["easybill_2026-10_with.csv"].endswith(";1;1.313;5.00\n")
    (problem,) = customer_in(result, "without")["problems"]
    assert (problem["code"], problem["field"], problem["value"]) == ("LAYOUT_INVALID", "file_price", "1.313")


def test_order_numbers_follow_the_format_and_corrections_are_told_apart(tmp_path: Path) -> None:
    rules = 'order_number_prefix = "SF/"\norder_number_format = "{prefix}{customer}.{month}{revision}"\n'
    installation = Installation(tmp_path, rules=rules)
    installation.oms.customer("00123")
    installation.oms.service("S-1", "00123")
    assert customer_in(run_plainly(installation, MONTH), "00123")["order_number"] == "SF/00123.2026-10"
    importer = Importer(installation.inbox.parent, Books(tmp_path / "easybill.db"))
    assert importer.import_now().imported == ("SF/00123.2026-10",)
    installation.oms.change_service("S-1", unit_price_net="160.00")
    corrected = installation.command(
        "correct", MONTH, "--customer", "00123", "--reason", "price", "--by", "Kim"
    )
    assert corrected.out.startswith("SF/00123.2026-10-r2 for SF/00123.2026-10: delivered")
    installation.command("explain", "SF/00123.2026-10-r2")
    report = importer.import_now()
    assert report.imported == ("SF/00123.2026-10-r2",)


def test_a_format_by_which_two_documents_could_get_one_number_is_refused(tmp_path: Path) -> None:
    installation = Installation(tmp_path, rules='order_number_format = "{month}"\n')
    answer = installation.command("run", MONTH)
    assert answer.status == 2
    assert "rules.toml, line 1: order_number_format" in answer.err


def test_each_customer_has_their_own_rules_and_layout(tmp_path: Path) -> None:
    (tmp_path / "comma.toml").write_text(
        PACKAGED.replace('name = "easybill-custom-csv"', 'name = "comma"')
        .replace('decimal_mark = "."', 'decimal_mark = ","')
        .replace('date_format = "YYYY-MM-DD"', 'date_format = "DD.MM.YYYY"')
        .replace('encoding = "utf-8"', 'encoding = "iso-8859-1"')
    )
    rules = f"""
group_lines = true
[customers."english"]
language = "en"
purchase_date = "first_day_of_next_month"
[customers."comma"]
layout = "{tmp_path / "comma.toml"}"
lines = "services_only"
[customers."apart"]
group_lines = false
"""
    installation = Installation(tmp_path, rules=rules)
    for number in ("english", "comma", "apart", "plain"):
        installation.oms.customer(number)
        for count in (1, 2):
            installation.oms.service(f"S-{number}-{count}", number, unit_price_net="10.00")
        installation.oms.fee(f"F-{number}", number)

    result = run_plainly(installation, MONTH)

    assert {number: customer_in(result, number)["lines"] for number in outcomes_in(result)} == {
        "english": 2,
        "comma": 1,
        "apart": 3,
        "plain": 2,
    }
    comma = (installation.inbox / "easybill_2026-10_comma.csv").read_bytes().decode("iso-8859-1")
    assert ";31.10.2026;" in comma
    assert comma.endswith(";2;11,90;19,00\n")
    english = installation.files_of("english")
    assert "Service date 14 October 2026" in english
    assert "Cancellation fee (no_show)" in english
    assert ";2026-11-01;" in english
    assert "Leistungsdatum 14.10.2026" in installation.files_of("plain")


def test_settling_hours_of_the_rules_hold_for_a_run_and_force_overrides(tmp_path: Path) -> None:
    installation = Installation(tmp_path, rules="settling_hours = 48\n", BILLING_SETTLING_HOURS="1")
    installation.oms.customer("10023")
    installation.oms.service("S-1", "10023")
    end = datetime(2026, 11, 1, tzinfo=ZoneInfo("Europe/Berlin"))

    def outcome_at(now: datetime, *, before_end: bool = False) -> str:
        run = installation.do(
            lambda settings: run_month(settings, MONTH, now=now, progress=NoProgress(), before_end=before_end)
        )
        return run.status.customers[0].outcome

    with pytest.raises(MonthNotSettled, match=r"2026-10 has not settled \(settling_hours = 48\)"):
        outcome_at(end + timedelta(hours=47))
    assert outcome_at(end + timedelta(hours=47), before_end=True) == "delivered"
    assert outcome_at(end + timedelta(hours=48)) == "unchanged"
