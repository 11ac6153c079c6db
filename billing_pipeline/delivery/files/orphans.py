"""Strays: files of ours in the inbox that the ledger does not know, as after it was restored from a backup.

The ledger then does not know either what else it has forgotten: files that the receiver took and deleted leave no
name behind. So, where this pipeline has written one of them, nothing is sent until a person has had the inbox looked
at (`billing-pipeline reconcile`), which notes every one with its hash. What a later run wants to send under such a name
is then known to have been sent, where the bytes are the same, and held otherwise. A file that somebody else put
under one of our names holds only its own customer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_exponential

from billing_pipeline.delivery.files.recovery import Action, Decision, Places, join
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.sightings import FileKey, Sighting
from billing_pipeline.delivery.records import Delivery
from billing_pipeline.delivery.transports.protocol import (
    InboxConnection,
    NotFound,
    Permanent,
    PermissionRefused,
    Transient,
    Transport,
)
from billing_pipeline.easybill.document import customer_number_of, file_name
from billing_pipeline.problems import Code, UsageError
from billing_pipeline.store.blobs import sha256_of

_NAMED: Final = 3
_NAME: Final = re.compile(r"easybill_(\d{4}-\d{2})_(.+?)(?:_r(\d{1,9}))?\.csv")


class LedgerBehind(Permanent):
    """The inbox has files of ours that the ledger does not know: nothing more is sent."""


@dataclass(frozen=True, slots=True)
class OrphanFile:
    """A file in one of the inbox's directories, and what its name says."""

    path: str
    name: str
    key: FileKey


def find_orphans(
    transport: Transport, places: Places, ledger: Ledger, *, timeout_s: float
) -> list[OrphanFile]:
    """The orphan files in every known directory that may be listed. Raises: DeliveryError, LedgerUnavailable."""
    tries = Retrying(
        retry=retry_if_exception_type(Transient),
        wait=wait_exponential(multiplier=0.2, max=5.0),
        stop=stop_after_attempt(4) | stop_before_delay(timeout_s + 0.5),
        reraise=True,
    )
    found = tries(_files, transport, places)
    # Asked after the listing: what another run has published meanwhile was committed before it had its name.
    known = ledger.sightings.known_files()
    return [orphan for orphan in found if orphan.key not in known]


def first_written_by(
    written_here: Callable[[FileKey, bytes], bool], orphans: Sequence[OrphanFile], transport: Transport
) -> OrphanFile | None:
    """The first orphan file whose bytes this pipeline has written, or that may not be read; None where all are others'.

    A file that somebody else put under one of our names says nothing of the ledger: it is held by itself, when its
    customer's turn comes. Raises: DeliveryError.
    """
    if not orphans:
        return None
    with transport.connect() as inbox:
        for orphan in orphans:
            try:
                if written_here(orphan.key, inbox.read(orphan.path)):
                    return orphan
            except NotFound:
                continue
            except PermissionRefused:
                return orphan
    return None


def behind(orphans: Sequence[OrphanFile], address: str) -> str:
    """What is wrong and what to do, in one line."""
    names = ", ".join(orphan.path for orphan in orphans[:_NAMED])
    more = f" and {len(orphans) - _NAMED} more" if len(orphans) > _NAMED else ""
    return (
        f"{address} has files that the ledger does not know ({names}{more}); was it restored from a backup? Nothing "
        "is sent until `billing-pipeline reconcile --reason TEXT --by NAME` has looked at them"
    )


def sighting_of(orphan: OrphanFile, inbox: InboxConnection) -> Sighting | None:
    """The orphan file and its hash; None where it is gone. Raises: Transient."""
    try:
        return Sighting(orphan.path, sha256_of(inbox.read(orphan.path)))
    except NotFound:
        return None
    except PermissionRefused:
        return Sighting(orphan.path, "")


def seen_before(delivery: Delivery, ledger: Ledger, places: Places) -> Decision | None:
    """What follows for a delivery that is about to be sent, if its file was seen; None where it was not."""
    if delivery.released_as == "send":
        return None
    sightings = ledger.sightings.of_file((delivery.month, delivery.customer_number, delivery.revision))
    if not sightings:
        return None
    last = sightings[-1]
    if last.path == join(places.error_dir, delivery.file_name):
        reason = f"reconcile found it in the receiver's error directory ({last.path})"
        return Decision(Action.HOLD, Code.REJECTED_BY_RECEIVER, reason)
    if any(seen.sha256 != delivery.sha256 for seen in sightings):
        reason = (
            f"reconcile saw another content under this name ({last.path}), which this ledger did not send"
        )
        return Decision(Action.HOLD, Code.NAME_COLLISION, reason)
    archived = last.path == join(places.archive_dir, delivery.file_name)
    return Decision(
        Action.CONSUMED if archived else Action.PUBLISHED, reason=f"reconcile saw it at {last.path}"
    )


def key_of(name: str) -> FileKey | None:
    """Month, customer and revision of a name that `easybill.document.file_name` makes; None for any other name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    month, key, revision = match[1], match[2], int(match[3] or 1)
    try:
        customer_number = customer_number_of(key)
    except UsageError:
        return None
    return (month, customer_number, revision) if file_name(month, customer_number, revision) == name else None


def _files(transport: Transport, places: Places) -> list[OrphanFile]:
    with transport.connect() as inbox:
        return [
            OrphanFile(join(directory, name), name, key)
            # In the direction in which files move, so that one that moves meanwhile is seen twice, not missed.
            for directory in (places.remote_dir, places.archive_dir, places.error_dir)
            if directory is not None
            for name in _names(inbox, directory)
            if (key := key_of(name)) is not None
        ]


def _names(inbox: InboxConnection, directory: str) -> Iterator[str]:
    """Names in the directory; none where the account may only look for single names, as delivery itself does."""
    try:
        yield from inbox.list(directory)
    except (NotFound, PermissionRefused):
        return
