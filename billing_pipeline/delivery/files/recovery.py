"""What became of a rename whose outcome nobody noted: look at the inbox, and decide by 4-delivery's table.

`look` reads, `decide` is the table as a pure function. What is then done, and under which token, is
`machine`'s.

Files move one way: temporary → inbox → archive or error. Looking in the same direction, each place is read
after the one before it, so a file that moves on meanwhile is seen later, never overlooked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from billing_pipeline.delivery.records import Delivery
from billing_pipeline.delivery.transports.protocol import (
    InboxConnection,
    InboxUnavailable,
    NotFound,
    PermissionRefused,
)
from billing_pipeline.problems import Code
from billing_pipeline.store.blobs import sha256_of


@dataclass(frozen=True, slots=True)
class Places:
    """The inbox's directories; None where the receiver's are not known."""

    remote_dir: str
    archive_dir: str | None = None
    error_dir: str | None = None


class Sight(Enum):
    """What is at a path."""

    GONE = auto()
    SAME = auto()
    """A file with the bytes that were to be delivered."""
    OTHER = auto()
    """A file with other bytes."""
    UNREADABLE = auto()
    """A file that the account may not read."""
    HIDDEN = auto()
    """The account may not look whether there is one."""
    UNKNOWN = auto()
    """The directory is not configured."""


@dataclass(frozen=True, slots=True)
class Sights:
    """What was seen, in the direction in which files move."""

    temporary: Sight
    inbox: Sight
    archive: Sight
    error: Sight

    def __str__(self) -> str:
        return ", ".join(f"{place} {getattr(self, place).name.lower()}" for place in self.__slots__)


class Action(Enum):
    """What the sights come to."""

    PUBLISHED = auto()
    CONSUMED = auto()
    RENAME = auto()
    """The rename has not happened: rename the same temporary file; nothing is uploaded again."""
    HOLD = auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """An action; for HOLD with the problem's code, and what a person reads."""

    action: Action
    code: Code | None = None
    reason: str = ""


def look(delivery: Delivery, inbox: InboxConnection, places: Places) -> Sights:
    """Look at the four places of a delivery.

    Raises: DeliveryError where looking itself fails; InboxUnavailable if the directory that had the files
    is not there: a share that is not mounted must not look like one whose files were all taken.
    """
    sights = Sights(
        temporary=_sight(delivery, inbox, delivery.temporary_path),
        inbox=_sight(delivery, inbox, delivery.remote_path),
        archive=_sight(delivery, inbox, join(places.archive_dir, delivery.file_name)),
        error=_sight(delivery, inbox, join(places.error_dir, delivery.file_name)),
    )
    if sights.temporary is Sight.GONE and sights.inbox is Sight.GONE:
        _prove_there(inbox, delivery)
    return sights


def decide(sights: Sights) -> Decision:
    """4-delivery's table for COMMITTING. What is not in it is held: nothing is ever guessed."""
    match sights:
        case Sights(inbox=Sight.OTHER):
            return _collision("another file has the name in the inbox")
        case Sights(inbox=Sight.SAME):
            return Decision(Action.PUBLISHED)
        case Sights(inbox=Sight.GONE, archive=Sight.SAME):
            return Decision(Action.CONSUMED)
        case Sights(inbox=Sight.GONE, archive=Sight.OTHER):
            return _collision("a file of that name with other content is in the archive")
        case Sights(
            temporary=Sight.GONE, inbox=Sight.GONE, error=Sight.SAME | Sight.OTHER | Sight.UNREADABLE
        ):
            return Decision(
                Action.HOLD,
                Code.REJECTED_BY_RECEIVER,
                "the receiver moved the file to its error directory",
            )
        case Sights(temporary=Sight.GONE, inbox=Sight.GONE):
            return Decision(Action.PUBLISHED)
        case Sights(
            temporary=Sight.SAME,
            inbox=Sight.GONE,
            archive=Sight.GONE | Sight.UNKNOWN,
            error=Sight.GONE | Sight.UNKNOWN,
        ):
            return Decision(Action.RENAME)
        case Sights(temporary=Sight.OTHER):
            return Decision(
                Action.HOLD,
                Code.DELIVERY_FAILED,
                "the temporary file is no longer what was written and verified",
            )
        case _:
            return Decision(
                Action.HOLD,
                Code.DELIVERY_FAILED,
                f"whether the file was published cannot be told ({sights})",
            )


def join(directory: str | None, name: str) -> str:
    """The path of a name in a remote directory, "" where the directory is not known."""
    return "" if directory is None else f"{directory.rstrip('/')}/{name}"


def _collision(what: str) -> Decision:
    return Decision(Action.HOLD, Code.NAME_COLLISION, what)


def _prove_there(inbox: InboxConnection, delivery: Delivery) -> None:
    try:
        inbox.list(delivery.remote_dir)
    except NotFound as error:
        raise InboxUnavailable(
            f"{delivery.endpoint} has no directory {delivery.remote_dir} any more; bring it back, for it tells what "
            f"became of {delivery.file_name}"
        ) from error
    except PermissionRefused:
        return


def _sight(delivery: Delivery, inbox: InboxConnection, path: str) -> Sight:
    if not path:
        return Sight.UNKNOWN
    try:
        found = inbox.stat(path)
    except PermissionRefused:
        return Sight.HIDDEN
    if found is None:
        return Sight.GONE
    if found.size is not None and found.size != delivery.size_bytes:
        return Sight.OTHER
    try:
        return Sight.SAME if sha256_of(inbox.read(path)) == delivery.sha256 else Sight.OTHER
    except NotFound:
        # It moved on between the two questions; the places after this one are looked at later.
        return Sight.GONE
    except PermissionRefused:
        return Sight.UNREADABLE
