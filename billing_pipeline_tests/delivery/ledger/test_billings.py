"""Billings in the ledger: which stored frames belong together, by number, by run, and as the current one."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.tables import billings, extracts
from billing_pipeline.delivery.records import Billing, BillingKind

MONTH = "2026-10"


def billed(ledger: Ledger, kind: BillingKind, run_id: str = "run", *customers: str) -> Billing:
    extract = ledger.billings.record_extract(MONTH, kind, {"oms_services": f"hash of {run_id}"}, run_id)
    return ledger.billings.record(
        extract,
        kind,
        {"invoice_lines": f"lines of {run_id}"},
        run_id,
        customers=customers,
        rules_sha256="rules",
        layouts={"easybill-custom-csv": "layout"},
    )


def test_a_billing_is_found_again_as_it_was_recorded(ledger: Ledger) -> None:
    recorded = billed(ledger, "part", "run", "10024", "10023")
    assert recorded.customers == ("10023", "10024")
    assert ledger.billings.get(recorded.id) == recorded
    assert ledger.billings.of_run("run") == recorded
    assert ledger.billings.get(recorded.id + 1) is None
    assert ledger.billings.of_run("another") is None


@pytest.mark.parametrize("kind", ["part", "correction", "dry_run"])
def test_only_a_billing_of_the_whole_month_is_its_current_one(ledger: Ledger, kind: BillingKind) -> None:
    assert ledger.billings.current(MONTH) is None
    complete = billed(ledger, "complete", "first")
    billed(ledger, kind, "later", "10023")
    assert ledger.billings.current(MONTH) == complete
    assert ledger.billings.current("2026-09") is None
    newer = billed(ledger, "complete", "second")
    assert ledger.billings.current(MONTH) == newer


def test_a_run_bills_what_it_has_read_itself_and_otherwise_what_was_read_of_the_whole_month(
    ledger: Ledger,
) -> None:
    assert ledger.billings.extract_for(MONTH, "run") is None
    complete = billed(ledger, "complete", "first").extract
    own = billed(ledger, "dry_run", "mine").extract
    assert ledger.billings.extract_for(MONTH, "mine") == own
    assert ledger.billings.extract_for(MONTH, "somebody's") == complete


def test_what_came_after_the_current_billing_leaves_dry_runs_out(ledger: Ledger) -> None:
    before = billed(ledger, "part", "before", "10023")
    assert ledger.billings.since_current(MONTH) == [before]
    complete = billed(ledger, "complete", "whole")
    billed(ledger, "dry_run", "looked")
    part = billed(ledger, "correction", "after", "10024")
    assert ledger.billings.since_current(MONTH) == [complete, part]


def test_a_billing_is_never_changed(ledger: Ledger) -> None:
    billed(ledger, "complete")
    for table in (extracts, billings):
        with (
            ledger.database.engine.begin() as connection,
            pytest.raises(sa.exc.DatabaseError, match=f"the ledger keeps every row of {table.name}"),
        ):
            connection.execute(sa.update(table).values(kind="dry_run"))
