"""What the list says of deliveries, and what takes it off: those presumed, those replaced."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from billing_pipeline.billing.rules import load_rules
from billing_pipeline.delivery.ledger import Ledger, open_ledger
from billing_pipeline.delivery.records import Delivery
from billing_pipeline.problems import Code
from billing_pipeline.steps import open_list as steps
from billing_pipeline.steps.open_list import open_list
from billing_pipeline_tests.support.ledgers import DONE, committed, planned, published, taken
from billing_pipeline_tests.support.parcels import parcel


def codes(ledger: Ledger) -> list[tuple[str, str]]:
    return [(item.code, item.order_number) for item in open_list(ledger, load_rules(), "2025-01").items]


def ledger_in(folder: Path) -> Ledger:
    return open_ledger(f"sqlite:///{folder / 'ledger.db'}")


def test_what_is_only_presumed_to_be_delivered_is_listed_until_a_person_has_looked(tmp_path: Path) -> None:
    ledger = ledger_in(tmp_path)
    sending = committed(ledger, taken(ledger, planned(ledger, parcel("10023"))))
    assert sending is not None
    ledger.transitions.publish(sending, DONE, presumed=True)
    assert codes(ledger) == [(Code.PRESUMED_DELIVERED, "2026-10-10023")]
    ledger.releases.release("2026-10-10023", as_="delivered", reason="it is there", author="Ann")
    assert codes(ledger) == []


def test_what_the_api_has_confirmed_is_presumed_no_more(tmp_path: Path) -> None:
    ledger = ledger_in(tmp_path)
    sending = committed(ledger, taken(ledger, planned(ledger, parcel("10023"))))
    assert sending is not None
    presumed = ledger.transitions.publish(sending, DONE, presumed=True)
    assert presumed is not None
    ledger.transitions.confirm(presumed, DONE, draft_id=1, draft_net=1, draft_gross=1, run_id="run")
    assert codes(ledger) == []


def test_a_replaced_draft_is_listed_until_it_is_gone(tmp_path: Path) -> None:
    ledger = ledger_in(tmp_path)
    for revision in (1, 2):
        sending = planned(ledger, parcel("10023", revision=revision))
        assert published(ledger, committed(ledger, taken(ledger, sending))) is not None
    assert codes(ledger) == [(Code.DRAFT_TO_REMOVE, "2026-10-10023")]
    replaced = ledger.deliveries.of_order("2026-10-10023")
    assert replaced is not None
    ledger.transitions.note_gone(replaced, DONE)
    assert codes(ledger) == []


def sent(ledger: Ledger, month: str, customer_number: str = "10023") -> Delivery:
    sending = planned(ledger, parcel(customer_number, month=month))
    found = published(ledger, committed(ledger, taken(ledger, sending)))
    assert found is not None
    return found


def confirmed(ledger: Ledger, delivery: Delivery) -> None:
    assert ledger.transitions.confirm(delivery, DONE, draft_id=1, draft_net=1, draft_gross=1, run_id="run")


def at(month: str, monkeypatch: pytest.MonkeyPatch) -> None:
    year, number = map(int, month.split("-"))
    monkeypatch.setattr(steps, "utc_now", lambda: datetime(year, number, 15, tzinfo=UTC))


def test_a_draft_that_is_missing_stays_on_the_list_when_nobody_asks_for_it_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ledger_in(tmp_path)
    missing = sent(ledger, "2026-10")
    assert ledger.transitions.object_to_draft(
        missing,
        Code.DRAFT_MISSING,
        "no draft",
        DONE,
        draft_id=None,
        draft_net=None,
        draft_gross=None,
        run_id="",
    )
    # A delivery without an export is told nowhere: what made the file is recorded first.
    ledger.months.record_exports([parcel("10023").export], "run")
    at("2028-01", monkeypatch)
    assert (
        ledger.deliveries.unconfirmed(since=steps.first_month_looked_after(datetime(2028, 1, 15, tzinfo=UTC)))
        == []
    )
    assert codes(ledger) == [(Code.DRAFT_MISSING, "2026-10-10023")]


def test_a_draft_that_was_never_read_is_listed_once_nobody_asks_for_it_until_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ledger_in(tmp_path)
    months = ("2026-07", "2026-08", "2026-09")
    before_the_key, first_read, unread = (sent(ledger, month, f"c{month}") for month in months)
    at("2027-03", monkeypatch)
    assert codes(ledger) == [], "without a key no draft is ever read"
    confirmed(ledger, first_read)
    at("2026-12", monkeypatch)
    assert codes(ledger) == [], "it is still asked for"
    at("2027-03", monkeypatch)
    assert codes(ledger) == [(Code.DRAFT_MISSING, unread.order_number)]
    assert before_the_key.month < first_read.month, "of it nobody ever expected a draft"
    confirmed(ledger, unread)
    assert codes(ledger) == []
