"""Lets rows be billed that were set aside, or says that they are billed rows under another id: `admit`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from billing_pipeline.billing.arrow import array, each_row, with_columns
from billing_pipeline.billing.late import index_of
from billing_pipeline.billing.rows import source_rows
from billing_pipeline.billing.set_aside import likenesses, state_fingerprints
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.events import require_signature
from billing_pipeline.delivery.records import RowStanding
from billing_pipeline.problems import UsageError
from billing_pipeline.steps.past import Past, past_of
from billing_pipeline.steps.wiring import Wiring

ADMISSIBLE = frozenset({"set_aside", "late"})


@dataclass(frozen=True)
class Admitted:
    """A row that is admitted; `same_as`: the billed row that it is under another id, "" for a row of its own."""

    row: RowStanding
    same_as: str = ""

    def line(self) -> str:
        """For people: what becomes of the row."""
        row = self.row
        name = f"{row.source_kind} {row.source_id} of {row.month}, customer {row.customer_number}"
        if self.same_as:
            return f"{name}: is {self.same_as} under another id, and billed as that"
        return (
            f"{name}: is billed with {row.month} where that is open, else with the customer's next open month"
        )

    def as_json(self) -> dict[str, str]:
        """For scripts."""
        row = self.row
        return {
            "month": row.month,
            "customer_number": row.customer_number,
            "source_kind": row.source_kind,
            "source_id": row.source_id,
            "same_as": self.same_as,
        }


def admit_rows(
    wiring: Wiring,
    month: str,
    customer_number: str,
    *,
    services: Collection[str] = (),
    fees: Collection[str] = (),
    same_as: str = "",
    reason: str,
    author: str,
) -> list[Admitted]:
    """Admits these rows of a customer's month, or without any named all that are set aside there.

    Raises: UsageError where a row is not set aside, or nothing is billed under the old id; LedgerUnavailable; with
    `same_as` the errors of reading the OMS.
    """
    require_signature(reason, author)
    ledger = wiring.ledger.open()
    rows = _rows_of(ledger, month, customer_number, services, fees)
    if not same_as:
        ledger.admissions.add(rows, reason=reason, author=author)
        return [Admitted(row) for row in rows]
    if len(rows) != 1:
        raise UsageError("--same-as is about one row: name it with --service ID or --fee ID")
    [row] = rows
    read = _read(wiring, month)
    fingerprint = read.fingerprint_as(row, same_as)
    ledger.admissions.same_as(row, same_as, fingerprint, reason=reason, author=author)
    return [Admitted(row, same_as)]


def admit_renamed(wiring: Wiring, *, reason: str, author: str) -> list[Admitted]:
    """Says of every billed row that has gone, and of which one new row is all but the id, that it is this one.

    Month after month, of all months that were billed here. Raises: as `admit_rows`.
    """
    require_signature(reason, author)
    ledger = wiring.ledger.open()
    admitted = []
    for month in ledger.months.known():
        read = _read(wiring, month)
        for new, gone in read.renamed():
            row = _as_standing(new, gone.source_id, month)
            ledger.admissions.same_as(row, gone.source_id, new.fingerprint, reason=reason, author=author)
            admitted.append(Admitted(row, gone.source_id))
    return admitted


def _rows_of(
    ledger: Ledger, month: str, customer_number: str, services: Collection[str], fees: Collection[str]
) -> list[RowStanding]:
    known: dict[tuple[str, str], RowStanding] = {
        (row.source_kind, row.source_id): row
        for row in ledger.rows.current([month])
        if row.customer_number == customer_number
    }
    named = [("service", one) for one in services] + [("fee", one) for one in fees]
    if not named:
        found = [row for row in known.values() if row.standing == "set_aside"]
        if not found:
            raise UsageError(
                f"no row of customer {customer_number} in {month} is set aside; see `billing-pipeline status`"
            )
        return found
    rows = []
    for kind, source_id in named:
        row = known.get((kind, source_id))
        if row is None or row.standing not in ADMISSIBLE:
            stands = (
                "is not known as a row that waits for a decision" if row is None else f"is {row.standing}"
            )
            raise UsageError(
                f"{kind} {source_id} of customer {customer_number} in {month} {stands}: only what is set aside can be "
                "admitted; see `billing-pipeline status`"
            )
        rows.append(row)
    return rows


@dataclass(frozen=True)
class _MonthNow:
    """A month as the OMS has it now: its source rows with `likeness` and `state`, and what the ledger knows of it."""

    rows: pd.DataFrame
    past: Past

    def fingerprint_as(self, row: RowStanding, old_id: str) -> str:
        """The row's fingerprint, where it is the old one in all but the id; else "", so that the change is told."""
        old = [one for one in each_row(self.past.view.gone) if one.source_id == old_id]
        for new in each_row(self.rows):
            if (new.source_kind, new.source_id) == (row.source_kind, row.source_id):
                same = any(
                    one.likeness == new.likeness and one.performed_at == new.performed_at for one in old
                )
                return str(new.fingerprint) if same else ""
        raise UsageError(
            f"{row.source_kind} {row.source_id} is not in the OMS any more: run {row.month} again, and see "
            "`billing-pipeline status`"
        )

    def renamed(self) -> Iterator[tuple[Any, Any]]:
        """New rows, each with the one that has gone and that it must be: at the same time, else the only one alike."""
        billed = self.past.view.billed
        place = index_of(
            *(array(self.rows[name]) for name in ("source_kind", "source_id")),
            *(array(billed[name]) for name in ("source_kind", "source_id")),
        )
        new = [row for row, at in zip(each_row(self.rows), place.to_pylist(), strict=True) if at is None]
        gone = [one for one in each_row(self.past.view.gone) if one.likeness is not None]
        for key in (_look_and_time, _look):
            paired = list(_pairs(new, gone, key))
            yield from paired
            taken = {(row.source_kind, row.source_id) for pair in paired for row in pair}
            new = [row for row in new if (row.source_kind, row.source_id) not in taken]
            gone = [row for row in gone if (row.source_kind, row.source_id) not in taken]


def _look_and_time(row: Any) -> Hashable:
    return (row.source_kind, row.customer_number, row.likeness, row.performed_at)


def _look(row: Any) -> Hashable:
    return (row.source_kind, row.customer_number, row.likeness)


def _pairs(new: Iterable[Any], gone: Iterable[Any], key: Any) -> Iterator[tuple[Any, Any]]:
    """Those of equal key, where there are as many new ones as have gone."""
    of_new, of_gone = defaultdict(list), defaultdict(list)
    for row in new:
        of_new[key(row)].append(row)
    for row in gone:
        of_gone[key(row)].append(row)
    for look, ones in of_gone.items():
        if len(of_new[look]) == len(ones):
            yield from zip(of_new[look], ones, strict=True)


def _read(wiring: Wiring, month: str) -> _MonthNow:
    extract = wiring.oms.extract(month)
    past = past_of(
        wiring.ledger.open(),
        extract,
        month,
        frames=wiring.frames,
        billing=wiring.billing,
    )
    rows = source_rows(extract, wiring.billing.rules, month, wiring.billing.timezone, ())
    return _MonthNow(with_columns(rows, likeness=likenesses(rows), state=state_fingerprints(rows)), past)


def _as_standing(row: Any, gone_id: str, month: str) -> RowStanding:
    now = datetime.now(UTC)
    return RowStanding(
        source_kind=row.source_kind,
        source_id=row.source_id,
        month=row.month or month,
        customer_number=row.customer_number,
        standing="set_aside",
        code="",
        message="",
        fingerprint=row.state,
        related_id=gone_id,
        order_number="",
        net=None,
        currency=row.currency or "",
        run_id="",
        since=now,
        seen_at=now,
    )
