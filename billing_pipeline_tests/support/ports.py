"""A free port for a server that cannot choose one itself and say which."""

from __future__ import annotations

import random
import socket

# Below what the system gives to whoever asks for any port (from 32768 on Linux, 49152 elsewhere): until the server
# listens, a connection or a server of another test must not be given the same one.
_PORTS = range(15_000, 32_000)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
