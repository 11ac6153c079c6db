"""`correct --remove-draft` against the sandbox over HTTP: one draft is deleted, ours, or none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.launch import correct as launch_correct
from billing_pipeline.problems import Code
from billing_pipeline.sandbox.books import Books
from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline.sandbox.drafts import NewDocument
from billing_pipeline.sandbox.fault_injection import Trouble
from billing_pipeline.sandbox.receiver_amounts import Amounts
from billing_pipeline.steps import remove_draft as step
from billing_pipeline_tests.support.easybill_swagger import published_api
from billing_pipeline_tests.support.installation import Answer, Installation, outcomes_in
from billing_pipeline_tests.support.plain_months import run_plainly

MONTH = "2026-10"
FIRST, SECOND = f"{MONTH}-10023", f"{MONTH}-10023-r2"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """Imports when told to; at the end every request made of it is judged."""
    with Sandbox(tmp_path / "sandbox", import_interval_s=None, requests_per_minute=None) as running:
        running.journal.may_delete = True
        yield running
        assert running.journal.violations == []
        if swagger := published_api():
            for made in running.journal.exchanges:
                assert swagger.request_faults(made.method, made.path, made.query, made.body) == []


@pytest.fixture
def installation(sandbox: Sandbox, tmp_path: Path) -> Installation:
    """One customer whose month was sent and imported, and has changed in the OMS since."""
    api = {name: value for name, value in sandbox.settings().items() if name.startswith("BILLING_EASYBILL")}
    api["BILLING_EASYBILL_REQUESTS_PER_MINUTE"] = "600"
    made = Installation(tmp_path, **api, BILLING_FOLDER=str(sandbox.files))
    sandbox.add_customer("10023", company_name="x")
    made.oms.customer("10023")
    made.oms.service("S-1", "10023")
    assert outcomes_in(run_plainly(made, MONTH)) == {"10023": "delivered"}
    sandbox.import_now()
    made.oms.change_service("S-1", unit_price_net="160.00")
    return made


def correct(installation: Installation, *options: str) -> Answer:
    signed = ("--reason", "wrong price", "--by", "Kim")
    return installation.command("correct", MONTH, "--customer", "10023", *signed, *options)


def orders(sandbox: Sandbox) -> list[str]:
    """The orders of the drafts that EASY Bill has."""
    return [draft.order_number for draft in sandbox.drafts()]


def deletions(sandbox: Sandbox) -> list[tuple[str, int]]:
    return [(one.path, one.status) for one in sandbox.journal.exchanges if one.method == "DELETE"]


def test_the_draft_is_deleted_before_the_correction_is_sent(
    installation: Installation, sandbox: Sandbox
) -> None:
    answer = correct(installation, "--remove-draft")
    assert answer.status == 0, answer.err
    assert answer.out.endswith(f"Draft 1 of {FIRST} was removed from EASY Bill.\n")
    assert deletions(sandbox) == [("/documents/1", 204)]
    sandbox.import_now()
    assert orders(sandbox) == [SECOND]
    assert installation.command("status").status == 0, "nothing is left on the list"
    actions = [event.action for event in installation.ledger.events.find(customer_number="10023")]
    assert actions.index("remove draft") < actions.index("release as withdrawn") < actions.index("correct")


def test_without_a_key_nothing_is_done_and_the_setting_is_named(
    installation: Installation, sandbox: Sandbox
) -> None:
    for name in [name for name in installation.environment if name.startswith("BILLING_EASYBILL_API_KEY")]:
        del installation.environment[name]
    answer = correct(installation, "--remove-draft")
    assert (answer.status, "BILLING_EASYBILL_API_KEY" in answer.err) == (2, True)
    assert orders(sandbox) == [FIRST]


def test_a_finished_invoice_is_not_deleted_and_goes_once_it_is_cancelled(
    installation: Installation, sandbox: Sandbox
) -> None:
    Books(sandbox.state_dir / "easybill.db").finalise(1)
    answer = correct(installation, "--remove-draft")
    assert answer.status == 2
    assert "document 1 (RE-1) is a finished invoice: cancel it in EASY Bill" in answer.err
    assert (deletions(sandbox), list((sandbox.files / "import").iterdir())) == ([], [])


def test_a_draft_with_other_amounts_than_were_sent_is_not_deleted(
    installation: Installation, sandbox: Sandbox
) -> None:
    sandbox.faults.change_amount(FIRST, 1)
    answer = correct(installation, "--remove-draft")
    assert (answer.status, "gross amount of 178.51 EUR" in answer.err) == (2, True)
    assert (deletions(sandbox), orders(sandbox)) == ([], [FIRST])


def test_of_several_documents_of_the_order_none_is_deleted(
    installation: Installation, sandbox: Sandbox
) -> None:
    (draft,) = sandbox.drafts()
    Books(sandbox.state_dir / "easybill.db").add_document(
        NewDocument(
            draft.customer_id,
            FIRST,
            draft.document_date,
            "EUR",
            draft.basis,
            (),
            Amounts(15000, 2850, 17850),
            {},
        )
    )
    answer = correct(installation, "--remove-draft")
    assert (answer.status, "EASY Bill has 2 documents of it (1, 2)" in answer.err) == (2, True)
    assert (deletions(sandbox), orders(sandbox)) == ([], [FIRST, FIRST])


def test_a_draft_that_has_not_come_yet_is_waited_for(installation: Installation, sandbox: Sandbox) -> None:
    sandbox.faults.lose_draft(FIRST)
    answer = correct(installation, "--remove-draft")
    assert (answer.status, "the import may be yet to come" in answer.err) == (2, True)
    sandbox.faults.clear()
    assert correct(installation, "--remove-draft").status == 0
    sandbox.import_now()
    assert orders(sandbox) == [SECOND]


def test_a_deletion_whose_answer_was_lost_is_not_taken_for_a_failure(
    installation: Installation, sandbox: Sandbox
) -> None:
    sandbox.faults.on_request(Trouble.REPLY_CUT_OFF, method="DELETE")
    answer = correct(installation, "--remove-draft")
    assert answer.status == 0
    assert f"The draft of {FIRST} was not in EASY Bill any more." in answer.out
    sandbox.import_now()
    assert (deletions(sandbox), orders(sandbox)) == ([("/documents/1", 204)], [SECOND])


@pytest.mark.parametrize("trouble", [Trouble.LOCKED, Trouble.TOO_MANY_REQUESTS, Trouble.SERVER_ERROR])
def test_a_deletion_that_is_put_off_is_tried_again(
    installation: Installation, sandbox: Sandbox, trouble: Trouble
) -> None:
    sandbox.faults.on_request(trouble, method="DELETE")
    assert correct(installation, "--remove-draft").status == 0
    assert [status for _, status in deletions(sandbox)][1:] == [204]


class Killed(BaseException):
    """The process ends here."""


def test_killed_between_the_deletion_and_its_record_it_goes_on_when_repeated(
    installation: Installation, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(step, "withdraw_order", die)
        with pytest.raises(Killed):
            correct(installation, "--remove-draft")
    assert orders(sandbox) == []
    answer = correct(installation, "--remove-draft")
    assert answer.status == 0
    sandbox.import_now()
    assert orders(sandbox) == [SECOND]


def test_killed_between_deletion_and_delivery_the_month_is_open_and_a_run_bills_it(
    installation: Installation, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(launch_correct, "deliver_in_process", die)
        with pytest.raises(Killed):
            correct(installation, "--remove-draft")
    (item,) = installation.command("status", "--json").json()["open"]
    assert (item["month"], item["code"]) == (MONTH, Code.NOT_DELIVERED_YET)
    again = correct(installation, "--remove-draft")
    assert (again.status, f"`billing-pipeline run {MONTH} --customer 10023` bills it" in again.err) == (
        2,
        True,
    )
    assert installation.command("run", MONTH, "--customer", "10023").status == 0
    sandbox.import_now()
    assert orders(sandbox) == [SECOND]
    assert installation.command("status").status == 0


def test_the_draft_of_an_earlier_correction_is_removed_though_nothing_has_changed_since(
    installation: Installation, sandbox: Sandbox
) -> None:
    assert correct(installation).status == 0
    sandbox.import_now()
    assert (orders(sandbox), installation.command("status").status) == ([FIRST, SECOND], 1)
    answer = correct(installation, "--remove-draft")
    assert (answer.status, answer.out) == (
        0,
        f"{MONTH}, customer 10023: {SECOND} stands, as the OMS has it\n"
        f"Draft 1 of {FIRST} was removed from EASY Bill.\n",
    )
    assert (orders(sandbox), installation.command("status").status) == ([SECOND], 0)


def test_what_the_list_says_of_a_draft_to_remove_removes_it(
    installation: Installation, sandbox: Sandbox
) -> None:
    assert correct(installation).status == 0
    sandbox.import_now()
    (item,) = installation.command("status", "--json").json()["open"]
    assert item["code"] == Code.DRAFT_TO_REMOVE
    (line,) = (one for one in item["message"].split("`") if one.endswith("--remove-draft"))
    words = line.replace("TEXT", "wrong").replace("NAME", "Kim").split()
    assert installation.command(*words[1:]).status == 0
    assert (orders(sandbox), installation.command("status").status) == ([SECOND], 0)


def test_where_nothing_is_left_to_bill_removing_the_draft_is_the_correction(
    installation: Installation, sandbox: Sandbox
) -> None:
    installation.oms.remove_service("S-1")
    answer = correct(installation, "--remove-draft")
    assert (answer.status, answer.out.startswith(f"{FIRST} is withdrawn, and {MONTH} has nothing left")) == (
        0,
        True,
    )
    (item,) = installation.command("status", "--json").json()["open"]
    assert (orders(sandbox), item["code"]) == ([], Code.NOT_DELIVERED_YET)
    installation.command("run", MONTH)
    assert installation.command("status").status == 0, "a run finds that there is nothing to bill"
    sandbox.import_now()
    assert orders(sandbox) == []


def test_a_file_that_nobody_has_taken_is_taken_back_and_no_draft_is_asked_for(
    installation: Installation, sandbox: Sandbox
) -> None:
    assert correct(installation).status == 0, "r2 lies in the inbox, r1 was imported"
    installation.oms.change_service("S-1", unit_price_net="170.00")
    answer = correct(installation, "--remove-draft")
    assert answer.status == 0, answer.err
    sandbox.import_now()
    assert (deletions(sandbox), orders(sandbox)) == ([("/documents/1", 204)], [f"{MONTH}-10023-r3"])
