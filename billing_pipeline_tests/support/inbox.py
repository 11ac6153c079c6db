"""An inbox in memory that fails on request, for tests of everything above the transports.

`FakeServer` keeps the files and, like a receiver's own log, every publication of a final name: tests judge
by that log, never by the ledger. `FakeTransport` connects to it. Faults are data: which operation, which
call, what happens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.transports.protocol import (
    MOST_BYTES,
    DeliveryError,
    InboxConnection,
    NameTaken,
    NotFound,
    RemoteFile,
    RenameNotDone,
)

Operation = Literal["connect", "stat", "create", "read", "rename", "remove", "list"]


@dataclass
class Fault:
    """The next `times` calls of `operation` after the first `skip` go wrong.

    `when`: "before" nothing was done, "after" it was done and the reply lost, "midway" half of a file was
    written. `error` None: the server says nothing and simply does not do it (or, midway, drops the rest).
    """

    operation: Operation
    error: BaseException | None
    when: Literal["before", "midway", "after"] = "before"
    skip: int = 0
    times: int = 1


def is_final(path: str) -> bool:
    """Whether a poller would take this name up."""
    name = path.rpartition("/")[2]
    return not name.startswith(".") and not name.endswith(".tmp")


@dataclass
class FakeServer:
    """Files by path, the log of publications under /import, and what shall go wrong."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    published: list[tuple[str, bytes]] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    asked: int = 0
    """How often a connection was asked for, and beside it how often one was given."""
    connections: int = 0
    after_each: Callable[[FakeServer, str, str], None] | None = None
    one_step: bool = True
    """Whether a rename cannot leave both names behind."""
    die_between_link_and_unlink: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    def fail(
        self,
        operation: Operation,
        error: BaseException | None,
        *,
        when: Literal["before", "midway", "after"] = "before",
        skip: int = 0,
        times: int = 1,
    ) -> None:
        self.faults.append(Fault(operation, error, when, skip, times))

    def due(self, operation: Operation) -> Fault | None:
        """The fault that this call meets, if any; counts it."""
        for fault in self.faults:
            if fault.operation != operation or fault.times == 0:
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.times -= 1
            return fault
        return None

    def put(self, path: str, data: bytes) -> None:
        """A file appears, by whomever; a final name under /import is a publication."""
        self.files[path] = data
        if path.startswith("/import/") and is_final(path):
            self.published.append((path, data))

    def poll(self, move: Literal["archive", "error", "delete"]) -> None:
        """What a receiver does with every final name under /import."""
        with self.lock:
            for path in [path for path in self.files if path.startswith("/import/") and is_final(path)]:
                data = self.files.pop(path)
                if move != "delete":
                    self.files[f"/{move}/{path.rpartition('/')[2]}"] = data

    def temporaries(self) -> list[str]:
        return sorted(path for path in self.files if not is_final(path))


class FakeInbox:
    """One connection to a `FakeServer`; dead after the context ends."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self.open = True

    def stat(self, path: str) -> RemoteFile | None:
        with self._call("stat", path):
            data = self._server.files.get(path)
            return None if data is None else RemoteFile(size=len(data), modified=None)

    def create(self, path: str, data: bytes, *, unless: Sequence[str] = ()) -> str | None:
        for other in unless:
            if self.stat(other) is not None:
                return other
        with self._call("create", path) as fault:
            if path in self._server.files:
                raise NameTaken(f"{path} exists already on fake")
            if fault is not None and fault.when == "midway":
                self._server.put(path, data[: len(data) // 2])
            elif fault is None or fault.error is not None:
                self._server.put(path, data)
        return None

    def finish_by(self, deadline: Deadline) -> None:
        pass

    def read(self, path: str, at_most: int = MOST_BYTES) -> bytes:
        with self._call("read", path):
            if path not in self._server.files:
                raise NotFound(f"{path} is not on fake")
            return self._server.files[path][:at_most]

    def rename(self, source: str, target: str) -> None:
        with self._call("rename", source) as fault:
            if source not in self._server.files:
                raise NotFound(f"{source} is not on fake")
            if target in self._server.files:
                raise NameTaken(f"{target} exists already on fake")
            if self._server.die_between_link_and_unlink:
                self._server.put(target, self._server.files[source])
                return
            if fault is None or fault.error is not None:
                self._server.put(target, self._server.files.pop(source))
            else:
                raise RenameNotDone(f"fake confirmed the rename of {source} and did not do it")

    def renames_in_one_step(self, directory: str) -> bool:
        return self._server.one_step

    def remove(self, path: str) -> None:
        with self._call("remove", path):
            self._server.files.pop(path, None)

    def list(self, directory: str) -> list[str]:
        with self._call("list", directory):
            prefix = f"{directory.rstrip('/')}/"
            return sorted(path.removeprefix(prefix) for path in self._server.files if path.startswith(prefix))

    @contextmanager
    def _call(self, operation: Operation, path: str) -> Iterator[Fault | None]:
        if not self.open:
            raise RuntimeError(f"{operation} on a closed connection")
        with self._server.lock:
            self._server.calls.append((operation, path))
            fault = self._server.due(operation)
            if fault is not None and fault.when == "before" and fault.error is not None:
                raise fault.error
            yield fault
            if fault is not None and fault.error is not None:
                raise fault.error
            if self._server.after_each is not None:
                self._server.after_each(self._server, operation, path)


class FakeTransport:
    """Connects to a `FakeServer`."""

    def __init__(self, server: FakeServer, *, address: str = "fake://inbox") -> None:
        self.server = server
        self.name = "fake"
        self.address = address

    @contextmanager
    def connect(self) -> Iterator[InboxConnection]:
        with self.server.lock:
            self.server.asked += 1
            fault = self.server.due("connect")
            if fault is not None and fault.error is not None:
                raise fault.error
            self.server.connections += 1
        inbox = FakeInbox(self.server)
        try:
            yield inbox
        finally:
            inbox.open = False


def refusing(error: DeliveryError) -> FakeTransport:
    """A transport to which nobody ever connects."""
    server = FakeServer()
    server.fail("connect", error, times=-1)
    return FakeTransport(server)
