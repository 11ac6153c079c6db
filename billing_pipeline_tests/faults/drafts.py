"""Drafts through the API under SIGKILL and lost replies, judged by what EASY Bill (the sandbox) has in its own books.

One case: a run is killed at an edge, or while its request is under way, or meets with an API that fails; the next one
too, or it finishes; then runs go on undisturbed until one says that the draft is there, or that a person has to decide.
`python -m billing_pipeline_tests.faults.drafts` runs all of it and prints what came of it.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

from billing_pipeline.delivery.api.create import CRASH_POINTS, DraftAccount
from billing_pipeline.delivery.api.draft_channel import create_all
from billing_pipeline.delivery.context import DeliveryContext, Destination
from billing_pipeline.delivery.ledger import open_ledger
from billing_pipeline.delivery.records import Parcel
from billing_pipeline.easybill.api import EasyBillApi
from billing_pipeline.easybill.api_errors import ApiError, ApiTransient
from billing_pipeline.easybill.api_http import ApiHttp
from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.draft_request import draft_request
from billing_pipeline.problems import PipelineError
from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline.sandbox.fault_injection import Trouble
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.faults.children import Child
from billing_pipeline_tests.faults.status import StatusChecks, outcome_in_status
from billing_pipeline_tests.faults.world import child_context
from billing_pipeline_tests.support.delivering import Unchecked
from billing_pipeline_tests.support.drafting import draft_parcel
from billing_pipeline_tests.support.easybill_api import NoLimit

IN_REQUEST = "in request"
"""EASY Bill has the request, and is slow to answer."""

MACHINE = "the states of a draft"
FIRST_RUN = (*(edge for edge in CRASH_POINTS if edge not in {"adopted", "looked"}), IN_REQUEST)
TROUBLES = tuple(trouble for trouble in Trouble if trouble is not Trouble.SLOW)
LOST_REPLIES = (Trouble.NO_REPLY, Trouble.REPLY_CUT_OFF)
"""The draft is made, and nobody is told."""

_FINISHED = ("delivered", "unchanged", "held")
_RUNS_AFTERWARDS = 4
_SLOW_S = 30.0
_TIMEOUT_S = 0.7


@dataclass(frozen=True)
class Job:
    """One run of one draft. `edge`: where it dies. All plain data, for it is sent to another process."""

    how: str
    parcel: Parcel
    customer_id: int
    home: Path
    url: str
    key: str
    edge: str = ""
    timeout_s: float = _TIMEOUT_S


@dataclass
class Drafts:
    """What a trial came to. `lost`: no draft, and nobody was told that one may be missing."""

    how: str
    right: int = 0
    held: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    status: StatusChecks = field(default_factory=StatusChecks)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.wrong or self.unfinished or self.status.untrue)

    @property
    def faulty(self) -> list[str]:
        """Every draft that is not as it should be, and what it is."""
        return [
            f"{word}: {named}"
            for word, names in (
                ("lost", self.lost),
                ("doubled", self.doubled),
                ("wrong", self.wrong),
                ("unfinished", self.unfinished),
                ("called delivered, and not there", self.status.untrue),
            )
            for named in names
        ]

    def __str__(self) -> str:
        return (
            f"{self.how}: {sum(self.kills.values())} kills, {sum(self.troubles.values())} failing requests: "
            f"{len(self.lost)} lost, {len(self.doubled)} doubled, {len(self.wrong)} wrong, {self.held} held, "
            f"{self.right} right, {len(self.unfinished)} unfinished"
        )


Place = str | Trouble
Plan = tuple[Place, ...]


def all_plans() -> list[Plan]:
    """Every place of a death and every failing answer alone, and each with every one after it."""
    first: list[Place] = [*FIRST_RUN, *TROUBLES]
    second: list[Place] = [*CRASH_POINTS, IN_REQUEST, *TROUBLES]
    return [*((place,) for place in first), *itertools.product(first, second)]


class World:
    """A sandbox, a ledger and a store."""

    def __init__(self, folder: Path, sandbox: Sandbox, context: ForkServerContext) -> None:
        self.home = folder
        self.sandbox = sandbox
        self.context = context
        self.ledger = open_ledger(_ledger_url(folder))
        self.store = BlobStore(folder / "store")
        self._numbers = map(str, itertools.count(30_001))

    def job(self, how: str) -> Job:
        """A new customer's draft, exported and stored, not yet asked for."""
        number = next(self._numbers)
        customer = self.sandbox.add_customer(number, company_name="x")
        parcel = draft_parcel(self.store, number)
        self.ledger.months.record_exports([parcel.export], "bench")
        assert self.sandbox.api_url is not None
        return Job(how, parcel, customer.id, self.home, self.sandbox.api_url, self.sandbox.api_key)


def trial(world: World, plans: Sequence[Plan], *, how: str = MACHINE) -> Drafts:
    """Carry out the plans, one after the other, for a failing answer is for the next request; then judge."""
    drafts = Drafts(how)
    for plan in plans:
        job = world.job(how)
        outcome = _carry_out(world, job, plan, drafts)
        _judge(world, job, plan, outcome, drafts)
    return drafts


def _carry_out(world: World, job: Job, plan: Plan, drafts: Drafts) -> str:
    """The last run's outcome."""
    outcome = ""
    for place in (*plan, *itertools.repeat("", _RUNS_AFTERWARDS)):
        world.sandbox.faults.clear()
        if isinstance(place, Trouble):
            world.sandbox.faults.on_request(place, method="POST", path="/documents", times=1)
            drafts.troubles[place] += 1
            child = _start(replace(job, edge=""), world.context)
        elif place == IN_REQUEST:
            outcome = _killed_in_request(world, job, drafts)
            _check_status(world, job, drafts)
            if outcome.startswith(_FINISHED):
                return outcome
            continue
        else:
            child = _start(replace(job, edge=place), world.context)
        outcome = child.wait()
        _check_status(world, job, drafts)
        if child.killed:
            drafts.kills[place] += 1
        elif outcome.startswith(_FINISHED):
            return outcome
    return outcome


def _killed_in_request(world: World, job: Job, drafts: Drafts) -> str:
    """Killed once EASY Bill has the request and before it answers; or what it says if it makes none."""
    order = job.parcel.export.order_number.encode()
    world.sandbox.faults.on_request(Trouble.SLOW, method="POST", path="/documents", seconds=_SLOW_S)
    before = _posts(world.sandbox, order)
    child = _start(replace(job, timeout_s=_SLOW_S), world.context)
    while child.process.is_alive():
        if _posts(world.sandbox, order) > before:
            child.process.kill()
            drafts.kills[IN_REQUEST] += 1
            break
        child.process.join(0.01)
    return child.wait()


def _posts(sandbox: Sandbox, order: bytes) -> int:
    return sum(
        exchange.method == "POST" and order in exchange.body for exchange in list(sandbox.journal.exchanges)
    )


def _check_status(world: World, job: Job, drafts: Drafts) -> None:
    """After a run, and before the next: what `status` calls delivered is in EASY Bill's books."""
    export = job.parcel.export
    outcome = outcome_in_status(world.ledger, export.month, export.customer_number)
    drafts.status.note(
        export.order_number,
        outcome,
        lambda: any(draft.order_number == export.order_number for draft in world.sandbox.drafts()),
    )


def _judge(world: World, job: Job, plan: Plan, outcome: str, drafts: Drafts) -> None:
    """By the sandbox's books; what the last run said counts in one place only: a draft that is not there is lost,
    unless it told that a person has to decide."""
    export = job.parcel.export
    named = f"{export.order_number} after {' then '.join(map(str, plan))}: {outcome}"
    found = [draft for draft in world.sandbox.drafts() if draft.order_number == export.order_number]
    if len(found) > 1:
        drafts.doubled.append(named)
    elif found and (found[0].net, found[0].vat, found[0].gross) != (export.net, export.vat, export.gross):
        drafts.wrong.append(named)
    elif found:
        drafts.right += 1
    elif outcome.startswith("held"):
        drafts.held += 1
    else:
        drafts.lost.append(named)
    if not outcome.startswith(_FINISHED):
        drafts.unfinished.append(named)


def _ledger_url(home: Path) -> str:
    return f"sqlite:///{home / 'ledger.db'}"


def _start(job: Job, context: ForkServerContext) -> Child:
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=run, args=(job, there), daemon=True)
    process.start()
    there.close()
    return Child(process, here)


def run(job: Job, answers: Connection) -> None:
    """The child: creates the draft, and says how it ended."""

    def strike(edge: str) -> None:
        if edge == job.edge:
            signal.pthread_kill(threading.get_ident(), signal.SIGKILL)

    http = ApiHttp(
        job.url, job.key, rate_limit=NoLimit(), timeout_s=job.timeout_s, sleep=lambda seconds: None
    )
    with EasyBillApi(http, sleep=lambda seconds: None) as api:
        answers.send(_WAYS[job.how](job, api, strike))


def _by_the_machine(job: Job, api: EasyBillApi, strike: Callable[[str], None]) -> str:
    ledger = open_ledger(_ledger_url(job.home))
    parcel = replace(job.parcel, customer_id=job.customer_id)
    context = DeliveryContext(
        ledger,
        BlobStore(job.home / "store"),
        Destination("api", job.url, lease_s=0.0),
        Unchecked(),
        f"run {os.getpid()}",
        at_crash_point=strike,
    )
    try:
        (result,) = create_all([parcel], DraftAccount(api, doubt_s=0.0), context)
    except PipelineError as error:
        return f"failed: {type(error).__name__}"
    finally:
        ledger.close()
    return ": ".join([result.outcome, *(problem.message for problem in result.problems)])


def _request(job: Job) -> dict[str, object]:
    document = BlobStore(job.home / "store").get("document", job.parcel.export.document_sha256)
    return draft_request(Document.from_json(document), customer_id=job.customer_id)


def _ask_again(job: Job, api: EasyBillApi, strike: Callable[[str], None]) -> str:
    """A naive way: no answer, so ask again; and a note that it was done."""
    noted = job.home / f"{job.parcel.export.order_number}.done"
    strike("planned")
    for _ in range(3):
        if noted.exists():
            return "unchanged"
        try:
            strike("committed")
            api.create_document(_request(job))
        except ApiTransient:
            continue
        except ApiError as error:
            return f"failed: {error}"
        strike("created")
        noted.touch()
        strike("published")
        return "delivered"
    return "failed"


def _note_first(job: Job, api: EasyBillApi, strike: Callable[[str], None]) -> str:
    """A naive way: a note first, so that nothing is ever asked for twice."""
    noted = job.home / f"{job.parcel.export.order_number}.noted"
    strike("planned")
    if noted.exists():
        return "unchanged"
    noted.touch()
    strike("committed")
    try:
        api.create_document(_request(job))
    except ApiError as error:
        return f"failed: {error}"
    strike("created")
    return "delivered"


_WAYS: dict[str, Callable[[Job, EasyBillApi, Callable[[str], None]], str]] = {
    MACHINE: _by_the_machine,
    "ask again": _ask_again,
    "note first": _note_first,
}
CONTROLS = tuple(how for how in _WAYS if how != MACHINE)
CONTROL_PLANS: tuple[Plan, ...] = (("created",), ("committed",), (Trouble.NO_REPLY,))
"""Where each of them breaks, at one place or the other."""


def running_world(stack: ExitStack, folder: Path) -> World:
    """A world that ends with the stack."""
    sandbox = stack.enter_context(
        Sandbox(folder / "sandbox", import_interval_s=None, requests_per_minute=None)
    )
    world = World(folder, sandbox, child_context())
    stack.callback(world.ledger.close)
    return world


def main() -> int:
    """All plans, and a sample for each control."""
    begin = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drafts-")))
        world = running_world(stack, folder)
        found = [trial(world, all_plans())]
        found += [trial(world, CONTROL_PLANS, how=how) for how in CONTROLS]
    for drafts in found:
        print(drafts)
        for named in drafts.faulty:
            print(f"  {named}")
    print(f"{time.monotonic() - begin:.0f} s; kills by place: {dict(found[0].kills)}")
    return 0 if found[0].clean and not any(drafts.clean for drafts in found[1:]) else 1


if __name__ == "__main__":
    sys.exit(main())
