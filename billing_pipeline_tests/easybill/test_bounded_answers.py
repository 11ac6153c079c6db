"""An answer that drips, in its header or its body, or never ends, is over in time and in bounded memory."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from billing_pipeline.easybill import api_http
from billing_pipeline.easybill.api_errors import ApiTransient
from billing_pipeline.easybill.api_http import ApiHttp, Endpoint
from billing_pipeline_tests.support.easybill_api import NoLimit

HEADER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n"


def drip_header(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X")
        time.sleep(0.05)


def drip_body(connection: socket.socket) -> None:
    connection.sendall(HEADER)
    while True:
        connection.sendall(b" ")
        time.sleep(0.05)


def endless_body(connection: socket.socket) -> None:
    connection.sendall(HEADER)
    while True:
        connection.sendall(b" " * 65_536)


@contextmanager
def answering(how: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that answers every request in that way."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.recv(65_536)
                    how(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/rest/v1"
    finally:
        listener.close()


@pytest.mark.parametrize("how", [drip_header, drip_body, endless_body])
def test_an_answer_that_never_ends_is_given_up(
    how: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_http, "_MOST_ANSWER_BYTES", 1_000_000)
    with answering(how) as url:
        http = ApiHttp(url, "a-key", rate_limit=NoLimit(), timeout_s=0.2)
        begin = time.monotonic()
        with pytest.raises(ApiTransient):
            http.ask_once(Endpoint.LIST_LOGINS)
        assert time.monotonic() - begin < 4
        http.close()
