"""A month from the OMS to the inbox, by the command line: files, outcomes, exit statuses, and nothing sent twice."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from billing_pipeline_tests.support.installation import Installation, customer_in, outcomes_in
from billing_pipeline_tests.support.plain_months import run_plainly

MONTH = "2026-10"


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    installation = Installation(tmp_path)
    installation.oms.customer("10023")
    installation.oms.service("S-1", "10023")
    return installation


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter=";"))


def test_a_month_becomes_one_file_per_customer_with_something_to_bill(installation: Installation) -> None:
    installation.oms.customer("10024")
    installation.oms.service("S-2", "10024", status="cancelled")
    installation.oms.customer("10025")
    installation.oms.service("S-3", "10025", unit_price_net=None)

    answer = installation.command("run", MONTH, "--json")

    assert answer.status == 1
    result = answer.json()
    assert outcomes_in(result) == {"10023": "delivered", "10024": "nothing_to_bill", "10025": "blocked"}
    assert result["counts"]["total"] == 3
    assert result["totals"] == {"EUR": {"net": 15000, "vat": 2850, "gross": 17850}}
    customer = customer_in(result)
    files = installation.files()
    assert list(files) == ["easybill_2026-10_10023.csv"]
    assert customer["file"] == "easybill_2026-10_10023.csv"
    assert customer["bytes"] == len(files[customer["file"]].encode())
    (row,) = rows_of(files[customer["file"]])
    assert (row["order_number"], row["item_price"], row["vat_percent"]) == (
        "2026-10-10023",
        "178.50",
        "19.00",
    )
    (problem,) = customer_in(result, "10025")["problems"]
    assert (problem["code"], problem["source_id"]) == ("PRICE_MISSING", "S-3")


def test_a_second_run_sends_nothing_and_says_unchanged(installation: Installation) -> None:
    run_plainly(installation, MONTH)
    (file,) = installation.inbox.iterdir()
    before = (file.stat().st_mtime_ns, file.stat().st_ino)

    answer = installation.command("run", MONTH, "--json")

    assert answer.status == 0
    assert outcomes_in(answer.json()) == {"10023": "unchanged"}
    (file,) = installation.inbox.iterdir()
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before


def test_a_file_that_the_importer_has_taken_is_not_sent_again(installation: Installation) -> None:
    run_plainly(installation, MONTH)
    for file in installation.inbox.iterdir():
        file.unlink()
    assert outcomes_in(installation.run_json(MONTH)) == {"10023": "unchanged"}
    assert installation.files() == {}


def test_status_says_what_the_run_said(installation: Installation) -> None:
    ran = installation.run_json(MONTH)
    answer = installation.command("status", MONTH, "--json")
    assert answer.status == 0
    assert answer.json() == ran


def test_a_month_that_was_never_billed_has_nobody_and_says_so(installation: Installation) -> None:
    answer = installation.command("status", "2026-09", "--json")
    assert (answer.status, answer.json()["counts"]["total"]) == (0, 0)
    assert "2026-09 has not been billed here yet" in answer.err


def test_a_mended_customer_is_delivered_by_the_next_run_and_nobody_else_is_touched(
    installation: Installation,
) -> None:
    installation.oms.customer("10025")
    installation.oms.service("S-3", "10025", unit_price_net=None)
    assert outcomes_in(installation.run_json(MONTH)) == {"10023": "delivered", "10025": "blocked"}
    installation.oms.change_service("S-3", unit_price_net="10.00")
    assert outcomes_in(installation.run_json(MONTH)) == {"10023": "unchanged", "10025": "delivered"}


def test_only_the_named_customer_is_delivered(installation: Installation) -> None:
    installation.oms.customer("10024")
    installation.oms.service("S-2", "10024")
    result = installation.run_json(MONTH, "--customer", "10024")
    assert outcomes_in(result) == {"10024": "delivered"}
    assert list(installation.files()) == ["easybill_2026-10_10024.csv"]
    status = installation.command("status", MONTH, "--json").json()
    assert outcomes_in(status) == {"10023": "failed", "10024": "delivered"}
    assert customer_in(status)["problems"][0]["code"] == "NOT_DELIVERED_YET"


def test_a_named_customer_without_rows_has_nothing_to_bill(installation: Installation) -> None:
    answer = installation.command("run", MONTH, "--customer", "99999", "--json")
    assert outcomes_in(answer.json()) == {"99999": "nothing_to_bill"}
    assert installation.files() == {}


def test_a_dry_run_makes_and_checks_every_file_and_sends_none(installation: Installation) -> None:
    answer = installation.command("run", MONTH, "--dry-run", "--json")
    assert answer.json()["dry_run"] is True
    assert installation.files() == {}
    assert installation.ledger.deliveries.of_month(MONTH) == []
    assert installation.run_json(MONTH)["counts"]["delivered"] == 1


def test_a_dry_run_says_ready_of_a_good_file_and_needs_a_person_only_for_the_others(
    installation: Installation,
) -> None:
    installation.oms.customer("10024")
    installation.oms.service("S-2", "10024", unit_price_net=None)
    good = ("run", MONTH, "--dry-run", "--customer", "10023")
    answer = installation.command(*good)
    assert (answer.status, "FAILED" in answer.out, "NOT_DELIVERED_YET" in answer.out) == (0, False, False)
    assert f"{MONTH}: 1 customer = 1 ready" in answer.out
    told = installation.command(*good, "--json").json()
    found = customer_in(told)
    assert (found["outcome"], found["ready"], found["problems"]) == ("failed", True, [])
    assert told["counts"]["total"] == told["counts"]["failed"] == 1
    everybody = installation.command("run", MONTH, "--dry-run")
    assert everybody.status == 1, "10024 is blocked"
    assert "1 ready + 1 BLOCKED" in everybody.out


def test_a_preview_is_the_file_byte_for_byte_and_leaves_no_record(
    installation: Installation, tmp_path: Path
) -> None:
    answer = installation.command("preview", MONTH, "--out", str(tmp_path / "out"))
    assert answer.status == 0
    assert installation.files() == {}
    assert installation.command("log", "--json").out == ""
    previewed = (tmp_path / "out" / "easybill_2026-10_10023.csv").read_text("utf-8")
    run_plainly(installation, MONTH)
    assert installation.files() == {"easybill_2026-10_10023.csv": previewed}


def test_a_preview_on_the_terminal_is_the_file(installation: Installation) -> None:
    assert rows_of(installation.command("preview", MONTH).out)[0]["order_number"] == "2026-10-10023"


def test_the_log_has_every_export_and_every_exchange_with_time_customer_and_outcome(
    installation: Installation,
) -> None:
    installation.oms.customer("10025")
    installation.oms.service("S-3", "10025", unit_price_net=None)
    run_plainly(installation, MONTH)
    lines = installation.command("log", "--month", MONTH).out.splitlines()
    exports = [line for line in lines if "export" in line]
    assert any("10023" in line and "rendered: success" in line for line in exports)
    assert any("10025" in line and "blocked: failure" in line and "PRICE_MISSING" in line for line in exports)
    assert any("10023" in line and "exchange" in line and "success" in line for line in lines)
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d CES?T  ", line) for line in lines)
    only = installation.command("log", "--customer", "10025").out.splitlines()
    assert only
    assert all("10025" in line for line in only)


def test_a_service_is_billed_in_its_month_in_the_billing_time_zone(tmp_path: Path) -> None:
    services = {
        "1": ("2026-10-31T23:30:00Z", "2026-11"),
        "2": ("2026-10-31T22:59:59Z", "2026-10"),
        "3": ("2026-05-31T22:30:00Z", "2026-06"),
        "4": ("2026-11-01T00:30:00+02:00", "2026-10"),
    }
    installation = Installation(tmp_path)
    for number, (instant, _) in services.items():
        installation.oms.customer(number)
        installation.oms.service(f"S-{number}", number, completed_at=instant)
    for candidate in ("2026-05", "2026-06", "2026-10", "2026-11"):
        answer = installation.command("run", candidate, "--json", "--before-end")
        expected = {number: "delivered" for number, (_, month) in services.items() if month == candidate}
        assert outcomes_in(answer.json()) == expected, (candidate, answer.err)
    assert set(installation.files()) == {
        f"easybill_{month}_{number}.csv" for number, (_, month) in services.items()
    }


def test_customer_numbers_that_no_file_system_loves_arrive_under_safe_names(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    for index, number in enumerate(["../../etc/passwd", "a|b,c", "Ü ~", "00123", "."]):
        installation.oms.customer(number)
        installation.oms.service(f"S-{index}", number)
    assert set(outcomes_in(installation.run_json(MONTH)).values()) == {"delivered"}
    assert sorted(installation.files()) == sorted(
        f"easybill_2026-10_{key}.csv"
        for key in ["..%2F..%2Fetc%2Fpasswd", "a%7Cb%2Cc", "%C3%9C%20%7E", "00123", "."]
    )


def test_a_test_customer_is_left_out_and_changes_no_byte_of_others(installation: Installation) -> None:
    run_plainly(installation, MONTH)
    before = installation.files()
    installation.oms.customer("T-1", is_test=True)
    installation.oms.service("S-T", "T-1", unit_price_net="-5.00")
    result = installation.run_json(MONTH)
    assert outcomes_in(result) == {"10023": "unchanged"}
    assert installation.files() == before


def test_status_answers_from_the_ledger_where_the_store_cannot_be_read(installation: Installation) -> None:
    run_plainly(installation, MONTH)
    (frame,) = (installation.home / "store").glob(f"frames/month_drift/{MONTH}/*")
    frame.unlink()
    frame.mkdir()
    answer = installation.command("status", MONTH, "--json")
    assert (answer.status, outcomes_in(answer.json())) == (0, {"10023": "delivered"})
    assert "what has changed since is not told" in answer.err
