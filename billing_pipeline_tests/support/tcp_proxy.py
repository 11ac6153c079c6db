"""A TCP proxy on loopback that ends or stalls connections at a byte of one's choice.

Between a client and a real server it is the network at its worst: a connection that breaks in the middle of a
packet, or that stays open and carries nothing any more.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Break:
    """What happens to a connection after `after` bytes in one direction ("up" is from the client to the server).

    "reset" ends it, "stall" carries nothing any more, "flip" changes a bit of the last byte and goes on.
    """

    after: int
    direction: Literal["up", "down"]
    kind: Literal["reset", "stall", "flip"] = "reset"


class TcpProxy:
    """Forwards connections to `target`. `breaks` are used up, one per new connection; without one, all passes.

    `conduct` "refuse" ends each new connection at once, "silent" accepts it and carries nothing.
    `carried` are the bytes of the last connection, (up, down): what a break may be chosen from. `resets`, `stalls`
    and `flips` count the breaks that have happened.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.breaks: list[Break | None] = []
        self.conduct: Literal["forward", "refuse", "silent"] = "forward"
        self.carried = [0, 0]
        self.resets = self.stalls = self.flips = 0
        self._listener = socket.create_server((HOST, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, name="tcp-proxy", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the proxy and every connection that it carries."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # close() alone would not wake accept()
        self._listener.close()
        with self._lock:
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.conduct == "refuse":
                client.close()
                continue
            if self.conduct == "silent":
                with self._lock:
                    self._open.add(client)
                continue
            try:
                server = socket.create_connection((HOST, self.target), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
                broken = self.breaks.pop(0) if self.breaks else None
                self.carried = carried = [0, 0]
            for direction, source, sink in (("up", client, server), ("down", server, client)):
                due = broken if broken is not None and broken.direction == direction else None
                threading.Thread(
                    target=self._pump, args=(source, sink, due, carried, direction == "down"), daemon=True
                ).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, due: Break | None, carried: list[int], index: int
    ) -> None:
        happened = False
        with suppress(OSError):
            while piece := source.recv(65_536):
                if due is not None and not happened and carried[index] + len(piece) >= due.after:
                    happened = True
                    self._count(due)
                    first = due.after - carried[index]
                    if due.kind == "flip":
                        piece = piece[: first - 1] + bytes([piece[first - 1] ^ 1]) + piece[first:]
                    else:
                        sink.sendall(piece[:first])
                        carried[index] = due.after
                    if due.kind == "reset":
                        break
                if due is None or due.kind == "flip" or not happened:
                    carried[index] += len(piece)
                    sink.sendall(piece)
        for end in (source, sink):
            if due is not None and due.kind == "reset":
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._open.discard(end)
            end.close()

    def _count(self, due: Break) -> None:
        with self._lock:
            self.resets += due.kind == "reset"
            self.stalls += due.kind == "stall"
            self.flips += due.kind == "flip"


@contextmanager
def tcp_proxy(target: int) -> Iterator[TcpProxy]:
    """A proxy to a port of this machine."""
    proxy = TcpProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
