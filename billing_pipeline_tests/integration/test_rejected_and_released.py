"""What the receiver rejects later is noticed; what lies there is not sent again; one damaged document fails alone."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from billing_pipeline.defs.rejection_sensor import build_rejection_sensor
from billing_pipeline.delivery.records import State
from billing_pipeline.steps.wiring import build_wiring
from billing_pipeline_tests.support.installation import Installation, customer_in, outcomes_in
from billing_pipeline_tests.support.plain_months import run_plainly

MONTH = "2026-10"
ORDER = "2026-10-10023"
NAME = "easybill_2026-10_10023.csv"
SIGNED = ("--reason", "looked", "--by", "Kim")


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("sent")
    for directory in ("archive", "error"):
        (folder / "share" / directory).mkdir(parents=True)
    installation = Installation(
        folder, BILLING_REMOTE_ARCHIVE_DIR="/archive", BILLING_REMOTE_ERROR_DIR="/error"
    )
    for number in ("10023", "10024"):
        installation.oms.customer(number)
        installation.oms.service(f"S-{number}", number)
    run_plainly(installation, MONTH)
    return installation


@pytest.fixture
def installation(sent: Installation, tmp_path: Path) -> Installation:
    return sent.copy(tmp_path)


def move_to(installation: Installation, directory: str) -> Path:
    target = installation.folder / "share" / directory / NAME
    (installation.inbox / NAME).rename(target)
    return target


def state(installation: Installation) -> State:
    found = installation.ledger.deliveries.of_order(ORDER)
    assert found is not None
    return found.state


def assert_rejected(customer: dict[str, Any]) -> None:
    assert customer["outcome"] == "held"
    (problem,) = customer["problems"]
    assert problem["code"] == "REJECTED_BY_RECEIVER"
    assert "/error/" in problem["message"]


def test_status_notices_what_the_receiver_rejected_after_delivery(installation: Installation) -> None:
    assert outcomes_in(installation.command("status", MONTH, "--json").json()) == {
        "10023": "delivered",
        "10024": "delivered",
    }
    move_to(installation, "error")
    answer = installation.command("status", MONTH, "--json")
    assert answer.status == 1
    assert_rejected(customer_in(answer.json()))
    assert customer_in(answer.json(), "10024")["outcome"] == "delivered"


def test_the_next_run_notices_it_too_and_sends_nothing(installation: Installation) -> None:
    move_to(installation, "error")
    before = installation.files()
    assert_rejected(customer_in(run_plainly(installation, MONTH)))
    assert installation.files() == before


def test_the_sensor_notices_it_too(installation: Installation) -> None:
    move_to(installation, "error")

    def tick(settings: object) -> str:
        wiring = build_wiring(settings)  # type: ignore[arg-type]
        context = dg.build_sensor_context(resources={"channel": wiring.channel, "ledger": wiring.ledger})
        skipped = build_rejection_sensor()(context)
        assert isinstance(skipped, dg.SkipReason)
        return skipped.skip_message or ""

    assert installation.do(tick).startswith("1 files")
    assert state(installation) is State.HELD
    assert installation.do(tick).startswith("0 files")


def test_a_rejected_file_can_be_sent_again_and_its_old_copy_says_nothing_new(
    installation: Installation,
) -> None:
    old = move_to(installation, "error")
    assert installation.command("status", MONTH).status == 1
    an_hour_ago = time.time() - 3600
    os.utime(old, (an_hour_ago, an_hour_ago))
    assert installation.command("release", ORDER, "--as", "send", *SIGNED).status == 0
    assert customer_in(run_plainly(installation, MONTH))["outcome"] == "delivered"
    assert installation.command("status", MONTH).status == 0
    move_to(installation, "error")
    assert installation.command("status", MONTH).status == 1


def test_what_a_person_accepts_as_delivered_is_not_rejected_again(installation: Installation) -> None:
    move_to(installation, "error")
    assert installation.command("status", MONTH).status == 1
    assert installation.command("release", ORDER, "--as", "delivered", *SIGNED).status == 0
    assert installation.command("status", MONTH).status == 0


@pytest.mark.parametrize("path", [f"import/{NAME}", f"archive/{NAME}", f"archive/00007.{NAME}"])
def test_what_lies_in_the_inbox_or_the_archive_is_not_released_to_be_sent(
    installation: Installation, path: str
) -> None:
    error = move_to(installation, "error")
    assert installation.command("status", MONTH).status == 1
    there = installation.folder / "share" / path
    error.rename(there)
    answer = installation.command("release", ORDER, "--as", "send", *SIGNED)
    assert answer.status == 2
    assert f"it is there: /{path}." in answer.err
    assert "--as delivered" in answer.err
    assert state(installation) is State.HELD
    there.unlink()
    assert installation.command("release", ORDER, "--as", "send", *SIGNED).status == 0
    assert state(installation) is State.PLANNED


@pytest.mark.parametrize("kind", ["csv", "document"])
def test_one_damaged_stored_file_fails_its_customer_alone_and_is_named(
    installation: Installation, kind: str
) -> None:
    found = installation.ledger.deliveries.of_order(ORDER)
    assert found is not None
    sha256 = found.document_sha256 if kind == "document" else found.sha256
    (file,) = installation.home.rglob(f"{kind}/*/{sha256}")
    file.chmod(0o600)
    file.write_bytes(b"damaged")
    result = run_plainly(installation, MONTH)
    assert outcomes_in(result) == {"10023": "failed", "10024": "unchanged"}
    assert sha256 in customer_in(result)["problems"][0]["message"]
    file.unlink()
    assert set(outcomes_in(run_plainly(installation, MONTH)).values()) == {"unchanged"}
