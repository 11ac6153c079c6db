"""What the `ftps` transport makes of a server or a network that misbehaves: the right type, within its time."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.transports.ftps import FtpsInbox
from billing_pipeline.delivery.transports.protocol import (
    ConnectionLost,
    DeliveryError,
    InboxBusy,
    InboxRefused,
    InboxTimeout,
    NameTaken,
    NoSpace,
    Permanent,
    PermissionRefused,
    RenameNotDone,
    Transient,
)
from billing_pipeline_tests.support.pyftpd import Hook, Pyftpd, pyftpd
from billing_pipeline_tests.support.tcp_proxy import Break, tcp_proxy

TIMEOUT_S = 0.5
DATA = b"x" * 100_000

ASK: dict[str, Callable[[FtpsInbox], Any]] = {
    "STOR": lambda inbox: inbox.create("/import/.a.tmp", DATA),
    "RETR": lambda inbox: inbox.read("/import/a.csv"),
    "MLST": lambda inbox: inbox.stat("/import/a.csv"),
    "RNFR": lambda inbox: inbox.rename("/import/a.csv", "/import/b.csv"),
    "RNTO": lambda inbox: inbox.rename("/import/a.csv", "/import/b.csv"),
    "DELE": lambda inbox: inbox.remove("/import/a.csv"),
    "MLSD": lambda inbox: inbox.list("/import"),
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Pyftpd]:
    with pyftpd(tmp_path) as server:
        (server.root / "import" / "a.csv").write_bytes(b"a")
        yield server


def hang(session: Any, perform: Callable[[], None]) -> None:
    """No answer, ever."""


def cut(session: Any, perform: Callable[[], None]) -> None:
    session.close()


def do_and_cut(session: Any, perform: Callable[[], None]) -> None:
    session.muted = True
    perform()
    session.close()


def answer(text: str) -> Hook:
    def refuse(session: Any, perform: Callable[[], None]) -> None:
        session.respond(text)

    return refuse


@pytest.mark.parametrize("command", ["AUTH", "PASS", "PROT", *sorted(ASK)])
def test_a_server_that_hangs_is_given_up_in_time(server: Pyftpd, command: str) -> None:
    server.hooks[command] = hang
    begin = time.monotonic()
    with pytest.raises(InboxTimeout, match="BILLING_FTPS_TIMEOUT_S"):
        ask(server, command)
    assert time.monotonic() - begin < 2 * TIMEOUT_S + 1


@pytest.mark.parametrize("command", sorted(ASK))
def test_the_deadline_over_all_steps_of_a_file_ends_what_the_time_out_would_still_allow(
    server: Pyftpd, command: str
) -> None:
    server.hooks[command] = hang
    with server.transport(timeout_s=30.0).connect() as inbox:
        begin = time.monotonic()
        inbox.finish_by(Deadline(TIMEOUT_S))
        with pytest.raises(InboxTimeout):
            ASK[command](inbox)
    assert time.monotonic() - begin < 2 * TIMEOUT_S + 1


@pytest.mark.parametrize("command", ["", "AUTH", "PASS", "PROT", *sorted(ASK)])
def test_a_connection_cut_within_a_command_is_lost(server: Pyftpd, command: str) -> None:
    server.hooks[command] = cut
    with pytest.raises(ConnectionLost):
        ask(server, command)


def ask(server: Pyftpd, command: str) -> None:
    with server.transport(timeout_s=TIMEOUT_S).connect() as inbox:
        ASK.get(command, ASK["RETR"])(inbox)


def test_after_a_lost_connection_every_request_says_so_at_once(server: Pyftpd) -> None:
    server.hooks["MLST"] = hang
    with server.transport(timeout_s=TIMEOUT_S).connect() as inbox:
        with pytest.raises(InboxTimeout):
            inbox.stat("/import/a.csv")
        begin = time.monotonic()
        with pytest.raises(Transient):
            inbox.read("/import/a.csv")
        assert time.monotonic() - begin < 0.2


def test_a_rename_whose_answer_is_lost_may_have_happened(server: Pyftpd) -> None:
    server.hooks["RNTO"] = do_and_cut
    with pytest.raises(ConnectionLost), server.transport().connect() as inbox:
        inbox.rename("/import/a.csv", "/import/b.csv")
    assert (server.root / "import" / "b.csv").exists()


@pytest.mark.parametrize(
    ("command", "text", "expected"),
    [
        ("STOR", "550 Permission denied.", PermissionRefused),
        ("STOR", "553 Could not create file.", PermissionRefused),
        ("STOR", "452 Insufficient storage space.", NoSpace),
        ("STOR", "552 Exceeded storage allocation.", NoSpace),
        ("STOR", "450 Busy.", InboxBusy),
        ("STOR", "425 Can't open data connection.", ConnectionLost),
        ("STOR", "522 session reuse required", InboxRefused),
        ("RETR", "550 Permission denied.", PermissionRefused),
        ("MLST", "421 Closing.", ConnectionLost),
        ("RNTO", "550 Rename failed.", PermissionRefused),
        ("RNTO", "502 Command not implemented.", Permanent),
        ("DELE", "550 Permission denied.", PermissionRefused),
        ("DELE", "450 File busy.", InboxBusy),
        ("MLSD", "550 Permission denied.", PermissionRefused),
    ],
)
def test_each_refusal_has_its_type(
    server: Pyftpd, command: str, text: str, expected: type[DeliveryError]
) -> None:
    server.hooks[command] = answer(text)
    with server.transport().connect() as inbox:
        with pytest.raises(DeliveryError) as caught:
            ASK[command](inbox)
        assert type(caught.value) is expected
        assert text in str(caught.value)
        assert "/import" in str(caught.value)


@pytest.mark.parametrize("command", ["MLST", "SIZE"])
def test_a_rename_that_is_confirmed_and_not_done_is_found_out(server: Pyftpd, command: str) -> None:
    if command == "SIZE":
        server.hooks["FEAT"] = answer("500 Unknown command.")
    server.hooks["RNTO"] = answer("250 Renaming ok.")
    with (
        server.transport().connect() as inbox,
        pytest.raises(RenameNotDone, match="still there"),
    ):
        inbox.rename("/import/a.csv", "/import/b.csv")


class Full:
    """A file on a disk that is full after some bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self._room, self.name, self.closed = file, room, file.name, False

    def write(self, data: bytes) -> None:
        if len(data) > self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._room -= len(data)
        self._file.write(data)

    def close(self) -> None:
        self.closed = True
        self._file.close()


def test_a_disk_that_fills_up_within_a_transfer_is_no_space(server: Pyftpd) -> None:
    server.file_hooks["w"] = lambda file: Full(file, 40_000)
    with server.transport().connect() as inbox, pytest.raises(NoSpace, match="No space left on device"):
        inbox.create("/import/.a.tmp", b"x" * 5_000_000)


REFUSALS = (
    "550 Permission denied.",
    "550 Zugriff verweigert.",
    "550 Accès refusé.",
    "530 Please login with USER and PASS.",
)


@pytest.mark.parametrize("text", REFUSALS)
def test_what_a_listing_shows_is_not_absent_whatever_the_server_says_of_it(server: Pyftpd, text: str) -> None:
    """Neither 550 nor 530 means absent, in whatever language: a directory that is listed without it does."""
    for command in ("SIZE", "RNFR"):
        server.hooks[command] = answer(text)
    server.hooks["FEAT"] = answer("500 Unknown command.")
    with server.transport().connect() as inbox:
        assert inbox.stat("/import/a.csv") is not None
        assert inbox.stat("/import/b.csv") is None
        with pytest.raises(NameTaken):
            inbox.create("/import/a.csv", b"")


@pytest.mark.parametrize("text", REFUSALS)
def test_without_a_listing_nothing_is_taken_for_absent(server: Pyftpd, text: str) -> None:
    for command in ("MLST", "SIZE", "RNFR", "MLSD", "NLST"):
        server.hooks[command] = answer(text)
    with server.transport().connect() as inbox:
        for path in ("/import/a.csv", "/import/b.csv"):
            with pytest.raises(PermissionRefused, match="cannot be told"):
                inbox.stat(path)
        with pytest.raises(PermissionRefused):
            inbox.create("/import/a.csv", b"")
        server.hooks["RETR"] = server.hooks["DELE"] = answer(text)
        with pytest.raises(PermissionRefused):
            inbox.read("/import/a.csv")
        with pytest.raises(PermissionRefused):
            inbox.remove("/import/a.csv")
    assert (server.root / "import" / "a.csv").read_bytes() == b"a"


@pytest.mark.parametrize("text", REFUSALS)
def test_a_directory_that_may_not_be_entered_is_no_proof_of_absence(server: Pyftpd, text: str) -> None:
    for command in ("MLST", "SIZE", "RNFR", "CWD"):
        server.hooks[command] = answer(text)
    with server.transport().connect() as inbox, pytest.raises(PermissionRefused, match="cannot be told"):
        inbox.stat("/import/a.csv")


def test_a_file_whose_size_is_not_told_is_there_all_the_same(server: Pyftpd) -> None:
    for command in ("MLST", "SIZE"):
        server.hooks[command] = answer("500 Unknown command.")
    with server.transport().connect() as inbox:
        file = inbox.stat("/import/a.csv")
        assert file is not None
        assert file.size is None
        assert inbox.stat("/import/b.csv") is None
        with pytest.raises(NameTaken):
            inbox.create("/import/a.csv", b"")
        assert inbox.read("/import/a.csv") == b"a"


def test_a_server_without_feat_and_mdtm_will_do(server: Pyftpd) -> None:
    server.hooks["FEAT"] = answer("500 Unknown command.")
    with server.transport().connect() as inbox:
        assert inbox.features == frozenset()
        inbox.create("/import/.b.tmp", b"b")
        inbox.rename("/import/.b.tmp", "/import/b.csv")
        assert inbox.list("/import") == ["a.csv", "b.csv"]


def test_an_answer_cut_off_is_not_taken_for_the_whole(server: Pyftpd) -> None:
    def half(session: Any, perform: Callable[[], None]) -> None:
        session.push("213 1")
        session.close_when_done()

    server.hooks["MLST"] = answer("500 Unknown command.")
    server.hooks["SIZE"] = half
    (server.root / "import" / "a.csv").write_bytes(b"a" * 1234)
    with server.transport().connect() as inbox, pytest.raises(ConnectionLost):
        inbox.stat("/import/a.csv")


def test_an_answer_a_byte_at_a_time_is_given_up_in_time(server: Pyftpd) -> None:
    """Each piece comes within ftplib's time-out; the whole never does."""

    def drip(session: Any, perform: Callable[[], None]) -> None:
        session.push("2")
        session.ioloop.call_every(0.1, lambda: session.connected and session.push("0"))

    server.hooks["MLST"] = drip
    begin = time.monotonic()
    with pytest.raises(InboxTimeout):
        ask(server, "MLST")
    assert time.monotonic() - begin < 2 * TIMEOUT_S + 1


@pytest.mark.parametrize("kind", ["reset", "stall"])
@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("after", [1, 30, 1_500, 2_500])
def test_a_control_connection_that_breaks_at_any_byte_is_lost(
    server: Pyftpd, after: int, direction: Literal["up", "down"], kind: Literal["reset", "stall"]
) -> None:
    with tcp_proxy(server.port) as proxy:
        proxy.breaks.append(Break(after, direction, kind))
        with (
            pytest.raises(Transient),
            server.transport(port=proxy.port, timeout_s=TIMEOUT_S).connect() as inbox,
        ):
            read_often(inbox)


def read_often(inbox: FtpsInbox) -> None:
    for _ in range(40):
        inbox.read("/import/a.csv")
