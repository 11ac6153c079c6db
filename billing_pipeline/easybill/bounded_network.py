"""Bounds an HTTP answer as a whole, header and body: httpx waits for each piece of it anew."""

from __future__ import annotations

from typing import Any

import httpcore
import httpx

from billing_pipeline.deadline import Deadline


def bound_answers(client: httpx.Client, seconds: float) -> None:
    """From now on every answer to the client is over so many seconds after its request was sent.

    httpx has no setting for it, and httpcore takes a network of one's own only where it is constructed: so the network
    of each of the client's pools is exchanged, those of proxies among them. To construct the pools here would be
    public, and would cost httpx's proxies of the environment: it looks for them only where it is given no transport.
    A release of httpx in which they are kept elsewhere ends with an AttributeError here, at the first client.
    """
    for transport in (client._transport, *client._mounts.values()):
        if isinstance(transport, httpx.HTTPTransport):
            transport._pool._network_backend = _BoundedNetwork(transport._pool._network_backend, seconds)


class _BoundedNetwork(httpcore.NetworkBackend):
    """Another network, whose streams are bounded."""

    def __init__(self, network: httpcore.NetworkBackend, seconds: float) -> None:
        self._network = network
        self._seconds = seconds

    def connect_tcp(self, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        return _BoundedStream(self._network.connect_tcp(*arguments, **options), self._seconds)

    def connect_unix_socket(self, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        return _BoundedStream(self._network.connect_unix_socket(*arguments, **options), self._seconds)

    def sleep(self, seconds: float) -> None:
        self._network.sleep(seconds)


class _BoundedStream(httpcore.NetworkStream):
    """Another stream: what is read is due so many seconds after what was last written."""

    def __init__(self, stream: httpcore.NetworkStream, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds
        self._due = Deadline(seconds)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._due.is_over:
            raise httpcore.ReadTimeout("the answer does not end")
        left_s = self._due.remaining_s
        return self._stream.read(max_bytes, left_s if timeout is None else min(timeout, left_s))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._due = Deadline(self._seconds)
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        return _BoundedStream(self._stream.start_tls(*arguments, **options), self._seconds)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
