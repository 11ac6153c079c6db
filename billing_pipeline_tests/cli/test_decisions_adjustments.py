"""`adjust`: a row that a person adds to a month, changes, deletes and brings back, until it is billed."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing_pipeline_tests.support.installation import Installation, customer_in
from billing_pipeline_tests.support.plain_months import run_plainly

MONTH = "2026-10"
SIGNED = ("--reason", "goodwill", "--by", "Kim")
DISCOUNT = ("--title", "Discount", "--quantity", "1", "--price", "-10", "--vat", "19")


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """One customer with a service, and one without any row."""
    installation = Installation(tmp_path)
    installation.oms.customer("10023")
    installation.oms.service("S-1", "10023")
    installation.oms.customer("10024", company_name="Only a discount GmbH")
    return installation


def add(installation: Installation, customer: str = "10023", *others: str) -> str:
    answer = installation.command("adjust", "add", MONTH, "--customer", customer, *DISCOUNT, *SIGNED, *others)
    assert answer.status == 0, answer.err
    return answer.out


def test_an_adjustment_is_a_row_on_the_invoice_and_lowers_the_total(installation: Installation) -> None:
    said = add(installation, "10023", "--unit", "Stück", "--item-number", "RABATT")
    assert said == (
        "adjustment 1: customer 10023, 2026-10: Discount, 1 Stück × -10,00 net in the customer's currency, 19 % VAT "
        "(Kim: goodwill)\n"
    )
    preview = installation.command("preview", MONTH, "--customer", "10023")

    customer = customer_in(run_plainly(installation, MONTH))

    assert (customer["lines"], customer["net"], customer["gross"]) == (2, 14000, 16660)
    file = installation.files()["easybill_2026-10_10023.csv"]
    assert '"RABATT";"RABATT";"item";"Discount";1;-11.90;19.00' in file
    assert preview.out == file


def test_a_customer_with_nothing_but_an_adjustment_is_billed_with_their_address(
    installation: Installation,
) -> None:
    add(installation, "10024", "--price", "10")
    result = run_plainly(installation, MONTH)
    assert customer_in(result, "10024")["gross"] == 1190
    assert '"Only a discount GmbH"' in installation.files()["easybill_2026-10_10024.csv"]


def test_an_adjustment_of_a_customer_whom_the_oms_does_not_know_or_only_tests_with_is_refused(
    installation: Installation,
) -> None:
    installation.oms.customer("10099", is_test=True)
    for number in ("404", "10099"):
        answer = installation.command("adjust", "add", MONTH, "--customer", number, *DISCOUNT, *SIGNED)
        assert answer.status == 2
        assert (
            f"--customer {number}: the OMS has no customer of this number, or a test customer" in answer.err
        )
    assert installation.ledger.adjustments.of_month(MONTH, deleted=True) == []


def test_it_can_be_changed_deleted_and_brought_back_until_it_is_billed(installation: Installation) -> None:
    add(installation)
    for arguments in (
        ("edit", "1", "--price", "-20", "--title", "Big discount", "--reason", "more", "--by", "Ann"),
        ("delete", "1", "--reason", "too much", "--by", "Kim"),
    ):
        assert installation.command("adjust", *arguments).status == 0
    assert installation.command("adjust", "list", MONTH).out == ""
    assert (
        installation.command("adjust", "list", MONTH, "--all").out
        == "adjustment 1: customer 10023, 2026-10: Big discount, 1 × -20,00 net in the customer's currency, 19 % VAT "
        "(Kim: too much); deleted\n"
    )
    refused = installation.command("adjust", "edit", "1", "--price", "-5", *SIGNED)
    assert refused.status == 2
    assert "adjustment 1 is deleted; `adjust undo 1` first" in refused.err
    installation.command("adjust", "undo", "1", *SIGNED)

    assert customer_in(run_plainly(installation, MONTH))["net"] == 13000
    (listed,) = installation.command("adjust", "list", MONTH, "--json").json()["adjustments"]
    assert (listed["version"], listed["unit_price_net"], listed["billed_by"]) == (4, "-20", "2026-10-10023")

    for change in (("edit", "1", "--price", "1"), ("delete", "1"), ("undo", "1")):
        answer = installation.command("adjust", *change, *SIGNED)
        assert answer.status == 2
        assert "adjustment 1 is billed by order 2026-10-10023 and can no longer change" in answer.err
    assert customer_in(run_plainly(installation, MONTH))["outcome"] == "unchanged"
    actions = [event.action for event in installation.ledger.events.find() if event.kind == "decision"]
    assert actions == ["adjust add", "adjust edit", "adjust delete", "adjust undo"]


def test_a_month_that_is_closed_takes_no_adjustment_and_the_month_that_is_offered_bills_it(
    installation: Installation,
) -> None:
    run_plainly(installation, MONTH)
    answer = installation.command("adjust", "add", MONTH, "--customer", "10023", *DISCOUNT, *SIGNED)
    assert answer.status == 2
    assert "2026-10 is closed for customer 10023: order 2026-10-10023 has been sent" in answer.err
    assert "add the adjustment to 2026-11, their next month that is open" in answer.err
    assert installation.ledger.adjustments.of_month(MONTH, deleted=True) == []
    added = installation.command("adjust", "add", "2026-11", "--customer", "10023", *DISCOUNT, *SIGNED)
    assert added.status == 0


def test_where_nothing_was_sent_an_adjustment_can_still_be_added_and_is_billed_there(
    installation: Installation,
) -> None:
    run_plainly(installation, MONTH)
    positive = [
        "--price" if part == "--price" else "10" if part.startswith("-10") else part for part in DISCOUNT
    ]
    added = installation.command("adjust", "add", MONTH, "--customer", "10024", *positive, *SIGNED)
    assert added.status == 0
    assert customer_in(run_plainly(installation, MONTH), "10024")["net"] == 1000


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"--quantity": "0"}, "quantity of the adjustment is 0"),
        ({"--quantity": "0.0001"}, "quantity of the adjustment is 0.0001"),
        ({"--quantity": "NaN"}, "quantity of the adjustment is NaN"),
        ({"--price": "1.005"}, "price of the adjustment is 1.005: give at most 2 decimals"),
        ({"--price": "1,50"}, "--price '1,50' is not a number: write 1234.50"),
        ({"--vat": "101"}, "vat of the adjustment is 101"),
        ({"--title": "  "}, "an adjustment needs a title"),
        ({"--by": ""}, "a reason and a name"),
    ],
)
def test_what_no_adjustment_may_say_is_refused(
    installation: Installation, changed: dict[str, str], says: str
) -> None:
    given = {
        "--customer": "10023",
        "--title": "Discount",
        "--quantity": "1",
        "--price": "-10",
        "--vat": "19",
        "--reason": "goodwill",
        "--by": "Kim",
    } | changed
    answer = installation.command("adjust", "add", MONTH, *(part for pair in given.items() for part in pair))
    assert answer.status == 2
    assert says in answer.err
    assert answer.err.count("\n") == 1
