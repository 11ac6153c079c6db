"""`diff`: what was delivered against what the OMS says now; it writes nothing, and `correct` settles it."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest

from billing_pipeline_tests.support.installation import Installation

MONTH = "2026-10"
SIGNED = ("--reason", "wrong price", "--by", "Kim")


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    installation = Installation(tmp_path_factory.mktemp("sent"))
    for number, service in (("10023", "S-1"), ("10024", "S-3")):
        installation.oms.customer(number)
        installation.oms.service(service, number)
    installation.oms.service(
        "S-2", "10023", unit_price_net="30.00", service_name="Tyres", completed_at="2026-10-20T08:00:00Z"
    )
    assert installation.command("run", MONTH).status == 0
    return installation


@pytest.fixture
def installation(sent: Installation, tmp_path: Path) -> Installation:
    """A month that was sent: 150.00 and 30.00 net to one customer, 150.00 to another."""
    return sent.copy(tmp_path)


def written(installation: Installation) -> tuple[list[str], dict[str, str]]:
    """Every row of the ledger, and every other file of home and inbox by its hash."""
    with sqlite3.connect(installation.home / "ledger.db") as ledger:
        rows = list(ledger.iterdump())
    files = {
        str(path.relative_to(installation.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted([*installation.home.rglob("*"), *installation.inbox.rglob("*")])
        if path.is_file() and not path.name.startswith("ledger.db")
    }
    return rows, files


def test_what_is_as_it_was_sent_is_not_listed_and_the_status_is_0(installation: Installation) -> None:
    answer = installation.command("diff", MONTH)
    assert (answer.status, answer.out) == (0, "2026-10: 0 of 2 customers who were sent something differ\n")
    assert installation.command("diff", MONTH, "--json").json() == {"month": MONTH, "customers": []}


def test_a_change_a_new_row_and_a_vanished_one_are_told_with_their_money_and_correct_settles_them(
    installation: Installation,
) -> None:
    installation.oms.change_service("S-1", unit_price_net="160.00")
    installation.oms.remove_service("S-2")
    installation.oms.service(
        "S-9", "10023", unit_price_net="5.00", service_name="Valve", completed_at="2026-10-30T08:00:00Z"
    )

    told = installation.command("diff", MONTH, "--json")

    assert told.status == 1
    (customer,) = told.json()["customers"]
    lines = [
        (line["change"], line["source_ids"], line["net_before"], line["net_now"])
        for line in customer.pop("lines")
    ]
    assert lines == [
        ("changed", ["S-1"], 15000, 16000),
        ("added", ["S-9"], None, 500),
        ("removed", ["S-2"], 3000, None),
    ]
    assert customer == {
        "customer_number": "10023",
        "order_number": "2026-10-10023",
        "other_fields": [],
        "problems": [],
        "net_before": 18000,
        "net_now": 16500,
        "currency": "EUR",
    }
    text = installation.command("diff", MONTH).out
    assert (
        "Customer 10023, 2026-10-10023: net 180,00 EUR → 165,00 EUR, gross 214,20 EUR → 196,35 EUR\n" in text
    )
    assert "  gone: line 2 (Tyres), net 30,00 EUR\n" in text
    assert (
        "`billing-pipeline correct 2026-10 --customer 10023 --reason TEXT --by NAME` sends the month" in text
    )
    assert text.endswith("2026-10: 1 of 2 customers who were sent something differ\n")

    assert installation.command("correct", MONTH, "--customer", "10023", *SIGNED).status == 0
    after = installation.command("diff", MONTH, "--json")
    assert (after.status, after.json()["customers"]) == (0, [])


def test_nothing_is_written(installation: Installation) -> None:
    installation.oms.change_service("S-1", unit_price_net="160.00")
    installation.oms.remove_service("S-3")
    before = written(installation)
    assert installation.command("diff", MONTH).status == 1
    assert written(installation) == before


def test_a_row_that_moved_is_told_of_both_customers_and_only_of_those_who_are_asked_for(
    installation: Installation,
) -> None:
    installation.oms.change_service("S-2", customer_number="10024")
    both = installation.command("diff", MONTH, "--json").json()["customers"]
    assert [(one["customer_number"], one["net_before"], one["net_now"]) for one in both] == [
        ("10023", 18000, 15000),
        ("10024", 15000, 18000),
    ]
    one = installation.command("diff", MONTH, "--customer", "10023", "--json").json()["customers"]
    assert [customer["customer_number"] for customer in one] == ["10023"]

    for number in ("10023", "10024"):
        assert installation.command("correct", MONTH, "--customer", number, *SIGNED).status == 0
    assert installation.command("diff", MONTH).status == 0


def test_a_changed_address_is_a_difference(installation: Installation) -> None:
    installation.oms.change_customer("10024", street="Neue Strasse 7")
    (customer,) = installation.command("diff", MONTH, "--json").json()["customers"]
    assert (customer["other_fields"], customer["lines"]) == (["customer.street"], [])


def test_where_nothing_is_left_every_line_is_removed_and_correct_says_how_it_is_withdrawn(
    installation: Installation,
) -> None:
    installation.oms.remove_service("S-3")
    (customer,) = installation.command("diff", MONTH, "--json").json()["customers"]
    assert (customer["net_before"], customer["net_now"]) == (15000, 0)
    assert [line["change"] for line in customer["lines"]] == ["removed"]
    assert "net 150,00 EUR was sent, and nothing is left" in installation.command("diff", MONTH).out

    # The receiver has taken it: while it lay in the inbox, `correct` would take it back.
    (installation.inbox / f"easybill_{MONTH}_10024.csv").unlink()
    said = installation.command("correct", MONTH, "--customer", "10024", *SIGNED)
    assert "release 2026-10-10024 --as withdrawn" in said.out
    assert installation.command("release", "2026-10-10024", "--as", "withdrawn", *SIGNED).status == 0
    assert installation.command("diff", MONTH).status == 0


def test_what_cannot_be_billed_any_more_is_told_with_its_reason(installation: Installation) -> None:
    installation.oms.change_service("S-3", unit_price_net=None)
    (customer,) = installation.command("diff", MONTH, "--json").json()["customers"]
    assert (customer["net_now"], customer["lines"]) == (None, [])
    assert [problem["source_id"] for problem in customer["problems"]] == ["S-3"]
    assert "once that is mended, `billing-pipeline correct" in installation.command("diff", MONTH).out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("2026-13",), "'2026-13' is not a month"),
        ((MONTH, "--customer", "10099"), "nothing was sent to customer 10099 for 2026-10"),
    ],
)
def test_what_cannot_be_compared_is_a_usage_error(
    installation: Installation, arguments: tuple[str, ...], says: str
) -> None:
    answer = installation.command("diff", *arguments)
    assert (answer.status, answer.out) == (2, "")
    assert says in answer.err
