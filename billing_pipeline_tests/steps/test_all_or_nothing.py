"""The delivery policy `all_or_nothing`, as the sending step obeys it: nothing, or all; and what was sent in vain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from billing_pipeline.billing.rules import load_rules
from billing_pipeline.delivery.api.account import EasyBillAccount
from billing_pipeline.delivery.context import DeliveryContext, Places
from billing_pipeline.delivery.files.inbox import Inbox
from billing_pipeline.delivery.ledger import Ledger, open_ledger
from billing_pipeline.delivery.records import DeliveryResult, Export, Parcel, State
from billing_pipeline.delivery.transports.protocol import InboxUnavailable, PermissionRefused
from billing_pipeline.problems import Code, Problem
from billing_pipeline.steps.send import Sending, send_parcels
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.delivering import Unchecked, hasty
from billing_pipeline_tests.support.inbox import FakeServer, FakeTransport, is_final
from billing_pipeline_tests.support.ledgers import DONE, planned, taken
from billing_pipeline_tests.support.parcels import MONTH, parcel, rendered

SIGNED = {"reason": "EASY Bill does not have it", "author": "Ann"}


class Month:
    """A ledger, an inbox, and eight customers with a file each."""

    def __init__(self, folder: Path, policy: str = "all_or_nothing") -> None:
        (folder / "rules.toml").write_text(f'delivery_policy = "{policy}"\n', encoding="utf-8")
        self.server = FakeServer()
        self.ledger: Ledger = hasty(open_ledger(f"sqlite:///{folder / 'ledger.db'}"))
        self.store = BlobStore(folder / "store")
        self.parcels = [parcel(f"1002{n}", f"file {n}".encode(), store=self.store) for n in range(8)]
        self.ledger.months.record_exports([one.export for one in self.parcels], "run")
        transport = FakeTransport(self.server)
        rules = load_rules(folder / "rules.toml")
        inbox = Inbox(transport, Places("/import", "/archive"), rules, self.store, connections=1, timeout_s=1)
        context = DeliveryContext(self.ledger, self.store, inbox.destination, Unchecked(), "run")
        easybill = EasyBillAccount("https://api.invalid", None, 60)
        self.sending = Sending(inbox, easybill, rules, context)

    def sent(self, parcels: list[Parcel] | None = None) -> dict[str, DeliveryResult]:
        """By customer number; what is yielded is what the ledger says."""
        outcomes = {
            outcome.customer_number: outcome
            for outcome in send_parcels(self.parcels if parcels is None else parcels, MONTH, self.sending)
        }
        words = {row.export.customer_number: row for row in self.ledger.months.customers(MONTH)}
        for number, outcome in outcomes.items():
            assert (words[number].delivery_outcome, words[number].delivery_problems) == (
                outcome.outcome,
                outcome.problems,
            )
        return outcomes

    def visible(self) -> list[str]:
        return [path for path in self.server.files if path.startswith("/import/") and is_final(path)]

    def states(self) -> list[State]:
        return [delivery.state for delivery in self.ledger.deliveries.of_month(MONTH)]


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Month]:
    made = Month(tmp_path)
    yield made
    made.ledger.close()


def said(outcomes: dict[str, DeliveryResult]) -> set[str]:
    return {outcome.outcome for outcome in outcomes.values()}


def blocked(number: str) -> Export:
    return Export(
        MONTH, number, "blocked", problems=(Problem(Code.PRICE_MISSING, number, "maintain a price"),)
    )


def test_a_month_in_which_all_can_be_sent_is_sent(month: Month) -> None:
    assert said(month.sent()) == {"delivered"}
    assert said(month.sent()) == {"unchanged"}
    assert len(month.server.published) == 8


def test_one_blocked_customer_of_another_run_keeps_all_back_and_is_named(month: Month) -> None:
    month.ledger.months.record_exports([blocked("10030")], "another run")
    outcomes = month.sent(month.parcels[:3])
    assert said(outcomes) == {"failed"}
    (problem,) = outcomes["10020"].problems
    assert problem.code is Code.MONTH_HELD_BACK
    assert "1 customer stands in the way: 10030 (blocked)" in problem.message
    assert (month.server.asked, month.states()) == (0, [])


def test_once_the_blocked_one_is_mended_all_goes_out(month: Month) -> None:
    month.ledger.months.record_exports([blocked("10030")], "run")
    month.sent()
    month.ledger.months.record_exports([Export(MONTH, "10030", "omitted")], "run")
    assert said(month.sent()) == {"delivered"}


def test_what_was_sent_before_is_unchanged_while_the_rest_is_held_back(month: Month) -> None:
    month.sent(month.parcels[:2])
    month.ledger.months.record_exports([blocked(f"1003{n}") for n in range(7)], "run")
    outcomes = month.sent()
    assert [outcomes[f"1002{n}"].outcome for n in range(3)] == ["unchanged", "unchanged", "failed"]
    assert "7 customers stand in the way" in outcomes["10022"].problems[0].message
    assert "10034 (blocked) and 2 more" in outcomes["10022"].problems[0].message
    assert len(month.server.published) == 2


def test_a_held_delivery_keeps_the_others_back_until_it_is_released(month: Month) -> None:
    uploading = taken(month.ledger, planned(month.ledger, month.parcels[0]))
    assert uploading is not None
    month.ledger.transitions.hold(uploading, Code.NAME_COLLISION, "somebody else's", DONE)
    outcomes = month.sent()
    assert (outcomes["10020"].outcome, outcomes["10021"].outcome) == ("held", "failed")
    assert "10020 (held)" in outcomes["10021"].problems[0].message
    month.ledger.releases.release("2026-10-10020", as_="delivered", **SIGNED)
    assert {outcome.outcome for outcome in month.sent().values()} == {"delivered", "unchanged"}


def test_a_failure_midway_stops_the_rest_and_withdraws_what_was_sent(month: Month) -> None:
    month.server.fail("create", PermissionRefused("fake: may not"), skip=2)
    outcomes = month.sent()
    assert [outcomes[f"1002{n}"].outcome for n in range(8)] == ["held"] * 2 + ["failed"] * 6
    assert outcomes["10022"].problems[0].code is Code.DELIVERY_FAILED
    assert {outcomes[f"1002{n}"].problems[0].code for n in range(4, 8)} == {Code.MONTH_HELD_BACK}
    assert "10022 failed (DELIVERY_FAILED)" in outcomes["10020"].problems[0].message
    assert month.visible() == []
    assert month.states()[:3] == [State.HELD, State.HELD, State.PLANNED]
    assert len(month.server.published) <= 3


def test_after_release_as_send_each_file_reaches_the_inbox_once(month: Month) -> None:
    month.server.fail("create", PermissionRefused("fake: may not"), skip=2)
    month.sent()
    assert "10021 (held)" in month.sent()["10027"].problems[0].message
    for delivery in month.ledger.deliveries.of_month(MONTH):
        if delivery.state is State.HELD:
            month.ledger.releases.release(delivery.order_number, as_="send", **SIGNED)
    assert said(month.sent()) == {"delivered"}
    assert said(month.sent()) == {"unchanged"}
    assert len(month.visible()) == 8
    assert month.server.temporaries() == []


def test_what_the_receiver_has_taken_stays_delivered_and_says_that_others_are_missing(month: Month) -> None:
    month.server.after_each = lambda server, *_: server.poll("archive")
    month.server.fail("create", PermissionRefused("fake: may not"), skip=1)
    outcomes = month.sent()
    assert (outcomes["10020"].outcome, outcomes["10021"].outcome) == ("delivered", "failed")
    assert "the receiver had taken it" in outcomes["10020"].problems[0].message


def test_what_an_earlier_run_of_the_month_has_sent_is_withdrawn_too(month: Month) -> None:
    month.sent(month.parcels[:4])
    month.server.fail("create", PermissionRefused("fake: may not"))
    assert said(month.sent(month.parcels[4:])) == {"failed"}
    words = {row.export.customer_number: row.delivery_outcome for row in month.ledger.months.customers(MONTH)}
    assert [words[f"1002{n}"] for n in range(5)] == ["held"] * 4 + ["failed"]
    assert month.visible() == []


def test_an_inbox_that_lets_nobody_in_ends_the_run_and_all_are_told(month: Month) -> None:
    month.server.fail("connect", InboxUnavailable("fake: refused"), times=-1)
    with pytest.raises(InboxUnavailable):
        month.sent()
    assert {row.delivery_outcome for row in month.ledger.months.customers(MONTH)} == {"failed"}


def test_a_correction_that_fails_withdraws_nobody_elses_file(month: Month) -> None:
    month.sent()
    correction = parcel("10020", b"better", revision=2, store=month.store)
    month.ledger.months.record_exports([correction.export], "run")
    month.server.fail("create", PermissionRefused("fake: may not"))
    assert month.sent([correction])["10020"].outcome == "failed"
    assert len(month.visible()) == 8


def test_the_difference_after_delivery_is_a_question_about_that_customer_alone(month: Month) -> None:
    month.sent(month.parcels[:1])
    changed = replace(
        month.parcels[0], export=replace(rendered("10020", b"other"), sha256=month.store.put("csv", b"other"))
    )
    outcomes = month.sent([changed, *month.parcels[1:]])
    assert outcomes.pop("10020").outcome == "held"
    assert said(outcomes) == {"delivered"}


def test_best_effort_sends_what_it_can(tmp_path: Path) -> None:
    month = Month(tmp_path, "best_effort")
    month.ledger.months.record_exports([blocked("10030")], "run")
    month.server.fail("create", PermissionRefused("fake: may not"), skip=2)
    outcomes = month.sent()
    assert sorted(outcome.outcome for outcome in outcomes.values()) == ["delivered"] * 7 + ["failed"]
    assert len(month.visible()) == 7
    month.ledger.close()
