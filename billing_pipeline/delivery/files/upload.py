"""One file, at most once: the states of a delivery and the edges between them, whatever dies in the middle.

The order of things: how often it is tried is `pool`'s, what an edge does to the ledger `ledger.transitions`'.

Why the final name is published at most once. The only thing that publishes is a rename of a temporary file
to the final name, and each temporary file carries the token under which it was written. Let T be a token.

1. A rename of T's file is asked for only by who has seen the ledger say COMMITTING(T), which is reached by a
   durable compare-and-set from UPLOADING(T). Taking over an upload replaces T. So the one who held T before,
   however late it wakes up, loses that compare-and-set, removes its own temporary file and stops. Therefore
   an upload may be taken over at any time, from the living as from the dead; that a run waits for a living
   one only spares work.
2. COMMITTING(T) is left only for PUBLISHED, CONSUMED or HELD, never for another token: no second temporary
   file is committed after the first. There are two exceptions. A person who releases a held delivery to be sent
   makes it PLANNED again. And so does the one who committed, when the server refused its rename and T's file is
   still there, by a compare-and-set that fails once anybody else has taken T up: nobody is left then who could
   ask for T's rename. T's file is removed when the delivery is held, and once more by the next upload before it
   writes its own, so that a sleeper who still holds T has nothing left to rename.
3. In COMMITTING(T) several may be at work: the one who committed, asleep, and any number who recover. All
   they can do is to rename the same one file. A rename consumes its source: the first wins, and the others
   are told that the source is gone (NotFound) or the target there (NameTaken), and look again. They look in
   the direction in which files move, so that a file that moves meanwhile is seen at the later place.
4. A rename whose reply was lost either happened (the temporary file is gone) or did not (it is there). The
   table tells the two apart by the temporary file, not by the final name, which a poller may have taken.
5. HELD is entered before the temporary file is removed, never after: had it been removed first and had we
   died then, its absence would read as a rename that happened.

What the server must promise for 3 is that a rename is one step. OpenSSH's is link and unlink; were the
server itself to die between the two, and a poller to take and delete the file before anybody looks, the
table's "there, gone, gone" would rename again. With an archive directory configured, even that is seen. Where the
two steps are our own (a folder without a rename that does not overwrite), "there, gone, gone" is held.

Eventually once: a failure gives the delivery back (`give_back`), so that the next attempt goes on at once;
the death of a process is noticed on the same machine (`liveness`), and elsewhere when the lease is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Final

from billing_pipeline.delivery.context import DeliveryContext
from billing_pipeline.delivery.files.recovery import Action, Decision, decide, inspect, join, seen_before
from billing_pipeline.delivery.ledger import Note, new_token
from billing_pipeline.delivery.records import Delivery, State
from billing_pipeline.delivery.transports.protocol import (
    ConnectionLost,
    DeliveryError,
    InboxBusy,
    InboxConnection,
    InboxTimeout,
    NameRefused,
    NameTaken,
    NotFound,
    ReadBackMismatch,
    RenameNotDone,
)
from billing_pipeline.problems import Code
from billing_pipeline.store.blobs import sha256_of

CRASH_POINTS: Final = (
    "planned",
    "taken",
    "created",
    "verified",
    "committed",
    "renamed",
    "published",
    "adopted",
    "looked",
)
"""Where `DeliveryContext.at_crash_point` is called: after each step that something could die behind."""

_LOOKS = 5
_IN_DOUBT: Final = (ConnectionLost, InboxTimeout, RenameNotDone)
"""After these a rename may have happened, or happen yet. Any other error is the server's no."""


def move_on(planned: Delivery, data: bytes, inbox: InboxConnection, context: DeliveryContext) -> bool:
    """Send a PLANNED or UPLOADING delivery, or find out what became of a COMMITTING one.

    True where this call published it; False where it was held, or somebody else has it. A failed exchange is logged,
    and the delivery given back, before it is raised. Raises: DeliveryError for that; LedgerUnavailable.
    """
    if planned.state is State.COMMITTING:
        return _take_up(planned, inbox, context)
    return _upload(planned, data, inbox, context)


def _upload(planned: Delivery, data: bytes, inbox: InboxConnection, context: DeliveryContext) -> bool:
    """PLANNED or UPLOADING → PUBLISHED. False where it was held, or somebody else has taken it over."""
    destination = context.destination
    directory = destination.places.remote_dir
    if "/" in planned.file_name:
        raise NameRefused(f"the file name {planned.file_name!r} would leave {directory}")
    token = new_token()
    taken = context.ledger.transitions.take(
        planned,
        token=token,
        temporary_path=join(directory, f".{planned.file_name}.{token}.tmp"),
        remote_path=join(directory, planned.file_name),
        remote_dir=directory,
        transport=destination.transport,
        endpoint=destination.endpoint,
        holder=context.holder,
        run_id=context.run_id,
    )
    if taken is None:
        return False
    context.at_crash_point("taken")
    committed = _write_and_commit(taken, data, inbox, context)
    if committed is None:
        return False
    context.at_crash_point("committed")
    refused: DeliveryError | None = None
    with _GivenBack(committed, context):
        try:
            inbox.rename(committed.temporary_path, committed.remote_path)
        except (NameTaken, NotFound):
            return _resolve(committed, inbox, context)
        except _IN_DOUBT:
            raise
        except DeliveryError as refusal:
            if not _taken_back(committed, refusal, inbox, context):
                raise
            refused = refusal
        else:
            context.at_crash_point("renamed")
            return _published(committed, Note("publish", committed.remote_path), context, renamed=True)
    if refused is not None:
        raise refused
    return False


def _taken_back(
    committed: Delivery, refusal: DeliveryError, inbox: InboxConnection, context: DeliveryContext
) -> bool:
    """COMMITTING → PLANNED: our rename was refused, and its file is still there, so that nothing was published.

    False where the file is gone, or somebody else has taken the delivery up, who may be allowed what we were refused.
    """
    if inbox.stat(committed.temporary_path) is None:
        return False
    note = Note("attempt", f"the rename was refused, nothing was published: {refusal}", outcome="failure")
    return context.ledger.transitions.rename_refused(committed, note) is not None


def _write_and_commit(
    taken: Delivery, data: bytes, inbox: InboxConnection, context: DeliveryContext
) -> Delivery | None:
    """UPLOADING → COMMITTING. None where it was held or recognised, or somebody else has taken it over."""
    with _GivenBack(taken, context):
        for leftover in taken.leftovers:
            inbox.remove(leftover)
        seen = seen_before(taken, context.ledger, context.destination.places)
        if seen is not None:
            _recognise(taken, seen, context)
            return None
        foreign = _write(taken, data, inbox, context)
        if foreign:
            _hold(taken, Decision(Action.HOLD, Code.NAME_COLLISION, foreign), context)
            return None
        note = Note("upload", f"{taken.temporary_path}: {len(data)} bytes, read back, sha256 {taken.sha256}")
        committed = context.ledger.transitions.commit(taken, note)
        if committed is None:
            inbox.remove(taken.temporary_path)
        return committed
    return None


def _recognise(taken: Delivery, seen: Decision, context: DeliveryContext) -> None:
    """UPLOADING → PUBLISHED, with nothing sent, or HELD: the file was seen before this ledger knew of it."""
    if seen.action is Action.HOLD:
        _hold(taken, seen, context)
        return
    # Should we die in between, the next run finds no temporary file, and concludes the same.
    committed = context.ledger.transitions.commit(taken, Note("recognise", seen.reason))
    if committed is not None:
        consumed = seen.action is Action.CONSUMED
        _published(committed, Note("recognise", "nothing was sent again"), context, consumed=consumed)


def _write(taken: Delivery, data: bytes, inbox: InboxConnection, context: DeliveryContext) -> str:
    """The temporary file, proven to be whole, and "".

    Or whose file has our name already, before anything of ours was published; then there is no temporary file.
    """
    archived = join(context.destination.places.archive_dir, taken.file_name)
    names = (
        (taken.remote_path, archived) if archived and taken.released_as != "send" else (taken.remote_path,)
    )
    found = inbox.create(taken.temporary_path, data, unless=names)
    if found == taken.remote_path:
        return f"{found} is there already, and not from this ledger"
    if found:
        return f"{found} says that the receiver has taken a file of this name, of which this ledger knows nothing"
    context.at_crash_point("created")
    if sha256_of(inbox.read(taken.temporary_path, len(data) + 1)) != taken.sha256:
        inbox.remove(taken.temporary_path)
        raise ReadBackMismatch(
            f"{context.destination.endpoint} did not keep what was written to {taken.temporary_path}: what was read "
            "back differs; its disk may be full or failing"
        )
    context.at_crash_point("verified")
    return ""


def _take_up(found: Delivery, inbox: InboxConnection, context: DeliveryContext) -> bool:
    """A delivery whose run left it in COMMITTING: find out what became of the rename, and finish it."""
    adopted = context.ledger.transitions.adopt(found, holder=context.holder, run_id=context.run_id)
    if adopted is None:
        return False
    context.at_crash_point("adopted")
    with _GivenBack(adopted, context):
        return _resolve(adopted, inbox, context)
    return False


def _resolve(committed: Delivery, inbox: InboxConnection, context: DeliveryContext) -> bool:
    """COMMITTING → whatever the inbox says. False where it was held, or somebody else was first."""
    if committed.endpoint != context.destination.endpoint:
        reason = f"it was sent to {committed.endpoint}, and the inbox is now {context.destination.endpoint}: look there"
        _hold(committed, Decision(Action.HOLD, Code.DELIVERY_FAILED, reason), context)
        return False
    for _ in range(_LOOKS):
        states = inspect(committed, inbox, context.destination.places)
        context.at_crash_point("looked")
        decision = decide(states)
        match decision.action:
            case Action.RENAME:
                if not inbox.renames_in_one_step(committed.remote_dir):
                    if _hold(committed, _TWO_STEPS, context):
                        inbox.remove(committed.temporary_path)
                    return False
                try:
                    inbox.rename(committed.temporary_path, committed.remote_path)
                except (NameTaken, NotFound):
                    continue
                context.at_crash_point("renamed")
                note = Note("publish", f"{committed.remote_path} ({states})")
                return _published(committed, note, context, renamed=True)
            case Action.HOLD:
                if _hold(committed, decision, context):
                    inbox.remove(committed.temporary_path)
                return False
            case _:
                inbox.remove(committed.temporary_path)
                consumed = decision.action is Action.CONSUMED
                action = "presume" if decision.action is Action.PRESUMED else "recover"
                note = Note(action, f"{decision.action.name.lower()}: {states}")
                presumed = decision.action is Action.PRESUMED
                return _published(committed, note, context, consumed=consumed, presumed=presumed)
    raise InboxBusy(
        f"{context.destination.endpoint} changed {committed.remote_path} each time it was looked at"
    )


_TWO_STEPS: Final = Decision(
    Action.HOLD,
    Code.DELIVERY_FAILED,
    "the temporary file is there and the final name is not, and in this folder a rename is two steps: whether we died "
    "before it, or within it and the receiver has taken the file since, cannot be told",
)


def _published(
    committed: Delivery,
    note: Note,
    context: DeliveryContext,
    *,
    consumed: bool = False,
    renamed: bool = False,
    presumed: bool = False,
) -> bool:
    published = context.ledger.transitions.publish(
        committed, note, consumed=consumed, renamed=renamed, presumed=presumed
    )
    context.at_crash_point("published")
    if published is None and renamed:
        context.ledger.events.record_exchange(committed, note, run_id=context.run_id)
    return published is not None


def _hold(delivery: Delivery, decision: Decision, context: DeliveryContext) -> bool:
    code = decision.code or Code.DELIVERY_FAILED
    note = Note("hold", decision.reason, outcome="failure")
    return context.ledger.transitions.hold(delivery, code, decision.reason, note) is not None


@dataclass(frozen=True, slots=True)
class _GivenBack:
    """After a failed exchange nobody is at work on the delivery any more: the next attempt need not wait.

    An exchange that failed because somebody else has taken the delivery over, and removed the temporary
    file, is not a failure: the block is left, and the ledger tells the rest.
    """

    delivery: Delivery
    context: DeliveryContext

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, DeliveryError):
            return False
        note = Note("attempt", str(error), outcome="failure")
        if self.context.ledger.transitions.give_back(self.delivery, note) is not None:
            return False
        self.context.ledger.events.record_exchange(self.delivery, note, run_id=self.context.run_id)
        return True
