"""Opening a ledger: the migrations make what `schema` says, once, whoever comes first."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from billing_pipeline.delivery.ledger import Ledger, LedgerTooNew, LedgerUnavailable, open_ledger, utc_now
from billing_pipeline.delivery.ledger.approvals import ApprovedFile
from billing_pipeline.delivery.ledger.database import make_engine
from billing_pipeline.delivery.ledger.migrate import migrations, newest_schema
from billing_pipeline.delivery.ledger.sightings import Sighting
from billing_pipeline.delivery.ledger.tables import VERSION_TABLE, metadata
from billing_pipeline.delivery.records import MonthLook
from billing_pipeline.problems import UsageError
from billing_pipeline_tests.support.parcels import parcel, rendered
from billing_pipeline_tests.support.standings import row_standing, standings_frame

OPEN = "import sys; from billing_pipeline.delivery.ledger import open_ledger; open_ledger(sys.argv[1])"


def test_the_migrations_make_exactly_the_tables_of_the_schema(ledger: Ledger, ledger_url: str) -> None:
    with make_engine(ledger_url).connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_server_default": True, "version_table": VERSION_TABLE}
        )
        assert compare_metadata(context, metadata) == []


def test_the_newest_schema_by_the_files_names_is_the_one_that_alembic_knows() -> None:
    assert newest_schema() == ScriptDirectory.from_config(migrations()).get_current_head()


def test_an_open_ledger_can_be_opened_again(open_at: Callable[[], Ledger]) -> None:
    open_at().months.record_exports([rendered()], "run")
    assert len(open_at().months.customers("2026-10")) == 1


def test_several_processes_may_open_an_empty_ledger_at_once(ledger_url: str) -> None:
    openers = [
        subprocess.Popen([sys.executable, "-c", OPEN, ledger_url], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [(opener.communicate()[1], opener.returncode) for opener in openers] == [("", 0)] * 4
    open_ledger(ledger_url).months.record_exports([rendered()], "run")


def test_a_ledger_of_a_newer_version_is_refused(ledger: Ledger, ledger_url: str) -> None:
    with make_engine(ledger_url).begin() as connection:
        connection.execute(sa.text("UPDATE ledger_version SET version_num = '9999'"))
    with pytest.raises(LedgerTooNew, match="has schema 9999, this billing_pipeline knows up to 0008"):
        open_ledger(ledger_url)


def test_no_row_of_the_ledger_can_be_deleted(ledger: Ledger, ledger_url: str) -> None:
    ledger.months.record_exports([rendered()], "run")
    ledger.plans.plan(parcel(), run_id="run", lease_s=0, now=utc_now())
    ledger.months.finish("2026-09", "run")
    ledger.omissions.add(month=None, customer_number="1", reason="closed", author="Ann")
    ledger.adjustments.add(
        month="2026-10",
        customer_number="1",
        title="Discount",
        quantity=Decimal(1),
        unit_price_net=Decimal("-5.00"),
        vat_percent=Decimal(19),
        reason="goodwill",
        author="Ann",
    )
    extract = ledger.billings.record_extract("2026-10", "complete", {}, "run")
    ledger.billings.record(extract, "complete", {}, "run", rules_sha256="", layouts={})
    ledger.sightings.record(
        ("2026-10", "1", 1), Sighting("/import/x.csv", ""), reason="restored", author="Ann"
    )
    row = row_standing()
    look = MonthLook("2026-10", 1, "d", "", (), utc_now())
    ledger.rows.record(standings_frame([row]), ["2026-10"], "run", judged="2026-10", looks=[look])
    ledger.rows.record_audit("2026-10", {"rows": 1}, {}, (), "run")
    ledger.admissions.add([row], reason="it was done", author="Ann")
    ledger.approvals.add("2026-10", "month", "m", [ApprovedFile("1", "x.csv", "a", "b", 1)], author="Ann")
    ledger.reports.record("2026-10", "facts", "page")
    ledger.seals.add("2026-10", "s", previous_sha256="", facts_sha256="f", at=utc_now())
    ledger.requests.book("account", lambda booked, now: now, kept=1)
    for table in metadata.tables.values():
        with make_engine(ledger_url).begin() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() > 0
            with pytest.raises(sa.exc.DatabaseError, match="the ledger keeps every row of"):
                connection.execute(sa.delete(table))


def test_no_event_can_be_changed(ledger: Ledger, ledger_url: str) -> None:
    ledger.months.record_exports([rendered()], "run")
    with (
        make_engine(ledger_url).begin() as connection,
        pytest.raises(sa.exc.DatabaseError, match="the ledger keeps every row of events"),
    ):
        connection.execute(sa.update(metadata.tables["events"]).values(detail="nothing happened"))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/db", "no url"])
def test_a_url_that_cannot_be_a_ledger_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match="BILLING_LEDGER_URL"):
        open_ledger(url)


def test_a_ledger_out_of_reach_says_so_without_the_password() -> None:
    with pytest.raises(LedgerUnavailable, match="check BILLING_LEDGER_URL") as caught:
        open_ledger("postgresql://billing:canary-secret@127.0.0.1:1/ledger")
    assert "canary-secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(LedgerUnavailable, match=r"ledger\.db is out of reach: file is not a database"):
        open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def test_the_ledger_and_dagsters_own_migrations_share_one_database(ledger_url: str) -> None:
    if ledger_url.startswith("sqlite:///"):
        Path(ledger_url.removeprefix("sqlite:///")).parent.mkdir(parents=True)
    with make_engine(ledger_url).begin() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('of dagster')"))
    open_ledger(ledger_url)
    with make_engine(ledger_url).connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == "of dagster"


def test_an_installed_wheel_brings_its_migrations_along(tmp_path: Path) -> None:
    repository = Path(__file__).parents[3]
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=repository, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    ledger_url = f"sqlite:///{tmp_path / 'ledger.db'}"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    subprocess.run([sys.executable, "-c", OPEN, ledger_url], cwd=tmp_path, env=environment, check=True)
    assert open_ledger(ledger_url).deliveries.of_month() == []
