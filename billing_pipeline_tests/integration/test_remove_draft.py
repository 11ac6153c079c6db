"""`correct --remove-draft` against the sandbox over HTTP: one draft is deleted, ours, or none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from billing_pipeline.defs import draft_assets, draft_sensor
from billing_pipeline.defs.build import build_defs
from billing_pipeline.launch import correct as launch_correct
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.launch.read_back import read_back
from billing_pipeline.problems import Code
from billing_pipeline.sandbox.books import Books
from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline.sandbox.drafts import NewDocument
from billing_pipeline.sandbox.fault_injection import Trouble
from billing_pipeline.sandbox.receiver_amounts import Amounts
from billing_pipeline.settings import Settings
from billing_pipeline.steps import remove_draft as step
from billing_pipeline.steps.wiring import build_wiring
from billing_pipeline_tests.support.easybill_sandbox import judged_sandbox
from billing_pipeline_tests.support.installation import Answer, Installation, outcomes_in
from billing_pipeline_tests.support.plain_months import run_plainly

MONTH = "2026-10"
FIRST, SECOND = f"{MONTH}-10023", f"{MONTH}-10023-r2"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """Imports when told to; at the end every request made of it is judged."""
    with judged_sandbox(tmp_path / "sandbox") as running:
        running.journal.may_delete = True
        yield running


@pytest.fixture
def installation(sandbox: Sandbox, tmp_path: Path) -> Installation:
    """One customer whose month was sent and imported, and has changed in the OMS since."""
    return sent_and_changed(sandbox, tmp_path)


def sent_and_changed(sandbox: Sandbox, tmp_path: Path, **settings: str) -> Installation:
    api = {name: value for name, value in sandbox.settings().items() if name.startswith("BILLING_EASYBILL")}
    api["BILLING_EASYBILL_REQUESTS_PER_MINUTE"] = "600"
    made = Installation(tmp_path, **api, BILLING_FOLDER=str(sandbox.files), **settings)
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


@pytest.mark.parametrize("transport", ["folder", "api"])
def test_a_finished_invoice_is_not_deleted_and_the_correction_goes_out_once_it_is_cancelled(
    sandbox: Sandbox, tmp_path: Path, transport: str
) -> None:
    installation = sent_and_changed(sandbox, tmp_path, BILLING_TRANSPORT=transport)
    books = Books(sandbox.state_dir / "easybill.db")
    books.finalise(1)
    answer = correct(installation, "--remove-draft")
    assert answer.status == 2
    assert "document 1 (RE-1) is a finished invoice: cancel it in EASY Bill" in answer.err
    assert (deletions(sandbox), list((sandbox.files / "import").iterdir())) == ([], [])
    books.cancel(1)
    answer = correct(installation, "--remove-draft")
    assert answer.status == 0, answer.err
    assert f"The draft of {FIRST} was not in EASY Bill any more." in answer.out
    sandbox.import_now()
    assert (deletions(sandbox), orders(sandbox)) == ([], [SECOND])
    assert installation.command("status").status == 0, "nothing is left on the list"


def test_over_the_api_alone_the_draft_is_deleted_and_the_next_one_made(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    installation = sent_and_changed(sandbox, tmp_path, BILLING_TRANSPORT="api")
    answer = correct(installation, "--remove-draft")
    assert answer.status == 0, answer.err
    assert answer.out.endswith(f"Draft 1 of {FIRST} was removed from EASY Bill.\n")
    assert (deletions(sandbox), orders(sandbox)) == ([("/documents/1", 204)], [SECOND])
    assert list((sandbox.files / "import").iterdir()) == []
    assert installation.command("status").status == 0, "nothing is left on the list"


def test_a_draft_with_other_amounts_than_were_sent_is_not_deleted(
    installation: Installation, sandbox: Sandbox
) -> None:
    sandbox.faults.change_amount(FIRST, 1)
    answer = correct(installation, "--remove-draft")
    assert (answer.status, "gross amount of 178,51 EUR" in answer.err) == (2, True)
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


@pytest.mark.parametrize("how", ["cancelled", "deleted"])
def test_a_replaced_draft_that_is_gone_leaves_the_list_with_the_next_reading(
    installation: Installation, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    assert correct(installation).status == 0
    sandbox.import_now()
    read(installation)
    assert [item["code"] for item in open_items(installation)] == [Code.DRAFT_TO_REMOVE]

    books = Books(sandbox.state_dir / "easybill.db")
    if how == "cancelled":
        books.finalise(1)
        read(installation)
        assert len(open_items(installation)) == 1, "a finished invoice is there"
        books.cancel(1)
    else:
        books.delete_document(1)
        # So early it might still have come.
        monkeypatch.setattr(draft_assets, "utc_now", lambda: datetime.now(UTC) + timedelta(hours=25))
    read(installation)
    assert open_items(installation) == []
    assert installation.command("status").status == 0
    assert "a later order replaces it" in installation.command("log", "--customer", "10023").out


def test_drafts_to_remove_are_asked_for_after_all_others_are_confirmed(
    installation: Installation, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft_sensor, "utc_now", lambda: datetime(2026, 11, 3, tzinfo=UTC))
    assert correct(installation).status == 0
    sandbox.import_now()
    read(installation)
    assert [request.tags["billing/month"] for request in asked_for(installation)] == [MONTH]
    Books(sandbox.state_dir / "easybill.db").finalise(1)
    Books(sandbox.state_dir / "easybill.db").cancel(1)
    read(installation)
    assert asked_for(installation) == []


def commands_in(message: str) -> list[list[str]]:
    """The commands that a message names, with words for TEXT and NAME."""
    named = [part for part in message.split("`") if part.startswith("billing-pipeline ")]
    return [part.replace("TEXT", "looked").replace("NAME", "Kim").split()[1:] for part in named]


@pytest.mark.parametrize("answer", ["billed anew", "accepted"])
def test_of_a_cancelled_document_that_nothing_replaces_the_message_says_what_to_do(
    installation: Installation, sandbox: Sandbox, answer: str
) -> None:
    books = Books(sandbox.state_dir / "easybill.db")
    read(installation)
    books.finalise(1)
    books.cancel(1)
    read(installation)
    (item,) = open_items(installation)
    assert item["code"] == Code.DRAFT_MISMATCH
    withdrawn, run_again, accepted = commands_in(item["message"])
    if answer == "billed anew":
        assert installation.command(*withdrawn).status == 0
        assert installation.command(*run_again).status == 0
        sandbox.import_now()
        assert orders(sandbox) == [SECOND], "the first one is no draft any more"
        read(installation)
    else:
        assert installation.command(*accepted).status == 0
        read(installation)
        assert orders(sandbox) == []
    assert {item["code"] for item in open_items(installation)} <= {Code.CHANGED_AFTER_DELIVERY}


def test_of_two_documents_the_next_reading_settles_it_once_one_is_removed(
    installation: Installation, sandbox: Sandbox
) -> None:
    books = Books(sandbox.state_dir / "easybill.db")
    (draft,) = sandbox.drafts()
    amounts = Amounts(15000, 2850, 17850)
    second = NewDocument(draft.customer_id, FIRST, draft.document_date, "EUR", draft.basis, (), amounts, {})
    books.add_document(second)
    read(installation)
    (item,) = open_items(installation)
    assert (item["code"], commands_in(item["message"])) == (Code.DRAFT_MISMATCH, [])
    assert "remove all but one there" in item["message"]
    books.delete_document(2)
    read(installation)
    assert open_items(installation) == []


def test_of_another_amount_the_message_names_commands_that_work(
    installation: Installation, sandbox: Sandbox
) -> None:
    sandbox.faults.change_amount(FIRST, 1)
    read(installation)
    (item,) = open_items(installation)
    assert item["code"] == Code.DRAFT_MISMATCH
    corrected, accepted = commands_in(item["message"])
    assert installation.command(*accepted).status == 0
    assert installation.command(*corrected).status == 0
    sandbox.import_now()
    assert orders(sandbox) == [FIRST, SECOND]


def read(installation: Installation) -> None:
    installation.do(lambda settings: read_back(settings, MONTH))


def open_items(installation: Installation) -> list[dict[str, str]]:
    items: list[dict[str, str]] = installation.command("status", "--json").json()["open"]
    return items


def asked_for(installation: Installation) -> list[dg.RunRequest]:
    """What a tick of the sensor asks for."""

    def tick(settings: Settings) -> list[dg.RunRequest]:
        wiring = build_wiring(settings)
        sensor = build_defs(settings).resolve_sensor_def("easybill_draft_sensor")
        with open_instance(settings) as instance:
            resources = {"ledger": wiring.ledger, "billing": wiring.billing}
            result = sensor(dg.build_sensor_context(instance=instance, resources=resources))
        return list(result.run_requests or []) if isinstance(result, dg.SensorResult) else []

    return installation.do(tick)


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
