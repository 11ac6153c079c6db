"""One run of a delivery in a process of its own, which may be told where to die, or where to fall asleep.

Death is SIGKILL: nothing is closed, flushed or given back. Sleep is SIGSTOP: the process lives and wakes up late.
"""

from __future__ import annotations

import os
import signal
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

from billing_pipeline.delivery.context import Places
from billing_pipeline.delivery.ledger import open_ledger
from billing_pipeline.delivery.records import DeliveryResult
from billing_pipeline.delivery.transports import folder
from billing_pipeline.delivery.transports.protocol import DeliveryError, InboxConnection, Transport
from billing_pipeline.delivery.transports.ssh_connection import Wire
from billing_pipeline_tests.faults.controls import CONTROLS
from billing_pipeline_tests.faults.world import Case
from billing_pipeline_tests.support.delivering import context_over, deliver_over

MACHINE = "the state machine"
PATIENCE_S = 60

LINKED = "linked"
"""Between the two steps of a rename in a folder like NFS's."""


@dataclass(frozen=True)
class Blow:
    """What strikes a run: at an edge of the state machine, or after so many bytes of a write have left."""

    edge: str = ""
    after_bytes: int = 0
    kind: Literal["kill", "sleep"] = "kill"

    def __str__(self) -> str:
        return f"{self.kind} {self.edge or f'after {self.after_bytes} bytes of a write'}"


@dataclass(frozen=True)
class Job:
    """One run: `how` is `MACHINE` or the name of a control. `late`: it takes every other run's lease for expired."""

    how: str
    case: Case
    blow: Blow | None = None
    late: bool = False


@dataclass
class Child:
    """A run under way, or ended. `outcome` is what it said, "" if it died before it said anything."""

    process: Any
    answers: Connection
    outcome: str = ""

    @property
    def killed(self) -> bool:
        return bool(self.process.exitcode == -signal.SIGKILL)

    def wait(self) -> str:
        """Its outcome, once it has ended; a run that never ends is a failure of the bench itself."""
        self.process.join(PATIENCE_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
            raise RuntimeError("a run did not end: a time-out is missing somewhere")
        with suppress(EOFError):  # it died before it said anything
            self.outcome = self.answers.recv()
        self.answers.close()
        return self.outcome

    def wait_until_asleep(self) -> bool:
        """True once it has stopped itself, False if it ended instead."""
        status = Path(f"/proc/{self.process.pid}/stat")
        while self.process.is_alive():
            with suppress(FileNotFoundError, ProcessLookupError):
                if status.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] == "T":
                    return True
            self.process.join(0.005)
        return False

    def wake(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)


def start(job: Job, context: ForkServerContext) -> Child:
    """A run in a new process."""
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=run, args=(job, there), daemon=True)
    process.start()
    there.close()
    return Child(process, here)


def run(job: Job, answers: Connection) -> None:
    """The child: delivers, and says how it ended."""
    address = job.case.address
    strike = _striker(job.blow)
    transport: Transport = address.account.transport(address.timeout_s)
    if address.account.two_steps:
        _rename_in_two_steps(strike)
    if job.blow is not None and job.blow.after_bytes:
        transport = _StruckTransport(transport, job.blow)
    if job.how != MACHINE:
        answers.send(CONTROLS[job.how](job.case, transport, strike))
        return
    answers.send(outcome_of(job.case, transport, strike, late=job.late))


def outcome_of(
    case: Case,
    transport: Transport,
    at_crash_point: Callable[[str], None] = lambda edge: None,
    *,
    late: bool = False,
) -> str:
    """Deliver by the state machine: the outcome, and for one that a person has to read, why."""
    address = case.address
    ledger = open_ledger(address.ledger_url)
    shift = timedelta(hours=1) if late else timedelta()
    results: list[DeliveryResult] = []
    try:
        context = context_over(
            transport,
            ledger,
            address.store,
            run_id=f"run {os.getpid()}",
            places=Places(address.remote_dir, address.archive_dir, address.error_dir),
            timeout_s=address.timeout_s,
            clock=lambda: datetime.now(UTC) + shift,
            at_crash_point=at_crash_point,
        )
        results += deliver_over([case.parcel], transport, context, connections=1, timeout_s=address.timeout_s)
    except DeliveryError as error:
        return f"failed: {type(error).__name__}"
    finally:
        ledger.close()
    return ": ".join([results[0].outcome, *(problem.message for problem in results[0].problems)])


def _striker(blow: Blow | None) -> Callable[[str], None]:
    """Strikes the first time that the edge is reached."""
    due = blow

    def at_crash_point(edge: str) -> None:
        nonlocal due
        if due is not None and edge == due.edge:
            struck, due = due, None
            _strike(struck)

    return at_crash_point


def _rename_in_two_steps(strike: Callable[[str], None]) -> None:
    """From now on, in this process, no file system can rename without overwriting."""
    unlink = Path.unlink

    def after_link(path: Path, missing_ok: bool = False) -> None:
        if not missing_ok:
            strike(LINKED)
        unlink(path, missing_ok)

    folder._renameat2 = lambda: None  # type: ignore[assignment]
    Path.unlink = after_link  # type: ignore[assignment,method-assign]


def _strike(blow: Blow) -> None:
    # To this very thread: a stop sent to the process may reach another one first, and this one run on for a while.
    signal.pthread_kill(threading.get_ident(), signal.SIGKILL if blow.kind == "kill" else signal.SIGSTOP)


class _StruckTransport:
    """Strikes when so many bytes of a `create` have gone to the network, in the middle of whatever is being sent."""

    def __init__(self, transport: Transport, blow: Blow) -> None:
        self._transport = transport
        self._blow = blow
        self.name = transport.name
        self.address = transport.address

    @contextmanager
    def connect(self) -> Iterator[InboxConnection]:
        with self._transport.connect() as inbox:
            create = inbox.create

            def struck(path: str, data: bytes, *, unless: Sequence[str] = ()) -> str | None:
                with _sending_ends_after(self._blow):
                    return create(path, data, unless=unless)

            inbox.create = struck  # type: ignore[method-assign]
            yield inbox


@contextmanager
def _sending_ends_after(blow: Blow) -> Iterator[None]:
    left = blow.after_bytes

    def struck_by(original: Any) -> Any:
        def send(connection: Any, data: bytes, *flags: int) -> int:
            nonlocal left
            piece = bytes(data)[: max(left, 0)]
            sent = int(original(connection, piece, *flags)) if piece else 0
            left -= sent
            if left <= 0:
                _strike(blow)
                left = 1 << 60  # a sleeper wakes up, and goes on
            return sent

        return send

    with ExitStack() as patches:
        for kind in (Wire, ssl.SSLSocket):
            patches.enter_context(patch.object(kind, "send", struck_by(kind.send)))
        yield
