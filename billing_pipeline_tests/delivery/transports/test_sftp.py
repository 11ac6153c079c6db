"""What is particular to the `sftp` transport, on real servers; the rest is in `test_transport_contract`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from billing_pipeline.delivery.transports.protocol import PermissionRefused
from billing_pipeline.delivery.transports.sftp_protocol import FSYNC
from billing_pipeline_tests.support.asyncssh_server import Call, sftp_server
from billing_pipeline_tests.support.inbox_servers import SFTP, serving
from billing_pipeline_tests.support.openssh import openssh_server


@pytest.mark.parametrize("kind", SFTP)
def test_small_writes_do_not_wait_for_nagle(kind: str, tmp_path: Path) -> None:
    """Measured: 3 ms for 200 KiB on loopback; 140 ms without TCP_NODELAY."""
    data = os.urandom(200 * 1024)
    fastest = 1.0
    with serving(kind, tmp_path) as server, server.transport.connect() as inbox:
        for number in range(5):
            begin = time.perf_counter()
            inbox.create(f"{server.remote}/.{number}.tmp", data)
            fastest = min(fastest, time.perf_counter() - begin)
    assert fastest < 0.1


def test_fsync_is_used_where_it_is_offered(tmp_path: Path) -> None:
    with sftp_server(tmp_path) as server, server.transport().connect() as inbox:
        assert FSYNC in inbox.extensions
        inbox.create("/import/.a.tmp", b"a")
        assert server.calls[-2:] == ["fsync", "close"]


@pytest.mark.parametrize("size", [100_000, 2_500_000])
def test_a_file_that_comes_in_smaller_pieces_than_asked_for_is_whole(tmp_path: Path, size: int) -> None:
    async def stingy(call: Call) -> bytes:
        given: bytes = await call.perform()
        return given[:20_000]

    data = os.urandom(size)
    with sftp_server(tmp_path) as server, server.transport(timeout_s=10.0).connect() as inbox:
        inbox.create("/import/a.csv", data)
        server.hooks["read"] = stingy
        assert inbox.read("/import/a.csv", size + 1) == data
        assert inbox.read("/import/a.csv") == data


def test_a_folder_without_rights_is_refused_for_good(tmp_path: Path) -> None:
    with openssh_server(tmp_path / "server", sftp="internal-sftp -R") as server:
        path = server.inbox / "a.csv"
        path.write_bytes(b"a")
        with server.transport().connect() as inbox:
            assert inbox.read(str(path)) == b"a"
            with pytest.raises(PermissionRefused, match="the account may not"):
                inbox.create(f"{server.inbox}/.a.tmp", b"")
            with pytest.raises(PermissionRefused, match="the account may not"):
                inbox.rename(str(path), f"{path}2")
            with pytest.raises(PermissionRefused, match="the account may not"):
                inbox.remove(str(path))
