"""The requests of SFTP version 3 that a delivery needs, one at a time, over an open channel of the `sftp` subsystem.

The SSH transport is paramiko's. Its SFTPClient is not used, for what a delivery must know it does not tell: it
swallows the status of CLOSE, loses the status codes (all but two become a bare OSError), keeps the server's list
of extensions to itself, and waits for each piece of an answer anew. Here every request waits for its own answer
before the next one is sent, and a status other than OK is always raised.

What a status means for a delivery, and how long an answer may take, is decided in `sftp`; nothing of that here.
Source: draft-ietf-secsh-filexfer-02, which every SFTP server speaks; `fsync@openssh.com` from OpenSSH's PROTOCOL.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

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
    """What is needed of a paramiko Channel."""

    def sendall(self, s: bytes, /) -> object: ...
    def recv(self, nbytes: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a server says of a file; each may be missing. `modified` in seconds since the epoch."""

    size: int | None
    modified: int | None


class SftpSession:
    """One SFTP session. Not for several threads at once: there is one request on its way at any time."""

    def __init__(self, channel: ByteChannel) -> None:
        self._channel = channel
        self._last_request = 0
        self.extensions = self._negotiate()
        """The names of the extensions that the server offers."""

    def open_new(self, path: str) -> bytes:
        """Creates a file for writing and answers with its handle; fails if the name is taken (O_EXCL)."""
        write_create_exclusive = 0x02 | 0x08 | 0x20
        return self._open(path, write_create_exclusive)

    def open_to_read(self, path: str) -> bytes:
        """The handle of an existing file."""
        return self._open(path, 0x01)

    def write(self, handle: bytes, offset: int, data: bytes) -> None:
        """Writes at most CHUNK_BYTES; returns once the server has confirmed it."""
        self._confirmed(
            self._ask(_Request.WRITE, Message().add_string(handle).add_int64(offset).add_string(data))
        )

    def read(self, handle: bytes, offset: int) -> bytes:
        """At most CHUNK_BYTES from `offset`; empty at the end of the file."""
        request = Message().add_string(handle).add_int64(offset).add_int(CHUNK_BYTES)
        try:
            return self._answer(_Request.DATA, self._ask(_Request.READ, request)).get_string()
        except SftpStatus as status:
            if status.code == StatusCode.EOF:
                return b""
            raise

    def close(self, handle: bytes) -> None:
        """Closes a handle. A server that writes late tells here that it could not."""
        self._confirmed(self._ask(_Request.CLOSE, Message().add_string(handle)))

    def fsync(self, handle: bytes) -> None:
        """Has the server write the file to its disk. Only where `FSYNC in extensions`."""
        self._confirmed(self._ask(_Request.EXTENDED, Message().add_string(FSYNC).add_string(handle)))

    def stat(self, path: str) -> Attributes:
        """Size and modification time, links followed."""
        return _attributes(self._answer(_Request.ATTRS, self._ask(_Request.STAT, _path(path))))

    def rename(self, source: str, target: str) -> None:
        """The plain RENAME of version 3, which fails where the target exists; never `posix-rename@openssh.com`."""
        self._confirmed(self._ask(_Request.RENAME, _path(source).add_string(target.encode())))

    def remove(self, path: str) -> None:
        """Removes a file."""
        self._confirmed(self._ask(_Request.REMOVE, _path(path)))

    def names(self, directory: str) -> Iterator[str]:
        """The names in a directory, without `.` and `..`, as the server gives them, one answer after another.

        Bytes that are not UTF-8 become lone surrogates, so that such a name can be shown but never equals one of ours.
        """
        handle = self._answer(_Request.HANDLE, self._ask(_Request.OPENDIR, _path(directory))).get_string()
        try:
            while True:
                answer = self._answer(
                    _Request.NAME, self._ask(_Request.READDIR, Message().add_string(handle))
                )
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
        self.close(handle)

    def _open(self, path: str, flags: int) -> bytes:
        no_attributes = 0
        request = _path(path).add_int(flags).add_int(no_attributes)
        return self._answer(_Request.HANDLE, self._ask(_Request.OPEN, request)).get_string()

    def _negotiate(self) -> frozenset[str]:
        self._send(_Request.INIT, Message().add_int(_VERSION).asbytes())
        kind, answer = self._receive()
        if kind != _Request.VERSION or answer.get_int() < _VERSION:
            raise SftpBroken("the server does not speak SFTP version 3")
        extensions = set()
        while answer.get_remainder():
            extensions.add(answer.get_string().decode(errors="replace"))
            answer.get_string()  # its version or data
        return frozenset(extensions)

    def _ask(self, kind: _Request, request: Message) -> tuple[int, Message]:
        self._last_request = (self._last_request + 1) % (1 << 32)
        self._send(kind, struct.pack(">I", self._last_request) + request.asbytes())
        answer_kind, answer = self._receive()
        if answer.get_int() != self._last_request:
            raise SftpBroken("the server answered another request than the one it was asked")
        return answer_kind, answer

    def _confirmed(self, answer: tuple[int, Message]) -> None:
        kind, message = answer
        if kind != _Request.STATUS:
            raise SftpBroken(f"the server answered a request with a packet of type {kind}")
        code = message.get_int()
        if code != StatusCode.OK:
            raise SftpStatus(code, message.get_string().decode(errors="replace").strip())

    def _answer(self, expected: _Request, answer: tuple[int, Message]) -> Message:
        kind, message = answer
        if kind == expected:
            return message
        self._confirmed(answer)
        raise SftpBroken("the server confirmed a request and left out what was asked for")

    def _send(self, kind: _Request, body: bytes) -> None:
        self._channel.sendall(struct.pack(">IB", len(body) + 1, kind) + body)

    def _receive(self) -> tuple[int, Message]:
        (length,) = struct.unpack(">I", self._exactly(4))
        if not 5 <= length <= _LONGEST_ANSWER_BYTES:
            raise SftpBroken(f"the server announced an answer of {length} bytes: this is not SFTP")
        body = self._exactly(length)
        return body[0], Message(body[1:])

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            piece = self._channel.recv(count - len(parts))
            if not piece:
                raise SftpBroken("the server ended the connection")
            parts += piece
        return bytes(parts)


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
