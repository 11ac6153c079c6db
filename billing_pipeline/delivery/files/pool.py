"""Many files over a few connections: who sends what, and when to stop trying.

Each connection serves many files, so nobody logs in per customer, and no connection is made at all if nothing is to
be sent. A permanent fault is never tried again, a transient one is (`tries_within`). One customer's fault does not stop
the others. An inbox that can no longer be connected to does, and so does one that lets `FAILURES_IN_A_ROW` files in a
row time out or break off: the files that are left fail at once, and the error is raised when all have been told.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_exponential, wait_random

from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.channel import FAILURES_IN_A_ROW
from billing_pipeline.delivery.context import DeliveryContext
from billing_pipeline.delivery.files.upload import move_on
from billing_pipeline.delivery.parcel_delivery import ParcelDelivery
from billing_pipeline.delivery.records import Delivery, DeliveryResult, Parcel, failed
from billing_pipeline.delivery.transports.protocol import (
    DeliveryError,
    InboxConnection,
    InboxInUse,
    InboxTimeout,
    Permanent,
    Transient,
    Transport,
)

_TRIES: Final = 6
_IDLE_S: Final = 0.02
_BACK_OFF: Final = wait_exponential(multiplier=0.2, max=5.0) + wait_random(0.0, 0.3)


def tries_within(timeout_s: float, sleep: Callable[[float], None] = time.sleep) -> Retrying:
    """Tries again after a transient fault, never after a permanent one.

    With exponential back-off and jitter (at once after a time-out, which was pause enough), a bounded number of times,
    and only as long as a further try that takes the whole time-out ends within 2 x time-out + 1 s of the first, with
    half a second to spare: a server that stalls costs no more.
    """
    return Retrying(
        retry=retry_if_exception_type(Transient),
        wait=_pause,
        stop=stop_after_attempt(_TRIES) | stop_before_delay(timeout_s + 0.5),
        sleep=sleep,
        reraise=True,
    )


def deadline_of(timeout_s: float, size_bytes: int = 0) -> Deadline:
    """By when all steps and tries of one file are over, or of one look at a directory.

    Ten time-outs, and a second for every 100 KiB: a server that answers each request in time, and never comes to an
    end, ends there.
    """
    return Deadline(10 * timeout_s + size_bytes / 102_400)


def _pause(state: RetryCallState) -> float:
    """Seconds until the next try."""
    timed_out = state.outcome is not None and isinstance(state.outcome.exception(), InboxTimeout)
    return 0.0 if timed_out else _BACK_OFF(state)


def deliver_all(
    parcels: Sequence[Parcel],
    transport: Transport,
    context: DeliveryContext,
    *,
    connections: int,
    timeout_s: float,
) -> Generator[DeliveryResult, None, None]:
    """Deliver the parcels, and yield one result for each, in the caller's thread, as they come.

    Each result is in the ledger before it is yielded; the exports are recorded already. Raises: after every parcel's
    result, the DeliveryError that ended the delivery; at once, LedgerUnavailable.
    """
    planned = context.ledger.first_plans.plan(parcels, run_id=context.run_id)
    pool = UploadPool(context, transport, timeout_s, planned)
    for parcel in parcels:
        pool.waiting.put(parcel)
    # A server may allow fewer connections than there are threads: what a thread that got none puts back is left
    # over when the others have gone already, and the next round sends it.
    while not pool.waiting.empty():
        yield from _round(pool, min(connections, pool.waiting.qsize()))
    if pool.ended_by is not None:
        raise pool.ended_by


def _round(pool: UploadPool, count: int) -> Iterator[DeliveryResult]:
    """The results of so many threads, until all of them have gone."""
    try:
        with ThreadPoolExecutor(count, thread_name_prefix="delivery") as executor:
            threads = [executor.submit(pool.work) for _ in range(count)]
            try:
                at_work = count
                while at_work:
                    come = pool.come()
                    at_work -= come.count(None)
                    yield from pool.recorded(come)
            finally:
                # The caller may have had enough of it: who is at work finishes the file in hand.
                pool.stop.set()
    finally:
        if not pool.results.empty():
            pool.recorded(pool.come())
    for thread in threads:
        thread.result()
    pool.stop.clear()


class _GivenUp(Permanent):
    """The inbox has been given up for this run; said of the files that were not tried any more."""


class _NoneLeft(Permanent):
    """The inbox allows no further connection; those that there are send what is left."""


@dataclass
class UploadPool:
    """What the threads of one `deliver_all` share. `planned`: by order number, what was planned for all together."""

    context: DeliveryContext
    transport: Transport
    timeout_s: float
    planned: dict[str, Delivery] = field(default_factory=dict)
    waiting: queue.SimpleQueue[Parcel] = field(default_factory=queue.SimpleQueue)
    results: queue.SimpleQueue[DeliveryResult | None] = field(default_factory=queue.SimpleQueue)
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    first_login: threading.Lock = field(default_factory=threading.Lock)
    ended_by: DeliveryError | None = None
    connected: int = 0
    ever_connected: bool = False
    first_refusal: DeliveryError | None = None
    failed_in_a_row: int = 0
    in_hand: int = 0

    def work(self) -> None:
        """One thread: sends parcels until none are left. An error that is no parcel's goes to its future."""
        try:
            with _Connection(self) as connection:
                while not self.stop.is_set():
                    parcel = self._take()
                    if parcel is None:
                        # What another thread has in hand comes back if it gets no connection; here is one.
                        if not (connection.is_open and self.in_hand):
                            return
                        self.stop.wait(_IDLE_S)
                        continue
                    result = self._result(parcel, connection)
                    if result is not None:
                        self.context.take_note(result)
                        self.results.put(result)
                    self._put_down(parcel if result is None else None)
                    if result is None:
                        return
        except BaseException:
            self.stop.set()
            raise
        finally:
            self.results.put(None)

    def come(self) -> list[DeliveryResult | None]:
        """The next result, and those that came with it; None for each thread that has gone."""
        come = [self.results.get()]
        with suppress(queue.Empty):
            while True:
                come.append(self.results.get_nowait())
        return come

    def recorded(self, come: Sequence[DeliveryResult | None]) -> list[DeliveryResult]:
        """The results, once the ledger has them: together, for a transaction each would be a fifth of a file's."""
        results = [result for result in come if result is not None]
        self.context.record_all(results)
        return results

    def _take(self) -> Parcel | None:
        """The next parcel, None where none is waiting."""
        with self.lock:
            try:
                parcel = self.waiting.get_nowait()
            except queue.Empty:
                return None
            self.in_hand += 1
            return parcel

    def _put_down(self, back: Parcel | None) -> None:
        """The parcel in hand is done with, or goes back."""
        with self.lock:
            if back is not None:
                self.waiting.put(back)
            self.in_hand -= 1

    def _result(self, parcel: Parcel, connection: _Connection) -> DeliveryResult | None:
        """What became of the parcel; None where this thread gets no connection while another one has one."""
        tries = tries_within(self.timeout_s, self._sleep)
        deadline = deadline_of(self.timeout_s, parcel.export.size_bytes)
        try:
            result = tries(self._once, parcel, connection, deadline)
        except DeliveryError as error:
            if not self._counted(error, connection):
                return None
            return failed(parcel, self.context.clock(), str(error))
        if connection.is_open:
            self.failed_in_a_row = 0
        return result

    def _once(self, parcel: Parcel, connection: _Connection, deadline: Deadline) -> DeliveryResult:
        """One try. The inbox is connected to only if there is something to send."""
        delivery = ParcelDelivery(parcel, self.context, self.planned.pop(parcel.export.order_number, None))
        try:
            while (planned := delivery.next()) is not None:
                inbox = connection.inbox()
                inbox.finish_by(deadline)
                delivery.published_here |= move_on(planned, delivery.data, inbox, self.context)
        except Transient as error:
            if not error.connection_usable:
                connection.close()
            raise
        return delivery.result

    def _sleep(self, seconds: float) -> None:
        self.stop.wait(seconds)

    def _counted(self, error: DeliveryError, connection: _Connection) -> bool:
        """Whether the failure is the parcel's own or the inbox's; False if it is only this thread's."""
        with self.lock:
            if isinstance(error, _GivenUp):
                return True
            if connection.refused and self.connected:
                return False
            broken = isinstance(error, Transient) and not error.connection_usable
            self.failed_in_a_row += broken
            if self.ended_by is None and (connection.refused or self.failed_in_a_row >= FAILURES_IN_A_ROW):
                self.ended_by = error
            return True


class _Connection:
    """One thread's connection: made when it is first needed, and again after it broke."""

    def __init__(self, pool: UploadPool) -> None:
        self._pool = pool
        self._inbox: InboxConnection | None = None
        self._context = ExitStack()
        self.refused = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        return self._inbox is not None

    def inbox(self) -> InboxConnection:
        """The open connection, or a new one. Raises: as `Transport.connect`, or _GivenUp."""
        if self._pool.ended_by is not None:
            raise _GivenUp(f"not tried any more: {self._pool.ended_by}")
        if self._inbox is None:
            refusal = self._pool.first_refusal
            # Until one login has succeeded, one at a time: four wrong passwords at once lock an account.
            with nullcontext() if self._pool.ever_connected else self._pool.first_login:
                if self._pool.ended_by is not None:
                    raise _GivenUp(f"not tried any more: {self._pool.ended_by}")
                self.refused = True
                self._inbox = self._connected(refusal)
                self.refused = False
                with self._pool.lock:
                    self._pool.ever_connected = True
                    self._pool.connected += 1
        return self._inbox

    def _connected(self, refusal: DeliveryError | None) -> InboxConnection:
        """A new connection. Whoever waited for the first login, in vain, takes its refusal for their own."""
        pool = self._pool
        if not pool.ever_connected and pool.first_refusal is not None and pool.first_refusal is not refusal:
            raise type(pool.first_refusal)(str(pool.first_refusal))
        try:
            return self._context.enter_context(pool.transport.connect())
        except InboxInUse as error:
            if pool.connected:
                raise _NoneLeft(str(error)) from error
            raise
        except DeliveryError as error:
            pool.first_refusal = error
            raise

    def close(self) -> None:
        if self._inbox is not None:
            self._inbox = None
            with self._pool.lock:
                self._pool.connected -= 1
        self._context.close()
