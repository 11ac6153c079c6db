"""A PostgreSQL connection that is given up once the server has said nothing for too long.

libpq waits for an answer without end: its own time-outs are about connections, and a server that is stopped, or a
proxy that hangs, keeps its connections. So one thread looks after every call under way, and ends the connection
under one that takes too long; the call then fails as if the server had hung up.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from psycopg2 import extensions

SILENT_S = 75.0
"""Longer than any statement may take on the server (`statement_timeout`)."""

_INTERVAL_S: Final = 0.5


class _Watch:
    """The calls under way, each with the instant at which it is given up."""

    def __init__(self) -> None:
        self._calls: dict[int, tuple[float, int]] = {}
        self._lock = threading.Lock()
        self._watcher: tuple[int, threading.Thread] | None = None

    @contextmanager
    def over(self, connection: Any) -> Iterator[None]:
        call = id(connection)
        with self._lock:
            self._calls[call] = (time.monotonic() + SILENT_S, connection.fileno())
            self._start()
        try:
            yield
        finally:
            with self._lock:
                self._calls.pop(call, None)

    def _start(self) -> None:
        """A thread does not outlive a fork: the child starts its own."""
        if self._watcher is None or self._watcher[0] != os.getpid() or not self._watcher[1].is_alive():
            thread = threading.Thread(target=self._look, name="ledger-silence", daemon=True)
            self._watcher = (os.getpid(), thread)
            thread.start()

    def _look(self) -> None:
        while True:
            time.sleep(_INTERVAL_S)
            with self._lock:
                if not self._calls:
                    self._watcher = None
                    return
                for until, descriptor in self._calls.values():
                    if time.monotonic() >= until:
                        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
                            connection.shutdown(socket.SHUT_RDWR)


_WATCH: Final = _Watch()
os.register_at_fork(after_in_child=_WATCH.__init__)  # type: ignore[misc]


class BoundedCursor(extensions.cursor):
    """A cursor whose calls end."""

    def execute(self, query: Any, vars: Any = None) -> None:
        with _WATCH.over(self.connection):
            super().execute(query, vars)

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        if self.name is None:
            return super().fetchmany(self.arraysize if size is None else size)
        with _WATCH.over(self.connection):
            return super().fetchmany(self.arraysize if size is None else size)


class BoundedConnection(extensions.connection):
    """A connection whose calls end."""

    def commit(self) -> None:
        with _WATCH.over(self):
            super().commit()

    def rollback(self) -> None:
        with _WATCH.over(self):
            super().rollback()
