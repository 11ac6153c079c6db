"""The requests of SFTP version 3 that a delivery needs, several in flight, over a channel of the `sftp` subsystem.

The SSH transport is paramiko's. Its SFTPClient is not used, for what a delivery must know it does not tell: it
swallows the status of CLOSE, loses the status codes (all but two become a bare OSError), keeps the server's list
of extensions to itself, and waits for each piece of an answer anew. Here each request returns an `Answer` at once;
requests go out together when the first of their answers is waited for, and a status other than OK is raised by
the answer that it belongs to. The protocol has the server treat requests for one file in the order in which they come.

What a status means for a delivery, and how long an answer may take, is decided in `sftp`; nothing of that here.
Source: draft-ietf-secsh-filexfer-02, which every SFTP server speaks; `fsync@openssh.com` from OpenSSH's PROTOCOL.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, Protocol, TypeVar

from paramiko.message import Message

CHUNK_BYTES = 32_768
"""The most that every server takes in one write and gives in one read (32,768 bytes are required of it)."""

FSYNC = "fsync@openssh.com"

_VERSION = 3
_LONGEST_ANSWER_BYTES = 1 << 20
_ATTRIBUTE_SIZE, _ATTRIBUTE_OWNER, _ATTRIBUTE_PERMISSIONS, _ATTRIBUTE_TIMES = 0x1, 0x2, 0x4, 0x8


class _Request(IntEnum):
    INIT, VERSION, OPEN, CLOSE, READ, WRITE = 1, 2, 3, 4, 5, 6
    OPENDIR, READDIR, REMOVE, REALPATH, STAT, RENAME = 11, 12, 13, 16, 17, 18
    STATUS, HANDLE, DATA, NAME, ATTRS = 101, 102, 103, 104, 105
    EXTENDED = 200


class StatusCode(IntEnum):
    """The status codes by which servers end a request; the ones from 11 on come from servers of later versions."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    NO_CONNECTION = 6
    CONNECTION_LOST = 7
    OP_UNSUPPORTED = 8
    NO_SUCH_PATH = 10
    FILE_ALREADY_EXISTS = 11
    WRITE_PROTECT = 12
    NO_SPACE_ON_FILESYSTEM = 14
    QUOTA_EXCEEDED = 15


class SftpStatus(Exception):
    """The server ended a request with a status other than OK. `code` is the number it sent, `text` its words."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text or 'no reason given'} (SFTP status {code})")
        self.code = code
        self.text = text


class SftpBroken(Exception):
    """The channel ended, or what came over it is not SFTP: nothing more can be asked on this connection."""


class ByteChannel(Protocol):
    """What is needed of a channel; `renew` is told of each answer that has come whole."""

    def sendall(self, s: bytes, /) -> object: ...
    def recv(self, nbytes: int, /) -> bytes: ...
    def renew(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a server says of a file; each may be missing. `modified` in seconds since the epoch."""

    size: int | None
    modified: int | None


Value = TypeVar("Value")


class Answer(Generic[Value]):
    """What a request will be answered with. All that was asked is sent when one of the answers is waited for."""

    def __init__(
        self, session: SftpSession, request: int, parse: Callable[[tuple[int, Message]], Value]
    ) -> None:
        self._session = session
        self._request = request
        self._parse = parse

    def get(self) -> Value:
        """Waits for the answer, once. Raises: SftpStatus, the server's refusal; SftpBroken."""
        return self._parse(self._session.wait_for(self._request))

    def failure(self) -> SftpStatus | None:
        """Waits for the answer, and returns the server's refusal instead of raising it."""
        try:
            self.get()
        except SftpStatus as status:
            return status
        return None


class SftpSession:
    """One SFTP session. Not for several threads at once."""

    def __init__(self, channel: ByteChannel) -> None:
        self._channel = channel
        self._last_request = 0
        self._unsent = bytearray()
        self._received = bytearray()
        self._in_flight: set[int] = set()
        self._answered: dict[int, tuple[int, Message]] = {}
        self.extensions = self._negotiate()
        """The names of the extensions that the server offers."""

    def open_new(self, path: str) -> Answer[bytes]:
        """Creates a file for writing and answers with its handle; fails if the name is taken (O_EXCL)."""
        write_create_exclusive = 0x02 | 0x08 | 0x20
        return self._open(path, write_create_exclusive)

    def open_to_read(self, path: str) -> Answer[bytes]:
        """The handle of an existing file."""
        return self._open(path, 0x01)

    def write(self, handle: bytes, offset: int, data: bytes) -> Answer[None]:
        """Writes at most CHUNK_BYTES."""
        request = Message().add_string(handle).add_int64(offset).add_string(data)
        return self._ask(_Request.WRITE, request, _confirmed)

    def read(self, handle: bytes, offset: int, length: int = CHUNK_BYTES) -> Answer[bytes]:
        """At most `length` bytes, and at most CHUNK_BYTES, from `offset`; empty at the end of the file."""
        request = Message().add_string(handle).add_int64(offset).add_int(min(length, CHUNK_BYTES))
        return self._ask(_Request.READ, request, _data)

    def close(self, handle: bytes) -> Answer[None]:
        """Closes a handle. A server that writes late tells here that it could not."""
        return self._ask(_Request.CLOSE, Message().add_string(handle), _confirmed)

    def fsync(self, handle: bytes) -> Answer[None]:
        """Has the server write the file to its disk. Only where `FSYNC in extensions`."""
        return self._ask(_Request.EXTENDED, Message().add_string(FSYNC).add_string(handle), _confirmed)

    def stat(self, path: str) -> Answer[Attributes]:
        """Size and modification time, links followed."""
        return self._ask(
            _Request.STAT, _path(path), lambda answer: _attributes(_body(_Request.ATTRS, answer))
        )

    def rename(self, source: str, target: str) -> Answer[None]:
        """The plain RENAME of version 3, which fails where the target exists; never `posix-rename@openssh.com`."""
        return self._ask(_Request.RENAME, _path(source).add_string(target.encode()), _confirmed)

    def remove(self, path: str) -> Answer[None]:
        """Removes a file."""
        return self._ask(_Request.REMOVE, _path(path), _confirmed)

    def names(self, directory: str) -> Iterator[str]:
        """The names in a directory, without `.` and `..`, as the server gives them, one answer after another.

        Bytes that are not UTF-8 become lone surrogates, so that such a name can be shown but never equals one of ours.
        """
        handle = self._ask(_Request.OPENDIR, _path(directory), _handle).get()
        try:
            while True:
                answer = self._ask(_Request.READDIR, Message().add_string(handle), _names).get()
                for _ in range(answer.get_int()):
                    _whole(answer)
                    name = answer.get_string().decode(errors="surrogateescape")
                    answer.get_string()  # the line of `ls -l`
                    _attributes(answer)
                    if name not in {".", ".."}:
                        yield name
        except SftpStatus as status:
            if status.code != StatusCode.EOF:
                raise
        self.close(handle).get()

    def wait_for(self, request: int) -> tuple[int, Message]:
        """The answer to a request by its number, sent now if it was not yet; what comes before it is kept."""
        if self._unsent:
            unsent, self._unsent = bytes(self._unsent), bytearray()
            self._channel.sendall(unsent)
        while request not in self._answered:
            kind, answer = self._receive()
            answered = answer.get_int()
            if answered not in self._in_flight:
                raise SftpBroken("the server answered another request than the one it was asked")
            self._in_flight.discard(answered)
            self._answered[answered] = kind, answer
        return self._answered.pop(request)

    def _open(self, path: str, flags: int) -> Answer[bytes]:
        no_attributes = 0
        return self._ask(_Request.OPEN, _path(path).add_int(flags).add_int(no_attributes), _handle)

    def _negotiate(self) -> frozenset[str]:
        self._channel.sendall(_packet(_Request.INIT, Message().add_int(_VERSION).asbytes()))
        kind, answer = self._receive()
        if kind != _Request.VERSION or answer.get_int() < _VERSION:
            raise SftpBroken("the server does not speak SFTP version 3")
        extensions = set()
        while answer.get_remainder():
            extensions.add(answer.get_string().decode(errors="replace"))
            answer.get_string()  # its version or data
        return frozenset(extensions)

    def _ask(
        self, kind: _Request, request: Message, parse: Callable[[tuple[int, Message]], Value]
    ) -> Answer[Value]:
        self._last_request = (self._last_request + 1) % (1 << 32)
        self._unsent += _packet(kind, struct.pack(">I", self._last_request) + request.asbytes())
        self._in_flight.add(self._last_request)
        return Answer(self, self._last_request, parse)

    def _receive(self) -> tuple[int, Message]:
        (length,) = struct.unpack(">I", self._exactly(4))
        if not 5 <= length <= _LONGEST_ANSWER_BYTES:
            raise SftpBroken(f"the server announced an answer of {length} bytes: this is not SFTP")
        body = self._exactly(length)
        self._channel.renew()
        return body[0], Message(body[1:])

    def _exactly(self, count: int) -> bytes:
        while len(self._received) < count:
            piece = self._channel.recv(2 * CHUNK_BYTES)
            if not piece:
                raise SftpBroken("the server ended the connection")
            self._received += piece
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken


def _packet(kind: _Request, body: bytes) -> bytes:
    return struct.pack(">IB", len(body) + 1, kind) + body


def _confirmed(answer: tuple[int, Message]) -> None:
    kind, message = answer
    if kind != _Request.STATUS:
        raise SftpBroken(f"the server answered a request with a packet of type {kind}")
    code = message.get_int()
    if code != StatusCode.OK:
        raise SftpStatus(code, message.get_string().decode(errors="replace").strip())


def _body(expected: _Request, answer: tuple[int, Message]) -> Message:
    kind, message = answer
    if kind == expected:
        return message
    _confirmed(answer)
    raise SftpBroken("the server confirmed a request and left out what was asked for")


def _handle(answer: tuple[int, Message]) -> bytes:
    return _body(_Request.HANDLE, answer).get_string()


def _names(answer: tuple[int, Message]) -> Message:
    return _body(_Request.NAME, answer)


def _data(answer: tuple[int, Message]) -> bytes:
    try:
        return _body(_Request.DATA, answer).get_string()
    except SftpStatus as status:
        if status.code == StatusCode.EOF:
            return b""
        raise


def _path(path: str) -> Message:
    return Message().add_string(path.encode())


def _attributes(message: Message) -> Attributes:
    flags = message.get_int()
    size = message.get_int64() if flags & _ATTRIBUTE_SIZE else None
    if flags & _ATTRIBUTE_OWNER:
        message.get_int(), message.get_int()
    if flags & _ATTRIBUTE_PERMISSIONS:
        message.get_int()
    modified = None
    if flags & _ATTRIBUTE_TIMES:
        message.get_int()  # the time of access
        modified = message.get_int()
    if flags & 0x80000000:
        for _ in range(message.get_int()):
            _whole(message)
            message.get_string(), message.get_string()
    return Attributes(size, modified)


def _whole(message: Message) -> None:
    """paramiko reads zeros past the end of a message, so a count that is wrong would be read for ever."""
    if not message.get_remainder():
        raise SftpBroken("the server's answer holds less than it announces")
