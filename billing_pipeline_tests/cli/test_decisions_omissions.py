"""`omit`: what is left out, by whom and why; counted, logged, and undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing_pipeline_tests.support.installation import Installation, customer_in, outcomes_in
from billing_pipeline_tests.support.plain_months import run_plainly

MONTH = "2026-10"
SIGNED = ("--reason", "billed by hand", "--by", "Kim")


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """Two customers with two services each."""
    installation = Installation(tmp_path)
    for number in ("10023", "10024"):
        installation.oms.customer(number)
        installation.oms.service(f"S-{number}-1", number)
        installation.oms.service(f"S-{number}-2", number, unit_price_net="30.00")
    return installation


def test_a_customer_left_out_is_counted_with_the_reason_and_gets_no_file(installation: Installation) -> None:
    added = installation.command("omit", "add", MONTH, "--customer", "10024", *SIGNED)
    assert added.out == "omission 1: customer 10024, 2026-10: billed by hand (Kim)\n"

    answer = installation.command("run", MONTH, "--json")

    assert answer.status == 0
    assert outcomes_in(answer.json()) == {"10023": "delivered", "10024": "omitted"}
    assert customer_in(answer.json(), "10024")["reason"] == "billed by hand (Kim)"
    assert list(installation.files()) == ["easybill_2026-10_10023.csv"]
    removed = installation.command("omit", "remove", "1", "--reason", "they pay", "--by", "Ann")
    assert removed.out.endswith("; removed: they pay (Ann)\n")
    assert outcomes_in(run_plainly(installation, MONTH)) == {"10023": "unchanged", "10024": "delivered"}


def test_a_service_left_out_is_not_on_the_invoice_and_never_comes_late(installation: Installation) -> None:
    installation.command("omit", "add", MONTH, "--service", "S-10023-2", *SIGNED)
    result = run_plainly(installation, MONTH)
    assert customer_in(result)["net"] == 15000
    assert customer_in(result, "10024")["net"] == 18000

    installation.oms.service("S-november", "10023", completed_at="2026-11-03T10:00:00Z")
    november = installation.command("preview", "2026-11", "--customer", "10023")
    assert november.out.count('"item"') == 1
    assert "Leistungsdatum 03.11.2026" in november.out


def test_an_omission_for_good_holds_in_every_month(installation: Installation) -> None:
    installation.command("omit", "add", "always", "--customer", "10024", *SIGNED)
    installation.oms.service("S-september", "10024", completed_at="2026-09-03T10:00:00Z")
    for month in ("2026-09", MONTH):
        preview = installation.command("preview", month)
        assert '"10024"' not in preview.out


def test_the_list_has_those_in_force_and_with_all_the_others(installation: Installation) -> None:
    installation.command("omit", "add", MONTH, "--customer", "10024", *SIGNED)
    installation.command("omit", "add", "always", "--service", "S-10023-2", *SIGNED)
    installation.command("omit", "remove", "1", "--reason", "mistake", "--by", "Ann")

    listed = installation.command("omit", "list", "--json").json()["omissions"]
    assert [(one["id"], one["month"], one["customer_number"], one["service_id"]) for one in listed] == [
        (2, "always", None, "S-10023-2")
    ]
    everything = installation.command("omit", "list", "--all").out.splitlines()
    assert everything == [
        "omission 1: customer 10024, 2026-10: billed by hand (Kim); removed: mistake (Ann)",
        "omission 2: service S-10023-2, always: billed by hand (Kim)",
    ]


def test_every_decision_is_in_the_log_with_author_reason_and_time(installation: Installation) -> None:
    installation.command("omit", "add", MONTH, "--customer", "10024", *SIGNED)
    installation.command("omit", "remove", "1", "--reason", "mistake", "--by", "Ann")
    lines = installation.command("log", "--customer", "10024").out.splitlines()
    assert [line.partition("decision ")[2] for line in lines] == [
        "omit: success  Kim: billed by hand (customer 10024)",
        "omit remove: success  Ann: mistake (customer 10024)",
    ]
    assert all(line.startswith("20") and "T  2026-10  10024 " in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("omit", "add", MONTH, *SIGNED), "names a customer, a service or a fee"),
        (
            ("omit", "add", MONTH, "--customer", "1", "--service", "2", *SIGNED),
            "names a customer, a service or a fee",
        ),
        (("omit", "add", "october", "--customer", "1", *SIGNED), "'october' is not a month"),
        (("omit", "add", "2024-12", "--customer", "1", *SIGNED), "BILLING_FIRST_MONTH=2025-01"),
        (("omit", "add", MONTH, "--customer", "1", "--reason", "r"), "Missing option '--by'"),
        (("omit", "add", MONTH, "--customer", "1", "--reason", " ", "--by", "Kim"), "a reason and a name"),
        (("omit", "remove", "7", *SIGNED), "there is no omission 7 in force"),
    ],
)
def test_what_cannot_be_decided_is_a_usage_error_of_one_line(
    installation: Installation, arguments: tuple[str, ...], says: str
) -> None:
    answer = installation.command(*arguments)
    assert answer.status == 2
    assert says in answer.err
    assert answer.err.count("\n") == 1
    assert installation.ledger.omissions.current(removed=True) == []


def test_what_was_sent_before_stays_sent_until_it_is_corrected(installation: Installation) -> None:
    run_plainly(installation, MONTH)
    answer = installation.command("omit", "add", MONTH, "--customer", "10024", *SIGNED)
    assert "order 2026-10-10024 has billed it, and stands: the omission takes effect" in answer.err
    assert outcomes_in(run_plainly(installation, MONTH)) == {"10023": "unchanged", "10024": "unchanged"}

    installation.command("omit", "add", MONTH, "--service", "S-10023-2", *SIGNED)
    assert outcomes_in(run_plainly(installation, MONTH))["10023"] == "unchanged"
    corrected = installation.command("correct", MONTH, "--customer", "10023", *SIGNED)
    assert "gone: line 2 (Battery change service), net 30,00" in corrected.out
    again = installation.command("correct", MONTH, "--customer", "10024", *SIGNED)
    assert again.status == 0
    assert "2026-10-10024 was taken back, and 2026-10 has nothing left to bill 10024" in again.out


def test_where_there_is_nothing_to_list_that_is_said_beside_the_output(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    for arguments, says in (
        (("omit", "list"), "no omission is in force\n"),
        (("omit", "list", "--all"), "there has been no omission\n"),
        (("adjust", "list", MONTH), f"{MONTH} has no adjustment\n"),
        (("log", "--customer", "10023"), "the log has no such entry\n"),
    ):
        answer = installation.command(*arguments)
        assert (answer.status, answer.out, answer.err) == (0, "", says), arguments
    assert installation.command("log", "--json").out == ""
