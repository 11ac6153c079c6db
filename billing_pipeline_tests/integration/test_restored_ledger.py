"""A ledger restored from a backup: nothing is sent before a person had the inbox looked at, and nothing twice after."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from billing_pipeline.delivery.records import State
from billing_pipeline.steps.wiring import LedgerAt
from billing_pipeline_tests.support.installation import Installation, customer_in, outcomes_in
from billing_pipeline_tests.support.plain_months import run_plainly

MONTH = "2026-10"
NAME = "easybill_2026-10_10023.csv"
STAMPED = "easybill_2026-10_10023_20261101T061000.csv"
SIGNED = ("--reason", "backup of Monday", "--by", "Kim")


@pytest.fixture(scope="module")
def restored(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("restored")
    for directory in ("archive", "error"):
        (folder / "share" / directory).mkdir(parents=True)
    installation = Installation(
        folder, BILLING_REMOTE_ARCHIVE_DIR="/archive", BILLING_REMOTE_ERROR_DIR="/error"
    )
    installation.oms.customer("10023")
    installation.oms.service("S-1", "10023")
    assert installation.command("preview", MONTH).status == 0
    assert installation.ledger.deliveries.of_month() == []
    backup = folder / "backup.db"
    with closing(sqlite3.connect(installation.home / "ledger.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(backup),))
    assert installation.command("run", MONTH).status == 0
    restore(installation, backup)
    installation.oms.customer("10024")
    installation.oms.service("S-2", "10024")
    return installation


@pytest.fixture
def installation(restored: Installation, tmp_path: Path) -> Installation:
    """10023 was delivered after the backup was taken that the ledger is restored from; 10024 is billed since."""
    return restored.copy(tmp_path)


def restore(installation: Installation, backup: Path) -> None:
    """Put the backup in the ledger's place, as with every process ended."""
    installation.do(lambda settings: LedgerAt(settings.ledger_url_or_default).open().close())
    for file in installation.home.glob("ledger.db*"):
        if file.suffix != ".lock":
            file.unlink()
    shutil.copy(backup, installation.home / "ledger.db")


def move_to(installation: Installation, path: str) -> Path:
    target = installation.folder / "share" / path
    (installation.inbox / NAME).rename(target)
    return target


@pytest.mark.parametrize(
    "path",
    [
        f"import/{NAME}",
        f"archive/{NAME}",
        f"archive/00007.{NAME}",
        f"archive/{NAME}.done",
        f"archive/{STAMPED}",
        f"error/{NAME}",
        f"error/20261101T061000_{NAME}",
    ],
)
def test_doctor_names_the_file_and_a_run_sends_nothing_to_anybody(
    installation: Installation, path: str
) -> None:
    move_to(installation, path)
    before = installation.files()

    doctor = installation.command("doctor")
    run = installation.command("run", MONTH, "--json")

    assert doctor.status == 3
    (line,) = [line for line in doctor.out.splitlines() if line.startswith("FIX ")]
    assert "remote files" in line
    assert f"(/{path})" in line
    assert "billing-pipeline reconcile" in line
    assert run.status == 3
    assert "billing-pipeline reconcile" in run.err
    assert installation.files() == before
    assert outcomes_in(run.json()) == {"10023": "failed", "10024": "failed"}
    assert {one["problems"][0]["code"] for one in run.json()["customers"]} == {"LEDGER_BEHIND"}


def test_a_stamped_file_is_known_by_its_order_number_where_the_store_was_lost_too(
    installation: Installation,
) -> None:
    move_to(installation, f"archive/{STAMPED}")
    shutil.rmtree(installation.home / "store")
    installation.oms.change_service("S-1", unit_price_net="160.00")
    run = installation.command("run", MONTH, "--json")
    assert run.status == 3
    assert set(outcomes_in(run.json()).values()) == {"failed"}


def test_a_customer_whose_number_looks_like_a_stamp_is_not_taken_for_another(
    installation: Installation,
) -> None:
    """`easybill_2026-10_C-20261101-0610.csv` may be that of C, stamped by the receiver; what is in it tells."""
    number = "C-20261101-0610"
    installation.oms.customer(number)
    installation.oms.service("S-C", number)
    folder = installation.folder / "preview"
    assert installation.command("preview", MONTH, "--customer", number, "--out", str(folder)).status == 0
    (made,) = folder.glob("*.csv")
    shutil.copy(made, installation.folder / "share" / "archive" / made.name)
    files = installation.command("reconcile", *SIGNED, "--json").json()["files"]
    assert sorted(file["customer_number"] for file in files) == ["10023", number]
    assert outcomes_in(run_plainly(installation, MONTH))[number] == "unchanged"


def test_a_stamped_file_that_no_order_number_tells_of_is_noted_for_both_that_it_may_be(
    installation: Installation,
) -> None:
    move_to(installation, f"archive/{STAMPED}")
    rules = installation.folder / "rules.toml"
    rules.write_text('order_number_prefix = "NEW-"\n', encoding="utf-8")
    installation.environment["BILLING_RULES"] = str(rules)
    files = installation.command("reconcile", *SIGNED, "--json").json()["files"]
    assert [file["customer_number"] for file in files] == ["10023_20261101T061000", "10023"]
    held = customer_in(run_plainly(installation, MONTH))
    assert (held["outcome"], held["problems"][0]["code"]) == ("held", "NAME_COLLISION")


def test_our_own_files_are_known_whatever_prefix_there_is_today(installation: Installation) -> None:
    """By the store's hashes: the file's order number says nothing of today's rules."""
    rules = installation.folder / "rules.toml"
    rules.write_text('order_number_prefix = "NEW-"\n', encoding="utf-8")
    installation.environment["BILLING_RULES"] = str(rules)
    before = installation.files()
    run = installation.command("run", MONTH, "--json")
    assert run.status == 3
    assert outcomes_in(run.json()) == {"10023": "failed", "10024": "failed"}
    assert installation.files() == before


@pytest.mark.parametrize(
    ("path", "state"),
    [
        (f"import/{NAME}", State.PUBLISHED),
        (f"archive/{NAME}", State.CONSUMED),
        (f"archive/00007.{NAME}", State.CONSUMED),
        (f"archive/{STAMPED}", State.CONSUMED),
    ],
)
def test_after_reconcile_the_same_bytes_are_unchanged_and_the_others_are_sent(
    installation: Installation, path: str, state: State
) -> None:
    move_to(installation, path)
    before = installation.files()
    assert installation.command("run", MONTH).status == 3

    answer = installation.command("reconcile", *SIGNED)

    assert answer.status == 0
    assert answer.out.startswith(f"/{path}: sha256 ")
    assert f"`billing-pipeline run {MONTH} --customer 10023`" in answer.out
    assert installation.command("doctor").status == 0
    assert outcomes_in(run_plainly(installation, MONTH)) == {"10023": "unchanged", "10024": "delivered"}
    assert installation.files().keys() - before.keys() == {"easybill_2026-10_10024.csv"}
    found = installation.ledger.deliveries.of_order("2026-10-10023")
    assert found is not None
    assert found.state is state
    assert [row.source_id for row in installation.ledger.billed.rows([MONTH])] == ["S-1", "S-2"]
    log = installation.command("log", "--customer", "10023").out
    assert "Kim: backup of Monday (saw" in log


def test_reconcile_before_any_run_will_do_even_if_the_receiver_then_deletes_the_file(
    installation: Installation,
) -> None:
    assert installation.command("reconcile", *SIGNED).status == 0
    (installation.inbox / NAME).unlink()
    assert outcomes_in(run_plainly(installation, MONTH)) == {"10023": "unchanged", "10024": "delivered"}
    assert NAME not in installation.files()


def test_other_bytes_are_held_and_never_sent_beside_the_first(installation: Installation) -> None:
    installation.oms.change_service("S-1", unit_price_net="160.00")
    assert installation.command("reconcile", *SIGNED).status == 0
    (installation.inbox / NAME).unlink()

    held = customer_in(run_plainly(installation, MONTH))

    assert (held["outcome"], held["problems"][0]["code"]) == ("held", "NAME_COLLISION")
    assert "reconcile saw another content" in held["problems"][0]["message"]
    assert NAME not in installation.files()
    assert installation.command("release", "2026-10-10023", "--as", "send", *SIGNED).status == 0
    assert customer_in(run_plainly(installation, MONTH))["outcome"] == "delivered"


@pytest.mark.parametrize("name", [NAME, STAMPED, f"00007.{NAME}"])
def test_what_the_receiver_rejected_is_held_as_such_whatever_it_is_called_there(
    installation: Installation, name: str
) -> None:
    rejected = move_to(installation, f"error/{name}")
    assert installation.command("reconcile", *SIGNED).status == 0
    rejected.unlink()
    held = customer_in(run_plainly(installation, MONTH))
    assert (held["outcome"], held["problems"][0]["code"]) == ("held", "REJECTED_BY_RECEIVER")


def test_reconcile_as_json_and_a_second_time(installation: Installation) -> None:
    (file,) = installation.command("reconcile", *SIGNED, "--json").json()["files"]
    assert (file["path"], file["month"], file["customer_number"], file["revision"]) == (
        f"/import/{NAME}",
        MONTH,
        "10023",
        1,
    )
    again = installation.command("reconcile", *SIGNED)
    assert (again.status, again.out) == (0, "the ledger knows every file of ours in the inbox\n")


def test_reconcile_needs_a_reason_and_a_name(installation: Installation) -> None:
    answer = installation.command("reconcile", "--reason", " ", "--by", "Kim")
    assert answer.status == 2
    assert "a reason and a name" in answer.err
    assert installation.command("doctor").status == 3


def test_files_of_others_freeze_nothing(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.oms.customer("10023")
    installation.oms.service("S-1", "10023")
    for name in ("orders.csv", "easybill_2026-10_.csv", f".{NAME}.0a.tmp", "easybill_2026-10_a%zz.csv"):
        (installation.inbox / name).write_text("somebody else's")
    assert installation.command("run", MONTH).status == 0
