"""The audit: every row of the OMS, month after month, against the ledger, the stored files and EASY Bill's drafts.

Each row of a month has exactly one standing, and they add up to the rows that were read. What is open goes on the list.
Trusts no `updated_at`: fingerprints are compared. One month is held at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import TEXT, all_of, any_of, array, negation, where
from billing_pipeline.billing.late import GONE
from billing_pipeline.billing.rows import ADJUSTMENT, FEE, SERVICE
from billing_pipeline.billing.standing import STANDINGS
from billing_pipeline.delivery.records import MonthAudit
from billing_pipeline.money import format_minor
from billing_pipeline.oms.period import last_complete_month, months_between
from billing_pipeline.problems import Code, Problem
from billing_pipeline.report.open_items import OpenItem
from billing_pipeline.steps.month_account import account_of
from billing_pipeline.steps.open_list import open_list
from billing_pipeline.steps.read_drafts import Reader, read_drafts
from billing_pipeline.steps.wiring import Wiring
from billing_pipeline.store.store_files import StoreError

COUNTS: Final = ("rows", *STANDINGS, "gone", "changed")


@dataclass(frozen=True)
class Audit:
    """The accounts of the months from `first` to `last`, and what is open of them."""

    first: str
    last: str
    months: tuple[MonthAudit, ...]
    open: tuple[OpenItem, ...]

    def as_json(self) -> dict[str, Any]:
        """The object of 6-life-of-a-row; amounts are net, in minor units."""
        return {
            "from": self.first,
            "to": self.last,
            "months": [
                {"month": one.month, **{name: one.rows[name] for name in COUNTS}, "amounts": one.amounts}
                for one in self.months
            ],
            "open": [item.as_json() for item in self.open],
        }

    def finding_lines(self) -> Iterator[str]:
        """For people: what is wrong with what was sent, beside the rows."""
        for one in self.months:
            yield from (f"{one.month}  {finding.code}: {finding.message}" for finding in one.findings)

    def lines(self, language: str) -> Iterator[str]:
        """For people: one line a month, whose parts add up to its rows."""
        for one in self.months:
            parts = [f"{one.rows[name]} {name.replace('_', ' ')}" for name in STANDINGS if one.rows[name]]
            rows = "1 row" if one.rows["rows"] == 1 else f"{one.rows['rows']} rows"
            yield f"{one.month}: {rows}" + (f" = {' + '.join(parts)}" if parts else "")
            beside = [f"{one.rows[name]} {name}" for name in ("gone", "changed") if one.rows[name]]
            if beside:
                yield f"  of what was billed: {', '.join(beside)}"
            for currency, sums in sorted(one.amounts.items()):
                told = ", ".join(
                    f"{name} {format_minor(sums[name], currency, language)}" for name in ("billed", "open")
                )
                yield f"  net: {told}"


@dataclass(frozen=True)
class _Account:
    """What was found in one month. `gone`: entries of `ROW_STANDINGS` that are told only once no month has the row."""

    month: str
    counts: Counter[str]
    amounts: dict[str, Counter[str]]
    findings: list[Problem]
    gone: pd.DataFrame
    ids: Mapping[str, pa.Array]


def audit(wiring: Wiring, first: str | None = None, last: str | None = None) -> Audit:
    """Reads every month from `first` to `last` again, and accounts for each of its rows; the ledger keeps the accounts.

    Without `first`, from BILLING_FIRST_MONTH, or the ledger's own first month where that is later; without `last`, to
    the last month that is over. Raises: the errors of reading the OMS; LedgerUnavailable, ApiError.
    """
    ledger, run_id = wiring.ledger.open(), str(uuid4())
    last = last or last_complete_month(datetime.now(UTC), wiring.billing.timezone)
    first = first or max(wiring.billing.first_month, min(ledger.months.known(), default=last))
    accounts = [_account(wiring, month, run_id) for month in months_between(first, last)]
    _tell_gone(accounts, wiring, run_id)
    changed = Counter(row.month for row in ledger.rows.changed() if row.fingerprint != GONE)
    for one in accounts:
        one.counts["changed"] = changed[one.month]
        ledger.rows.record_audit(
            one.month, {name: one.counts[name] for name in COUNTS}, one.amounts, one.findings, run_id
        )
    kept = tuple(one for one in ledger.rows.audited() if first <= one.month <= last)
    items = open_list(ledger, wiring.billing.rules, wiring.billing.first_month).items
    return Audit(first, last, kept, tuple(item for item in items if first <= item.month <= last))


def _account(wiring: Wiring, month: str, run_id: str) -> _Account:
    """Reads one month, and notes the standing of each of its rows but of those that seem to have gone."""
    ledger = wiring.ledger.open()
    found = account_of(wiring, month)
    standings = found.standings
    is_gone = pc.equal(array(standings["fingerprint"]), GONE)
    gone = where(standings, is_gone)
    ledger.rows.record(
        where(standings, pc.invert(is_gone)),
        [month],
        run_id,
        judged=month,
        spared=list(zip(gone["source_kind"], gone["source_id"], strict=True)),
    )
    return _Account(
        month,
        found.counts,
        found.amounts,
        [*_file_findings(wiring, month), *_draft_findings(wiring, month, run_id)],
        gone,
        found.ids,
    )


def _tell_gone(accounts: Sequence[_Account], wiring: Wiring, run_id: str) -> None:
    """Notes the rows that no month has: one that has only moved to another month is changed, and told of there."""
    ledger = wiring.ledger.open()
    everywhere = {
        kind: pa.chunked_array([one.ids[kind] for one in accounts], TEXT) for kind in (SERVICE, FEE)
    }
    for account in accounts:
        kinds, ids = array(account.gone["source_kind"]), array(account.gone["source_id"])
        moved = any_of(
            *(all_of(pc.equal(kinds, kind), pc.is_in(ids, known)) for kind, known in everywhere.items())
        )
        lost = where(account.gone, negation(moved))
        ledger.rows.note(lost, run_id)
        account.counts["gone"] = int((lost["source_kind"] != ADJUSTMENT).sum())


def _file_findings(wiring: Wiring, month: str) -> Iterator[Problem]:
    """What is wrong with the stored files of what stands."""
    for one in wiring.ledger.open().deliveries.standing(month):
        try:
            wiring.blobs.get("csv", one.sha256)
        except StoreError as error:
            yield Problem(
                Code.STORED_FILE_DAMAGED,
                one.customer_number,
                f"the stored file of order {one.order_number} cannot be read: {error}",
                source_id=one.order_number,
            )


def _draft_findings(wiring: Wiring, month: str, run_id: str) -> Iterator[Problem]:
    """What EASY Bill shows otherwise than it was sent, where there is a key to ask with."""
    if not wiring.easybill.is_configured:
        return
    ledger = wiring.ledger.open()
    reader = Reader(
        wiring.easybill,
        ledger,
        wiring.blobs,
        timedelta(hours=wiring.billing.rules.draft_deadline_hours),
        run_id,
        datetime.now(UTC),
        wiring.billing.rules.language,
        wiring.billing.timezone,
    )
    numbers = [one.customer_number for one in ledger.deliveries.standing(month)]
    for read in read_drafts(month, numbers, reader):
        if read.problem is not None:
            yield replace(read.problem, source_id=read.delivery.order_number)
