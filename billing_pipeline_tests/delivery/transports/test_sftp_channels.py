"""Many channels over few connections: what the server allows is used, and no file is lost, doubled or failed for it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.delivery.context import Places
from billing_pipeline.delivery.files.pool import deliver_all
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import DeliveryResult, Parcel
from billing_pipeline.delivery.transports.protocol import (
    DeliveryError,
    InboxConnection,
    InboxInUse,
    InboxTimeout,
)
from billing_pipeline.delivery.transports.sftp import SftpTransport
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.asyncssh_server import Call, SftpServer, sftp_server
from billing_pipeline_tests.support.delivering import context_over
from billing_pipeline_tests.support.openssh import OpenSshServer, openssh_server
from billing_pipeline_tests.support.parcels import parcel
from billing_pipeline_tests.support.tcp_proxy import Break, tcp_proxy

FILES = 24
TIMEOUT_S = 2.0


@pytest.fixture
def parcels(sqlite_ledger: Ledger, store: BlobStore) -> list[Parcel]:
    made = [parcel(f"{number:05}", f"file {number}".encode() * 900, store=store) for number in range(FILES)]
    sqlite_ledger.months.record_exports([each.export for each in made], "run")
    return made


@pytest.fixture
def asyncssh(tmp_path: Path) -> Iterator[SftpServer]:
    with sftp_server(tmp_path / "asyncssh") as server:
        yield server


def deliver(
    parcels: list[Parcel], transport: SftpTransport, inbox: str, ledger: Ledger, store: BlobStore
) -> list[DeliveryResult]:
    context = context_over(transport, ledger, store, places=Places(inbox), timeout_s=10.0)
    return list(deliver_all(parcels, transport, context, connections=16, timeout_s=10.0))


def logins(server: OpenSshServer) -> int:
    return server.log().count("Accepted publickey")


@pytest.mark.parametrize(
    ("options", "most_logins"),
    [((), 2), (("MaxSessions 1",), 4), (("MaxSessions 2",), 4), (("MaxStartups 1",), 4)],
    ids=["as it comes", "one session", "two sessions", "one login at a time"],
)
def test_a_server_that_allows_less_gets_every_file_once(
    tmp_path: Path,
    parcels: list[Parcel],
    sqlite_ledger: Ledger,
    store: BlobStore,
    options: tuple[str, ...],
    most_logins: int,
) -> None:
    with openssh_server(tmp_path / "server", options) as server:
        results = deliver(parcels, server.transport(timeout_s=10.0), str(server.inbox), sqlite_ledger, store)
        assert [result.outcome for result in results] == ["delivered"] * FILES
        arrived = {file.name: file.read_bytes() for file in server.inbox.iterdir()}
        assert arrived == {each.export.file_name: store.get("csv", each.export.sha256) for each in parcels}
        assert 1 <= logins(server) <= most_logins


def test_a_connection_that_dies_under_its_channels_costs_tries_and_no_file(
    tmp_path: Path, parcels: list[Parcel], sqlite_ledger: Ledger, store: BlobStore
) -> None:
    with openssh_server(tmp_path / "server") as server, tcp_proxy(server.port) as proxy:
        server.pin(proxy.port)
        proxy.breaks = [Break(40_000, "up"), Break(60_000, "up"), Break(20_000, "down")]
        transport = server.transport(timeout_s=10.0, port=proxy.port)
        results = deliver(parcels, transport, str(server.inbox), sqlite_ledger, store)
        assert proxy.resets >= 2
        assert [result.outcome for result in results] == ["delivered"] * FILES
        assert len(list(server.inbox.iterdir())) == FILES


def test_channels_share_a_connection_until_it_is_full(asyncssh: SftpServer) -> None:
    transport = limited(asyncssh, connections=2, channels=2)
    with ExitStack() as stack:
        for used in (1, 1, 2, 2):
            stack.enter_context(transport.connect())
            assert asyncssh.calls.count("connection") == used
        with pytest.raises(InboxInUse, match="BILLING_SFTP_CHANNELS"), transport.connect():
            pass
    with transport.connect() as inbox:
        assert inbox.list("/import") == []


def test_a_stalled_channel_is_given_up_alone(asyncssh: SftpServer) -> None:
    stalled = b"stalled"
    (asyncssh.root / "import" / "a").write_bytes(b"a")

    async def hang_once(call: Call) -> Any:
        asyncssh.hooks.pop("read")
        await asyncio.sleep(60)
        return stalled

    asyncssh.hooks["read"] = hang_once
    transport = limited(asyncssh)
    with transport.connect() as first, transport.connect() as second:
        caught: list[BaseException] = []

        def ask() -> None:
            try:
                first.read("/import/a")
            except DeliveryError as error:
                caught.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        end = time.monotonic() + TIMEOUT_S + 0.5
        while time.monotonic() < end:
            begin = time.monotonic()
            assert second.stat("/import/a") is not None
            assert time.monotonic() - begin < TIMEOUT_S / 2
            time.sleep(0.05)
        asking.join(TIMEOUT_S)
        assert [type(error) for error in caught] == [InboxTimeout]
        assert second.read("/import/a") == b"a"
    assert asyncssh.calls.count("connection") == 1


def test_a_stalled_connection_ends_with_all_its_channels(asyncssh: SftpServer) -> None:
    with tcp_proxy(asyncssh.port) as proxy:
        asyncssh.pin(proxy.port)
        proxy.breaks = [Break(8_000, "down", "stall")]
        transport = limited(asyncssh, port=proxy.port)
        with transport.connect() as first, transport.connect() as second:
            begin = time.monotonic()
            for inbox in (first, second):
                with pytest.raises(InboxTimeout):
                    stat_again_and_again(inbox)
            assert time.monotonic() - begin < TIMEOUT_S + 2
        with transport.connect() as anew:
            assert anew.stat("/import/a") is None


def stat_again_and_again(inbox: InboxConnection) -> None:
    for _ in range(1_000):
        inbox.stat("/import/a")


def limited(
    server: SftpServer, *, connections: int = 1, channels: int = 4, port: int | None = None
) -> SftpTransport:
    return SftpTransport(
        host="127.0.0.1",
        port=port or server.port,
        username="billing",
        password=server.password,
        known_hosts_file=server.known_hosts,
        timeout_s=TIMEOUT_S,
        connections=connections,
        channels=channels,
    )
