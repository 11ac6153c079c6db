"""Reading an OMS: alike in both databases, in one snapshot, and in one clear line where it cannot be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import psycopg2
import pyarrow as pa
import pytest
from sqlalchemy.engine import make_url

from billing_pipeline.oms.contract import CUSTOMERS, RELATIONS, SERVICES, Relation
from billing_pipeline.oms.extract import Extract, customer_numbers, extract_month
from billing_pipeline.oms.period import period_of
from billing_pipeline.oms.source import OmsSource, Snapshot, open_source
from billing_pipeline_tests.support.oms_database import (
    Row,
    customer,
    fee,
    service,
    task,
    write_postgres,
    write_sqlite,
)

Oms = Callable[..., OmsSource]
October = Callable[[OmsSource], Extract]
BERLIN = "Europe/Berlin"
OCTOBER = period_of("2026-10", BERLIN)

HOSTILE = [
    "",
    " ",
    "NULL",
    "\\N",
    "\\.",
    ",",
    '"',
    '""',
    "a\nb",
    "a\r\nb",
    "\r",
    "\n",
    "tab\tstop",
    "ends with \\",
    "'; DROP TABLE services; --",
    "%s %(name)s {} :period_start",
    "Ünïcödé ẞ 日本語 \U0001f6f4",
    "e\u0301 is not \u00e9",
    "\u200b\u202e",
    "=1+1",
    "00123",
    "true",
    "x" * 70_000,
]
MONTH: dict[str, list[Row]] = {
    "customers": [
        customer(),
        *(customer(f"K{i:02d}", company_name=f"x{text}") for i, text in enumerate(HOSTILE)),
    ],
    "services": [
        *(service(f"S{i:02d}", f"K{i:02d}", description=text, unit=text) for i, text in enumerate(HOSTILE)),
        service("T1", quantity="0.333", unit_price_net="9999999999.99", vat_percent="7.5"),
        service("T2", completed_at="2026-10-14T08:30:00.123456+02:00", unit_price_net=None, vat_percent=None),
        service("T3", "unknown", status="planned", cancelled_at="2026-12-24T00:00:00Z"),
        service("T4", unit_price_net="-0.01", currency="?"),
    ],
    "service_tasks": [task("T1", 2, price_net="0.10"), task("T1", 10), task("T1", 1, task_name="")],
    "cancellation_fees": [fee(), fee("F2", description='Absage; "spät"', service_id="T3", amount_net="0")],
}


def test_both_databases_give_identical_frames_for_the_same_rows(
    sqlite_oms: Oms, postgres_oms: Oms, october: October
) -> None:
    left, right = october(sqlite_oms(**MONTH)), october(postgres_oms(**MONTH))

    for name, relation in RELATIONS.items():
        tables = [
            pa.Table.from_pandas(getattr(extract, name), preserve_index=False) for extract in (left, right)
        ]
        assert [table.schema for table in tables] == [relation.frame_schema] * 2
        assert tables[0].equals(tables[1])
    assert left.services["description"].tolist()[: len(HOSTILE)] == HOSTILE


def test_the_order_in_which_rows_were_written_changes_nothing(tmp_path: Path, october: October) -> None:
    upside_down = {name: rows[::-1] for name, rows in MONTH.items()}
    twice = [
        october(open_source(write_sqlite(tmp_path / f"{number}.db", rows, typed=False)))
        for number, rows in enumerate((MONTH, upside_down))
    ]

    for name in RELATIONS:
        assert getattr(twice[0], name).equals(getattr(twice[1], name))


def test_a_name_with_an_international_alphabet_is_sorted_by_code_point(
    any_oms: Oms, october: October
) -> None:
    keys = ["Z", "a", "Ä", "ä", "10", "9", "\U0001f6f4", "\uff5e"]
    extract = october(any_oms(customers=[customer()], services=[service(key) for key in keys]))

    assert extract.services["service_id"].tolist() == sorted(keys)


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_sqlite_keeps_its_snapshot_while_another_process_writes(tmp_path: Path, journal: str) -> None:
    file = tmp_path / "oms.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
    source = open_source(write_sqlite(file, {"customers": [customer()], "services": [service()]}))

    with source.snapshot() as snapshot:
        before = _read(snapshot, CUSTOMERS)
        with closing(sqlite3.connect(file, timeout=0)) as writer:
            try:
                with writer:
                    writer.execute("UPDATE services SET unit_price_net = '999.00'")
                written = True
            except sqlite3.OperationalError:
                written = False  # without a write-ahead log, the reader keeps writers out instead
        price = _read(snapshot, SERVICES)["unit_price_net"].to_pylist()

    assert before.num_rows == 1
    assert price == ["150.00"]
    assert written == (journal == "wal")


def test_postgresql_keeps_its_snapshot_while_another_session_writes(postgres_database: str) -> None:
    write_postgres(postgres_database, {"customers": [customer()], "services": [service()]})
    source = open_source(postgres_database)

    with source.snapshot() as snapshot:
        _read(snapshot, CUSTOMERS)
        with closing(psycopg2.connect(postgres_database)) as writer, writer, writer.cursor() as cursor:
            cursor.execute("UPDATE services SET unit_price_net = 999")
        price = _read(snapshot, SERVICES)["unit_price_net"].to_pylist()
    with source.snapshot() as later:
        price_later = _read(later, SERVICES)["unit_price_net"].to_pylist()

    assert price == ["150.00"]
    assert price_later == ["999.00"]


class CountingSource:
    """An OMS that counts its snapshots, and the relations read in each."""

    def __init__(self, source: OmsSource) -> None:
        self.source = source
        self.read_in: list[list[str]] = []

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        with self.source.snapshot() as snapshot:
            self.read_in.append([])
            yield CountingSnapshot(snapshot, self.read_in[-1])


class CountingSnapshot:
    """One of its snapshots."""

    def __init__(self, snapshot: Snapshot, names: list[str]) -> None:
        self.inner = snapshot
        self.names = names

    def read(self, relation: Relation, start: datetime, end: datetime) -> pa.Table:
        self.names.append(relation.name)
        return self.inner.read(relation, start, end)

    def heads(self, relation: Relation, start: datetime, end: datetime) -> pa.Table:
        self.names.append(f"heads of {relation.name}")
        return self.inner.heads(relation, start, end)

    def read_ids(self, relation: Relation, start: datetime, end: datetime, ids: Collection[str]) -> pa.Table:
        self.names.append(f"{len(ids)} of {relation.name}")
        return self.inner.read_ids(relation, start, end, ids)


def test_a_month_is_read_in_one_snapshot(sqlite_oms: Oms) -> None:
    source = CountingSource(sqlite_oms(**MONTH))

    extract_month(source, OCTOBER, timezone=BERLIN)
    assert source.read_in == [["customers", "services", "service_tasks", "cancellation_fees"]]


def test_text_in_sqlite_that_is_not_utf_8_is_reported_and_the_rest_is_read(
    tmp_path: Path, october: October
) -> None:
    file = tmp_path / "oms.db"
    url = write_sqlite(
        file, {"customers": [customer()], "services": [service("S1"), service("S2", unit="Stück")]}
    )
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE services SET unit = CAST(x'53745ffc636b' AS TEXT) WHERE service_id = 'S1'")

    services = october(open_source(url)).services
    assert services["faults"].isna().tolist() == [False, True]
    assert "TEXT_INVALID" in services["faults"][0]
    assert services["unit"][1] == "Stück"


def test_a_float_column_of_postgresql_is_refused_as_a_price(postgres_database: str, october: October) -> None:
    write_postgres(postgres_database, {"customers": [customer()], "services": [service()]})
    with (
        closing(psycopg2.connect(postgres_database)) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("ALTER TABLE services ALTER unit_price_net TYPE double precision")

    services = october(open_source(postgres_database)).services
    assert services["unit_price_net"].isna().all()
    assert "150 (float)" in services["faults"][0]


def test_a_timestamp_column_of_postgresql_without_zone_is_reported(
    postgres_database: str, october: October
) -> None:
    write_postgres(postgres_database, {"customers": [customer()], "services": [service()]})
    with (
        closing(psycopg2.connect(postgres_database)) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("ALTER TABLE services ALTER completed_at TYPE timestamp")

    services = october(open_source(postgres_database)).services
    assert services["completed_at"].isna().all()
    assert "TIMESTAMP_WITHOUT_ZONE" in services["faults"][0]


def test_the_settings_of_server_and_role_change_no_byte(postgres_database: str, october: October) -> None:
    write_postgres(postgres_database, MONTH)
    before = october(open_source(postgres_database))
    with (
        closing(psycopg2.connect(postgres_database)) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        for setting in ("timezone = 'Asia/Tokyo'", "datestyle = 'SQL, DMY'", "client_encoding = 'LATIN1'"):
            cursor.execute(f"ALTER DATABASE {connection.info.dbname} SET {setting}")

    after = october(open_source(postgres_database))
    assert after.services.equals(before.services)


def test_customer_numbers_are_those_of_all_customers_but_the_test_ones(any_oms: Oms) -> None:
    source = any_oms(customers=[customer("2"), customer("00123"), customer("T", is_test=True)])

    assert customer_numbers(source) == ["00123", "2"]


def test_the_pipeline_needs_no_right_but_to_read(postgres_database: str, october: October) -> None:
    write_postgres(postgres_database, MONTH)
    with (
        closing(psycopg2.connect(postgres_database)) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        role = f"reader_of_{connection.info.dbname}"
        cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'geheim'")
        cursor.execute(f"GRANT SELECT ON customers, services, service_tasks, cancellation_fees TO {role}")
    url = make_url(postgres_database).set(username=role, password="geheim")

    extract = october(open_source(url.render_as_string(hide_password=False)))
    assert len(extract.services) == len(MONTH["services"])


def _read(snapshot: Snapshot, relation: Relation) -> pa.Table:
    return snapshot.read(relation, OCTOBER.start, OCTOBER.end)
