"""The `sftp` transport: an inbox reached by SSH, its files by SFTP version 3.

Translates between `protocol` and the server's statuses. Who may be trusted, and how long a login may take, is in
`ssh_connection`; how channels share connections in `sftp_channels`; packets in `sftp_protocol`. Nothing here retries.

Time: each request is answered within `timeout_s`, or the channel is given up; opening one takes at most as much. The
caller sets a deadline over all requests of a file (`finish_by`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from paramiko import SSHException

from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.transports.protocol import (
    MOST_BYTES,
    MOST_LIST_BYTES,
    MOST_NAMES,
    ConnectionLost,
    DeliveryError,
    InboxBusy,
    NameTaken,
    NoSpace,
    NotFound,
    Permanent,
    PermissionRefused,
    RemoteFile,
    RenameNotDone,
    TooManyNames,
    checked_path,
)
from billing_pipeline.delivery.transports.sftp_channels import SftpChannels, TimedChannel
from billing_pipeline.delivery.transports.sftp_protocol import (
    CHUNK_BYTES,
    FSYNC,
    Answer,
    SftpBroken,
    SftpSession,
    SftpStatus,
    StatusCode,
)
from billing_pipeline.delivery.transports.ssh_connection import Login, Server
from billing_pipeline.delivery.transports.ssh_keys import load_private_key, pinned_host_keys

_ABSENT = frozenset({StatusCode.NO_SUCH_FILE, StatusCode.NO_SUCH_PATH})
_FORBIDDEN = frozenset({StatusCode.PERMISSION_DENIED, StatusCode.WRITE_PROTECT})
_FULL = frozenset({StatusCode.NO_SPACE_ON_FILESYSTEM, StatusCode.QUOTA_EXCEEDED})
_GONE = frozenset({StatusCode.NO_CONNECTION, StatusCode.CONNECTION_LOST})

_IN_FLIGHT = 32
"""Reads or writes sent before the first answer is waited for: 1 MiB, half of what a channel's window holds."""


class SftpTransport:
    """Connects to one SFTP account, with at most `channels` open on each of at most `connections`; from any thread.

    Raises: UsageError if a file of keys cannot be used; no server has been asked by then.
    """

    name = "sftp"

    def __init__(
        self,
        *,
        host: str,
        username: str,
        known_hosts_file: Path,
        port: int = 22,
        password: str | None = None,
        private_key_file: Path | None = None,
        private_key_passphrase: str | None = None,
        timeout_s: float = 30.0,
        connections: int = 4,
        channels: int = 8,
    ) -> None:
        private_key = load_private_key(private_key_file, private_key_passphrase) if private_key_file else None
        pinned = pinned_host_keys(known_hosts_file, host, port)
        self._server = Server(host, port, known_hosts_file, pinned)
        self._login = Login(username, private_key, password)
        self._channels = SftpChannels(
            self._server,
            self._login,
            timeout_s,
            address=self.address,
            connections=connections,
            channels=channels,
        )

    @property
    def address(self) -> str:
        """`sftp://user@host:port`: the account is part of it, for another one may see other files."""
        return f"sftp://{self._login.username}@{self._server.host}:{self._server.port}"

    @contextmanager
    def connect(self) -> Iterator[SftpInbox]:
        """A channel of its own, on a connection that others may share; closed at the end of the context.

        Raises: as `ssh_connection`; InboxRefused where the account has no SFTP, InboxInUse where it may have no more.
        """
        with self._channels.open() as (session, channel):
            yield SftpInbox(session, channel, self.address)


class SftpInbox:
    """One open channel, as `protocol.InboxConnection` describes it."""

    def __init__(self, session: SftpSession, channel: TimedChannel, address: str) -> None:
        self._session = session
        self._channel = channel
        self._address = address

    @property
    def extensions(self) -> frozenset[str]:
        """What the server offers beyond version 3, for `doctor`."""
        return self._session.extensions

    def stat(self, path: str) -> RemoteFile | None:
        """The file, None if there is none."""
        with self._asking("looking for", path):
            try:
                attributes = self._session.stat(path).get()
            except SftpStatus as status:
                if status.code in _ABSENT:
                    return None
                raise
        modified = None if attributes.modified is None else datetime.fromtimestamp(attributes.modified, UTC)
        return RemoteFile(attributes.size, modified)

    def create(self, path: str, data: bytes, *, unless: Sequence[str] = ()) -> str | None:
        """Write a new file whole: every write confirmed, then synced (where offered) and closed.

        Three flights for a file of up to 1 MiB: the looks and the open; the writes, sync and close; and, asked for by
        `read`, the file again.
        """
        for other in unless:
            checked_path(other)
        with self._asking("creating", path):
            looks = [self._session.stat(other) for other in unless]
            opening = self._session.open_new(path)
            seen = [look.failure() for look in looks]
            free = all(status is not None and status.code in _ABSENT for status in seen)
            handle = self._opened(path, opening, wanted=free)
            if free:
                self._write(path, handle, data)
                return None
            if handle:
                for answer in (self._session.close(handle), self._session.remove(path)):
                    answer.get()
        for other, status in zip(unless, seen, strict=True):
            if status is None:
                return other
            if status.code not in _ABSENT:
                raise _error(status, f"{self._address}, looking for {other}") from status
        return None

    def _opened(self, path: str, opening: Answer[bytes], *, wanted: bool) -> bytes:
        """The handle of the new file; none where it could not be made and nobody wants it any more."""
        try:
            return opening.get()
        except SftpStatus as status:
            if not wanted:
                return b""
            if status.code in {StatusCode.FAILURE, StatusCode.FILE_ALREADY_EXISTS} and self._exists(path):
                raise NameTaken(
                    f"{path} exists already on {self._address}; it was left untouched"
                ) from status
            raise

    def _write(self, path: str, handle: bytes, data: bytes) -> None:
        """Returns once the server has confirmed each write, the sync and the close."""
        failure = None
        pieces = range(0, len(data), CHUNK_BYTES)
        for first in range(0, len(pieces), _IN_FLIGHT) or [0]:
            answers = [
                self._session.write(handle, offset, data[offset : offset + CHUNK_BYTES])
                for offset in pieces[first : first + _IN_FLIGHT]
            ]
            ends = first + _IN_FLIGHT >= len(pieces)
            syncing = self._session.fsync(handle) if ends and FSYNC in self._session.extensions else None
            closing = self._session.close(handle) if ends else None
            for answer in answers:
                failure = answer.failure() or failure
            if syncing is not None:
                refused = syncing.failure()
                # Offered by the server, but not by the file system behind it.
                if refused is not None and refused.code != StatusCode.OP_UNSUPPORTED:
                    failure = failure or refused
            if closing is not None:
                failure = failure or closing.failure()
            elif failure is not None:
                # The handle keeps the file busy on some servers, and it is to be removed.
                self._session.close(handle).failure()
            if failure is not None:
                break
        if failure is None:
            return
        if failure.code in _FULL | {StatusCode.FAILURE}:
            raise NoSpace(
                f"{self._address} could not write {path} ({failure}): its disk or quota may be full"
            ) from failure
        raise failure

    def finish_by(self, deadline: Deadline) -> None:
        """One deadline over all that follows."""
        self._channel.limit = deadline

    def read(self, path: str, at_most: int = MOST_BYTES) -> bytes:
        """The file's bytes, of a longer one the first `at_most`.

        A caller who knows the size asks for a byte more: of a file of up to 1 MiB, its end and the close are one flight
        with it, and a larger one is read a flight after the other.
        """
        with self._asking("reading", path):
            handle = self._session.open_to_read(path).get()
            data = bytearray()
            size = at_most - 1 if at_most < MOST_BYTES else 0
            pieces = range(0, size, CHUNK_BYTES)
            for first in range(0, len(pieces), _IN_FLIGHT):
                answers = [
                    self._session.read(handle, offset, min(CHUNK_BYTES, size - offset))
                    for offset in pieces[first : first + _IN_FLIGHT]
                ]
                is_last = first + _IN_FLIGHT >= len(pieces)
                end = self._session.read(handle, size, 1) if is_last else None
                closing = self._session.close(handle) if is_last else None
                data += b"".join(answer.get() for answer in answers)
                beyond = b"" if end is None else end.get()
                if closing is not None:
                    closing.get()
                if len(data) != min(size, (first + _IN_FLIGHT) * CHUNK_BYTES):
                    # Shorter than expected, or given in smaller pieces than asked for: one by one, to its end.
                    if closing is not None:
                        handle = self._session.open_to_read(path).get()
                    data.clear()
                    break
                if is_last:
                    data += beyond
                    return bytes(data)
            while len(data) < at_most and (piece := self._session.read(handle, len(data)).get()):
                data += piece
            self._session.close(handle).get()
            del data[at_most:]
            return bytes(data)

    def rename(self, source: str, target: str) -> None:
        """The plain RENAME: on OpenSSH it creates the target or fails (link and unlink)."""
        checked_path(target)
        with self._asking("renaming", source):
            # The look goes out with the rename, and costs no round trip of its own.
            renaming, looking = self._session.rename(source, target), self._session.stat(source)
            refusal, seen = renaming.failure(), looking.failure()
            if refusal is not None:
                if refusal.code in {
                    StatusCode.FAILURE,
                    StatusCode.FILE_ALREADY_EXISTS,
                } and self._exists(target):
                    raise NameTaken(
                        f"{target} exists already on {self._address}; {source} was not renamed"
                    ) from refusal
                raise refusal
            if seen is None:
                # Some servers answer what came together in any order: this look may have been before the rename.
                seen = self._session.stat(source).failure()
            if seen is None or seen.code not in _ABSENT:
                raise RenameNotDone(
                    f"{self._address} confirmed the rename of {source} to {target}, but the old name is "
                    f"{'still there' if seen is None else f'hidden ({seen})'}"
                )

    def renames_in_one_step(self, directory: str) -> bool:
        """Yes: the server renames, and does not die with us."""
        return True

    def remove(self, path: str) -> None:
        """Remove a file; an absent one is fine."""
        with self._asking("removing", path):
            try:
                self._session.remove(path).get()
            except SftpStatus as status:
                if status.code in _ABSENT or (status.code == StatusCode.FAILURE and not self._exists(path)):
                    return
                raise

    def list(self, directory: str) -> list[str]:
        """The names in a directory, sorted."""
        names: list[str] = []
        size = 0
        with self._asking("listing", directory):
            for name in self._session.names(directory):
                names.append(name)
                size += len(name)
                if len(names) > MOST_NAMES or size > MOST_LIST_BYTES:
                    raise TooManyNames(
                        f"{self._address}, listing {directory}: it has too many names; clear it out"
                    )
        return sorted(names)

    def _exists(self, path: str) -> bool:
        try:
            self._session.stat(path).get()
        except SftpStatus:
            return False
        return True

    @contextmanager
    def _asking(self, doing: str, path: str) -> Iterator[None]:
        """Translates what goes wrong."""
        checked_path(path)
        try:
            yield
        except SftpStatus as status:
            raise _error(status, f"{self._address}, {doing} {path}") from status
        except (SftpBroken, SSHException, EOFError, OSError) as error:
            # Ends the channel: what of it is still to come belongs to no request.
            raise self._channel.lost(self._address, f"{doing} {path}", error) from error


def _error(status: SftpStatus, where: str) -> DeliveryError:
    """A status as the type that says whether another try helps."""
    if status.code in _ABSENT:
        return NotFound(
            f"{where}: there is no such file or directory; check BILLING_REMOTE_DIR and its siblings"
        )
    if status.code in _FORBIDDEN:
        return PermissionRefused(
            f"{where}: the account may not ({status.text}); its rights are the server's to give"
        )
    if status.code in _FULL:
        return NoSpace(f"{where}: {status}; its disk or the account's quota is full")
    if status.code in _GONE:
        return ConnectionLost(f"{where}: {status}")
    if status.code == StatusCode.OP_UNSUPPORTED:
        return Permanent(f"{where}: the server does not know this operation; it cannot be used as an inbox")
    return InboxBusy(f"{where}: the server gave no reason but {status}")
