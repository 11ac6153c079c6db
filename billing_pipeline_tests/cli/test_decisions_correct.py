"""`correct` and `release`: what was sent and has changed, or is in doubt, and how a person settles it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from billing_pipeline.delivery.records import State
from billing_pipeline_tests.support.installation import Installation, customer_in, outcomes_in
from billing_pipeline_tests.support.plain_months import run_plainly

MONTH = "2026-10"
SIGNED = ("--reason", "wrong price", "--by", "Kim")


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    installation = Installation(tmp_path_factory.mktemp("sent"))
    installation.oms.customer("10023")
    installation.oms.service("S-1", "10023")
    installation.oms.service(
        "S-2", "10023", unit_price_net="30.00", service_name="Tyres", completed_at="2026-10-20T08:00:00Z"
    )
    installation.oms.customer("10024")
    installation.oms.service("S-3", "10024")
    run_plainly(installation, MONTH)
    return installation


@pytest.fixture
def installation(sent: Installation, tmp_path: Path) -> Installation:
    """A month that was sent: 150.00 and 30.00 net to one customer, 150.00 to another."""
    installation = sent.copy(tmp_path)
    assert outcomes_in(installation.command("status", MONTH, "--json").json()) == {
        "10023": "delivered",
        "10024": "delivered",
    }
    return installation


def correct(installation: Installation, *options: str) -> tuple[int, str, str]:
    answer = installation.command("correct", MONTH, "--customer", "10023", *SIGNED, *options)
    return answer.status, answer.out, answer.err


def taken(installation: Installation, customer_number: str) -> None:
    """The receiver takes the customer's file."""
    (installation.inbox / f"easybill_{MONTH}_{customer_number}.csv").unlink()


def test_a_correction_is_the_next_revision_and_names_the_draft_to_remove(installation: Installation) -> None:
    installation.oms.change_service("S-1", unit_price_net="160.00")
    installation.oms.remove_service("S-2")
    taken(installation, "10023")

    status, out, _ = correct(installation)

    assert status == 0
    assert out == (
        "2026-10-10023-r2 for 2026-10-10023: delivered, easybill_2026-10_10023_r2.csv\n"
        "  line 1 (Battery change service): unit price (net) 150,00 EUR → 160,00 EUR, net 150,00 EUR → 160,00 EUR\n"
        "  gone: line 2 (Tyres), net 30,00 EUR\n"
        "  total: net 180,00 EUR → 160,00 EUR, gross 214,20 EUR → 190,40 EUR\n"
        "Remove the draft of 2026-10-10023 (easybill_2026-10_10023.csv) in EASY Bill: it is replaced.\n"
    )
    file = installation.files()["easybill_2026-10_10023_r2.csv"]
    assert file.count('"2026-10-10023-r2"') == 1
    result = run_plainly(installation, MONTH)
    assert outcomes_in(result) == {"10023": "unchanged", "10024": "unchanged"}
    assert (customer_in(result)["revision"], customer_in(result)["gross"]) == (2, 19040)
    (event,) = [event for event in installation.ledger.events.find() if event.action == "correct"]
    assert event.detail == "Kim: wrong price (in place of 2026-10-10023)"


def test_the_others_of_the_month_are_not_touched(installation: Installation) -> None:
    installation.oms.change_service("S-1", unit_price_net="160.00")
    installation.oms.change_service("S-3", unit_price_net="1.00")
    before = installation.files()["easybill_2026-10_10024.csv"]
    assert correct(installation)[0] == 0
    assert installation.files()["easybill_2026-10_10024.csv"] == before
    status = installation.command("status", MONTH, "--json").json()
    assert outcomes_in(status) == {"10023": "delivered", "10024": "delivered"}


def test_the_answer_as_json_has_both_totals_and_what_it_replaces(installation: Installation) -> None:
    installation.oms.change_service("S-1", unit_price_net="160.00")
    taken(installation, "10023")
    answer = installation.command("correct", MONTH, "--customer", "10023", *SIGNED, "--json").json()
    assert answer["customer"]["order_number"] == "2026-10-10023-r2"
    assert answer["difference"]["gross"] == {"before": 21420, "after": 22610}
    assert answer["replaces"] == {
        "order_number": "2026-10-10023",
        "file": "easybill_2026-10_10023.csv",
        "draft_id": None,
        "may_be_removed": True,
        "taken_back": False,
        "removed": [],
    }


def test_a_correction_of_a_correction_is_the_third_revision(installation: Installation) -> None:
    for revision, price in ((2, "160.00"), (3, "170.00")):
        installation.oms.change_service("S-1", unit_price_net=price)
        status, out, _ = correct(installation)
        assert status == 0
        assert out.startswith(f"2026-10-10023-r{revision} for 2026-10-10023")
    assert customer_in(run_plainly(installation, MONTH))["net"] == 20000


def test_a_late_row_comes_with_the_correction_and_not_again_with_the_next_month(
    installation: Installation,
) -> None:
    installation.oms.service("S-late", "10023", unit_price_net="5.00", completed_at="2026-10-30T08:00:00Z")
    assert customer_in(run_plainly(installation, MONTH))["late_rows"] == 1
    assert "new: line 3" in correct(installation)[1]
    assert installation.command("preview", "2026-11").out == ""


def test_what_a_correction_leaves_out_is_billed_where_it_belongs_now(installation: Installation) -> None:
    installation.oms.change_service("S-2", completed_at="2026-11-02T08:00:00Z")
    before = installation.command("preview", "2026-11").out
    assert before == ""
    assert correct(installation)[0] == 0
    assert "Leistungsdatum 02.11.2026" in installation.command("preview", "2026-11").out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("correct", MONTH, "--customer", "10023", *SIGNED), "is as order 2026-10-10023 has it"),
        (
            ("correct", MONTH, "--customer", "10099", *SIGNED),
            "nothing was sent to customer 10099 for 2026-10",
        ),
        (("correct", "2026-09", "--customer", "10023", *SIGNED), "nothing was sent to customer 10023"),
        (("correct", "2026-13", "--customer", "10023", *SIGNED), "'2026-13' is not a month"),
        (("correct", MONTH, "--customer", "10023", "--reason", "", "--by", "Kim"), "a reason and a name"),
        (("release", "2026-10-10023", "--as", "send", *SIGNED), "order 2026-10-10023 is not held"),
        (("release", "nope", "--as", "delivered", *SIGNED), "the ledger has no order nope"),
        (("release", "2026-10-10023", "--as", "lost", *SIGNED), "'lost' is not one of"),
    ],
)
def test_what_is_not_to_be_decided_is_a_usage_error_and_leaves_no_record(
    installation: Installation, arguments: tuple[str, ...], says: str
) -> None:
    before = (installation.files(), len(installation.ledger.events.find()))
    answer = installation.command(*arguments)
    assert (answer.status, answer.out) == (2, "")
    assert says in answer.err
    assert (installation.files(), len(installation.ledger.events.find())) == before


def test_a_customer_with_a_problem_is_not_corrected_and_what_was_sent_stands(
    installation: Installation,
) -> None:
    installation.oms.change_service("S-1", unit_price_net=None)
    status, out, _ = correct(installation)
    assert status == 1
    assert out.splitlines()[0] == "2026-10, customer 10023: not corrected, 2026-10-10023 stands"
    assert "PRICE_MISSING" in out
    assert "Remove the draft" not in out
    assert list(installation.files()) == ["easybill_2026-10_10023.csv", "easybill_2026-10_10024.csv"]


def test_a_correction_whose_upload_fails_goes_on_with_the_next_run(installation: Installation) -> None:
    installation.oms.change_service("S-1", unit_price_net="160.00")
    installation.command("omit", "add", MONTH, "--service", "S-2", *SIGNED)
    away = installation.inbox.rename(installation.folder / "away")
    status, out, _ = correct(installation)
    assert status == 1
    assert "DELIVERY_FAILED" in out
    assert "Do not remove the draft of 2026-10-10023 yet" in out
    shutil.move(away, installation.inbox)

    # Until it has arrived, what it will drop or keep can be billed by nobody else.
    assert installation.command("preview", "2026-11").out == ""
    result = run_plainly(installation, MONTH)
    assert outcomes_in(result) == {"10023": "delivered", "10024": "unchanged"}
    assert (customer_in(result)["order_number"], customer_in(result)["net"]) == ("2026-10-10023-r2", 16000)
    assert len(installation.files()) == 3
    assert correct(installation)[0] == 2


def test_a_correction_that_cannot_be_made_any_more_leaves_what_was_sent(installation: Installation) -> None:
    installation.oms.change_service("S-1", unit_price_net="160.00")
    away = installation.inbox.rename(installation.folder / "away")
    correct(installation)
    shutil.move(away, installation.inbox)
    installation.oms.change_service("S-1", unit_price_net=None)
    assert customer_in(run_plainly(installation, MONTH))["outcome"] == "blocked"
    assert installation.command("preview", "2026-11").out == ""
    installation.oms.change_service("S-1", unit_price_net="150.00")

    result = run_plainly(installation, MONTH)
    assert (customer_in(result)["outcome"], customer_in(result)["revision"]) == ("unchanged", 1)
    assert len(installation.files()) == 2


def test_a_difference_that_is_accepted_is_unchanged_from_then_on(installation: Installation) -> None:
    installation.oms.change_service("S-1", unit_price_net="160.00")
    held = customer_in(run_plainly(installation, MONTH))
    assert held["outcome"] == "held"
    (problem,) = held["problems"]
    assert "net 180,00 EUR → 190,00 EUR" in problem["message"]
    assert "line 1 (Battery change service): unit price (net) 150,00 EUR → 160,00 EUR" in problem["message"]

    released = installation.command(
        "release", "2026-10-10023", "--as", "delivered", "--reason", "as agreed", "--by", "Ann"
    )

    assert released.out == "2026-10-10023 counts as delivered, as it was sent\n"
    result = run_plainly(installation, MONTH)
    assert (customer_in(result)["outcome"], customer_in(result)["net"]) == ("unchanged", 18000)
    log = installation.command("log", "--customer", "10023").out
    assert "decision release as delivered: success  Ann: as agreed" in log


def test_a_customer_whose_rows_all_vanished_is_held_until_a_person_says_so(
    installation: Installation,
) -> None:
    installation.oms.remove_service("S-3")
    held = customer_in(run_plainly(installation, MONTH), "10024")
    assert (held["outcome"], held["problems"][0]["code"]) == ("held", "CHANGED_AFTER_DELIVERY")
    assert "gone: line 1 (Battery change service), net 150,00" in held["problems"][0]["message"]
    assert customer_in(run_plainly(installation, MONTH), "10024")["outcome"] == "held"
    taken(installation, "10024")
    answer = installation.command("correct", MONTH, "--customer", "10024", *SIGNED)
    assert answer.status == 1
    assert "nothing left to bill" in answer.out

    released = installation.command("release", "2026-10-10024", "--as", "delivered", *SIGNED)

    assert released.status == 0
    assert customer_in(run_plainly(installation, MONTH), "10024")["outcome"] == "unchanged"


def test_what_was_never_received_is_sent_after_all(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.oms.customer("10023")
    installation.oms.service("S-1", "10023")
    (installation.inbox / "easybill_2026-10_10023.csv").write_text("somebody else's")
    held = customer_in(run_plainly(installation, MONTH))
    assert (held["outcome"], held["problems"][0]["code"]) == ("held", "NAME_COLLISION")
    (installation.inbox / "easybill_2026-10_10023.csv").unlink()
    assert customer_in(run_plainly(installation, MONTH))["outcome"] == "held"

    released = installation.command("release", "2026-10-10023", "--as", "send", *SIGNED)

    assert released.out == (
        "2026-10-10023 is no longer held: `billing-pipeline run 2026-10 --customer 10023` sends it\n"
    )
    assert customer_in(run_plainly(installation, MONTH))["outcome"] == "delivered"
    found = installation.ledger.deliveries.of_order("2026-10-10023")
    assert found is not None
    assert found.state is State.PUBLISHED
