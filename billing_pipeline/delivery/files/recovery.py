"""What became of a rename whose outcome nobody noted: look at the inbox, and decide by 4-delivery's table.

`inspect` reads, `decide` is the table as a pure function; `upload` does what follows.

Files move one way: temporary → inbox → archive or error. Looking in the same direction, each place is read
after the one before it, so a file that moves on meanwhile is seen later, never overlooked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from billing_pipeline.delivery.channel import Found
from billing_pipeline.delivery.context import Places
from billing_pipeline.delivery.files.archive_names import changed_names
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import Delivery
from billing_pipeline.delivery.transports.protocol import (
    InboxConnection,
    InboxUnavailable,
    NotFound,
    PermissionRefused,
    TooManyNames,
)
from billing_pipeline.problems import Code
from billing_pipeline.store.blobs import sha256_of


class FileState(Enum):
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
class FileStates:
    """What was seen, in the direction in which files move."""

    temporary: FileState
    inbox: FileState
    archive: FileState
    error: FileState

    def __str__(self) -> str:
        return ", ".join(f"{place} {getattr(self, place).name.lower()}" for place in self.__slots__)


class Action(Enum):
    """What the states come to."""

    PUBLISHED = auto()
    CONSUMED = auto()
    RENAME = auto()
    """The rename has not happened: rename the same temporary file; nothing is uploaded again."""
    PRESUMED = auto()
    """Nobody can look where a published file would be by now: it was published, most likely."""
    HOLD = auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """An action; for HOLD with the problem's code, and what a person reads."""

    action: Action
    code: Code | None = None
    reason: str = ""


def inspect(delivery: Delivery, inbox: InboxConnection, places: Places) -> FileStates:
    """Look at the four places of a delivery.

    Raises: DeliveryError where looking itself fails; InboxUnavailable if the directory that had the files
    is not there: a share that is not mounted must not look like one whose files were all taken.
    """
    states = FileStates(
        temporary=state_of(delivery, inbox, delivery.temporary_path),
        inbox=state_of(delivery, inbox, delivery.remote_path),
        archive=_seen_in(places.archive_dir, delivery, inbox, places)[0],
        error=_seen_in(places.error_dir, delivery, inbox, places)[0],
    )
    if states.temporary is FileState.GONE and states.inbox is FileState.GONE:
        _prove_there(inbox, delivery)
    return states


def find(delivery: Delivery, inbox: InboxConnection, places: Places) -> Found:
    """Where the file of a delivery is now; where nobody may look, it may be there. Raises: as `inspect`."""
    states = inspect(delivery, inbox, places)
    # What somebody else's file in the archive says of ours is nothing, and it cannot be taken away from there.
    return Found(
        delivery.remote_path if states.inbox is not FileState.GONE else "",
        _seen_in(places.archive_dir, delivery, inbox, places)[1]
        if states.archive in {FileState.SAME, FileState.UNREADABLE}
        else "",
    )


def decide(states: FileStates) -> Decision:
    """4-delivery's table for COMMITTING. What is not in it is held: nothing is ever guessed."""
    match states:
        case FileStates(inbox=FileState.OTHER):
            return _collision("another file has the name in the inbox")
        case FileStates(inbox=FileState.SAME):
            return Decision(Action.PUBLISHED)
        case FileStates(inbox=FileState.GONE, archive=FileState.SAME):
            return Decision(Action.CONSUMED)
        case FileStates(inbox=FileState.GONE, archive=FileState.OTHER):
            return _collision("a file of that name with other content is in the archive")
        case FileStates(
            temporary=FileState.GONE,
            inbox=FileState.GONE,
            error=FileState.SAME | FileState.OTHER | FileState.UNREADABLE,
        ):
            return Decision(
                Action.HOLD,
                Code.REJECTED_BY_RECEIVER,
                "the receiver moved the file to its error directory",
            )
        case FileStates(temporary=FileState.GONE, inbox=FileState.GONE, archive=FileState.GONE):
            return Decision(
                Action.HOLD,
                Code.DELIVERY_FAILED,
                "it is neither in the inbox nor, under a name of ours, in the archive, and its temporary file is gone "
                "too: whether the receiver took it, or a cleaner the temporary file, cannot be told",
            )
        case FileStates(temporary=FileState.GONE, inbox=FileState.GONE):
            return Decision(Action.PRESUMED)
        case FileStates(
            temporary=FileState.SAME,
            inbox=FileState.GONE,
            archive=FileState.GONE | FileState.UNKNOWN,
            error=FileState.GONE | FileState.UNKNOWN,
        ):
            return Decision(Action.RENAME)
        case FileStates(temporary=FileState.OTHER):
            return Decision(
                Action.HOLD,
                Code.DELIVERY_FAILED,
                "the temporary file is no longer what was written and verified",
            )
        case _:
            return Decision(
                Action.HOLD,
                Code.DELIVERY_FAILED,
                f"whether the file was published cannot be told ({states})",
            )


def seen_before(delivery: Delivery, ledger: Ledger, places: Places) -> Decision | None:
    """What follows for a delivery that is about to be sent, if its file was seen; None where it was not."""
    if delivery.released_as == "send":
        return None
    sightings = ledger.sightings.of_file((delivery.month, delivery.customer_number, delivery.revision))
    if not sightings:
        return None
    last = sightings[-1]
    if _lies_in(places.error_dir, last.path):
        reason = f"reconcile found it in the receiver's error directory ({last.path})"
        return Decision(Action.HOLD, Code.REJECTED_BY_RECEIVER, reason)
    if any(seen.sha256 != delivery.sha256 for seen in sightings):
        reason = (
            f"reconcile saw another content under this name ({last.path}), which this ledger did not send"
        )
        return Decision(Action.HOLD, Code.NAME_COLLISION, reason)
    action = Action.CONSUMED if _lies_in(places.archive_dir, last.path) else Action.PUBLISHED
    return Decision(action, reason=f"reconcile saw it at {last.path}")


def join(directory: str | None, name: str) -> str:
    """The path of a name in a remote directory, "" where the directory is not known."""
    return "" if directory is None else f"{directory.rstrip('/')}/{name}"


def _lies_in(directory: str | None, path: str) -> bool:
    """Whether the path is directly in the directory, whatever the receiver calls the file there."""
    return join(directory, path.rpartition("/")[2]) == path


def _collision(what: str) -> Decision:
    return Decision(Action.HOLD, Code.NAME_COLLISION, what)


def _seen_in(
    directory: str | None, delivery: Delivery, inbox: InboxConnection, places: Places
) -> tuple[FileState, str]:
    """What is in one of the receiver's directories, and its path: under our name, or one that was made of it."""
    ours = join(directory, delivery.file_name)
    state = state_of(delivery, inbox, ours)
    if state is not FileState.GONE or directory is None:
        return state, ours
    try:
        names = inbox.list(directory)
    except (NotFound, PermissionRefused, TooManyNames):
        return state, ours
    for name in changed_names(delivery.file_name, names, places.archive_names):
        path = join(directory, name)
        if state_of(delivery, inbox, path) is FileState.SAME:
            return FileState.SAME, path
    return state, ours


def _prove_there(inbox: InboxConnection, delivery: Delivery) -> None:
    try:
        inbox.list(delivery.remote_dir)
    except NotFound as error:
        raise InboxUnavailable(
            f"{delivery.endpoint} has no directory {delivery.remote_dir} any more; bring it back, for it tells what "
            f"became of {delivery.file_name}"
        ) from error
    except (PermissionRefused, TooManyNames):
        return


def state_of(delivery: Delivery, inbox: InboxConnection, path: str) -> FileState:
    """What is at a path, beside the bytes of the delivery. Raises: DeliveryError."""
    if not path:
        return FileState.UNKNOWN
    try:
        found = inbox.stat(path)
    except PermissionRefused:
        return FileState.HIDDEN
    if found is None:
        return FileState.GONE
    if found.size is not None and found.size != delivery.size_bytes:
        return FileState.OTHER
    try:
        return (
            FileState.SAME
            if sha256_of(inbox.read(path, delivery.size_bytes + 1)) == delivery.sha256
            else FileState.OTHER
        )
    except NotFound:
        # It moved on between the two questions; the places after this one are looked at later.
        return FileState.GONE
    except PermissionRefused:
        return FileState.UNREADABLE
