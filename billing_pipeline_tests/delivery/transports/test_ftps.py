"""The `ftps` transport on real servers: vsftpd, and pyftpdlib as a modern server and as one without MLST."""

from __future__ import annotations

import ftplib
import os
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from billing_pipeline.delivery.transports.ftps import FtpsInbox, FtpsTransport
from billing_pipeline.delivery.transports.protocol import (
    NameRefused,
    NameTaken,
    NotFound,
    PermissionRefused,
    Transport,
)
from billing_pipeline_tests.support.pyftpd import pyftpd
from billing_pipeline_tests.support.vsftpd import vsftpd


@dataclass(frozen=True)
class Server:
    """A transport, the remote folder to use, and the same folder on this machine."""

    kind: str
    transport: FtpsTransport
    remote: str
    local: Path


@pytest.fixture(scope="module", params=["vsftpd", "pyftpdlib", "pyftpdlib without MLST"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("ftps")
    if request.param == "vsftpd":
        with vsftpd(folder) as real:
            yield Server(request.param, real.transport(), str(real.inbox), real.inbox)
    else:
        without = ("MLST", "MLSD") if request.param.endswith("MLST") else ()
        with pyftpd(folder, without=without) as other:
            yield Server(request.param, other.transport(), "/import", other.root / "import")


@pytest.fixture
def inbox(server: Server) -> Iterator[FtpsInbox]:
    for path in server.local.iterdir():
        path.unlink()
    with server.transport.connect() as inbox:
        yield inbox


def test_it_is_a_transport_with_an_address_that_names_the_account(server: Server) -> None:
    transport: Transport = server.transport
    assert transport.name == "ftps"
    assert transport.address.startswith("ftps://")
    assert "@127.0.0.1:" in transport.address


@pytest.mark.parametrize("size", [0, 1, 32_768, 300_001])
def test_what_is_created_is_read_back_byte_for_byte(server: Server, inbox: FtpsInbox, size: int) -> None:
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


def test_line_ends_are_not_translated(server: Server, inbox: FtpsInbox) -> None:
    data = b"a\nb\r\nc\rd\x00\xff\xf4\xff\n"
    inbox.create(f"{server.remote}/.a.tmp", data)
    assert inbox.read(f"{server.remote}/.a.tmp") == data


def test_a_rename_moves_the_file_and_the_list_shows_it(server: Server, inbox: FtpsInbox) -> None:
    inbox.create(f"{server.remote}/.a.tmp", b"a")
    inbox.create(f"{server.remote}/0 ü.csv", b"0")
    inbox.rename(f"{server.remote}/.a.tmp", f"{server.remote}/a.csv")
    assert inbox.list(server.remote) == ["0 ü.csv", "a.csv"]
    assert inbox.stat(f"{server.remote}/.a.tmp") is None
    assert inbox.read(f"{server.remote}/a.csv") == b"a"


def test_a_rename_looks_first_and_does_not_overwrite(server: Server, inbox: FtpsInbox) -> None:
    inbox.create(f"{server.remote}/.a.tmp", b"new")
    inbox.create(f"{server.remote}/a.csv", b"old")
    with pytest.raises(NameTaken, match=r"a\.csv exists already"):
        inbox.rename(f"{server.remote}/.a.tmp", f"{server.remote}/a.csv")
    assert inbox.read(f"{server.remote}/a.csv") == b"old"
    assert inbox.read(f"{server.remote}/.a.tmp") == b"new"


def test_a_taken_name_is_not_created_again(server: Server, inbox: FtpsInbox) -> None:
    inbox.create(f"{server.remote}/a.csv", b"old")
    with pytest.raises(NameTaken, match="left untouched"):
        inbox.create(f"{server.remote}/a.csv", b"new and longer")
    assert inbox.read(f"{server.remote}/a.csv") == b"old"


def test_what_is_absent_is_absent_or_not_found(server: Server, inbox: FtpsInbox) -> None:
    absent = f"{server.remote}/absent.csv"
    assert inbox.stat(absent) is None
    assert inbox.stat(f"{server.remote}/no/such/folder.csv") is None
    inbox.remove(absent)
    inbox.create(f"{server.remote}/.a.tmp", b"")
    inbox.remove(f"{server.remote}/.a.tmp")
    assert inbox.list(server.remote) == []
    with pytest.raises(NotFound):
        inbox.read(absent)
    with pytest.raises(NotFound):
        inbox.rename(absent, f"{server.remote}/b.csv")
    with pytest.raises(NotFound, match="BILLING_REMOTE_DIR"):
        inbox.list(f"{server.remote}/nowhere")
    with pytest.raises(NotFound, match="BILLING_REMOTE_DIR"):
        inbox.create(f"{server.remote}/nowhere/a.csv", b"x")


def test_a_refusal_leaves_the_connection_usable(server: Server, inbox: FtpsInbox) -> None:
    with pytest.raises(PermissionRefused):
        inbox.read(server.remote)  # a directory
    inbox.create(f"{server.remote}/.a.tmp", b"a")
    assert inbox.read(f"{server.remote}/.a.tmp") == b"a"


def test_no_command_can_be_smuggled_into_a_name(server: Server, inbox: FtpsInbox) -> None:
    inbox.create(f"{server.remote}/a.csv", b"a")
    for path in (f"{server.remote}/x\r\nDELE {server.remote}/a.csv", "a.csv", f"{server.remote}/../a.csv"):
        with pytest.raises(NameRefused):
            inbox.stat(path)
        with pytest.raises(NameRefused):
            inbox.rename(f"{server.remote}/a.csv", path)
    assert inbox.read(f"{server.remote}/a.csv") == b"a"


def test_several_threads_each_have_a_connection_of_their_own(server: Server, inbox: FtpsInbox) -> None:
    failures: list[BaseException] = []

    def deliver(number: int) -> None:
        try:
            with server.transport.connect() as own:
                own.create(f"{server.remote}/.{number}.tmp", b"x" * 100_000)
                own.rename(f"{server.remote}/.{number}.tmp", f"{server.remote}/{number}.csv")
        except BaseException as error:  # noqa: BLE001 - shown by the main thread
            failures.append(error)

    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert inbox.list(server.remote) == [f"{number}.csv" for number in range(4)]


def test_no_thread_is_left_behind(server: Server) -> None:
    before = threading.active_count()
    for _ in range(3):
        with server.transport.connect() as inbox:
            inbox.list(server.remote)
    end = time.monotonic() + 2
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)  # a cancelled timer's thread takes a moment to end
    assert threading.active_count() <= before


def test_vsftpd_demands_the_tls_session_which_ftplib_alone_does_not_bring(tmp_path: Path) -> None:
    with vsftpd(tmp_path) as server:
        plain = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=str(server.ca_file)), timeout=5)
        plain.connect("127.0.0.1", server.port)
        plain.login("anonymous", "guest")
        plain.prot_p()
        with pytest.raises((ftplib.Error, OSError)):
            plain.nlst(str(server.inbox))
        plain.close()
        with server.transport().connect() as inbox:
            assert inbox.list(str(server.inbox)) == []
