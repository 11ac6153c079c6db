"""The `sftp` transport on two real servers, OpenSSH and asyncssh: what an inbox must do, and what each refusal is."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from billing_pipeline.delivery.transports.protocol import (
    NameRefused,
    NameTaken,
    NotFound,
    PermissionRefused,
    Transient,
    Transport,
)
from billing_pipeline.delivery.transports.sftp import SftpInbox, SftpTransport
from billing_pipeline.delivery.transports.sftp_protocol import CHUNK_BYTES, FSYNC
from billing_pipeline_tests.support.asyncssh_server import sftp_server
from billing_pipeline_tests.support.openssh import openssh_server


@dataclass(frozen=True)
class Server:
    """A transport, the remote folder to use, and the same folder on this machine."""

    transport: SftpTransport
    remote: str
    local: Path


@pytest.fixture(scope="module", params=["openssh", "asyncssh"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(request.param) / "server"
    if request.param == "openssh":
        with openssh_server(folder) as openssh:
            yield Server(openssh.transport(), str(openssh.inbox), openssh.inbox)
    else:
        folder.mkdir()
        with sftp_server(folder) as asyncssh:
            yield Server(asyncssh.transport(), "/import", asyncssh.root / "import")


@pytest.fixture
def inbox(server: Server) -> Iterator[SftpInbox]:
    for path in server.local.iterdir():
        path.unlink()
    with server.transport.connect() as inbox:
        yield inbox


def test_it_is_a_transport_with_an_address_that_names_the_account(server: Server) -> None:
    transport: Transport = server.transport
    assert transport.name == "sftp"
    assert transport.address.startswith("sftp://")
    assert "@127.0.0.1:" in transport.address


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 300_001])
def test_what_is_created_is_read_back_byte_for_byte(server: Server, inbox: SftpInbox, size: int) -> None:
    data = os.urandom(size)
    path = f"{server.remote}/.a.tmp"
    inbox.create(path, data)
    assert (server.local / ".a.tmp").read_bytes() == data
    assert inbox.read(path) == data
    file = inbox.stat(path)
    assert file is not None
    assert file.size == size
    assert file.modified is not None
    assert abs(file.modified.timestamp() - time.time()) < 60


def test_a_rename_moves_the_file_and_the_list_shows_it(server: Server, inbox: SftpInbox) -> None:
    inbox.create(f"{server.remote}/.a.tmp", b"a")
    inbox.create(f"{server.remote}/0 ü.csv", b"0")
    inbox.rename(f"{server.remote}/.a.tmp", f"{server.remote}/a.csv")
    assert inbox.list(server.remote) == ["0 ü.csv", "a.csv"]
    assert inbox.stat(f"{server.remote}/.a.tmp") is None
    assert inbox.read(f"{server.remote}/a.csv") == b"a"


def test_a_rename_never_overwrites(server: Server, inbox: SftpInbox) -> None:
    inbox.create(f"{server.remote}/.a.tmp", b"new")
    inbox.create(f"{server.remote}/a.csv", b"old")
    with pytest.raises(NameTaken, match=r"a\.csv exists already"):
        inbox.rename(f"{server.remote}/.a.tmp", f"{server.remote}/a.csv")
    assert inbox.read(f"{server.remote}/a.csv") == b"old"
    assert inbox.read(f"{server.remote}/.a.tmp") == b"new"


def test_a_taken_name_is_not_created_again(server: Server, inbox: SftpInbox) -> None:
    inbox.create(f"{server.remote}/a.csv", b"old")
    with pytest.raises(NameTaken, match="left untouched"):
        inbox.create(f"{server.remote}/a.csv", b"new and longer")
    assert inbox.read(f"{server.remote}/a.csv") == b"old"


def test_what_is_absent_is_absent_or_not_found(server: Server, inbox: SftpInbox) -> None:
    absent = f"{server.remote}/absent.csv"
    assert inbox.stat(absent) is None
    assert inbox.stat(f"{server.remote}/no/such/folder.csv") is None
    inbox.remove(absent)
    inbox.create(f"{server.remote}/.a.tmp", b"")
    inbox.remove(f"{server.remote}/.a.tmp")
    assert inbox.list(server.remote) == []
    for ask in (
        lambda: inbox.read(absent),
        lambda: inbox.rename(absent, f"{server.remote}/b.csv"),
        lambda: inbox.list(f"{server.remote}/nowhere"),
        lambda: inbox.create(f"{server.remote}/nowhere/a.csv", b"x"),
    ):
        with pytest.raises(NotFound, match="BILLING_REMOTE_DIR"):
            ask()


def test_a_refusal_leaves_the_connection_usable(server: Server, inbox: SftpInbox) -> None:
    with pytest.raises(Transient) as caught:
        inbox.read(server.remote)  # a directory
    assert caught.value.connection_usable
    inbox.create(f"{server.remote}/.a.tmp", b"a")
    assert inbox.read(f"{server.remote}/.a.tmp") == b"a"


def test_paths_that_lead_elsewhere_are_never_asked_for(server: Server, inbox: SftpInbox) -> None:
    for ask in (
        lambda: inbox.stat(f"{server.remote}/../x"),
        lambda: inbox.create("x.csv", b""),
        lambda: inbox.read("/import/\\x"),
        lambda: inbox.rename(f"{server.remote}/.a.tmp", f"{server.remote}/../x"),
        lambda: inbox.remove(f"{server.remote}/a\nb"),
        lambda: inbox.list(".."),
    ):
        with pytest.raises(NameRefused):
            ask()


def test_several_threads_each_have_a_connection_of_their_own(server: Server, inbox: SftpInbox) -> None:
    failures: list[BaseException] = []

    def deliver(number: int) -> None:
        try:
            with server.transport.connect() as own:
                own.create(f"{server.remote}/.{number}.tmp", b"x" * 100_000)
                own.rename(f"{server.remote}/.{number}.tmp", f"{server.remote}/{number}.csv")
        except BaseException as error:  # noqa: BLE001 - shown by the main thread
            failures.append(error)

    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert inbox.list(server.remote) == [f"{number}.csv" for number in range(6)]


def test_no_thread_is_left_behind(server: Server) -> None:
    before = threading.active_count()
    for _ in range(3):
        with server.transport.connect() as inbox:
            inbox.list(server.remote)
    assert threading.active_count() <= before


def test_small_writes_do_not_wait_for_nagle(server: Server, inbox: SftpInbox) -> None:
    """Measured: 3 ms for 200 KiB on loopback; 140 ms without TCP_NODELAY."""
    data = os.urandom(200 * 1024)
    fastest = 1.0
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
