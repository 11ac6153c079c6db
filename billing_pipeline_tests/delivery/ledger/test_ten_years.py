"""A ledger of years: what is asked of all of it comes in bounded memory, whatever it holds."""

from __future__ import annotations

import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from billing_pipeline.billing.rules import load_rules
from billing_pipeline.delivery.context import Places
from billing_pipeline.delivery.files.error_directory import note_rejected
from billing_pipeline.delivery.files.orphans import find_orphans
from billing_pipeline.delivery.ledger import Ledger, open_ledger
from billing_pipeline.steps.open_list import open_list
from billing_pipeline_tests.support.inbox import FakeServer, FakeTransport
from billing_pipeline_tests.support.ledgers import committed, planned, published, taken
from billing_pipeline_tests.support.parcels import parcel

YEARS, CUSTOMERS = 10, 100
MONTHS = [f"{2016 + number // 12}-{number % 12 + 1:02d}" for number in range(12 * YEARS)]
PLACES = Places("/import", "/archive", "/error")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """12,000 deliveries, all alike but for customer and month, as plain SQL writes them."""
    file = tmp_path_factory.mktemp("years") / "ledger.db"
    ledger = open_ledger(f"sqlite:///{file}")
    first = parcel("10000", month=MONTHS[0])
    ledger.months.record_exports([first.export], "run")
    assert published(ledger, committed(ledger, taken(ledger, planned(ledger, first))))
    ledger.close()
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA synchronous = OFF")
        for table in ("deliveries", "month_customers"):
            multiply(database, table)
        database.execute(
            "UPDATE month_customers SET delivery_outcome = 'delivered', delivered_at = exported_at"
        )
    database.close()
    yield ledger
    ledger.close()


def multiply(database: sqlite3.Connection, table: str) -> None:
    database.row_factory = sqlite3.Row
    (row,) = map(dict, database.execute(f"SELECT * FROM {table}"))
    row.pop("id", None)
    told = {"customer_number", "month", "order_number", "file_name"}
    columns = [name for name in row if name not in told] + sorted(told)
    copies = (
        [row[name] for name in columns[: -len(told)]]
        + [str(number), f"easybill_{month}_{number}.csv", month, f"{month}-{number}"]
        for month in MONTHS
        for number in range(10_000, 10_000 + CUSTOMERS)
        if (month, number) != (MONTHS[0], 10_000)
    )
    places = ", ".join("?" * len(columns))
    database.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", copies)


def archived() -> FakeServer:
    """The receiver's archive has all of them, and one that nobody knows; one is rejected."""
    server = FakeServer()
    for month in MONTHS:
        for number in range(10_000, 10_000 + CUSTOMERS):
            server.files[f"/archive/easybill_{month}_{number}.csv"] = b""
    server.files["/archive/easybill_2020-05_99999.csv"] = b""
    return server


def peak_bytes(action: Callable[[], Any]) -> tuple[Any, int]:
    tracemalloc.start()
    try:
        result = action()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_open_list_of_ten_years_takes_little_memory(ledger: Ledger) -> None:
    found, peak = peak_bytes(lambda: open_list(ledger, load_rules(), MONTHS[0]))
    assert found.items == ()
    assert peak < 2_000_000


def test_the_files_of_ten_years_are_held_against_the_ledger_a_month_at_a_time(ledger: Ledger) -> None:
    transport = FakeTransport(archived())
    found, peak = peak_bytes(lambda: find_orphans(transport, PLACES, ledger, timeout_s=30))
    assert [orphan.path.rpartition("/")[2] for orphan in found] == ["easybill_2020-05_99999.csv"]
    # The list of names itself is the larger part.
    assert peak < 5_000_000


def test_what_the_receiver_has_rejected_is_found_without_reading_ten_years(ledger: Ledger) -> None:
    server = FakeServer()
    transport = FakeTransport(server)
    address = transport.address
    server.files[f"/error/easybill_{MONTHS[7]}_10007.csv"] = b"other bytes"
    with ledger.database.writing() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET endpoint = ?", (address,))
    found, peak = peak_bytes(lambda: note_rejected(transport, PLACES, ledger, timeout_s=30))
    assert found == []
    assert peak < 2_000_000
