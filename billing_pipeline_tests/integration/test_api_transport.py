"""A month delivered through EASY Bill's API alone, and customers looked up before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.delivery.records import State
from billing_pipeline.launch.read_back import read_back
from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline.sandbox.fault_injection import Trouble
from billing_pipeline_tests.support.easybill_sandbox import judged_sandbox
from billing_pipeline_tests.support.installation import Installation, customer_in, outcomes_in
from billing_pipeline_tests.support.plain_months import run_plainly

MONTH = "2026-10"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """At the end every request made of it is judged."""
    with judged_sandbox(tmp_path / "sandbox") as running:
        yield running


def api_settings(sandbox: Sandbox, **settings: str) -> dict[str, str]:
    api = {name: value for name, value in sandbox.settings().items() if name.startswith("BILLING_EASYBILL")}
    return {**api, "BILLING_EASYBILL_REQUESTS_PER_MINUTE": "600", **settings}


def installation_at(sandbox: Sandbox, folder: Path, *, rules: str = "", **settings: str) -> Installation:
    """Two companies with a service each; 10024's has two tasks."""
    installation = Installation(folder, rules=rules, **api_settings(sandbox, **settings))
    installation.oms.customer("10023")
    installation.oms.service("S-1", "10023")
    installation.oms.customer("10024")
    installation.oms.service("S-2", "10024", quantity="3", unit_price_net="0.10")
    installation.oms.task("S-2", 1, task_name="Front battery change")
    installation.oms.task("S-2", 2, task_name="Rear battery change")
    return installation


def calls(sandbox: Sandbox) -> list[str]:
    return [f"{exchange.method} {exchange.path}" for exchange in sandbox.journal.exchanges]


def test_a_month_is_delivered_through_the_api_alone(sandbox: Sandbox, tmp_path: Path) -> None:
    for number in ("10023", "10024"):
        sandbox.add_customer(number, company_name="x")
    installation = installation_at(
        sandbox, tmp_path, BILLING_TRANSPORT="api", rules='draft_template = "12345"'
    )

    answer = installation.command("run", MONTH, "--json")

    assert answer.status == 0, answer.err
    result = answer.json()
    assert outcomes_in(result) == {"10023": "delivered", "10024": "delivered"}
    drafts = {draft.customer_number: draft for draft in sandbox.drafts()}
    for number, draft in drafts.items():
        customer = customer_in(result, number)
        assert draft.external_id == draft.order_number == customer["order_number"]
        assert (draft.net, draft.vat, draft.gross) == (customer["net"], customer["vat"], customer["gross"])
        assert draft.details["pdf_template"] == "12345"
    assert [item.type for item in drafts["10024"].items] == ["POSITION", "TEXT", "TEXT"]
    assert installation.files() == {}
    assert calls(sandbox) == ["GET /customers", "GET /documents", "POST /documents", "POST /documents"]

    again = installation.command("run", MONTH, "--json")
    assert outcomes_in(again.json()) == {"10023": "unchanged", "10024": "unchanged"}
    assert len(calls(sandbox)) == 4


def test_the_log_has_every_exchange_with_the_api(sandbox: Sandbox, tmp_path: Path) -> None:
    for number in ("10023", "10024"):
        sandbox.add_customer(number, company_name="x")
    installation = installation_at(sandbox, tmp_path, BILLING_TRANSPORT="api")
    run_plainly(installation, MONTH)
    told = [
        (event.action, event.outcome)
        for event in installation.ledger.events.find(month=MONTH)
        if event.kind == "exchange" and not event.customer_number
    ]
    assert told == [
        ("GET /rest/v1/customers", "success"),
        ("GET /rest/v1/documents", "success"),
        ("POST /rest/v1/documents", "success"),
        ("POST /rest/v1/documents", "success"),
    ]
    assert sandbox.api_key not in installation.command("log", "--month", MONTH).out


def test_what_has_changed_since_is_held_and_a_correction_is_a_draft_of_its_own(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    for number in ("10023", "10024"):
        sandbox.add_customer(number, company_name="x")
    installation = installation_at(sandbox, tmp_path, BILLING_TRANSPORT="api")
    run_plainly(installation, MONTH)
    installation.oms.change_service("S-1", unit_price_net="100.00")
    assert customer_in(run_plainly(installation, MONTH))["outcome"] == "held"
    assert len(sandbox.drafts()) == 2
    decided = ("--customer", "10023", "--reason", "wrong price", "--by", "Ada")
    answer = installation.command("correct", MONTH, *decided)
    assert answer.status == 0, answer.err
    drafts = {draft.order_number: draft.gross for draft in sandbox.drafts()}
    assert drafts[f"{MONTH}-10023"] == 17850
    assert drafts[f"{MONTH}-10023-r2"] == 11900
    installation.do(lambda settings: read_back(settings, MONTH))
    states = {
        delivery.order_number: delivery.state for delivery in installation.ledger.deliveries.of_month(MONTH)
    }
    assert states[f"{MONTH}-10023-r2"] is states[f"{MONTH}-10024"] is State.CONFIRMED


def test_without_the_customer_there_is_no_draft(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.add_customer("10023", company_name="x")
    sandbox.add_customer("10024", company_name="x")
    sandbox.add_customer("10024", company_name="y")
    installation = installation_at(
        sandbox, tmp_path, BILLING_TRANSPORT="api", rules='not_in_easybill = "off"'
    )
    answer = installation.command("run", MONTH, "--json")
    assert answer.status == 1
    assert outcomes_in(answer.json()) == {"10023": "delivered", "10024": "blocked"}
    (problem,) = customer_in(answer.json(), "10024")["problems"]
    assert problem["code"] == "NOT_IN_EASYBILL"
    assert "EASY Bill has 2 customers with this number" in problem["message"]


def test_an_unknown_customer_is_sent_to_with_a_warning(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.add_customer("10023", company_name="x")
    installation = installation_at(sandbox, tmp_path)
    answer = installation.command("run", MONTH, "--json")
    assert answer.status == 0
    assert outcomes_in(answer.json()) == {"10023": "delivered", "10024": "delivered"}
    assert customer_in(answer.json())["problems"] == []
    assert [problem["code"] for problem in customer_in(answer.json(), "10024")["problems"]] == [
        "NOT_IN_EASYBILL"
    ]
    assert calls(sandbox) == ["GET /customers"]
    assert len(installation.files()) == 2


def test_an_unknown_customer_is_blocked_where_the_rules_say_so(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.add_customer("10023", company_name="x")
    installation = installation_at(sandbox, tmp_path, rules='not_in_easybill = "block"')
    answer = installation.command("run", MONTH, "--json")
    assert answer.status == 1
    assert outcomes_in(answer.json()) == {"10023": "delivered", "10024": "blocked"}
    assert list(installation.files()) == ["easybill_2026-10_10023.csv"]
    sandbox.add_customer("10024", company_name="x")
    assert outcomes_in(run_plainly(installation, MONTH)) == {"10023": "unchanged", "10024": "delivered"}


def test_nobody_is_looked_up_where_the_rules_say_so(sandbox: Sandbox, tmp_path: Path) -> None:
    installation = installation_at(sandbox, tmp_path, rules='not_in_easybill = "off"')
    assert outcomes_in(run_plainly(installation, MONTH)) == {"10023": "delivered", "10024": "delivered"}
    assert calls(sandbox) == []


def test_an_api_that_cannot_be_asked_stops_no_file_and_is_told(sandbox: Sandbox, tmp_path: Path) -> None:
    settings = {"BILLING_EASYBILL_API_KEY": "canary-key", "BILLING_EASYBILL_API_KEY_FILE": ""}
    installation = installation_at(sandbox, tmp_path, **settings)
    answer = installation.command("run", MONTH, "--json")
    assert answer.status == 0
    (problem,) = customer_in(answer.json())["problems"]
    assert problem["code"] == "NOT_IN_EASYBILL"
    assert "could not be asked whether it has this customer" in problem["message"]
    assert "401" in problem["message"]
    told = installation.command("log", "--month", MONTH).out
    assert "GET /rest/v1/customers: failure" in told
    assert "canary-key" not in told + answer.out + answer.err


def test_where_unknown_customers_are_blocked_the_api_must_answer(sandbox: Sandbox, tmp_path: Path) -> None:
    settings = {"BILLING_EASYBILL_API_KEY": "canary-key", "BILLING_EASYBILL_API_KEY_FILE": ""}
    installation = installation_at(sandbox, tmp_path, rules='not_in_easybill = "block"', **settings)
    answer = installation.command("run", MONTH)
    assert answer.status == 3
    assert "check BILLING_EASYBILL_API_KEY" in answer.err
    assert installation.files() == {}


def test_a_lost_reply_makes_one_draft(sandbox: Sandbox, tmp_path: Path) -> None:
    for number in ("10023", "10024"):
        sandbox.add_customer(number, company_name="x")
    installation = installation_at(sandbox, tmp_path, BILLING_TRANSPORT="api")
    sandbox.faults.on_request(Trouble.REPLY_CUT_OFF, method="POST", path="/documents")
    assert outcomes_in(run_plainly(installation, MONTH)) == {"10023": "delivered", "10024": "delivered"}
    assert len(sandbox.drafts()) == 2


def findings(installation: Installation) -> tuple[int, dict[str, str]]:
    answer = installation.command("doctor", "--json")
    assert answer.out, answer.err
    found = {finding["subject"]: finding for finding in answer.json()["findings"]}
    assert "canary-key" not in answer.out + answer.err
    return answer.status, {
        subject: ("" if finding["ok"] else "FIX ") + finding["detail"] for subject, finding in found.items()
    }


def test_doctor_says_whose_account_it_is_and_how_fast_it_may_be_asked(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    status, found = findings(installation_at(sandbox, tmp_path, BILLING_TRANSPORT="api"))
    assert status == 0, found
    assert "EASY Bill Sandbox <sandbox@example.com> (ADMIN); at most 600 requests a minute" in found["API"]
    assert found["inbox"].startswith("none: drafts are created through the API")
    assert calls(sandbox) == ["GET /logins"]


def test_doctor_says_what_to_fix_where_the_key_is_refused_or_nobody_answers(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    wrong = {"BILLING_EASYBILL_API_KEY": "canary-key", "BILLING_EASYBILL_API_KEY_FILE": ""}
    installation = installation_at(sandbox, tmp_path, **wrong)
    status, found = findings(installation)
    assert status == 3
    assert found["API"].startswith("FIX ")
    assert "401" in found["API"]
    assert "check BILLING_EASYBILL_API_KEY" in found["API"]
    installation.environment["BILLING_EASYBILL_API_URL"] = "http://127.0.0.1:9/rest/v1"
    assert "check BILLING_EASYBILL_API_URL and the network" in findings(installation)[1]["API"]


def test_doctor_says_where_no_api_is_set_up(tmp_path: Path) -> None:
    status, found = findings(Installation(tmp_path))
    assert status == 0, found
    assert found["API"] == "not set up: drafts are not read back (BILLING_EASYBILL_API_KEY)"
