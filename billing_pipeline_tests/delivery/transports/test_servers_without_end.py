"""Servers that answer in time and never come to an end: each costs what a bound says, in seconds, bytes and names."""

from __future__ import annotations

import itertools
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.transports import ftps_data, sftp
from billing_pipeline.delivery.transports.protocol import (
    ConnectionLost,
    InboxTimeout,
    TooManyNames,
)
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.asyncssh_server import Call, SftpServer, sftp_server
from billing_pipeline_tests.support.delivering import context_over, deliver_over
from billing_pipeline_tests.support.parcels import parcel
from billing_pipeline_tests.support.pyftpd import Hook, Pyftpd, pyftpd

TIMEOUT_S = 0.5
DEADLINE_S = 1.0
FEW = 1_000
MUCH_BYTES = 20_000_000


@pytest.fixture
def ftps(tmp_path: Path) -> Iterator[Pyftpd]:
    with pyftpd(tmp_path) as server:
        (server.root / "import" / "a.csv").write_bytes(b"a")
        yield server


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[SftpServer]:
    with sftp_server(tmp_path) as server:
        (server.root / "import" / "a.csv").write_bytes(b"a")
        yield server


class Endless:
    """A file without end, given a piece at a time; `given` counts its bytes."""

    def __init__(self, file: Any, piece: bytes = b"", pause_s: float = 0.0) -> None:
        self._file, self._piece, self._pause_s = file, piece, pause_s
        self.name, self.closed, self.given = file.name, False, 0

    def read(self, count: int = 65_536) -> bytes:
        time.sleep(self._pause_s)
        piece = self._piece or b"x" * count
        self.given += len(piece)
        return piece

    def close(self) -> None:
        self.closed = True
        self._file.close()


@contextmanager
def ending_by_the_deadline() -> Iterator[None]:
    begin = time.monotonic()
    with pytest.raises(InboxTimeout):
        yield
    assert 0.9 * DEADLINE_S < time.monotonic() - begin < DEADLINE_S + 0.5


@contextmanager
def in_little_memory() -> Iterator[None]:
    """Ours: the server is in this process too, and holds a piece or two."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MUCH_BYTES


def test_a_file_that_comes_a_byte_at_a_time_over_ftps_is_given_up_by_the_deadline(ftps: Pyftpd) -> None:
    ftps.file_hooks["r"] = lambda file: Endless(file, b"x", pause_s=0.1)
    with ftps.transport(timeout_s=TIMEOUT_S).connect() as inbox:
        inbox.finish_by(Deadline(DEADLINE_S))
        with ending_by_the_deadline():
            inbox.read("/import/a.csv", 100)


def test_a_file_that_never_ends_is_read_no_further_than_asked_over_ftps(ftps: Pyftpd) -> None:
    served: list[Endless] = []
    ftps.file_hooks["r"] = lambda file: served.append(Endless(file)) or served[-1]  # type: ignore[func-returns-value]
    with ftps.transport(timeout_s=TIMEOUT_S).connect() as inbox, in_little_memory():
        assert inbox.read("/import/a.csv", 100_000) == b"x" * 100_000
        ftps.file_hooks.clear()
        assert inbox.read("/import/a.csv") == b"a"
    assert served[0].given < MUCH_BYTES


class Pieces:
    """What a data connection sends, a piece at a time."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def more(self) -> bytes:
        return next(self._pieces, b"")


def list_of(lines: Callable[[], Iterator[bytes]]) -> Hook:
    def hook(session: Any, perform: Callable[[], None]) -> None:
        session.push_dtp_data(Pieces(lines()), isproducer=True, cmd="MLSD")

    return hook


def dripping() -> Iterator[bytes]:
    for number in itertools.count():
        time.sleep(0.05)
        yield b"type=file; %d\r\n" % number


def many() -> Iterator[bytes]:
    return (b"type=file; %d\r\n" % number for number in itertools.count())


def tiny() -> Iterator[bytes]:
    return itertools.repeat(b"\r\n" * 30_000)


def one_line() -> Iterator[bytes]:
    return itertools.repeat(b"x" * 60_000)


def listing_command(server: Pyftpd, command: str) -> str:
    """A server without MLST is asked by NLST."""
    if command == "NLST":
        server.hooks["FEAT"] = lambda session, perform: session.respond("500 Unknown command.")
    return command


@pytest.mark.parametrize("command", ["MLSD", "NLST"])
def test_a_listing_that_drips_over_ftps_is_given_up_by_the_deadline(ftps: Pyftpd, command: str) -> None:
    ftps.hooks[listing_command(ftps, command)] = list_of(dripping)
    with ftps.transport(timeout_s=TIMEOUT_S).connect() as inbox:
        inbox.finish_by(Deadline(DEADLINE_S))
        with ending_by_the_deadline():
            inbox.list("/import")


@pytest.mark.parametrize("command", ["MLSD", "NLST"])
@pytest.mark.parametrize("lines", [many, tiny, one_line])
def test_a_listing_without_end_over_ftps_has_too_many_names_and_takes_no_memory(
    ftps: Pyftpd, command: str, lines: Callable[[], Iterator[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ftps_data, "MOST_NAMES", FEW)
    ftps.hooks[listing_command(ftps, command)] = list_of(lines)
    with ftps.transport(timeout_s=5.0).connect() as inbox, in_little_memory():
        with pytest.raises(TooManyNames, match="clear it out"):
            inbox.list("/import")
        ftps.hooks.pop(command)
        assert inbox.list("/import") == ["a.csv"]


@pytest.mark.parametrize("command", ["FEAT", "MLST"])
def test_an_answer_without_end_over_ftps_breaks_the_connection_and_takes_no_memory(
    ftps: Pyftpd, command: str
) -> None:
    def talk(session: Any, perform: Callable[[], None]) -> None:
        session.push("211-and\r\n")
        session.ioloop.call_every(0.001, lambda: session.connected and session.push("x\r\n" * 10_000))

    ftps.hooks[command] = talk
    with (
        in_little_memory(),
        pytest.raises(ConnectionLost, match="without end"),
        ftps.transport(timeout_s=20.0).connect() as inbox,
    ):
        inbox.stat("/import/a.csv")


def test_a_data_connection_that_nobody_takes_is_given_up_by_the_deadline(ftps: Pyftpd) -> None:
    with full_port() as port:

        def elsewhere(session: Any, perform: Callable[[], None]) -> None:
            session.respond(f"227 Entering passive mode (127,0,0,1,{port // 256},{port % 256}).")

        ftps.hooks["PASV"] = elsewhere
        with ftps.transport(timeout_s=20.0).connect() as inbox:
            inbox.finish_by(Deadline(DEADLINE_S))
            with ending_by_the_deadline():
                inbox.read("/import/a.csv", 100)


@contextmanager
def full_port() -> Iterator[int]:
    """A port whose queue of connections is full: the system answers to nobody who asks for one more."""
    with ExitStack() as open_ones, socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        for _ in range(4):
            waiting = open_ones.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        time.sleep(0.1)
        yield address[1]


def names_of(name: Callable[[int], bytes]) -> Callable[[Call], Any]:
    async def hook(_: Call) -> AsyncIterator[asyncssh.SFTPName]:
        async def names() -> AsyncIterator[asyncssh.SFTPName]:
            for number in itertools.count():
                yield asyncssh.SFTPName(name(number))

        return names()

    return hook


def test_a_list_without_end_over_sftp_has_too_many_names(
    ssh: SftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sftp, "MOST_NAMES", FEW)
    ssh.hooks["list"] = names_of(lambda number: b"%d" % number)
    with ssh.transport(timeout_s=5.0).connect() as inbox, in_little_memory():
        with pytest.raises(TooManyNames, match="clear it out"):
            inbox.list("/import")
        ssh.hooks.clear()
        assert inbox.list("/import") == ["a.csv"]


def test_names_as_long_as_books_over_sftp_take_no_memory(
    ssh: SftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sftp, "MOST_LIST_BYTES", 1_000_000)
    ssh.hooks["list"] = names_of(lambda number: b"%d" % number + b"x" * 3_000)
    with (
        ssh.transport(timeout_s=5.0).connect() as inbox,
        in_little_memory(),
        pytest.raises(TooManyNames, match="clear it out"),
    ):
        inbox.list("/import")


def test_a_file_without_end_over_sftp_is_given_up_by_the_deadline(ssh: SftpServer) -> None:
    async def a_little(_: Call) -> bytes:
        return b"x"

    ssh.hooks["read"] = a_little
    with ssh.transport(timeout_s=TIMEOUT_S).connect() as inbox, in_little_memory():
        inbox.finish_by(Deadline(DEADLINE_S))
        with ending_by_the_deadline():
            inbox.read("/import/a.csv")


def test_a_delivery_over_a_dripping_ftps_server_ends_by_the_files_deadline_and_the_next_run_completes_it(
    ftps: Pyftpd, sqlite_ledger: Ledger, store: BlobStore
) -> None:
    timeout_s = 0.2
    one = parcel(data=b"x" * 1_000, store=store)
    sqlite_ledger.months.record_exports([one.export], "run")
    transport = ftps.transport(timeout_s=timeout_s)

    def sent() -> str:
        context = context_over(transport, sqlite_ledger, store, timeout_s=timeout_s)
        [result] = deliver_over([one], transport, context, timeout_s=timeout_s)
        return result.outcome

    ftps.file_hooks["r"] = lambda file: Endless(file, b"x", pause_s=0.1)
    begin = time.monotonic()
    assert sent() == "failed"
    assert time.monotonic() - begin < 10 * timeout_s + 1 + 1
    ftps.file_hooks.clear()
    assert sent() == "delivered"
