"""What a delivery needs of a remote inbox, and what can go wrong there: protocol and error types.

Each transport (`sftp`, `ftps`, `folder`) implements `Transport` and `InboxConnection` and translates its library's
errors into the types below; every error names host and path, and the remedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

from billing_pipeline.deadline import Deadline
from billing_pipeline.problems import PipelineError

MOST_BYTES = 64 * 1024 * 1024
"""More than any file of ours has; what is longer is somebody else's, and its beginning tells so."""

MOST_NAMES = 1_000_000
"""More than an archive of 5,000 customers gathers in ten years."""

MOST_LIST_BYTES = 150 * MOST_NAMES
"""More than the listing of so many names takes, whatever the server tells of each."""


class DeliveryError(PipelineError):
    """An exchange with the inbox failed. One line: what, host and path, remedy; never a secret."""


class Permanent(DeliveryError):
    """Trying again changes nothing; a person has to."""


class InboxRefused(Permanent):
    """The inbox lets nobody in as things are: no file of the run can be delivered."""


class LoginRefused(InboxRefused):
    """User name, password or key were not accepted."""


class HostKeyUnknown(InboxRefused):
    """The known_hosts file has no key for this host. No credential was sent."""


class HostKeyChanged(InboxRefused):
    """The host shows another key than the pinned one. No credential was sent."""


class CertificateRefused(InboxRefused):
    """The server's certificate does not verify. No credential was sent."""


class ServerTooOld(InboxRefused):
    """The server offers no algorithm that is still safe."""


class PermissionRefused(Permanent):
    """The account may not do this to this path."""


class NameTaken(Permanent):
    """The name exists already, and is not overwritten."""


class NotFound(Permanent):
    """There is no such file or directory."""


class TooManyNames(Permanent):
    """A directory has more names than anybody will read."""


class NameRefused(Permanent):
    """A name that would leave the remote directory, or that the server does not accept."""


class Transient(DeliveryError):
    """Worth another try, after a pause.

    `connection_usable`: the same connection still works; otherwise it is closed and a new one made.
    """

    connection_usable: ClassVar[bool] = False


class InboxUnavailable(Transient):
    """No connection: name not resolved, refused, unreachable."""


class InboxTimeout(Transient):
    """No answer within the time-out."""


class ConnectionLost(Transient):
    """The connection ended in the middle; whether the last request was carried out is unknown."""


class InboxBusy(Transient):
    """The server asks to come back later."""

    connection_usable = True


class InboxInUse(InboxBusy):
    """As many connections are in use as the server or the settings allow; there will be one when one of them ends."""


class RenameNotDone(InboxBusy):
    """The server confirmed a rename, and the file still has its old name. It may yet be renamed."""


class NoSpace(Transient):
    """The server's disk or quota is full."""

    connection_usable = True


class ReadBackMismatch(Transient):
    """What was read back is not what was written: the server lost bytes."""

    connection_usable = True


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What the inbox says of a file. Either may be unknown: some servers do not tell. `modified` is UTC."""

    size: int | None
    modified: datetime | None


class InboxConnection(Protocol):
    """One open connection. Paths are the server's own, with "/". Used by one thread at a time.

    Any method may raise `Transient`, `PermissionRefused` or `NameRefused`; the others are named where they
    occur.
    """

    def finish_by(self, deadline: Deadline) -> None:
        """From now on, everything asked is to be done by then, however often; until it is called, there is no limit.

        What is not raises InboxTimeout. A mounted folder cannot be interrupted and takes no notice.
        """

    def stat(self, path: str) -> RemoteFile | None:
        """The file, None if there is none. A missing directory is an absent file."""

    def create(self, path: str, data: bytes, *, unless: Sequence[str] = ()) -> str | None:
        """Write a new file whole: exclusively, every byte confirmed, flushed, synced where offered, closed.

        If one of the paths `unless` exists, the first that does is returned, and nothing is at `path`.

        Raises: NameTaken if the name exists (it is left untouched); NotFound if the directory does not. After
        any other error a part of the file may be there.
        """

    def read(self, path: str, at_most: int = MOST_BYTES) -> bytes:
        """The file's bytes; of a longer file, or one that never ends, the first `at_most`. Raises: NotFound.

        Whoever knows the size asks for one byte more, which tells a longer file, and may come sooner.
        """

    def rename(self, source: str, target: str) -> None:
        """Move `source` to `target`, never over an existing file where the server can promise it.

        A server's word is believed once `source` is gone. Raises: NameTaken if `target` exists, NotFound if `source`
        does not; RenameNotDone. After this, `ConnectionLost` or `InboxTimeout` it may have happened, or happen yet.
        """

    def renames_in_one_step(self, directory: str) -> bool:
        """Whether our own death within `rename` leaves the file with one name, never with both.

        Asked only when something died there; may write two small files with ignored names, and remove them.
        """

    def remove(self, path: str) -> None:
        """Remove a file; an absent one is fine."""

    def list(self, directory: str) -> list[str]:
        """The names in a directory, sorted. Raises: NotFound; TooManyNames beyond `MOST_NAMES`."""


class Transport(Protocol):
    """A way to an inbox; makes as many connections as asked for, from any thread."""

    @property
    def name(self) -> str:
        """The setting's word: "sftp", "ftps" or "folder"."""

    @property
    def address(self) -> str:
        """Which inbox, for people and for the ledger: "sftp://host:22", "folder:/mnt/share". Never a secret.

        Two transports with the same address reach the same files; the ledger asks no other inbox about a
        delivery that was begun at one.
        """

    def connect(self) -> AbstractContextManager[InboxConnection]:
        """A connection, closed at the end of the context.

        Raises: `InboxRefused` and its kinds, `InboxUnavailable`, `InboxTimeout`, `ConnectionLost`, `InboxInUse`.
        """


def checked_path(path: str) -> str:
    """The path itself, if it is absolute, plain and printable: each is checked before it goes over the wire.

    Whatever a customer number holds, it must not lead out of the directory, end a line of a text protocol, or mean
    something else to another kind of server.

    Raises: NameRefused for an empty, `.` or `..` component, a backslash, a control character, or a lone surrogate.
    """
    components = path.split("/")[1:]
    plain = path.startswith("/") and path.isprintable() and "\\" not in path
    # "/" alone, an inbox at the root, has one empty component.
    if not plain or (path != "/" and any(component in {"", ".", ".."} for component in components)):
        raise NameRefused(
            f"the remote path {path!r} is refused: it must be absolute, without '..', empty parts, backslashes and "
            "control characters; check BILLING_REMOTE_DIR and its siblings"
        )
    return path
