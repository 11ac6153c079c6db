"""Tries everything that a month will need, before it matters, and says what to fix: `billing-pipeline doctor`.

Each examination is one finding; one that fails does not stop the others. What is tried in the inbox is written
under a name that the importer ignores, and removed again.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from billing_pipeline.oms.period import last_complete_month
from billing_pipeline.problems import PipelineError
from billing_pipeline.settings import Settings
from billing_pipeline.steps.first_rows import FirstRows, first_rows, has_rows, months_with_rows
from billing_pipeline.steps.open_list import open_list
from billing_pipeline.steps.wiring import Wiring, build_wiring

_NAMED = 3
_EMPTY = (
    "see whether completed_at and charged_at are what you think, and the queries keep to :period_start and :period_end "
    "(BILLING_OMS_QUERIES), or set BILLING_FIRST_MONTH earlier"
)


@dataclass(frozen=True)
class Finding:
    """One thing that was tried. `exit_status` is 0 where it works. `rows`: the OMS's, as they are mapped."""

    subject: str
    detail: str
    exit_status: int = 0
    rows: tuple[FirstRows, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For `doctor --json`."""
        found: dict[str, Any] = {
            "subject": self.subject,
            "ok": self.exit_status == 0,
            "detail": self.detail,
        }
        return found | ({"first_rows": [one.as_json() for one in self.rows]} if self.rows else {})

    def lines(self) -> Iterator[str]:
        """For a terminal."""
        yield self.line()
        for one in self.rows:
            yield from (f"     {line}" for line in one.lines())

    def line(self) -> str:
        """What was tried, and how it went."""
        return f"{'ok  ' if self.exit_status == 0 else 'FIX '} {self.subject:<12} {self.detail}"


def examine(settings: Settings) -> Iterator[Finding]:
    """One finding per subject, as each is tried: settings, OMS, ledger, store, inbox and its files, API."""
    wiring = build_wiring(settings)
    rules = settings.rules or "packaged defaults"
    yield Finding("settings", f"home {settings.home}, rules {rules}, layout {settings.layout}")
    yield _oms_found(wiring, settings)
    yield _tried("ledger", lambda: _ledger(wiring))
    yield _tried("open items", lambda: _open(wiring, settings))
    yield _tried("store", lambda: _store(wiring))
    yield _tried("inbox", lambda: _inbox(wiring))
    yield _tried("remote files", lambda: _remote_files(wiring))
    yield _tried("API", lambda: _api(wiring))


def _tried(subject: str, examination: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, examination())
    except PipelineError as error:
        return Finding(subject, str(error), error.exit_status)


def _oms_found(wiring: Wiring, settings: Settings) -> Finding:
    try:
        return _oms(wiring, settings)
    except PipelineError as error:
        return Finding("OMS", str(error), error.exit_status)


def _oms(wiring: Wiring, settings: Settings) -> Finding:
    """The last complete month, as a run would read it; where it is empty, the nearest month that is not."""
    month = last_complete_month(datetime.now(UTC), settings.timezone)
    started = time.perf_counter()
    extract = wiring.oms.extract(month)
    seconds = time.perf_counter() - started
    detail = (
        f"{month} read in {seconds:.1f} s: {len(extract.services)} services, "
        f"{len(extract.cancellation_fees)} fees, {len(extract.customers)} customers"
    )
    if not has_rows(extract, month):
        counts = months_with_rows(wiring.oms, settings)
        if not counts:
            return Finding("OMS", f"{detail}; no month since {settings.first_month} has any: {_EMPTY}")
        empty, month = month, max((name for name in counts if name < month), default=min(counts))
        detail += (
            f"; {empty} is empty, rows are there of {len(counts)} months from {min(counts)} to {max(counts)}, "
            f"{counts[month]} of {month}"
        )
        extract = wiring.oms.extract(month)
    return Finding("OMS", detail, rows=tuple(first_rows(extract, month, settings.timezone)))


def _ledger(wiring: Wiring) -> str:
    ledger = wiring.ledger.open()
    return f"{ledger.where}, {ledger.deliveries.count()} deliveries"


def _open(wiring: Wiring, settings: Settings) -> str:
    items = open_list(wiring.ledger.open(), wiring.billing.rules, settings.first_month).items
    return f"{len(items)} (`billing-pipeline status` lists them)" if items else "none"


def _store(wiring: Wiring) -> str:
    wiring.frames.try_out()
    return f"{wiring.frames.root}: written, read back, removed"


def _api(wiring: Wiring) -> str:
    """One request, the cheapest that needs a valid key."""
    account = wiring.easybill
    if not account.is_configured:
        return "not set up: drafts are not read back (BILLING_EASYBILL_API_KEY)"
    with account.open(wiring.ledger.open()) as api:
        logins = api.logins()
    people = ", ".join(
        f"{login.display_name or login.id} <{login.email}> ({login.login_type})" for login in logins
    )
    # EASY Bill's API names neither the company nor the plan: the logins tell whose account it is.
    return (
        f"{account.url}: the key is accepted; {people}; at most {account.requests_per_minute} requests a minute "
        "(BILLING_EASYBILL_REQUESTS_PER_MINUTE; the plan PLUS allows 10, BUSINESS 60)"
    )


def _inbox(wiring: Wiring) -> str:
    return wiring.channel.open().try_out()


def _remote_files(wiring: Wiring) -> str:
    """Whether the ledger knows all files of ours that are there. Raises: LedgerBehind."""
    channel = wiring.channel.open()
    orphans = channel.orphans(wiring.ledger.open())
    if not orphans:
        return "there is no file of ours that the ledger does not know"
    obstacle = channel.obstacle(wiring.ledger.open())
    if obstacle is not None:
        raise obstacle
    named = ", ".join(orphan.path for orphan in orphans[:_NAMED]) + (" …" if len(orphans) > _NAMED else "")
    return (
        f"{len(orphans)} files have names of ours and were not written here ({named}): "
        "each holds its own customer when their turn comes, and nobody else; remove them, or have `billing-pipeline "
        "reconcile` note them"
    )
