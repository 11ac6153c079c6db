"""What the `sftp` transport makes of a server or a network that misbehaves: the right type, within its time."""

from __future__ import annotations

import asyncio
import errno
import itertools
import random
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.transports.protocol import (
    ConnectionLost,
    DeliveryError,
    InboxBusy,
    InboxTimeout,
    InboxUnavailable,
    LoginRefused,
    NameTaken,
    NoSpace,
    Permanent,
    PermissionRefused,
    RenameNotDone,
    Transient,
)
from billing_pipeline.delivery.transports.sftp import SftpInbox, SftpTransport
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.asyncssh_server import Call, Hook, SftpServer, sftp_server
from billing_pipeline_tests.support.delivering import context_over, deliver_over
from billing_pipeline_tests.support.openssh import HOST
from billing_pipeline_tests.support.parcels import parcel
from billing_pipeline_tests.support.tcp_proxy import Break, tcp_proxy

TIMEOUT_S = 0.5
DATA = b"x" * 100_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    with sftp_server(tmp_path) as server:
        (server.root / "import" / "a.csv").write_bytes(b"a")
        yield server


async def hang(_: Call) -> None:
    await asyncio.sleep(60)


async def cut(call: Call) -> None:
    call.cut()


async def do_and_cut(call: Call) -> None:
    await call.perform()
    call.cut()


def fail_with(error: Exception) -> Hook:
    async def fail(_: Call) -> None:
        raise error

    return fail


ASK: dict[str, tuple[str, Callable[[SftpInbox], Any]]] = {
    "open": ("create", lambda inbox: inbox.create("/import/.a.tmp", DATA)),
    "write": ("create", lambda inbox: inbox.create("/import/.a.tmp", DATA)),
    "fsync": ("create", lambda inbox: inbox.create("/import/.a.tmp", DATA)),
    "close": ("create", lambda inbox: inbox.create("/import/.a.tmp", DATA)),
    "read": ("read", lambda inbox: inbox.read("/import/a.csv")),
    "stat": ("stat", lambda inbox: inbox.stat("/import/a.csv")),
    "rename": ("rename", lambda inbox: inbox.rename("/import/a.csv", "/import/b.csv")),
    "remove": ("remove", lambda inbox: inbox.remove("/import/a.csv")),
    "list": ("list", lambda inbox: inbox.list("/import")),
}


@pytest.mark.parametrize("operation", sorted(ASK))
def test_a_server_that_hangs_is_given_up_in_time(server: SftpServer, operation: str) -> None:
    server.hooks[operation] = hang
    begin = time.monotonic()
    with (
        pytest.raises(InboxTimeout, match="BILLING_SFTP_TIMEOUT_S"),
        server.transport(timeout_s=TIMEOUT_S).connect() as inbox,
    ):
        ASK[operation][1](inbox)
    assert time.monotonic() - begin < 2 * TIMEOUT_S + 1


@pytest.mark.parametrize("operation", sorted(ASK))
def test_a_connection_cut_within_a_request_is_lost(server: SftpServer, operation: str) -> None:
    server.hooks[operation] = cut
    with pytest.raises(ConnectionLost), server.transport().connect() as inbox:
        ASK[operation][1](inbox)


def test_a_rename_that_is_confirmed_and_not_done_is_found_out(server: SftpServer) -> None:
    async def say_it_is_done(_: Call) -> None:
        return

    server.hooks["rename"] = say_it_is_done
    with pytest.raises(RenameNotDone, match="still there"), server.transport().connect() as inbox:
        inbox.rename("/import/a.csv", "/import/b.csv")


def test_a_rename_whose_look_overtakes_it_is_believed_all_the_same(server: SftpServer) -> None:
    async def late(call: Call) -> Any:
        await asyncio.sleep(0.1)
        return await call.perform()

    server.hooks["rename"] = late
    with server.transport().connect() as inbox:
        inbox.rename("/import/a.csv", "/import/b.csv")
        assert inbox.read("/import/b.csv") == b"a"


def test_after_a_lost_connection_every_request_says_so_at_once(server: SftpServer) -> None:
    server.hooks["stat"] = hang
    with server.transport(timeout_s=TIMEOUT_S).connect() as inbox:
        with pytest.raises(InboxTimeout):
            inbox.stat("/import/a.csv")
        begin = time.monotonic()
        with pytest.raises(Transient):
            inbox.read("/import/a.csv")
        assert time.monotonic() - begin < 0.2


def test_a_rename_whose_answer_is_lost_may_have_happened(server: SftpServer) -> None:
    server.hooks["rename"] = do_and_cut
    with pytest.raises(ConnectionLost), server.transport().connect() as inbox:
        inbox.rename("/import/a.csv", "/import/b.csv")
    assert (server.root / "import" / "b.csv").exists()


@pytest.mark.parametrize(
    ("operation", "failure", "expected"),
    [
        ("open", asyncssh.SFTPPermissionDenied("no"), PermissionRefused),
        ("open", asyncssh.SFTPFailure("try later"), InboxBusy),
        ("write", OSError(errno.ENOSPC, "No space left on device"), NoSpace),
        ("write", OSError(errno.EDQUOT, "Disk quota exceeded"), NoSpace),
        ("write", asyncssh.SFTPConnectionLost("backend gone"), ConnectionLost),
        ("fsync", OSError(errno.EIO, "Input/output error"), NoSpace),
        ("close", OSError(errno.ENOSPC, "No space left on device"), NoSpace),
        ("read", asyncssh.SFTPPermissionDenied("write only"), PermissionRefused),
        ("stat", asyncssh.SFTPPermissionDenied("no"), PermissionRefused),
        ("rename", asyncssh.SFTPFailure("Failure"), InboxBusy),
        ("rename", asyncssh.SFTPOpUnsupported("no rename"), Permanent),
        ("rename", asyncssh.SFTPPermissionDenied("no"), PermissionRefused),
        ("remove", asyncssh.SFTPFailure("Failure"), InboxBusy),
        ("remove", asyncssh.SFTPPermissionDenied("no"), PermissionRefused),
        ("list", asyncssh.SFTPPermissionDenied("no"), PermissionRefused),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_each_refusal_has_its_type(
    server: SftpServer, operation: str, failure: Exception, expected: type[DeliveryError]
) -> None:
    server.hooks[operation] = fail_with(failure)
    with server.transport().connect() as inbox:
        with pytest.raises(DeliveryError) as caught:
            ASK[operation][1](inbox)
        assert type(caught.value) is expected
        assert "/import/" in str(caught.value) or operation == "list"
        server.hooks.clear()
        assert inbox.read("/import/a.csv") == b"a"


def test_a_sync_that_the_file_system_does_not_know_is_left_out(server: SftpServer) -> None:
    server.hooks["fsync"] = fail_with(asyncssh.SFTPOpUnsupported("no fsync here"))
    with server.transport().connect() as inbox:
        inbox.create("/import/.a.tmp", DATA)
        assert inbox.read("/import/.a.tmp") == DATA


def test_a_file_without_a_size_is_there_all_the_same(server: SftpServer) -> None:
    async def without_size(call: Call) -> asyncssh.SFTPAttrs:
        await call.perform()
        return asyncssh.SFTPAttrs()

    server.hooks["stat"] = without_size
    with server.transport().connect() as inbox:
        file = inbox.stat("/import/a.csv")
        assert file is not None
        assert (file.size, file.modified) == (None, None)
        with pytest.raises(NameTaken):
            inbox.create("/import/a.csv", b"")


def test_reads_that_come_in_pieces_are_put_together(server: SftpServer) -> None:
    async def half(call: Call) -> bytes:
        data: bytes = await call.perform()
        return data[: max(1, len(data) // 2)]

    (server.root / "import" / "a.csv").write_bytes(bytes(range(256)) * 300)
    server.hooks["read"] = half
    with server.transport().connect() as inbox:
        assert inbox.read("/import/a.csv") == bytes(range(256)) * 300


def test_a_login_that_hangs_is_given_up_in_time_and_is_no_refusal(server: SftpServer) -> None:
    async def never(_: Call) -> bool:
        await asyncio.sleep(60)
        return False

    server.hooks["auth"] = never
    begin = time.monotonic()
    with pytest.raises(InboxTimeout, match="logging in"), server.transport(timeout_s=TIMEOUT_S).connect():
        pass
    assert time.monotonic() - begin < TIMEOUT_S + 1


def test_a_connection_lost_while_logging_in_is_no_refusal(server: SftpServer) -> None:
    server.hooks["auth"] = cut
    with pytest.raises(DeliveryError) as caught, server.transport().connect():
        pass
    assert not isinstance(caught.value, LoginRefused)
    assert isinstance(caught.value, ConnectionLost)


async def a_byte_at_a_time(call: Call) -> bytes:
    await asyncio.sleep(0.1)
    data: bytes = await call.perform()
    return data[:1]


async def names_without_end(_: Call) -> AsyncIterator[asyncssh.SFTPName]:
    async def names() -> AsyncIterator[asyncssh.SFTPName]:
        for number in itertools.count():
            yield asyncssh.SFTPName(b"%d" % number)
            await asyncio.sleep(0)

    return names()


@pytest.mark.parametrize(
    ("operation", "hook"),
    [("read", a_byte_at_a_time), ("list", names_without_end)],
    ids=["drip", "endless list"],
)
def test_a_server_that_answers_and_never_comes_to_an_end_is_given_up_by_the_deadline(
    server: SftpServer, operation: str, hook: Hook
) -> None:
    (server.root / "import" / "a.csv").write_bytes(DATA)
    server.hooks[operation] = hook
    with server.transport(timeout_s=TIMEOUT_S).connect() as inbox:
        begin = time.monotonic()
        inbox.finish_by(Deadline(1.0))
        with pytest.raises(InboxTimeout):
            ASK[operation][1](inbox)
        assert 0.9 < time.monotonic() - begin < 1.5


def test_a_file_that_never_ends_is_read_no_further_than_asked(server: SftpServer) -> None:
    async def endless(_: Call) -> bytes:
        return b"x" * 32_768

    server.hooks["read"] = endless
    with server.transport(timeout_s=TIMEOUT_S).connect() as inbox:
        assert inbox.read("/import/a.csv", 100_000) == b"x" * 100_000
        server.hooks.clear()
        assert inbox.read("/import/a.csv") == b"a"


def test_a_delivery_over_a_dripping_server_ends_by_the_files_deadline_and_the_next_run_completes_it(
    server: SftpServer, sqlite_ledger: Ledger, store: BlobStore
) -> None:
    timeout_s = 0.2
    one = parcel(data=DATA, store=store)
    sqlite_ledger.months.record_exports([one.export], "run")
    transport = server.transport(timeout_s=timeout_s)

    def sent() -> str:
        context = context_over(transport, sqlite_ledger, store, timeout_s=timeout_s)
        [result] = deliver_over([one], transport, context, timeout_s=timeout_s)
        return result.outcome

    server.hooks["read"] = a_byte_at_a_time
    begin = time.monotonic()
    assert sent() == "failed"
    assert time.monotonic() - begin < 10 * timeout_s + 1 + 1
    server.hooks.clear()
    assert sent() == "delivered"


@contextmanager
def talker(say: bytes, *, again_every_s: float | None = None) -> Iterator[int]:
    """A server that says something, once or again and again, and never listens. Yields its port."""
    listener = socket.create_server((HOST, 0))
    ended = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(say)
                while not ended.wait(again_every_s):
                    connection.sendall(say)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def stranger(tmp_path: Path, port: int) -> SftpTransport:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text("")
    return SftpTransport(
        host=HOST, port=port, username="x", known_hosts_file=known_hosts, password="x", timeout_s=TIMEOUT_S
    )


@pytest.mark.parametrize(
    ("say", "again_every_s"),
    [(b"", None), (b"SSH-2.0-slow\r\n", None), (b"S", 0.05), (b"welcome\r\n", 0.02)],
    ids=["silence", "banner and silence", "a byte at a time", "a greeting without end"],
)
def test_a_server_that_never_gets_to_the_point_is_given_up_in_time(
    tmp_path: Path, say: bytes, again_every_s: float | None
) -> None:
    begin = time.monotonic()
    with (
        talker(say, again_every_s=again_every_s) as port,
        pytest.raises(Transient),
        stranger(tmp_path, port).connect(),
    ):
        pass
    assert time.monotonic() - begin < TIMEOUT_S + 1


def test_a_server_that_does_not_speak_ssh_is_lost_at_once(tmp_path: Path) -> None:
    begin = time.monotonic()
    with (
        talker(b"220 ftp ready\r\n" * 200) as port,
        pytest.raises(ConnectionLost),
        stranger(tmp_path, port).connect(),
    ):
        pass
    assert time.monotonic() - begin < TIMEOUT_S


def test_nobody_listening_is_unavailable_and_names_the_settings(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind((HOST, 0))
        with (
            pytest.raises(InboxUnavailable, match=r"BILLING_SFTP_HOST.*refused"),
            stranger(tmp_path, unused.getsockname()[1]).connect(),
        ):
            pass


def test_a_name_that_does_not_resolve_is_unavailable(tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text("")
    transport = SftpTransport(host="no host", username="x", known_hosts_file=known_hosts, password="x")
    with pytest.raises(InboxUnavailable, match="cannot be resolved"), transport.connect():
        pass


def test_a_server_that_reads_no_more_is_given_up_in_time(server: SftpServer) -> None:
    """The socket's buffers fill, and every write blocks: paramiko by itself would try for ever."""
    with tcp_proxy(server.port) as proxy:
        server.pin(proxy.port)
        proxy.breaks.append(Break(after=50_000, direction="up", kind="stall"))
        begin = time.monotonic()
        with (
            pytest.raises(InboxTimeout),
            server.transport(timeout_s=TIMEOUT_S, port=proxy.port).connect() as inbox,
        ):
            inbox.create("/import/.a.tmp", b"x" * 20_000_000)
        assert time.monotonic() - begin < 2 * TIMEOUT_S + 1


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("after", [1, 500, 1_500, 3_000])
def test_a_connection_reset_at_any_byte_is_lost(server: SftpServer, after: int, direction: Any) -> None:
    with tcp_proxy(server.port) as proxy:
        server.pin(proxy.port)
        proxy.breaks.append(Break(after, direction))
        # A server speaks first: its byte, and the reset behind it, may come before connect() has returned.
        at_once = (InboxUnavailable,) if (after, direction) == (1, "down") else ()
        with (
            pytest.raises((ConnectionLost, *at_once)),
            server.transport(port=proxy.port).connect() as inbox,
        ):
            read_often(inbox)


def read_often(inbox: SftpInbox) -> None:
    for _ in range(30):
        assert inbox.read("/import/a.csv") == b"a"


@pytest.mark.parametrize("seed", range(40))
def test_a_bit_that_flips_on_the_way_is_found_and_is_never_another_kind_of_error(
    server: SftpServer, seed: int
) -> None:
    """paramiko raises what it stumbles over as it is; a ValueError would end the run, and not this connection."""
    dice = random.Random(seed)
    with tcp_proxy(server.port) as proxy:
        server.pin(proxy.port)
        proxy.breaks.append(Break(dice.randint(1, 2_600), dice.choice(("up", "down")), "flip"))
        with (
            pytest.raises(DeliveryError),
            server.transport(port=proxy.port, timeout_s=TIMEOUT_S).connect() as inbox,
        ):
            read_often(inbox)
