"""Which frames of old months nobody needs any more, and their removal.

Only a frame that the ledger names, and that nothing needs, goes: what the ledger does not know may be of a ledger that
is not this one. Rows of the ledger, CSVs and documents are never touched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from billing_pipeline.delivery.ledger import Note
from billing_pipeline.oms.period import last_complete_month, months_back, period_of
from billing_pipeline.problems import UsageError
from billing_pipeline.steps.wiring import Wiring
from billing_pipeline.steps.write_report import MONTHS_BEFORE
from billing_pipeline.store.store_files import StoredFile

PRUNE: Final = "prune"

_UNKNOWN: Final = "the ledger does not know them"
_RECENT: Final = "stored within the last day: a run may be about to use them"
IN_USE_FOR: Final = timedelta(days=1)


@dataclass(frozen=True)
class PrunePlan:
    """What of the months before `before` is to go, and of what stays how many files, and why."""

    before: str
    remove: tuple[StoredFile, ...]
    kept: Counter[str]


@dataclass(frozen=True)
class Pruned:
    """What was removed, or in a dry run would be."""

    plan: PrunePlan
    runs: int
    runs_unfinished: int
    dry_run: bool

    @property
    def size_bytes(self) -> int:
        """Of the frames, in the store."""
        return sum(file.size_bytes for file in self.plan.remove)

    def lines(self) -> Iterator[str]:
        """For people."""
        would = "would be removed" if self.dry_run else "removed"
        files, runs = len(self.plan.remove), self.runs
        yield (
            f"before {self.plan.before}: {_many(files, 'frame')} ({self.size_bytes} bytes) and "
            f"{_many(runs, 'run')} of Dagster {would}"
        )
        for why, count in sorted(self.plan.kept.items()):
            yield f"  kept: {_many(count, 'frame')}: {why}"
        if self.runs_unfinished:
            yield f"  kept: {_many(self.runs_unfinished, 'run')} of Dagster: not finished, or less than a day ago"

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "before": self.plan.before,
            "dry_run": self.dry_run,
            "frames": len(self.plan.remove),
            "bytes": self.size_bytes,
            "runs": self.runs,
            "kept": dict(sorted(self.plan.kept.items())),
            "runs_kept": self.runs_unfinished,
        }


def require_old(wiring: Wiring, before: str, now: datetime) -> None:
    """Raises: UsageError for what is no month, or a month that a run or a report may still look back to."""
    billing = wiring.billing
    period_of(before, billing.timezone)
    last = last_complete_month(now, billing.timezone)
    late = billing.rules.late_months
    newest = months_back(last, max(MONTHS_BEFORE, late))
    if before > newest:
        raise UsageError(
            f"--before {before} is too new: the next run looks back {late} months for late rows (late_months), and "
            f"the report of {last} compares it with the {MONTHS_BEFORE} before; nothing was removed. The newest "
            f"month that may be named is {newest}: `billing-pipeline prune --before {newest} --dry-run`"
        )


def plan_prune(wiring: Wiring, before: str, now: datetime) -> PrunePlan:
    """What is to go. Nothing is changed. Raises: UsageError; StoreError, LedgerUnavailable."""
    require_old(wiring, before, now)
    ledger, frames = wiring.ledger.open(), wiring.frames
    remove: list[StoredFile] = []
    kept: Counter[str] = Counter()
    for month in ledger.billings.months_before(before):
        named = ledger.billings.frames_named(month)
        for file, frame in frames.stored(month, {asset for asset, _ in named}):
            why = named.get(frame, _UNKNOWN)
            if not why and frames.stored_at(file) > now - IN_USE_FOR:
                why = _RECENT
            if why:
                kept[why] += 1
            else:
                remove.append(file)
    return PrunePlan(before, tuple(remove), kept)


def carry_out(wiring: Wiring, plan: PrunePlan, runs: int, remove_runs: Callable[[], None]) -> None:
    """Logs what is to go, then removes it; whoever is killed on the way is told of the rest by the next one.

    Raises: StoreError, LedgerUnavailable.
    """
    if not plan.remove and not runs:
        return
    size = sum(file.size_bytes for file in plan.remove)
    what = f"before {plan.before}: {_many(len(plan.remove), 'frame')}, {size} bytes, {_many(runs, 'run')}"
    wiring.ledger.open().events.record(Note(PRUNE, what, kind="decision"), month="", run_id="")
    for file in plan.remove:
        with suppress(FileNotFoundError):  # another one prunes too
            wiring.frames.remove(file)
    remove_runs()


def _many(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what}s"
