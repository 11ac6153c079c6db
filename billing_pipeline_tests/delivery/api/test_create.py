"""Drafts through the API: once, whatever dies, is refused, or is not answered. Judged by the sandbox's own books."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from billing_pipeline.delivery.api.create import CRASH_POINTS
from billing_pipeline.delivery.ledger import Ledger, open_ledger
from billing_pipeline.delivery.records import Parcel, State
from billing_pipeline.easybill.api_errors import KeyRefused, OutcomeUnknown
from billing_pipeline.problems import Code
from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline.sandbox.fault_injection import Trouble
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.delivering import hasty
from billing_pipeline_tests.support.documents import a_customer
from billing_pipeline_tests.support.drafting import DraftBench, api_of
from billing_pipeline_tests.support.easybill_sandbox import judged_sandbox

numbers = map(str, itertools.count(20_001))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One for all tests, each of which has customers of its own; at the end every request made is judged."""
    folder = tmp_path_factory.mktemp("sandbox")
    with judged_sandbox(folder) as running:
        yield running


@pytest.fixture
def bench(sandbox: Sandbox, sqlite_ledger: Ledger, store: BlobStore) -> DraftBench:
    sandbox.faults.clear()
    return DraftBench(sandbox, sqlite_ledger, store)


def test_a_draft_is_created_once_and_the_ledger_says_where(bench: DraftBench) -> None:
    parcel = bench.parcel(next(numbers))
    result = bench.send(parcel)
    (draft,) = bench.drafts(parcel)
    row = bench.row(parcel)
    assert (result.outcome, row.state, row.draft_id) == ("delivered", State.PUBLISHED, draft.id)
    assert result.remote_path == row.remote_path == f"{bench.sandbox.api_url}/documents/{draft.id}"
    assert (draft.net, draft.vat, draft.gross) == (row.net, row.vat, row.gross)
    assert (draft.external_id, draft.is_draft) == (parcel.export.order_number, True)
    assert bench.send(parcel).outcome == "unchanged"
    assert bench.asked(parcel) == 1
    assert [event.action for event in bench.events(parcel) if event.kind == "exchange"] == ["ask", "create"]


def test_many_customers_cost_one_request_each_beside_the_lists(bench: DraftBench) -> None:
    parcels = [bench.parcel(next(numbers)) for _ in range(5)]
    before = len(bench.sandbox.journal.exchanges)
    assert {result.outcome for result in bench.send_all(parcels)} == {"delivered"}
    assert len(bench.sandbox.journal.exchanges) - before == 5 + 2


@pytest.mark.parametrize("edge", CRASH_POINTS)
def test_a_run_that_dies_anywhere_makes_at_most_one_draft(bench: DraftBench, edge: str) -> None:
    parcel = bench.parcel(next(numbers))
    in_recovery = edge in {"adopted", "looked"}
    if in_recovery:
        assert bench.send_and_die_at("created", parcel)
    assert bench.send_and_die_at(edge, parcel)

    result = bench.send(parcel)

    assert bench.asked(parcel) <= 1
    if edge == "committed":
        # Nobody can know that nothing left: runs look for a while, then a person decides.
        assert result.outcome == "failed"
        bench.later = timedelta(hours=1)
        result = bench.send(parcel)
        assert (result.outcome, bench.row(parcel).state) == ("held", State.HELD)
        assert (bench.asked(parcel), bench.drafts(parcel)) == (0, [])
        return
    assert result.outcome == ("unchanged" if edge == "published" else "delivered")
    assert len(bench.drafts(parcel)) == 1
    assert bench.row(parcel).state is State.PUBLISHED


@pytest.mark.parametrize("trouble", [Trouble.NO_REPLY, Trouble.REPLY_CUT_OFF])
def test_a_lost_reply_is_resolved_by_looking(bench: DraftBench, trouble: Trouble) -> None:
    parcel = bench.parcel(next(numbers))
    bench.sandbox.faults.on_request(trouble, method="POST", path="/documents")
    bench.timeout_s = 0.5
    assert bench.send(parcel).outcome == "delivered"
    assert (bench.asked(parcel), len(bench.drafts(parcel))) == (1, 1)
    assert [event.action for event in bench.events(parcel) if event.kind == "exchange"] == [
        "ask",
        "attempt",
        "recover",
    ]


def test_a_draft_that_shows_only_later_is_found_by_the_next_run(bench: DraftBench) -> None:
    parcel = bench.parcel(next(numbers))
    bench.sandbox.faults.on_request(Trouble.REPLY_CUT_OFF, method="POST", path="/documents")
    bench.sandbox.faults.lose_draft(parcel.export.order_number)
    result = bench.send(parcel)
    assert (result.outcome, result.problems[0].code) == ("failed", Code.DELIVERY_FAILED)
    assert "look before creating it again" in result.problems[0].message
    early = bench.send(parcel)
    assert early.outcome == "failed"
    assert "it may still appear: run the month again after" in early.problems[0].message
    bench.sandbox.faults.clear()
    assert bench.send(parcel).outcome == "delivered"
    assert (bench.asked(parcel), len(bench.drafts(parcel))) == (1, 1)


def test_what_never_shows_is_held_and_a_person_may_have_it_sent(bench: DraftBench) -> None:
    parcel = bench.parcel(next(numbers))
    bench.sandbox.faults.on_request(Trouble.SERVER_ERROR, method="POST", path="/documents")
    assert bench.send(parcel).outcome == "failed"
    bench.later = timedelta(minutes=16)
    result = bench.send(parcel)
    assert result.outcome == "held"
    assert "did not answer, and does not show it; look into EASY Bill, then" in result.problems[0].message
    assert bench.send(parcel).outcome == "held"
    assert bench.asked(parcel) == 1
    bench.ledger.releases.release(parcel.export.order_number, as_="send", reason="not there", author="Ada")
    assert bench.send(parcel).outcome == "delivered"
    assert len(bench.drafts(parcel)) == 1


def test_what_a_person_releases_is_looked_for_once_more(bench: DraftBench) -> None:
    parcel = bench.parcel(next(numbers))
    bench.sandbox.faults.on_request(Trouble.REPLY_CUT_OFF, method="POST", path="/documents")
    bench.sandbox.faults.lose_draft(parcel.export.order_number)
    bench.send(parcel)
    bench.later = timedelta(hours=1)
    assert bench.send(parcel).outcome == "held"
    bench.ledger.releases.release(parcel.export.order_number, as_="send", reason="not there", author="Ada")
    bench.sandbox.faults.clear()  # and now it is
    result = bench.send(parcel)
    assert (result.outcome, result.problems[0].code) == ("held", Code.NAME_COLLISION)
    assert (bench.asked(parcel), len(bench.drafts(parcel))) == (1, 1)


def test_a_document_of_the_order_from_elsewhere_is_held(bench: DraftBench, tmp_path: Path) -> None:
    parcel = bench.parcel(next(numbers))
    bench.send(parcel)
    stranger = hasty(open_ledger(f"sqlite:///{tmp_path / 'other' / 'ledger.db'}"))
    stranger.months.record_exports([parcel.export], "test")
    result = DraftBench(bench.sandbox, stranger, bench.store).send(parcel)
    stranger.close()
    assert (result.outcome, result.problems[0].code) == ("held", Code.NAME_COLLISION)
    assert "has this order number already, and not from this ledger" in result.problems[0].message
    assert bench.asked(parcel) == 1


def test_what_easy_bill_refuses_is_a_plan_again(bench: DraftBench) -> None:
    parcel = bench.parcel(next(numbers))
    gone = dict.fromkeys([parcel.export.customer_number], 999_999)
    result = bench.send_all([parcel], customer_ids=gone)[0]
    assert result.outcome == "failed"
    assert "there is no customer with id 999999: nothing was changed there" in result.problems[0].message
    row = bench.row(parcel)
    assert (row.state, row.holder, row.committed_at) == (State.PLANNED, "", None)
    assert bench.send(parcel).outcome == "delivered"
    assert len(bench.drafts(parcel)) == 1


def test_a_customer_whom_easy_bill_does_not_have_gets_no_draft(bench: DraftBench) -> None:
    parcel = bench.parcel(next(numbers), known=False)
    result = bench.send(parcel)
    assert result.outcome == "failed"
    assert "does not have customer" in result.problems[0].message
    assert bench.asked(parcel) == 0


@pytest.mark.parametrize("trouble", [Trouble.TOO_MANY_REQUESTS, Trouble.LOCKED])
def test_a_busy_account_is_asked_again_for_it_made_nothing(bench: DraftBench, trouble: Trouble) -> None:
    parcel = bench.parcel(next(numbers))
    bench.sandbox.faults.on_request(trouble, method="POST", path="/documents", times=2)
    assert bench.send(parcel).outcome == "delivered"
    assert (bench.asked(parcel), len(bench.drafts(parcel))) == (3, 1)


def test_who_was_refused_does_not_ask_again_once_another_has_taken_over(bench: DraftBench) -> None:
    parcel = bench.parcel(next(numbers))
    bench.sandbox.faults.on_request(Trouble.TOO_MANY_REQUESTS, method="POST", path="/documents")
    others: list[str] = []

    def at_crash_point(edge: str) -> None:
        if edge == "committed" and not others:
            others.append("on its way")
            bench.later = timedelta(hours=1)
            others.append(bench.send(parcel).outcome)

    bench.lease_s = 60
    assert bench.send(parcel, at_crash_point=at_crash_point).outcome == "held"
    assert others == ["on its way", "held"]
    assert (bench.asked(parcel), bench.drafts(parcel)) == (1, [])


def test_who_wakes_up_late_makes_the_one_draft_and_the_doubt_is_over(bench: DraftBench) -> None:
    parcel = bench.parcel(next(numbers))
    meanwhile: list[str] = []

    def asleep(edge: str) -> None:
        if edge == "committed":
            bench.later = timedelta(hours=1)
            meanwhile.append(bench.send(parcel).outcome)

    assert bench.send(parcel, at_crash_point=asleep).outcome == "delivered"
    assert meanwhile == ["held"]
    assert (bench.asked(parcel), len(bench.drafts(parcel))) == (1, 1)
    assert (bench.row(parcel).state, bench.row(parcel).held_code) == (State.PUBLISHED, None)


def test_who_wakes_up_before_asking_has_lost_the_delivery(bench: DraftBench) -> None:
    parcel = bench.parcel(next(numbers))
    meanwhile: list[str] = []

    def asleep(edge: str) -> None:
        if edge == "taken" and not meanwhile:
            meanwhile.append("asleep")
            meanwhile.append(bench.send(parcel).outcome)

    assert bench.send(parcel, at_crash_point=asleep).outcome == "unchanged"
    assert meanwhile == ["asleep", "delivered"]
    assert (bench.asked(parcel), len(bench.drafts(parcel))) == (1, 1)


def test_runs_at_once_make_one_draft(bench: DraftBench) -> None:
    bench.lease_s = 60
    for _ in range(5):
        parcel = bench.parcel(next(numbers))
        with ThreadPoolExecutor(3) as pool:
            outcomes = [result.outcome for result in pool.map(bench.send, [parcel] * 3)]
        assert sorted(outcomes) == ["delivered", "unchanged", "unchanged"]
        assert (bench.asked(parcel), len(bench.drafts(parcel))) == (1, 1)


def test_a_doubt_is_resolved_only_where_the_draft_was_asked_for(bench: DraftBench) -> None:
    parcel = bench.parcel(next(numbers))
    assert bench.send_and_die_at("created", parcel)
    bench.endpoint = "https://another.example/rest/v1"
    result = bench.send(parcel)
    assert result.outcome == "held"
    assert "it was sent to api://sandbox" in result.problems[0].message


def test_a_refused_key_ends_the_run_and_every_customer_is_told(bench: DraftBench) -> None:
    parcels = [bench.parcel(next(numbers)) for _ in range(3)]
    api = api_of(bench.sandbox, api_key="canary-key")
    with api:
        results = bench.send_all(parcels, api=api, customer_ids=dict.fromkeys(map(number_of, parcels), 1))
    assert isinstance(bench.error, KeyRefused)
    assert [result.outcome for result in results] == ["failed"] * 3
    assert "not tried any more" in results[2].problems[0].message
    assert {bench.row(parcels[0]).state} == {State.PLANNED}
    said = [event.detail for event in bench.events(parcels[0])] + [str(bench.error)]
    assert not any("canary-key" in text for text in said)


def test_an_account_without_an_answer_is_given_up_after_a_few(bench: DraftBench) -> None:
    parcels = [bench.parcel(next(numbers)) for _ in range(8)]
    bench.sandbox.faults.on_request(Trouble.SERVER_ERROR, method="POST", path="/documents", times=8)
    results = bench.send_all(parcels)
    assert isinstance(bench.error, OutcomeUnknown)
    assert sum(bench.asked(parcel) for parcel in parcels) == 5
    assert {result.outcome for result in results} == {"failed"}
    assert len(results) == 8


def test_a_document_that_easy_bill_cannot_hold_is_no_draft(bench: DraftBench) -> None:
    parcel = bench.parcel(next(numbers), customer=a_customer(tax_type="small-business"))
    result = bench.send(parcel)
    assert result.outcome == "failed"
    assert "tax type 'small-business' has no vat_option in EASY Bill" in result.problems[0].message
    assert bench.row(parcel).state is State.PLANNED


def number_of(parcel: Parcel) -> str:
    return parcel.export.customer_number
