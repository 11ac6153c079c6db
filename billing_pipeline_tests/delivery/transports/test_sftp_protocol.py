"""SFTP's packets: what is sent, and that no answer of a server, however odd, is taken for another one."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.delivery.transports.sftp_protocol import (
    Attributes,
    SftpBroken,
    SftpSession,
    SftpStatus,
    StatusCode,
)

STATUS, HANDLE, DATA, NAME, ATTRS = 101, 102, 103, 104, 105


def packet(kind: int, body: bytes) -> bytes:
    return struct.pack(">IB", len(body) + 1, kind) + body


def text(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def number(value: int) -> bytes:
    return struct.pack(">I", value)


VERSION = packet(2, number(3) + text(b"fsync@openssh.com") + text(b"1"))


class Scripted:
    """A channel whose server has said everything beforehand."""

    def __init__(self, *answers: bytes) -> None:
        self.coming = b"".join(answers)
        self.sent = b""

    def sendall(self, data: bytes, /) -> None:
        self.sent += data

    def recv(self, count: int, /) -> bytes:
        piece, self.coming = self.coming[: min(count, 5)], self.coming[min(count, 5) :]
        return piece

    def renew(self) -> None:
        pass


def session(*answers: bytes) -> SftpSession:
    return SftpSession(Scripted(VERSION, *answers))


def status(request: int, code: int, words: bytes = b"") -> bytes:
    return packet(STATUS, number(request) + number(code) + text(words) + text(b""))


REQUESTS: list[Callable[[SftpSession], Any]] = [
    lambda asked: asked.open_new("/a").get(),
    lambda asked: asked.open_to_read("/a").get(),
    lambda asked: asked.write(b"h", 0, b"data").get(),
    lambda asked: asked.read(b"h", 0).get(),
    lambda asked: asked.close(b"h").get(),
    lambda asked: asked.fsync(b"h").get(),
    lambda asked: asked.stat("/a").get(),
    lambda asked: asked.rename("/a", "/b").get(),
    lambda asked: asked.remove("/a").get(),
    lambda asked: list(asked.names("/a")),
]


def test_the_extensions_are_told_apart_from_their_data() -> None:
    assert session().extensions == {"fsync@openssh.com"}


def test_a_server_of_an_earlier_version_is_refused() -> None:
    with pytest.raises(SftpBroken, match="version 3"):
        SftpSession(Scripted(packet(2, number(2))))


def test_a_new_file_is_opened_exclusively() -> None:
    channel = Scripted(VERSION, packet(HANDLE, number(1) + text(b"handle")))
    assert SftpSession(channel).open_new("/a/ü").get() == b"handle"
    write, create, exclusive = 0x02, 0x08, 0x20
    asked = number(1) + text("/a/ü".encode()) + number(write | create | exclusive) + number(0)
    assert channel.sent.endswith(packet(3, asked))


def test_a_rename_is_the_plain_one() -> None:
    channel = Scripted(VERSION, status(1, StatusCode.OK))
    SftpSession(channel).rename("/a", "/b").get()
    assert channel.sent.endswith(packet(18, number(1) + text(b"/a") + text(b"/b")))
    assert b"posix-rename" not in channel.sent


def test_every_status_but_ok_is_raised_with_its_number() -> None:
    for ask in REQUESTS:
        with pytest.raises(SftpStatus, match="Failure") as caught:
            ask(session(status(1, StatusCode.FAILURE, b"Failure\n")))
        assert caught.value.code == StatusCode.FAILURE


def test_the_end_of_a_file_is_empty_and_no_error() -> None:
    assert session(status(1, StatusCode.EOF)).read(b"h", 0).get() == b""


def test_a_list_comes_in_several_answers_and_leaves_out_the_dots() -> None:
    def names(request: int, *entries: bytes) -> bytes:
        listed = b"".join(text(entry) + text(b"-rw-r--r-- ...") + number(0) for entry in entries)
        return packet(NAME, number(request) + number(len(entries)) + listed)

    opened = packet(HANDLE, number(1) + text(b"h"))
    answers = (
        opened,
        names(2, b".", b"..", b"a"),
        names(3, b"\xff"),
        status(4, StatusCode.EOF),
        status(5, 0),
    )
    assert list(session(*answers).names("/")) == ["a", "\udcff"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (number(0), Attributes(None, None)),
        (number(0x1) + struct.pack(">Q", 1 << 40), Attributes(1 << 40, None)),
        (
            number(0x2 | 0x4 | 0x8) + b"\0" * 12 + number(7) + number(1_700_000_000),
            Attributes(None, 1_700_000_000),
        ),
        (
            number(0x1 | 0x80000000) + struct.pack(">Q", 5) + number(1) + text(b"a@b") + text(b"x"),
            Attributes(5, None),
        ),
    ],
)
def test_attributes_may_be_missing(fields: bytes, expected: Attributes) -> None:
    assert session(packet(ATTRS, number(1) + fields)).stat("/a").get() == expected


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        status(2, StatusCode.OK),
        packet(DATA, number(1) + text(b"x")),
        number(0),
        number(0x7FFFFFFF) + b"x",
        packet(99, number(1)),
    ],
    ids=["nothing", "another request's", "of another kind", "empty", "endless", "of no kind"],
)
def test_an_answer_that_is_none_breaks_the_session(answer: bytes) -> None:
    with pytest.raises(SftpBroken):
        session(answer).remove("/a").get()


def test_a_confirmation_without_what_was_asked_for_breaks_the_session() -> None:
    with pytest.raises(SftpBroken, match="left out"):
        session(status(1, StatusCode.OK)).stat("/a").get()


def test_a_count_that_is_wrong_breaks_the_session() -> None:
    opened = packet(HANDLE, number(1) + text(b"h"))
    with pytest.raises(SftpBroken, match="less than it announces"):
        list(session(opened, packet(NAME, number(2) + number(0xFFFFFFFF))).names("/"))
    with pytest.raises(SftpBroken, match="less than it announces"):
        session(packet(ATTRS, number(1) + number(0x80000000) + number(0xFFFFFFFF))).stat("/a").get()


@given(said=st.binary(max_size=200), kind=st.sampled_from([STATUS, HANDLE, DATA, NAME, ATTRS]))
def test_whatever_a_server_says_only_the_two_errors_come_of_it(said: bytes, kind: int) -> None:
    for ask in REQUESTS:
        for answers in ((said,), (packet(kind, number(1) + said),)):
            with suppress(SftpBroken, SftpStatus):
                ask(session(*answers))
