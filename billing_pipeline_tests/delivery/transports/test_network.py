"""A connection by name: the first address that answers, within one time for all of them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.transports.network import connect_tcp
from billing_pipeline.delivery.transports.protocol import InboxTimeout, InboxUnavailable
from billing_pipeline_tests.support.ports import free_port

SETTINGS = "BILLING_X_HOST, BILLING_X_PORT"


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def connect(within_s: float = 2.0) -> socket.socket:
    deadline = Deadline(within_s)
    return connect_tcp(socket.socket, "inbox.example.com", 22, deadline=deadline, settings=SETTINGS)


def test_an_address_that_refuses_is_followed_by_the_next(
    monkeypatch: pytest.MonkeyPatch, listening: int
) -> None:
    resolve_to(monkeypatch, ("127.0.0.1", free_port()), ("127.0.0.1", listening))
    with connect() as connection:
        assert connection.getpeername() == ("127.0.0.1", listening)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_all_addresses_share_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener whose queue is full answers a further connection with silence, like a host behind a wall."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as full,
        socket.socket() as first,
        socket.socket() as second,
    ):
        address = full.getsockname()
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(address)
        resolve_to(monkeypatch, address, address, address)
        begin = time.monotonic()
        with pytest.raises(InboxTimeout, match="BILLING_X_HOST"):
            connect(within_s=0.3)
        assert time.monotonic() - begin < 1.0


def test_nobody_there_names_host_and_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, ("127.0.0.1", free_port()))
    with pytest.raises(
        InboxUnavailable, match=r"inbox\.example\.com:22 \(BILLING_X_HOST, BILLING_X_PORT\).*refused"
    ):
        connect()


def test_a_name_without_an_address_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(InboxUnavailable, match="cannot be resolved"):
        connect()
