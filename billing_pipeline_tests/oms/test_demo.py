from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.oms.demo import create_demo_oms, demo_oms_months
from billing_pipeline.oms.extract import Extract, extract_month
from billing_pipeline.oms.period import months_back, period_of
from billing_pipeline.oms.source import open_source
from billing_pipeline_tests.support.oms_database import problems_in_extract

BERLIN = "Europe/Berlin"
UNTIL = "2026-10"

_DUMP_OF_A_DEMO = """
import sys, hashlib, sqlite3, tempfile
from pathlib import Path
from billing_pipeline.oms.demo import create_demo_oms
file = Path(tempfile.mkdtemp()) / "oms.db"
create_demo_oms(file, until_month="2026-10", months=2, customers=40)
print(hashlib.sha256("\\n".join(sqlite3.connect(file).iterdump()).encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo as `make demo` has it."""
    file = tmp_path_factory.mktemp("demo") / "oms.db"
    create_demo_oms(file, until_month=UNTIL)
    return file


def dump_of(file: Path) -> list[str]:
    """Every row, as SQL."""
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def extract_of(file: Path, month: str) -> Extract:
    """A month of the demo."""
    return extract_month(open_source(f"sqlite:///{file}"), period_of(month, BERLIN), timezone=BERLIN)


def test_the_demo_has_fourteen_months_of_a_few_hundred_customers(demo: Path) -> None:
    months = [months_back(UNTIL, back) for back in range(14)]

    assert all(len(extract_of(demo, month).customers) > 150 for month in months)
    assert extract_of(demo, months_back(UNTIL, 14)).services.empty
    assert extract_of(demo, months_back(UNTIL, -1)).services.empty


def test_the_last_month_has_each_deliberate_fault_once(demo: Path) -> None:
    extract = extract_of(demo, UNTIL)

    problems = problems_in_extract(extract)
    assert sorted(problem.code for problem in problems) == [
        "COUNTRY_INVALID",
        "CUSTOMER_INCOMPLETE",
        "CUSTOMER_UNKNOWN",
        "PRICE_INVALID",
        "QUANTITY_INVALID",
        "TEXT_INVALID",
        "TIMESTAMP_WITHOUT_ZONE",
    ]
    assert len({problem.customer_number for problem in problems}) == len(problems)
    # These are found by the rules of billing.
    completed = extract.services[extract.services["status"] == "completed"]
    owners = completed.merge(extract.customers, on="customer_number", suffixes=("", "_of_customer"))
    assert completed["unit_price_net"].isna().sum() == 1
    assert completed["vat_percent"].isna().sum() == 1
    assert (owners["currency"] != owners["currency_of_customer"]).sum() == 1
    tasks = extract.service_tasks.groupby("service_id")["price_net"].sum()
    battery_changes = completed[completed["service_code"] == "AKKU-WECHSEL"].set_index("service_id")
    priced = battery_changes.join(tasks.rename("tasks"), how="inner")["unit_price_net"].dropna()
    assert (priced == 140).sum() == 1


def test_other_months_are_good_but_for_two(demo: Path) -> None:
    months = [months_back(UNTIL, back) for back in range(1, 14)]
    extracts = {month: extract_of(demo, month) for month in months}

    faulty = {
        month: [problem.code for problem in problems_in_extract(extract)]
        for month, extract in extracts.items()
        if problems_in_extract(extract)
    }
    unpriced = [month for month in months if extracts[month].services["unit_price_net"].isna().any()]
    assert faulty == {"2026-01": ["VAT_INVALID"]}
    assert unpriced == ["2026-06"]


def test_the_demo_shows_what_real_months_have(demo: Path) -> None:
    extract = extract_of(demo, UNTIL)
    customers, services = extract.customers, extract.services

    assert {"DE", "AT", "FR", "PL", "CH", "US"} <= set(customers["country"])
    assert {"intra-community-trade", "export"} <= set(customers["tax_type"].dropna())
    assert customers["is_test"].any()
    assert customers["customer_number"].str.startswith("0").any()
    assert {"completed", "cancelled"} == set(services["status"])
    assert {Decimal("0.333"), Decimal(1000)} <= set(services["quantity"])
    assert services["description"].str.contains('["„;]', regex=True).any()
    assert (extract.cancellation_fees["amount_net"] == 0).any()
    billable = services[services["status"] == "completed"]
    assert not set(services["customer_number"]) <= set(billable["customer_number"])


def test_the_first_customer_works_at_the_edges_of_every_month(demo: Path) -> None:
    period = period_of(UNTIL, BERLIN)

    instants = extract_of(demo, UNTIL).services["completed_at"]
    assert instants.min() == period.start
    assert (period.end - instants.max()).total_seconds() == 1


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_the_same_demo_is_made_on_every_machine(tmp_path: Path, hash_seed: str) -> None:
    file = tmp_path / "oms.db"
    create_demo_oms(file, until_month=UNTIL, months=2, customers=40)
    elsewhere = subprocess.run(
        [sys.executable, "-c", _DUMP_OF_A_DEMO],
        env={"TZ": "Asia/Kolkata", "LANG": "C", "PYTHONHASHSEED": hash_seed, "TMPDIR": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert elsewhere.stdout.strip() == hashlib.sha256("\n".join(dump_of(file)).encode()).hexdigest()


def test_a_later_demo_keeps_the_good_rows_of_earlier_months(demo: Path, tmp_path: Path) -> None:
    later = tmp_path / "later.db"
    create_demo_oms(later, until_month="2026-11", months=15)

    missing = set(dump_of(demo)) - set(dump_of(later))
    assert missing
    assert all("-X-" in row or "'N2610-" in row for row in missing)


def test_a_demo_that_is_interrupted_leaves_nothing_behind(tmp_path: Path) -> None:
    months = demo_oms_months(tmp_path / "oms.db", until_month=UNTIL)
    for _ in range(3):
        next(months)
    assert list(tmp_path.iterdir()) != []

    with pytest.raises(KeyboardInterrupt):
        months.throw(KeyboardInterrupt)

    assert list(tmp_path.iterdir()) == []


def test_progress_is_told_month_by_month_and_the_file_comes_last(tmp_path: Path) -> None:
    file = tmp_path / "oms.db"
    told = [
        (month, file.exists()) for month in demo_oms_months(file, until_month=UNTIL, months=3, customers=5)
    ]

    assert told == [("2026-08", False), ("2026-09", False), ("2026-10", False)]
    assert file.exists()


@pytest.mark.parametrize("customers", [0, 1, 3])
def test_a_demo_may_be_small(tmp_path: Path, customers: int) -> None:
    create_demo_oms(tmp_path / "oms.db", until_month=UNTIL, months=1, customers=customers)

    extract = extract_of(tmp_path / "oms.db", UNTIL)
    assert len(extract.customers) <= customers + 2
