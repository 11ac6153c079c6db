"""Tries everything that a month will need, before it matters, and says what to fix: `billing-pipeline doctor`.

Each examination is one finding; one that fails does not stop the others. What is tried in the inbox is written
under a name that the importer ignores, and removed again.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from billing_pipeline.oms.period import last_complete_month
from billing_pipeline.problems import PipelineError
from billing_pipeline.settings import Settings
from billing_pipeline.steps.open_list import open_list
from billing_pipeline.steps.wiring import Wiring, build_wiring

_NAMED = 3


@dataclass(frozen=True)
class Finding:
    """One thing that was tried. `exit_status` is 0 where it works."""

    subject: str
    detail: str
    exit_status: int = 0

    def as_json(self) -> dict[str, str | bool]:
        """For `doctor --json`."""
        return {"subject": self.subject, "ok": self.exit_status == 0, "detail": self.detail}

    def line(self) -> str:
        """For a terminal."""
        return f"{'ok  ' if self.exit_status == 0 else 'FIX '} {self.subject:<12} {self.detail}"


def examine(settings: Settings) -> Iterator[Finding]:
    """One finding per subject, as each is tried: settings, OMS, ledger, store, inbox and its files, API."""
    wiring = build_wiring(settings)
    rules = settings.rules or "packaged defaults"
    yield Finding("settings", f"home {settings.home}, rules {rules}, layout {settings.layout}")
    yield _tried("OMS", lambda: _oms(wiring, settings))
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


def _oms(wiring: Wiring, settings: Settings) -> str:
    month = last_complete_month(datetime.now(UTC), settings.timezone)
    started = time.perf_counter()
    extract = wiring.oms.extract(month)
    seconds = time.perf_counter() - started
    return (
        f"{month} read in {seconds:.1f} s: {len(extract.services)} services, "
        f"{len(extract.cancellation_fees)} fees, {len(extract.customers)} customers"
    )


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
