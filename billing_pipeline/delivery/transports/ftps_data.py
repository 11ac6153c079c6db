"""The data connections of an FTPS session: files and listings, with a bound on their bytes, names and time.

Each block has the time-out, and all of them the limit of the session's watchdog. Nothing here knows what a file is for.
"""

from __future__ import annotations

import ftplib
import socket
import ssl
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress

from billing_pipeline.delivery.transports.ftps_connection import Ftp
from billing_pipeline.delivery.transports.protocol import MOST_LIST_BYTES, MOST_NAMES, TooManyNames

_BLOCK_BYTES = 32_768
_LONGEST_LINE_BYTES = 65_536


class DataConnections:
    """One for each command that moves data, made and closed here."""

    def __init__(self, ftp: Ftp, address: str) -> None:
        self._ftp = ftp
        self._address = address
        self._last_word = ""

    def send(self, command: str, data: bytes) -> None:
        """All of the data; the server's word at the end confirms it. Raises: ftplib's errors, OSError."""
        with self._transfer(command) as channel:
            for offset in range(0, len(data), _BLOCK_BYTES):
                self._ftp.watchdog.start()
                channel.sendall(data[offset : offset + _BLOCK_BYTES])

    def fetch(self, command: str, at_most: int) -> bytes:
        """What the server sends, or the first `at_most` bytes of it. Raises: ftplib's errors, OSError."""
        data = bytearray()
        with closing(self._pieces(command)) as pieces:
            for piece in pieces:
                data += piece
                if len(data) >= at_most:
                    break
            else:
                return bytes(data)
        self._left()
        return bytes(data[:at_most])

    def lines(self, command: str) -> Iterator[str]:
        """The lines of a listing, one after another. Raises: TooManyNames; ftplib's errors, OSError."""
        rest, count, size = b"", 0, 0
        with closing(self._pieces(command)) as pieces:
            for piece in pieces:
                *whole, rest = (rest + piece).split(b"\n")
                count, size = count + len(whole), size + len(piece)
                if count > MOST_NAMES or size > MOST_LIST_BYTES or len(rest) > _LONGEST_LINE_BYTES:
                    break
                yield from map(_text, whole)
            else:
                if "fail" in self._last_word.lower():
                    # vsftpd sends an empty list of a directory that it could not open.
                    raise ftplib.error_perm(self._last_word)  # noqa: S321 (nothing is called)
                if rest:
                    yield _text(rest)
                return
        self._left()
        raise TooManyNames(f"{self._address}, {command}: it has too many names; clear it out")

    def _pieces(self, command: str) -> Generator[bytes, None, None]:
        self._last_word = ""
        with self._transfer(command) as channel:
            while piece := channel.recv(_BLOCK_BYTES):
                self._ftp.watchdog.start()
                yield piece

    def _left(self) -> None:
        """After more bytes than anybody asked for. The server may say that it was cut off, or that it was done."""
        self._ftp.watchdog.start()
        with suppress(ftplib.error_temp, ftplib.error_perm):
            self._ftp.voidresp()

    @contextmanager
    def _transfer(self, command: str) -> Iterator[socket.socket]:
        """The data connection of a command; at the end the server's word on it is awaited."""
        try:
            with closing(self._ftp.transfercmd(command)) as channel:
                yield channel
                _end_of_data(channel)
        except OSError:
            # The server hangs up on the data in order to refuse the rest; why, it says on the control connection.
            if not self._ftp.watchdog.expired:
                self._ftp.voidresp()
            raise
        self._ftp.watchdog.start()
        self._last_word = self._ftp.voidresp()


def _end_of_data(channel: socket.socket) -> None:
    """Says goodbye on TLS's level. Many servers just hang up; the bytes are compared by whoever asked for them."""
    if isinstance(channel, ssl.SSLSocket):
        with suppress(OSError):
            channel.unwrap()


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode(errors="surrogateescape")
