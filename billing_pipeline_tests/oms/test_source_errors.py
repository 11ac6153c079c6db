"""An OMS that cannot be read, or is not as the contract says: one line that names it and the remedy."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from billing_pipeline.oms.contract import RELATIONS
from billing_pipeline.oms.extract import Extract, customer_numbers
from billing_pipeline.oms.oms_errors import OmsSettingWrong, OmsShapeWrong, OmsUnavailable, one_line
from billing_pipeline.oms.source import OmsSource, open_source
from billing_pipeline.problems import PipelineError
from billing_pipeline_tests.support.oms_database import customer, service, write_postgres, write_sqlite
from billing_pipeline_tests.support.postgres import run_sql

October = Callable[[OmsSource], Extract]

GOOD_QUERIES = {name: f"SELECT * FROM {name}" for name in RELATIONS}


@pytest.fixture
def queries(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of queries: a good one for each relation, but for those given; None leaves a file out."""

    def make(**changed: str | None) -> Path:
        folder = tmp_path / "queries"
        folder.mkdir()
        for name, sql in (GOOD_QUERIES | changed).items():
            if sql is not None:
                (folder / f"{name}.sql").write_text(sql)
        return folder

    return make


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """An OMS with one customer and one service of October 2026."""
    return write_sqlite(tmp_path / "oms.db", {"customers": [customer()], "services": [service()]})


@pytest.fixture
def postgres_oms_url(postgres_database: str) -> str:
    """The same in PostgreSQL."""
    return write_postgres(postgres_database, {"customers": [customer()], "services": [service()]})


def message_of(raised: pytest.ExceptionInfo[PipelineError]) -> str:
    """The message, which must be one line."""
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_a_missing_sqlite_file_is_named_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(OmsUnavailable) as raised:
        customer_numbers(open_source(f"sqlite:///{tmp_path}/absent.db"))

    assert f"{tmp_path}/absent.db" in message_of(raised)
    assert "BILLING_OMS_URL" in message_of(raised)
    assert not (tmp_path / "absent.db").exists()
    assert raised.value.exit_status == 3


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "oms.db").write_text("customer_number;company_name\n" * 100)

    with pytest.raises(OmsUnavailable, match="file is not a database"):
        customer_numbers(open_source(f"sqlite:///{tmp_path}/oms.db"))


def test_a_sqlite_database_that_stays_locked_is_unavailable(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing_pipeline.oms.sqlite_source._BUSY_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(tmp_path / "oms.db", isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OmsUnavailable, match="database is locked"):
            customer_numbers(open_source(sqlite_url))


def test_a_server_that_nobody_listens_at_is_unavailable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(OmsUnavailable) as raised:
            customer_numbers(open_source(f"postgresql://biller:s3cret-word@127.0.0.1:{port}/oms"))

    assert f"postgresql+psycopg2://biller@127.0.0.1:{port}/oms" in message_of(raised)
    assert "Connection refused" in message_of(raised)


def test_a_server_that_accepts_and_says_nothing_ends_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing_pipeline.oms.postgres_source._CONNECTION_DEFAULTS", {"connect_timeout": 2})
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(OmsUnavailable, match="timeout expired"),
    ):
        customer_numbers(open_source(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/oms"))


@pytest.mark.parametrize("option", ["", "?application_name=x&password=s3cret-word"])
def test_a_refused_login_names_the_user_and_never_the_password(postgres_url: str, option: str) -> None:
    url = make_url(postgres_url).set(username="postgres", password="s3cret-word")

    with pytest.raises(OmsUnavailable) as raised:
        customer_numbers(open_source(url.render_as_string(hide_password=False) + option))

    assert 'password authentication failed for user "postgres"' in message_of(raised)
    chain = [raised.value, raised.value.__cause__]
    assert not any("s3cret-word" in f"{error!r} {error}" for error in chain)


def test_a_password_with_an_at_sign_is_explained_without_telling_it() -> None:
    with pytest.raises(OmsSettingWrong, match="%40") as raised:
        open_source("postgresql://biller:s3cret@word@host/oms")

    assert "word" not in message_of(raised).replace("password", "")


def test_what_a_driver_says_is_told_without_the_secrets_of_the_url() -> None:
    url = make_url("postgresql://biller:s3cret@host/oms?sslpassword=other")

    assert one_line(ValueError("no s3cret\nand no other"), url) == "no ***"
    assert one_line(ValueError("other."), url) == "***"


def test_a_query_that_never_ends_is_stopped(
    postgres_oms_url: str, queries: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing_pipeline.oms.postgres_source._STATEMENT_TIMEOUT_S", 1)
    slow = "SELECT customers.* FROM customers, pg_sleep(60)"

    with pytest.raises(OmsUnavailable, match="statement timeout"):
        customer_numbers(open_source(postgres_oms_url, queries(customers=slow)))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "oms.db",
        "postgresql:/host",
        "://",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://host",
        "nosql://h/d",
        "mysql://host/oms",
    ],
)
def test_a_url_that_cannot_be_used_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(OmsSettingWrong) as raised:
        open_source(url)

    assert "BILLING_OMS_URL" in message_of(raised)
    assert raised.value.exit_status == 2


def test_another_database_is_refused_by_name_and_without_the_password() -> None:
    with pytest.raises(OmsSettingWrong, match="'mysql' is not supported: use postgresql or sqlite") as raised:
        open_source("mysql+pymysql://user:s3cret-word@host/oms")

    assert "s3cret-word" not in message_of(raised)


def test_a_missing_folder_of_queries_is_a_wrong_setting(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(OmsSettingWrong, match="BILLING_OMS_QUERIES: there is no folder"):
        open_source(sqlite_url, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("sql", "says"),
    [(None, "there is no .*fees.sql"), (" \n", "fees.sql is empty")],
    ids=["missing", "empty"],
)
def test_a_missing_query_file_is_named(
    sqlite_url: str, queries: Callable[..., Path], sql: str | None, says: str
) -> None:
    with pytest.raises(OmsShapeWrong, match=says) as raised:
        open_source(sqlite_url, queries(cancellation_fees=sql))

    assert raised.value.exit_status == 3


@pytest.mark.parametrize("database", ["sqlite_url", "postgres_oms_url"])
@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT customer_number, is_test FROM customers", "there is no column company_name"),
        ("SELECT *, city AS state FROM customers", "there are 2 columns state"),
        ("SELECT * FROM clients", "clients"),
        ("SELECT nonsense FROM customers", "nonsense"),
        ("SELEKT * FROM customers", "syntax error"),
        ("SELECT * FROM customers; SELECT 1", "statement|syntax error"),
        ("DELETE FROM customers", "customers"),
        ("SELECT * FROM customers WHERE city = :city", "city|syntax error"),
    ],
)
def test_a_query_that_does_not_yield_the_relation_is_named_with_the_remedy(
    request: pytest.FixtureRequest, queries: Callable[..., Path], database: str, sql: str, says: str
) -> None:
    source = open_source(request.getfixturevalue(database), queries(customers=sql))

    with pytest.raises(OmsShapeWrong, match=says) as raised:
        customer_numbers(source)

    assert "OMS relation customers: " in message_of(raised)
    assert "queries/customers.sql" in message_of(raised)
    assert "BILLING_OMS_QUERIES" in message_of(raised)


def test_a_table_that_lacks_a_column_is_named_by_the_packaged_query(
    postgres_oms_url: str, october: October
) -> None:
    run_sql(postgres_oms_url, "ALTER TABLE services DROP COLUMN vat_percent")

    with pytest.raises(OmsShapeWrong) as raised:
        october(open_source(postgres_oms_url))

    assert 'OMS relation services: column "vat_percent" does not exist' in message_of(raised)
    assert "packaged postgresql/services.sql" in message_of(raised)


def test_a_role_without_rights_is_told_which_one(postgres_oms_url: str) -> None:
    with closing(psycopg2.connect(postgres_oms_url)) as connection:
        role = f"stranger_to_{connection.info.dbname}"
    run_sql(postgres_oms_url, f"CREATE ROLE {role} LOGIN PASSWORD 'geheim'")
    url = make_url(postgres_oms_url).set(username=role, password="geheim")

    with pytest.raises(OmsShapeWrong, match="permission denied for table customers: GRANT SELECT"):
        customer_numbers(open_source(url.render_as_string(hide_password=False)))


@pytest.mark.parametrize("database", ["sqlite_url", "postgres_oms_url"])
@pytest.mark.parametrize("instant", ["2026-09-14T08:30:00Z", "2026-11-14T08:30:00Z"])
def test_rows_from_outside_the_period_are_refused(
    request: pytest.FixtureRequest,
    queries: Callable[..., Path],
    october: October,
    database: str,
    instant: str,
) -> None:
    folder = queries(services=f"SELECT s.* FROM services AS s WHERE '{instant}' <> ''")
    url = request.getfixturevalue(database)
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(make_url(url).database or "")) as connection, connection:
            connection.execute("UPDATE services SET completed_at = ?", (instant,))
    else:
        run_sql(url, f"UPDATE services SET completed_at = '{instant}'")

    with pytest.raises(OmsShapeWrong) as raised:
        october(open_source(url, folder))

    assert "OMS relation services: S1 has completed_at" in message_of(raised)
    assert ":period_start and :period_end" in message_of(raised)


def test_the_packaged_queries_in_a_folder_of_ones_own_work_alike(
    sqlite_url: str, tmp_path: Path, october: October
) -> None:
    packaged = Path(__file__).parents[2] / "billing_pipeline" / "oms" / "queries" / "sqlite"

    assert len(october(open_source(sqlite_url, packaged)).services) == 1
