"""total = delivered + unchanged + nothing_to_bill + omitted + blocked + failed + held, for the last months of
a demo, all fourteen with FULL_TESTS=1.

Without Dagster, which adds its records and no outcome: fourteen months would take minutes with it. How many customers
there are is counted in the OMS itself, by SQLite and the standard library.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from billing_pipeline.launch.run_month import status_now
from billing_pipeline.oms.demo import create_demo_oms
from billing_pipeline.oms.period import months_back
from billing_pipeline.report.month import OUTCOMES, MonthStatus
from billing_pipeline.settings import load_settings
from billing_pipeline.steps.bill_month import bill_part, keep
from billing_pipeline.steps.make_files import deliver_files, make_files
from billing_pipeline.steps.wiring import Wiring, build_wiring
from billing_pipeline_tests.support.delivering import hasty
from billing_pipeline_tests.support.extent import FULL

LAST = "2026-10"
MONTHS = [months_back(LAST, back) for back in range(13 if FULL else 3, -1, -1)]
ZONE = ZoneInfo("Europe/Berlin")


def bill(wiring: Wiring, month: str) -> MonthStatus:
    """The month from the OMS to the inbox."""
    billed = bill_part(wiring, month)
    keep(billed, wiring, month, kind="complete", run_id="run")
    exports = make_files(
        billed.month.roster["customer_number"].tolist(),
        month,
        billing_id=None,
        frames=wiring.frames,
        ledger=wiring.ledger,
        blobs=wiring.blobs,
        billing=wiring.billing,
        run_id="run",
    ).exports
    for _ in deliver_files(
        exports,
        month,
        frames=wiring.frames,
        ledger=wiring.ledger,
        blobs=wiring.blobs,
        billing=wiring.billing,
        channel=wiring.channel,
        easybill=wiring.easybill,
        run_id="run",
        month_is_over=True,
    ):
        pass
    return status_now(wiring, month)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    create_demo_oms(folder / "oms.db", until_month=LAST, months=len(MONTHS), customers=60)
    (folder / "share" / "import").mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def wiring(folder: Path) -> Iterator[Wiring]:
    settings = load_settings(
        {
            "BILLING_HOME": str(folder / "home"),
            "BILLING_OMS_URL": f"sqlite:///{folder / 'oms.db'}",
            "BILLING_TRANSPORT": "folder",
            "BILLING_FOLDER": str(folder / "share"),
        }
    )
    wiring = build_wiring(settings)
    hasty(wiring.ledger.open())
    yield wiring
    wiring.ledger.open().close()


@pytest.fixture(scope="module")
def months(wiring: Wiring) -> dict[str, MonthStatus]:
    return {month: bill(wiring, month) for month in MONTHS}


def customers_of(oms: Path, month: str) -> set[str]:
    """Who has a service or a fee in the month, whatever its status, test customers aside."""
    with closing(sqlite3.connect(oms)) as connection:
        rows = [
            *connection.execute("SELECT customer_number, completed_at FROM services"),
            *connection.execute("SELECT customer_number, charged_at FROM cancellation_fees"),
        ]
        tests = {row[0] for row in connection.execute("SELECT customer_number FROM customers WHERE is_test")}
    return {
        number
        for number, instant in rows
        if number not in tests and instant and f"{_local(instant):%Y-%m}" == month
    }


def _local(instant: str) -> datetime:
    read = datetime.fromisoformat(instant)
    # A time without a zone is a fault, which is told in the month that it reads.
    return read if read.tzinfo is None else read.astimezone(ZONE)


@pytest.mark.parametrize("month", MONTHS)
def test_the_outcomes_of_a_month_add_up_to_its_customers(
    month: str, months: dict[str, MonthStatus], folder: Path
) -> None:
    counts = months[month].counts
    assert counts["total"] == sum(counts[outcome] for outcome in OUTCOMES)
    assert {one.customer_number for one in months[month].customers} == customers_of(folder / "oms.db", month)
    assert counts["total"] > 20
    assert (counts["failed"], counts["held"]) == (0, 0)
    assert months[month].as_json()["counts"] == counts


def test_the_last_month_has_customers_of_several_outcomes(months: dict[str, MonthStatus]) -> None:
    counts = months[LAST].counts
    assert counts["delivered"] > 0
    assert counts["blocked"] > 0


def test_each_file_is_in_the_inbox_once(months: dict[str, MonthStatus], folder: Path) -> None:
    delivered = {one.file for status in months.values() for one in status.customers if one.file}
    assert {path.name for path in (folder / "share" / "import").iterdir()} == delivered
    assert len(delivered) == sum(status.counts["delivered"] for status in months.values())


def test_the_counts_add_up_again_when_a_month_is_run_again_with_decisions(
    months: dict[str, MonthStatus], wiring: Wiring
) -> None:
    blocked = next(one for one in months[LAST].customers if one.outcome == "blocked")
    wiring.ledger.open().omissions.add(
        month=LAST, customer_number=blocked.customer_number, reason="disputed", author="Kim"
    )
    again = bill(wiring, LAST)
    before, after = months[LAST].counts, again.counts
    assert after["total"] == before["total"] == sum(after[outcome] for outcome in OUTCOMES)
    assert after == before | {
        "delivered": 0,
        "unchanged": before["delivered"],
        "blocked": before["blocked"] - 1,
        "omitted": before["omitted"] + 1,
    }
    assert again.totals == months[LAST].totals
