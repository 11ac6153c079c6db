"""What can be wrong around a run: one clear line, the documented exit status, nothing sent, nothing half recorded."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from billing_pipeline_tests.support.installation import Answer, Installation

MONTH = "2026-10"


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    installation = Installation(tmp_path)
    installation.oms.customer("10023")
    installation.oms.service("S-1", "10023")
    return installation


def assert_refused(answer: Answer, status: int, *words: str) -> None:
    assert answer.status == status, answer.err
    (line,) = [line for line in answer.err.splitlines() if line.startswith("billing-pipeline: ")]
    assert "Traceback" not in answer.err
    for word in words:
        assert word in line


def test_an_unknown_setting_ends_every_command_with_status_2_and_its_name(installation: Installation) -> None:
    installation.environment["BILLING_SFPT_HOST"] = "typo"
    for command in (["run", MONTH], ["status", MONTH], ["preview", MONTH], ["log"], ["doctor"]):
        assert_refused(installation.command(*command), 2, "BILLING_SFPT_HOST")
    assert not installation.home.exists()


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "october", "2026-10-01", ""])
def test_a_month_that_is_none_is_a_usage_error(installation: Installation, month: str) -> None:
    for command in ("run", "status", "preview"):
        assert_refused(installation.command(command, month), 2, "YYYY-MM")


def test_a_month_that_is_not_over_is_refused_with_its_code_and_force_does_not_bill_it(
    installation: Installation,
) -> None:
    for options in ((), ("--force",), ("--force", "--dry-run")):
        answer = installation.command("run", "2999-01", *options)
        assert_refused(answer, 2, "MONTH_NOT_SETTLED", "2999-01", "--before-end")


def test_a_month_before_the_first_one_is_refused(installation: Installation) -> None:
    assert_refused(installation.command("run", "2024-12"), 2, "BILLING_FIRST_MONTH")


def test_an_option_that_does_not_exist_is_a_usage_error(installation: Installation) -> None:
    assert_refused(installation.command("run", MONTH, "--frobnicate"), 2, "--frobnicate")
    assert_refused(installation.command("run"), 2, "MONTH")


def test_an_oms_that_cannot_be_reached_fails_the_run(installation: Installation) -> None:
    installation.environment["BILLING_OMS_URL"] = "postgresql://reader:canary-81@127.0.0.1:1/oms"
    answer = installation.command("run", MONTH)
    assert_refused(answer, 3, "BILLING_OMS_URL")
    assert "canary-81" not in answer.err + answer.out
    assert installation.files() == {}


def test_a_missing_column_fails_the_run_and_is_named_with_its_relation(installation: Installation) -> None:
    with closing(sqlite3.connect(installation.oms.file)) as connection, connection:
        connection.execute("ALTER TABLE services DROP COLUMN vat_percent")
    assert_refused(installation.command("run", MONTH), 3, "services", "vat_percent")
    assert installation.command("status", MONTH, "--json").json()["counts"]["total"] == 0
    assert installation.files() == {}


def test_a_missing_query_file_is_named(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "queries").mkdir()
    installation.environment["BILLING_OMS_QUERIES"] = str(tmp_path / "queries")
    assert_refused(installation.command("run", MONTH), 3, "customers.sql")


def test_a_rules_file_with_an_unknown_key_is_refused_with_its_line(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text('language = "de"\ntask = "described"\n', encoding="utf-8")
    installation.environment["BILLING_RULES"] = str(tmp_path / "mine.toml")
    assert_refused(installation.command("run", MONTH), 2, "mine.toml", "line 2", "task")


def test_a_layout_that_is_not_there_is_refused(installation: Installation) -> None:
    installation.environment["BILLING_LAYOUT"] = "easybill-custom-cvs"
    assert_refused(installation.command("run", MONTH), 2, "easybill-custom-cvs")


def test_without_an_inbox_nothing_is_extracted(installation: Installation) -> None:
    del installation.environment["BILLING_FOLDER"]
    del installation.environment["BILLING_TRANSPORT"]
    assert_refused(installation.command("run", MONTH), 2, "BILLING_SFTP_HOST")
    assert not installation.home.exists()


def test_a_folder_that_is_not_there_fails_the_run_and_leaves_the_customer_to_the_next(
    installation: Installation,
) -> None:
    installation.inbox.rmdir()
    answer = installation.command("run", MONTH, "--json")
    assert answer.status in {1, 3}
    assert answer.json()["counts"]["failed"] == 1
    installation.inbox.mkdir()
    assert installation.run_json(MONTH)["counts"]["delivered"] == 1


def test_a_ledger_that_cannot_be_written_fails_the_run_before_anything_is_sent(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "ledger.db").mkdir()
    installation.environment["BILLING_LEDGER_URL"] = f"sqlite:///{tmp_path / 'ledger.db'}"
    assert_refused(installation.command("run", MONTH), 3)
    assert installation.files() == {}


@pytest.mark.parametrize(
    "command",
    [
        ("run", MONTH),
        ("run", MONTH, "--customer", "10023"),
        ("run", MONTH, "--dry-run"),
        ("preview", MONTH),
        ("doctor",),
    ],
)
def test_without_an_oms_whatever_reads_it_is_refused_and_no_demo_is_billed(
    installation: Installation, command: tuple[str, ...]
) -> None:
    del installation.environment["BILLING_OMS_URL"]
    answer = installation.command(*command)
    assert answer.status == 2
    assert "BILLING_OMS_URL is not set" in answer.out + answer.err
    assert installation.files() == {}
    assert not (installation.home / "demo_oms.db").exists()


def test_one_wrong_row_blocks_its_customer_and_names_row_field_value_and_remedy(
    installation: Installation,
) -> None:
    installation.oms.customer("10025")
    installation.oms.service("S-9", "10025", unit_price_net="12,50")
    answer = installation.command("run", MONTH)
    assert answer.status == 1
    assert "10025  BLOCKED" in answer.out
    assert 'PRICE_INVALID: Service S-9: unit_price_net "12,50"' in answer.out
    assert list(installation.files()) == ["easybill_2026-10_10023.csv"]


def test_a_traceback_is_shown_only_with_debug(installation: Installation) -> None:
    assert "Traceback" not in installation.command("run", "2999-01").err
    assert "Traceback" in installation.command("run", "2999-01", "--debug").err
