"""The `sftp` transport: an inbox reached by SSH, its files by SFTP version 3.

Translates between `protocol` and the server's statuses. Who may be trusted, and how long a connection
may take, is in `ssh_connection`; the packets are in `sftp_protocol`; nothing here retries.

Time: each request is answered within `timeout_s`, or the connection is given up; opening one takes at most as much. The
caller sets a deadline over all requests of a file (`finish_by`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from paramiko import Channel, SSHException, Transport

from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.transports.protocol import (
    MOST_BYTES,
    MOST_NAMES,
    ConnectionLost,
    DeliveryError,
    InboxBusy,
    InboxRefused,
    NameTaken,
    NoSpace,
    NotFound,
    Permanent,
    PermissionRefused,
    RemoteFile,
    TooManyNames,
    checked_path,
)
from billing_pipeline.delivery.transports.sftp_protocol import (
    CHUNK_BYTES,
    FSYNC,
    SftpBroken,
    SftpSession,
    SftpStatus,
    StatusCode,
)
from billing_pipeline.delivery.transports.ssh_connection import Login, Server, Wire, lost, ssh_connection
from billing_pipeline.delivery.transports.ssh_keys import load_private_key, pinned_host_keys

_ABSENT = frozenset({StatusCode.NO_SUCH_FILE, StatusCode.NO_SUCH_PATH})
_FORBIDDEN = frozenset({StatusCode.PERMISSION_DENIED, StatusCode.WRITE_PROTECT})
_FULL = frozenset({StatusCode.NO_SPACE_ON_FILESYSTEM, StatusCode.QUOTA_EXCEEDED})
_GONE = frozenset({StatusCode.NO_CONNECTION, StatusCode.CONNECTION_LOST})


class SftpTransport:
    """Connects to one SFTP account. Holds no connection itself; usable from any thread.

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
    ) -> None:
        private_key = load_private_key(private_key_file, private_key_passphrase) if private_key_file else None
        pinned = pinned_host_keys(known_hosts_file, host, port)
        self._server = Server(host, port, known_hosts_file, pinned)
        self._login = Login(username, private_key, password)
        self._timeout_s = timeout_s

    @property
    def address(self) -> str:
        """`sftp://user@host:port`: the account is part of it, for another one may see other files."""
        return f"sftp://{self._login.username}@{self._server.host}:{self._server.port}"

    @contextmanager
    def connect(self) -> Iterator[SftpInbox]:
        """A connection of its own, closed at the end of the context.

        Raises: as `ssh_connection`, and InboxRefused where the account has no SFTP.
        """
        with ssh_connection(self._server, self._login, self._timeout_s) as (transport, wire):
            wire.allow(self._timeout_s)
            try:
                channel = transport.open_session(timeout=self._timeout_s + 1.0)
                # The wire's deadline ends every wait; this is for the day on which paramiko's reader does not notice.
                channel.settimeout(self._timeout_s + 1.0)
                channel.invoke_subsystem("sftp")
                session = SftpSession(_TimedChannel(channel, wire, self._timeout_s))
            except Exception as error:  # of any type: see ssh_connection
                if isinstance(error, SSHException) and _outlives(transport):
                    raise InboxRefused(
                        f"{self.address} lets the account in but gives it no SFTP ({error}); its operator must allow "
                        "the account the sftp subsystem"
                    ) from error
                raise lost(self.address, wire, "opening SFTP", error) from error
            yield SftpInbox(session, wire, self.address)


def _outlives(transport: Transport) -> bool:
    """Whether the connection still stands after a refused channel; one that ends takes the channel with it first."""
    transport.join(timeout=0.5)
    return transport.is_active()


class _TimedChannel:
    """The subsystem's channel; from a request's first byte on, its whole answer is due within the time-out."""

    def __init__(self, channel: Channel, wire: Wire, timeout_s: float) -> None:
        self._channel = channel
        self._wire = wire
        self._timeout_s = timeout_s

    def sendall(self, data: bytes, /) -> None:
        self._wire.allow(self._timeout_s)
        self._channel.sendall(data)

    def recv(self, count: int, /) -> bytes:
        return self._channel.recv(count)


class SftpInbox:
    """One open connection, as `protocol.InboxConnection` describes it."""

    def __init__(self, session: SftpSession, wire: Wire, address: str) -> None:
        self._session = session
        self._wire = wire
        self._address = address
        wire.rest()

    @property
    def extensions(self) -> frozenset[str]:
        """What the server offers beyond version 3, for `doctor`."""
        return self._session.extensions

    def stat(self, path: str) -> RemoteFile | None:
        """The file, None if there is none."""
        with self._asking("looking for", path):
            try:
                attributes = self._session.stat(path)
            except SftpStatus as status:
                if status.code in _ABSENT:
                    return None
                raise
        modified = None if attributes.modified is None else datetime.fromtimestamp(attributes.modified, UTC)
        return RemoteFile(attributes.size, modified)

    def create(self, path: str, data: bytes) -> None:
        """Write a new file whole: each write confirmed before the next, then synced (where offered) and closed."""
        with self._asking("creating", path):
            try:
                handle = self._session.open_new(path)
            except SftpStatus as status:
                if status.code in {StatusCode.FAILURE, StatusCode.FILE_ALREADY_EXISTS} and self._exists(path):
                    raise NameTaken(
                        f"{path} exists already on {self._address}; it was left untouched"
                    ) from status
                raise
            try:
                for offset in range(0, len(data), CHUNK_BYTES):
                    self._session.write(handle, offset, data[offset : offset + CHUNK_BYTES])
                self._sync(handle)
                self._session.close(handle)
            except SftpStatus as status:
                # The handle keeps the file busy on some servers, and it is to be removed.
                with suppress(SftpStatus):
                    self._session.close(handle)
                if status.code in _FULL | {StatusCode.FAILURE}:
                    raise NoSpace(
                        f"{self._address} could not write {path} ({status}): its disk or quota may be full"
                    ) from status
                raise

    def finish_by(self, deadline: Deadline) -> None:
        """One deadline over all that follows."""
        self._wire.limit = deadline

    def read(self, path: str, at_most: int = MOST_BYTES) -> bytes:
        """The file's bytes, of a longer one the first `at_most`."""
        with self._asking("reading", path):
            handle = self._session.open_to_read(path)
            data = bytearray()
            while len(data) < at_most and (piece := self._session.read(handle, len(data))):
                data += piece
            self._session.close(handle)
            return bytes(data[:at_most])

    def rename(self, source: str, target: str) -> None:
        """The plain RENAME: on OpenSSH it creates the target or fails (link and unlink)."""
        checked_path(target)
        with self._asking("renaming", source):
            try:
                self._session.rename(source, target)
            except SftpStatus as status:
                if status.code in {StatusCode.FAILURE, StatusCode.FILE_ALREADY_EXISTS} and self._exists(
                    target
                ):
                    raise NameTaken(
                        f"{target} exists already on {self._address}; {source} was not renamed"
                    ) from status
                raise

    def remove(self, path: str) -> None:
        """Remove a file; an absent one is fine."""
        with self._asking("removing", path):
            try:
                self._session.remove(path)
            except SftpStatus as status:
                if status.code in _ABSENT or (status.code == StatusCode.FAILURE and not self._exists(path)):
                    return
                raise

    def list(self, directory: str) -> list[str]:
        """The names in a directory, sorted."""
        with self._asking("listing", directory):
            names = list(islice(self._session.names(directory), MOST_NAMES + 1))
        if len(names) > MOST_NAMES:
            raise TooManyNames(
                f"{self._address}, listing {directory}: it has more than {MOST_NAMES} names; clear it out"
            )
        return sorted(names)

    def _sync(self, handle: bytes) -> None:
        if FSYNC not in self._session.extensions:
            return
        try:
            self._session.fsync(handle)
        except SftpStatus as status:
            # Offered by the server, but not by the file system behind it.
            if status.code != StatusCode.OP_UNSUPPORTED:
                raise

    def _exists(self, path: str) -> bool:
        try:
            self._session.stat(path)
        except SftpStatus:
            return False
        return True

    @contextmanager
    def _asking(self, doing: str, path: str) -> Iterator[None]:
        """Translates what goes wrong, and lifts the deadline while nothing is asked."""
        checked_path(path)
        try:
            yield
        except SftpStatus as status:
            raise _error(status, f"{self._address}, {doing} {path}") from status
        except (SftpBroken, SSHException, EOFError, OSError) as error:
            # What arrives later would be taken for the answer to another request.
            self._wire.cut()
            raise lost(self._address, self._wire, f"{doing} {path}", error) from error
        finally:
            self._wire.rest()


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
