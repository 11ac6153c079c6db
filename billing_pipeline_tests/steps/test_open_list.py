"""What the list says of deliveries, and what takes it off: those presumed, those replaced."""

from __future__ import annotations

from pathlib import Path

from billing_pipeline.billing.rules import load_rules
from billing_pipeline.delivery.ledger import Ledger, open_ledger
from billing_pipeline.problems import Code
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
