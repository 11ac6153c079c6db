"""A TCP connection to a host by its name, within a time; what goes over it is the transports' own."""

from __future__ import annotations

import socket
from typing import TypeVar

from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.transports.protocol import InboxTimeout, InboxUnavailable

Socket = TypeVar("Socket", bound=socket.socket)


def connect_tcp(kind: type[Socket], host: str, port: int, *, deadline: Deadline, settings: str) -> Socket:
    """A connection, of class `kind`, to the first of the host's addresses that answers.

    `deadline` is shared out among the addresses; the name's resolution alone is not bound by it, for the system's
    resolver cannot be interrupted. `settings` are the names of the settings to mention.

    Raises: InboxUnavailable, InboxTimeout.
    """
    where = f"{host}:{port} ({settings})"
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InboxUnavailable(f"the name of the server {where} cannot be resolved ({error})") from error
    failure = OSError("it has no address")
    for left, (family, type_, protocol, _, address) in zip(
        range(len(addresses), 0, -1), addresses, strict=True
    ):
        connection = kind(family, type_, protocol)
        try:
            connection.settimeout(max(deadline.remaining_s / left, 0.001))
            connection.connect(address)
            # Requests are small packets that wait for an answer each: Nagle would delay them by 40 ms.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    if isinstance(failure, TimeoutError):
        raise InboxTimeout(f"no connection in time to the server {where}") from failure
    raise InboxUnavailable(f"no connection to the server {where}: {failure.strerror or failure}") from failure
