"""The chain of seals: what was delivered is sealed, and `verify` names the first thing that is not as it was."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from billing_pipeline.defs.build import build_defs
from billing_pipeline.defs.partitions import CUSTOMER, CustomerRange, range_tags
from billing_pipeline.easybill.document import customer_key
from billing_pipeline.launch import run_month as launch
from billing_pipeline.launch.in_process import execute
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.oms.period import months_back
from billing_pipeline.problems import PipelineError
from billing_pipeline.settings import Settings
from billing_pipeline.steps.seal import seal_month
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.installation import Installation
from billing_pipeline_tests.support.plain_months import PlainMonths

MONTH = "2026-10"
YEAR = [months_back(MONTH, back) for back in range(11, -1, -1)]
CUSTOMERS = ("10023", "10024")


def filled(months: PlainMonths, *names: str) -> PlainMonths:
    """A service of each customer in each month."""
    for number in CUSTOMERS:
        months.oms.customer(number)
        for name in names or (MONTH,):
            months.oms.service(f"S-{name}-{number}", number, completed_at=f"{name}-14T08:30:00Z")
    return months


def seal(months: PlainMonths, month: str = MONTH) -> bool:
    """Whether there was something new to seal."""
    return seal_month(months.ledger, months.wiring.blobs, month) is not None


@pytest.fixture(scope="module")
def sealed_year(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Twelve months, delivered and sealed, each as a run does it."""
    months = filled(PlainMonths(tmp_path_factory.mktemp("year")), *YEAR)
    for name in YEAR:
        months.run(name)
        assert seal(months, name)
    months.ledger.close()
    return months.installation


@pytest.fixture
def year(sealed_year: Installation, tmp_path: Path) -> Installation:
    """A copy of it, to be tampered with."""
    return sealed_year.copy(tmp_path)


def filled_oms(installation: Installation) -> None:
    """A service of each customer in the month."""
    for number in CUSTOMERS:
        installation.oms.customer(number)
        installation.oms.service(f"S-{MONTH}-{number}", number, completed_at=f"{MONTH}-14T08:30:00Z")


def seals_of(installation: Installation) -> list[dict[str, Any]]:
    """What each seal says, in the order of the chain."""
    return [
        json.loads(stored(installation, "seal", one.sha256).read_bytes())
        for one in installation.ledger.seals.all()
    ]


def stored(installation: Installation, kind: str, sha256: str) -> Path:
    return installation.home / "store" / kind / sha256[:2] / sha256


def break_a_byte(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def tamper(installation: Installation, statement: str) -> None:
    """As somebody who has the database's file, and takes away what refuses it."""
    with closing(sqlite3.connect(installation.home / "ledger.db")) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(statement).rowcount > 0


def first_difference(installation: Installation, *month: str) -> dict[str, str]:
    """What `verify` finds, which ends with status 1."""
    answer = installation.command("verify", *month, "--json")
    assert (answer.status, answer.err) == (1, "")
    found: dict[str, str] = answer.json()["difference"]
    assert found["what"] in installation.command("verify", *month).out.splitlines()[0]
    return found


def test_a_chain_of_twelve_months_agrees_with_store_and_ledger_without_the_oms(year: Installation) -> None:
    year.oms.file.unlink()
    answer = year.command("verify")
    assert (answer.status, answer.err) == (0, "")
    assert "checked seals: 12, files: " in answer.out
    checked = year.command("verify", "--json").json()["checked"]
    # A CSV and a document for each file, and the rules and the layout that all share.
    assert checked["files"] == 12 * len(CUSTOMERS) * 2 + 2
    one_month = year.command("verify", "2026-03", "--json").json()
    assert (one_month["checked"]["seals"], one_month["checked"]["files"]) == (12, len(CUSTOMERS) * 2 + 2)
    chain = year.ledger.seals.all()
    assert [one.month for one in chain] == YEAR
    assert [one.previous_sha256 for one in chain] == ["", *(one.sha256 for one in chain[:-1])]


def test_a_seal_says_what_was_delivered_of_which_billing_and_by_which_program(year: Installation) -> None:
    last = year.ledger.seals.all()[-1]
    said = json.loads(stored(year, "seal", last.sha256).read_bytes())
    assert (said["month"], said["previous"]) == (MONTH, last.previous_sha256)
    assert said["program"].startswith("billing-pipeline ")
    assert said["totals"] == {"EUR": {"net": 30_000, "vat": 5_700, "gross": 35_700}}
    assert [(one["customer_number"], one["gross"], one["approved"]) for one in said["files"]] == [
        ("10023", 17_850, None),
        ("10024", 17_850, None),
    ]
    (billing,) = said["billings"]
    assert {one["billing_id"] for one in said["files"]} == {billing["id"]}
    assert {"oms_services", "oms_customers"} <= billing["extract"].keys()
    assert "invoice_lines" in billing["frames"]


@pytest.mark.parametrize("kind", ["csv", "document"])
def test_one_byte_of_a_stored_file_is_found(year: Installation, kind: str) -> None:
    delivery = year.ledger.deliveries.of_order("2026-05-10024")
    assert delivery is not None
    file = stored(year, kind, delivery.sha256 if kind == "csv" else delivery.document_sha256)
    break_a_byte(file)
    found = first_difference(year)
    assert (found["month"], found["customer_number"]) == ("2026-05", "10024")
    assert found["file"] == "easybill_2026-05_10024.csv"
    assert f"the stored {kind} {file} is damaged" in found["what"]
    assert first_difference(year, "2026-05") == found
    assert year.command("verify", "2026-06").status == 0
    file.unlink()
    assert "is missing" in first_difference(year)["what"]


def test_one_byte_of_a_stored_frame_is_found_and_one_that_is_not_kept_is_told(year: Installation) -> None:
    (frame,) = (year.home / "store" / "frames" / "oms_services" / "2026-05").iterdir()
    break_a_byte(frame)
    found = first_difference(year)
    assert (found["month"], f"the stored frame {frame} is damaged" in found["what"]) == ("2026-05", True)
    frame.unlink()
    answer = year.command("verify")
    assert (answer.status, "does not keep any more: 1" in answer.out) == (0, True)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("net = net + 1", "net is 15001 in the ledger and 15000 in the seal"),
        ("sha256 = 'another'", "sha256 is another in the ledger"),
        ("order_number = 'X'", "the ledger has no order 2026-05-10024 any more"),
    ],
)
def test_a_changed_cell_of_the_ledger_is_found_also_after_the_month_was_sealed_again(
    year: Installation, change: str, what: str
) -> None:
    tamper(year, f"UPDATE deliveries SET {change} WHERE order_number = '2026-05-10024'")
    found = first_difference(year)
    assert (found["month"], found["customer_number"]) == ("2026-05", "10024")
    assert what in found["what"]
    seal_month(year.ledger, BlobStore(year.home / "store"), "2026-05")
    assert first_difference(year) == found


def test_one_byte_of_a_seal_is_found(year: Installation) -> None:
    broken = year.ledger.seals.all()[4]
    break_a_byte(stored(year, "seal", broken.sha256))
    found = first_difference(year)
    assert found["month"] == broken.month
    assert f"seal {broken.sha256} cannot be read" in found["what"]


@pytest.mark.parametrize("change", ["facts_sha256 = 'x'", "at = '2020-01-01 00:00:00.000000'"])
def test_a_changed_row_of_a_seal_in_the_ledger_is_found(year: Installation, change: str) -> None:
    tamper(year, f"UPDATE seals SET {change} WHERE month = '2026-02'")
    found = first_difference(year)
    assert (found["month"], "is not what the seal says" in found["what"]) == ("2026-02", True)


def test_a_seal_that_was_removed_from_the_middle_is_missed_by_the_next(year: Installation) -> None:
    tamper(year, "DELETE FROM seals WHERE month = '2026-04'")
    found = first_difference(year)
    assert found["month"] == "2026-05"
    assert "the chain is broken" in found["what"]
    assert "a seal between them is missing" in found["what"]


def test_the_last_seal_that_was_removed_leaves_a_month_that_is_not_sealed(year: Installation) -> None:
    tamper(year, f"DELETE FROM seals WHERE month = '{MONTH}'")
    found = first_difference(year)
    assert (found["month"], "delivered (files: 2), and not sealed" in found["what"]) == (MONTH, True)


def test_nothing_new_makes_no_seal_and_a_correction_makes_the_next(tmp_path: Path) -> None:
    months = filled(PlainMonths(tmp_path))
    months.run(MONTH)
    assert [seal(months), seal(months)] == [True, False]
    months.run(MONTH)
    assert not seal(months)
    months.oms.change_service(f"S-{MONTH}-10024", unit_price_net="160.00")
    months.correct(MONTH, "10024")
    found = first_difference(months.installation)
    assert found["customer_number"] == "10024"
    assert "is sealed, and does not stand any more" in found["what"]
    assert seal(months)
    answer = months.installation.command("verify")
    assert (answer.status, "checked seals: 2" in answer.out) == (0, True)
    # What was replaced is held against its seal as before.
    tamper(months.installation, f"UPDATE deliveries SET gross = 1 WHERE order_number = '{MONTH}-10024'")
    assert "gross is 1 in the ledger and 17850" in first_difference(months.installation)["what"]


def test_a_month_is_not_sealed_while_somebody_waits_for_their_file_and_is_where_they_are_blocked(
    tmp_path: Path,
) -> None:
    months = filled(PlainMonths(tmp_path))
    months.oms.customer("10025")
    months.oms.service("S-blocked", "10025", unit_price_net=None)
    months.bill(MONTH)
    months.run(MONTH, customers=("10023",))
    assert not seal(months)
    answer = months.installation.command("verify")
    assert (answer.status, f"{MONTH}: not sealed yet" in answer.out) == (0, True)
    months.run(MONTH)
    assert seal(months)
    assert months.installation.command("verify").status == 0


def test_what_was_approved_names_who_approved_it(tmp_path: Path) -> None:
    months = filled(PlainMonths(tmp_path, BILLING_REQUIRE_APPROVAL="true"))
    manifest = months.installation.command("preview", MONTH, "--json").json()["manifest"]
    assert months.installation.command("approve", MONTH, "--manifest", manifest, "--by", "Ann").status == 0
    months.run(MONTH)
    assert seal(months)
    said = json.loads(stored(months.installation, "seal", months.ledger.seals.all()[0].sha256).read_bytes())
    assert [one["approved"] for one in said["files"]] == [{"by": "Ann", "manifest": manifest}] * 2
    # Whoever approves it again afterwards has not approved what was sent.
    assert months.installation.command("approve", MONTH, "--manifest", manifest, "--by", "Bob").status in {
        0,
        2,
    }
    assert not seal(months)


def test_nothing_delivered_is_nothing_to_verify(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    assert installation.command("verify").status == 0
    answer = installation.command("verify", MONTH)
    assert (answer.status, answer.out.splitlines()[-1]) == (0, f"{MONTH}: nothing is delivered")
    assert installation.command("verify", "October").status == 2


@pytest.fixture
def delivered(tmp_path: Path) -> PlainMonths:
    """Delivered, and killed before it was sealed."""
    months = filled(PlainMonths(tmp_path))
    months.run(MONTH)
    return months


class StoppedHalfway(PipelineError):
    """What ends a run, and is nobody's fault here."""


def test_what_was_delivered_before_a_run_ended_in_an_error_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = Installation(tmp_path, BILLING_CUSTOMERS_PER_RUN="1")
    filled_oms(installation)
    installation.oms.change_service(f"S-{MONTH}-10023", unit_price_net=None)
    assert installation.command("run", MONTH).status == 1
    installation.oms.change_service(f"S-{MONTH}-10023", unit_price_net="150.00")
    ranges: list[str] = []

    def stopped(definitions: dg.Definitions, job: str, *rest: Any, **more: Any) -> None:
        if job == "customer_delivery":
            ranges.append(more["tags"]["dagster/asset_partition_range_start"])
            if len(ranges) == 2:
                raise StoppedHalfway("nothing of this range is done")
        execute(definitions, job, *rest, **more)

    monkeypatch.setattr(launch, "execute", stopped)
    answer = installation.command("run", MONTH)
    assert (answer.status != 0, "nothing of this range is done" in answer.err) == (True, True)
    assert ranges == [f"{number}|{MONTH}" for number in CUSTOMERS]
    assert len(installation.files()) == 2
    assert [len(one["files"]) for one in seals_of(installation)] == [1, 2]
    assert installation.command("verify").status == 0


def test_a_range_that_dagster_starts_seals_the_month_too(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    filled_oms(installation)
    definitions = installation.do(build_defs)
    everybody = CustomerRange(*map(customer_key, CUSTOMERS))

    def deliver(settings: Settings) -> None:
        with open_instance(settings) as instance:
            instance.add_dynamic_partitions(CUSTOMER, [customer_key(number) for number in CUSTOMERS])
            execute(
                definitions,
                "monthly_billing",
                instance,
                tags={},
                partition_key=MONTH,
                ops={"billed_month": {}},
            )
            tags = range_tags(everybody, MONTH)
            execute(definitions, "customer_delivery", instance, tags=tags, ops={"customer_files": {}})

    installation.do(deliver)
    assert [len(one["files"]) for one in seals_of(installation)] == [2]


def by_run(installation: Installation) -> None:
    assert installation.command("run", MONTH).status == 0


def by_correct(installation: Installation) -> None:
    by_run(installation)
    installation.oms.change_service(f"S-{MONTH}-10023", unit_price_net="160.00")
    because = ("--reason", "price", "--by", "Ann")
    assert installation.command("correct", MONTH, "--customer", "10023", *because).status == 0


def by_release(installation: Installation) -> None:
    by_run(installation)
    (installation.inbox / f"easybill_{MONTH}_10023.csv").unlink()
    because = ("--reason", "cancelled", "--by", "Ann")
    assert installation.command("release", f"{MONTH}-10023", "--as", "withdrawn", *because).status == 0


@pytest.mark.parametrize(("way", "seals"), [(by_run, 1), (by_correct, 2), (by_release, 2)])
def test_what_no_run_has_sealed_is_named_with_its_remedy_and_each_command_seals(
    delivered: PlainMonths, way: Callable[[Installation], None], seals: int
) -> None:
    found = first_difference(delivered.installation)
    assert f"`billing-pipeline run {MONTH}` seals it" in found["what"]
    way(delivered.installation)
    answer = delivered.installation.command("verify")
    assert (answer.status, f"checked seals: {seals}," in answer.out) == (0, True)
