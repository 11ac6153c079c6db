"""Which billing a month's files are made of where none is named, and what had changed in the OMS when it was made."""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace

from billing_pipeline.billing.kept_back_text import kept_back_told
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import Billing, ExtractRecord
from billing_pipeline.problems import Problem, problems_of, problems_of_rows
from billing_pipeline.store.frames import (
    DRIFT,
    KEPT_BACK,
    STANDINGS,
    WARNINGS,
    FrameMissing,
    FrameStore,
    take_over_unversioned,
)

# Who billed a month of which only the frames of a release before 0.2 are left.
BEFORE_BILLINGS = "before 0.2"


def current_billing(month: str, ledger: Ledger, frames: FrameStore) -> Billing | None:
    """The last billing of the whole month; None where it was never billed here.

    What a release before 0.2 left in the store becomes a billing when it is first asked for.
    Raises: StoreError, LedgerUnavailable.
    """
    found = ledger.billings.current(month)
    if found is not None:
        return found
    left = take_over_unversioned(frames, month)
    if left is None:
        return None
    extracted, billed = left
    record = ledger.billings.record_extract(month, "complete", extracted, BEFORE_BILLINGS)
    return ledger.billings.record(record, "complete", billed, BEFORE_BILLINGS, rules_sha256="", layouts={})


def extract_to_bill(month: str, run_id: str, ledger: Ledger, frames: FrameStore) -> ExtractRecord:
    """The read of the OMS that the run made itself, or else the last one of the whole month.

    Raises: FrameMissing where the month was never read here; StoreError; LedgerUnavailable.
    """
    found = ledger.billings.extract_for(month, run_id)
    if found is None:
        before = current_billing(month, ledger, frames)
        found = None if before is None else before.extract
    if found is None:
        raise FrameMissing(
            f"oms_services has no data for {month}: materialize the OMS's assets for {month} first, or run "
            f"`billing-pipeline run {month}`"
        )
    return found


def billings_to_deliver(
    customer_numbers: Collection[str],
    month: str,
    billing_id: int | None,
    *,
    ledger: Ledger,
    frames: FrameStore,
) -> list[tuple[Billing, list[str]]]:
    """The customers by the billing that their files are made of.

    That is the one of this number, or else the newer of the month's current one and the one that their last file was
    made of, as after a correction. Raises: FrameMissing where there is none.
    """
    if billing_id is not None:
        return [(_found(ledger.billings.get(billing_id), month), list(customer_numbers))]
    current = current_billing(month, ledger, frames)
    made_of = {
        row.export.customer_number: row.export.billing_id or 0
        for row in ledger.months.customers(month, customer_numbers)
    }
    newest = current.id if current is not None else 0
    by_billing: dict[int, list[str]] = {}
    for number in customer_numbers:
        by_billing.setdefault(max(newest, made_of.get(number, 0)), []).append(number)
    return [
        (
            current
            if current is not None and found == current.id
            else _found(ledger.billings.get(found), month),
            numbers,
        )
        for found, numbers in by_billing.items()
    ]


def _found(billing: Billing | None, month: str) -> Billing:
    if billing is None or billing.month != month:
        raise FrameMissing(
            f"invoice_lines has no data for {month}: materialize it for {month} first, or run "
            f"`billing-pipeline run {month}`"
        )
    return billing


def changed_since_billed(month: str, ledger: Ledger, frames: FrameStore) -> list[Problem]:
    """The billed rows that had changed in the OMS when their customers were last billed; by customer.

    None where the month was never billed. Raises: FrameMissing, StoreError, LedgerUnavailable.
    """
    billings = ledger.billings.since_current(month)
    if not billings:
        before = frames.read_unversioned(DRIFT, month)
        return [] if before is None else problems_of(before)
    changed: list[Problem] = []
    for billing in billings:
        if billing.kind == "complete":
            changed = []
        covered = set(billing.customers)
        changed = [problem for problem in changed if problem.customer_number not in covered]
        changed += problems_of_rows(frames.rows(DRIFT, month, billing.frames[DRIFT]))
    if all(STANDINGS in billing.frames for billing in billings):
        # What a person has accepted, or a correction has settled, since then is told no more.
        still = {row.source_id for row in ledger.rows.changed()}
        changed = [problem for problem in changed if problem.source_id in still]
    return sorted(changed, key=lambda problem: problem.customer_number)


def warnings_since_billed(
    month: str, ledger: Ledger, frames: FrameStore, language: str, customers: Collection[str] = ()
) -> list[Problem]:
    """What else was to be told when the month's customers, or these, were last billed: rows kept back, and warnings.

    Money is as people of `language` read it.

    Raises: FrameMissing, StoreError, LedgerUnavailable.
    """
    kept_back: list[SimpleNamespace] = []
    warnings: list[Problem] = []
    for billing in ledger.billings.since_current(month):
        covered = set(billing.customers)
        if billing.kind == "complete":
            kept_back, warnings = [], []
        kept_back = [row for row in kept_back if row.customer_number not in covered]
        warnings = [problem for problem in warnings if problem.customer_number not in covered]
        # A billing that a release before 0.2 left has neither.
        if KEPT_BACK in billing.frames:
            kept_back += [
                SimpleNamespace(**row) for row in frames.rows(KEPT_BACK, month, billing.frames[KEPT_BACK])
            ]
            warnings += problems_of_rows(frames.rows(WARNINGS, month, billing.frames[WARNINGS]))
    if customers:
        kept_back = [row for row in kept_back if row.customer_number in customers]
        warnings = [problem for problem in warnings if problem.customer_number in customers]
    return [*kept_back_told(kept_back, language), *warnings]
