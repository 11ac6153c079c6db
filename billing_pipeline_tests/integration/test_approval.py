"""BILLING_REQUIRE_APPROVAL: nothing is sent that nobody has approved, whichever way, and then exactly those bytes."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.delivery.records import State
from billing_pipeline.problems import Code
from billing_pipeline.steps.approve import ManifestOutdated, approve_month
from billing_pipeline.steps.make_files import make_files, stored_exports
from billing_pipeline_tests.support.installation import Installation, customer_in, outcomes_in
from billing_pipeline_tests.support.plain_months import PlainMonths

MONTH = "2026-10"


def filled(months: PlainMonths) -> PlainMonths:
    """October of two customers with a service each."""
    for number in ("10023", "10024"):
        months.oms.customer(number)
        months.oms.service(f"S-{number}", number)
    return months


@pytest.fixture
def months(tmp_path: Path) -> PlainMonths:
    return filled(PlainMonths(tmp_path, BILLING_REQUIRE_APPROVAL="true"))


def manifest_in(months: PlainMonths) -> str:
    """The hash that `preview --json` tells."""
    told: str = months.installation.command("preview", MONTH, "--json").json()["manifest"]
    return told


def approve(months: PlainMonths, manifest: str | None = None) -> None:
    """Ann approves the month as it is now, or this manifest."""
    wanted = manifest or manifest_in(months)
    months.installation.do(lambda settings: approve_month(settings, MONTH, wanted, author="Ann"))


def told(months: PlainMonths) -> dict[str, tuple[str, str]]:
    """By customer, the outcome and the code that explains it."""
    return {
        one.customer_number: (one.outcome, one.problems[0].code if one.problems else "")
        for one in months.status(MONTH).customers
    }


WAITING = ("held", Code.NOT_APPROVED)


def test_nothing_is_sent_or_planned_before_it_is_approved_and_then_exactly_those_bytes(
    months: PlainMonths,
) -> None:
    months.run(MONTH)
    assert told(months) == {"10023": WAITING, "10024": WAITING}
    assert months.installation.files() == {}
    assert months.ledger.deliveries.of_month(MONTH) == []
    assert [item.code for item in months.open()] == ["NOT_APPROVED", "NOT_APPROVED"]
    approve(months)
    months.run(MONTH)
    assert {outcome for outcome, _ in told(months).values()} == {"delivered"}
    sent = {sha256(text.encode()).hexdigest() for text in months.installation.files().values()}
    assert sent == {file.sha256 for _, file in months.ledger.approvals.in_force(MONTH).values()}
    months.run(MONTH)
    assert {outcome for outcome, _ in told(months).values()} == {"unchanged"}


def test_the_message_names_the_manifest_and_commands_that_work_from_that_very_state(
    months: PlainMonths,
) -> None:
    months.run(MONTH)
    (message, _) = (one.problems[0].message for one in months.status(MONTH).customers)
    manifest = manifest_in(months)
    assert f"`billing-pipeline approve {MONTH} --manifest {manifest} --by NAME`" in message
    approved = months.installation.command("approve", MONTH, "--manifest", manifest, "--by", "Ann")
    assert (approved.status, approved.err) == (0, "")
    months.send(MONTH, stored_exports(["10023", "10024"], MONTH, months.wiring.ledger))
    assert {outcome for outcome, _ in told(months).values()} == {"delivered"}


def test_the_first_of_several_chunks_names_the_manifest_of_the_whole_month(months: PlainMonths) -> None:
    billing_id = months.bill(MONTH)
    billing = months.ledger.billings.get(billing_id)
    assert billing is not None
    wiring = months.wiring
    exports = make_files(
        ["10023"],
        MONTH,
        billing_id=None,
        frames=wiring.frames,
        ledger=wiring.ledger,
        blobs=wiring.blobs,
        billing=wiring.billing,
        run_id="chunk",
    ).exports
    months.send(MONTH, exports)
    assert manifest_in(months) in months.customer(MONTH).problems[0].message


def test_bytes_that_are_others_by_now_are_held_with_what_differs(months: PlainMonths) -> None:
    approve(months)
    months.oms.change_service("S-10024", unit_price_net="160.00")
    months.run(MONTH)
    assert told(months) == {"10023": ("delivered", ""), "10024": ("held", Code.APPROVAL_OUTDATED)}
    message = months.customer(MONTH, "10024").problems[0].message
    assert "that Ann approved on" in message
    assert "net 150,00 EUR → 160,00 EUR" in message
    assert list(months.installation.files()) == ["easybill_2026-10_10023.csv"]
    approve(months)
    months.run(MONTH)
    assert told(months) == {"10023": ("unchanged", ""), "10024": ("delivered", "")}


def test_a_customer_who_came_after_the_approval_waits_and_nobody_else(months: PlainMonths) -> None:
    approve(months)
    months.oms.customer("10025")
    months.oms.service("S-10025", "10025")
    months.run(MONTH)
    assert told(months)["10025"] == WAITING
    approve(months)
    months.run(MONTH)
    assert told(months)["10025"] == ("delivered", "")


def test_each_month_needs_an_approval_of_its_own(months: PlainMonths) -> None:
    approve(months)
    months.oms.service("S-september", "10023", completed_at="2026-09-20T08:00:00Z", unit_price_net="5.00")
    months.run("2026-09")
    assert months.customer("2026-09").problems[0].code == Code.NOT_APPROVED
    months.run(MONTH)
    assert told(months)["10023"] == ("delivered", "")


def test_approve_refuses_a_hash_that_is_not_the_current_one_and_says_it(months: PlainMonths) -> None:
    old = manifest_in(months)
    months.oms.change_service("S-10024", unit_price_net="160.00")
    with pytest.raises(ManifestOutdated, match=f"the current one is {manifest_in(months)}"):
        approve(months, old)
    assert months.ledger.approvals.in_force(MONTH) == {}
    refused = months.installation.command("approve", MONTH, "--manifest", old, "--by", "Ann")
    assert (refused.status, refused.out) == (2, "")
    nameless = months.installation.command("approve", MONTH, "--manifest", manifest_in(months), "--by", " ")
    assert nameless.status == 2


def test_the_newest_approval_of_the_month_counts_alone(months: PlainMonths) -> None:
    approve(months)
    months.oms.change_service("S-10024", unit_price_net="160.00")
    approve(months)
    months.oms.change_service("S-10024", unit_price_net="150.00")
    months.run(MONTH)
    assert told(months)["10024"] == ("held", Code.APPROVAL_OUTDATED)


def test_the_same_data_and_rules_give_the_same_manifest(months: PlainMonths, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = filled(PlainMonths(tmp_path / "other"))
    first = manifest_in(months)
    assert (manifest_in(other), manifest_in(months)) == (first, first)
    approve(months)
    months.run(MONTH)
    assert manifest_in(months) == first, "what is delivered meanwhile makes no other files"


def test_preview_tells_the_manifest_of_the_files_it_writes(months: PlainMonths, tmp_path: Path) -> None:
    answer = months.installation.command("preview", MONTH, "--out", str(tmp_path / "files"))
    *names, last = answer.out.splitlines()
    found: Any = months.installation.command(
        "preview", MONTH, "--out", str(tmp_path / "files"), "--json"
    ).json()
    assert last == f"manifest {found['manifest']}"
    assert list(found) == ["month", "manifest", "files"]
    written = [Path(name).read_bytes() for name in names]
    assert [(one["sha256"], one["bytes"]) for one in found["files"]] == [
        (sha256(data).hexdigest(), len(data)) for data in written
    ]
    canonical = json.dumps(
        {"files": found["files"], "month": MONTH}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert found["manifest"] == sha256(canonical.encode()).hexdigest()
    part = months.installation.command("preview", MONTH, "--customer", "10023", "--json").json()
    assert (part["manifest"], len(part["files"])) == (None, 1)


def test_whoever_decides_on_a_correction_approves_its_file_and_no_other(months: PlainMonths) -> None:
    approve(months)
    months.run(MONTH)
    months.oms.change_service("S-10023", unit_price_net="151.00")
    months.oms.change_service("S-10024", unit_price_net="152.00")
    assert months.correct(MONTH).has_arrived
    approval, file = months.ledger.approvals.in_force(MONTH)["10023"]
    assert (approval.kind, approval.author, file.file_name) == (
        "correction",
        "Ann",
        "easybill_2026-10_10023_r2.csv",
    )
    months.run(MONTH)
    assert told(months)["10024"] == ("held", Code.CHANGED_AFTER_DELIVERY)


def test_what_is_released_to_be_sent_again_needs_approval_too(months: PlainMonths) -> None:
    (months.installation.inbox / "easybill_2026-10_10023.csv").write_text("somebody else's", encoding="utf-8")
    approve(months)
    months.run(MONTH)
    assert told(months)["10023"] == ("held", Code.NAME_COLLISION)
    (months.installation.inbox / "easybill_2026-10_10023.csv").unlink()
    months.oms.change_service("S-10023", unit_price_net="160.00")
    months.ledger.releases.release("2026-10-10023", as_="send", reason="not ours", author="Ann")
    months.run(MONTH)
    assert told(months)["10023"] == ("held", Code.APPROVAL_OUTDATED)
    assert list(months.installation.files()) == ["easybill_2026-10_10024.csv"]
    approve(months)
    months.run(MONTH)
    assert told(months)["10023"] == ("delivered", "")


def test_where_all_or_nothing_goes_one_unapproved_file_holds_the_month(tmp_path: Path) -> None:
    months = filled(
        PlainMonths(tmp_path, rules='delivery_policy = "all_or_nothing"\n', BILLING_REQUIRE_APPROVAL="true")
    )
    approve(months)
    months.oms.change_service("S-10024", unit_price_net="160.00")
    months.run(MONTH)
    assert months.installation.files() == {}
    assert "10024 (not approved)" in months.customer(MONTH).problems[0].message
    approve(months)
    months.run(MONTH)
    assert {outcome for outcome, _ in told(months).values()} == {"delivered"}


def test_what_was_sent_before_approval_was_required_stays_as_it_was_sent(tmp_path: Path) -> None:
    months = filled(PlainMonths(tmp_path))
    months.run(MONTH)
    months.installation.environment["BILLING_REQUIRE_APPROVAL"] = "true"
    months.rules("")
    months.run(MONTH)
    assert {outcome for outcome, _ in told(months).values()} == {"unchanged"}
    assert {one.state for one in months.ledger.deliveries.of_month(MONTH)} == {State.PUBLISHED}


def test_a_run_through_dagster_holds_and_after_approval_sends_a_month_of_several_chunks(
    tmp_path: Path,
) -> None:
    installation = Installation(tmp_path, BILLING_REQUIRE_APPROVAL="true", BILLING_CUSTOMERS_PER_RUN="1")
    for number in ("10023", "10024"):
        installation.oms.customer(number)
        installation.oms.service(f"S-{number}", number)
    held = installation.command("run", MONTH, "--json")
    assert held.status == 1
    assert outcomes_in(held.json()) == {"10023": "held", "10024": "held"}
    assert installation.files() == {}
    manifest = installation.command("preview", MONTH, "--json").json()["manifest"]
    assert manifest in customer_in(held.json())["problems"][0]["message"]
    installation.command("approve", MONTH, "--manifest", manifest, "--by", "Ann")
    sent = installation.command("run", MONTH, "--json")
    assert (sent.status, outcomes_in(sent.json())) == (0, {"10023": "delivered", "10024": "delivered"})
    installation.oms.change_service("S-10023", unit_price_net="151.00")
    corrected = installation.command(
        "correct", MONTH, "--customer", "10023", "--reason", "wrong price", "--by", "Kim"
    )
    assert corrected.status == 0, corrected.out + corrected.err
    part = installation.command("run", MONTH, "--service", "S-10024")
    assert (part.status, "--service" in part.err) == (2, True)
