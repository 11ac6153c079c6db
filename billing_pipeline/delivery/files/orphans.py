"""Orphan files: files of ours in the inbox that the ledger does not know, as after it was restored from a backup.

The ledger then does not know either what else it has forgotten: files that the receiver took and deleted leave no
name behind. So, where this pipeline has written one of them, nothing is sent until a person has had the inbox looked
at (`billing-pipeline reconcile`), which notes every one with its hash. What a later run wants to send under such a name
is then known to have been sent, where the bytes are the same, and held otherwise. A file that somebody else put
under one of our names holds only its own customer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from billing_pipeline.billing.rules import Rules
from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.channel import OrphanFile
from billing_pipeline.delivery.context import Places
from billing_pipeline.delivery.files.archive_names import original_name
from billing_pipeline.delivery.files.pool import deadline_of, tries_within
from billing_pipeline.delivery.files.recovery import join
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.sightings import FileKey, Sightings
from billing_pipeline.delivery.transports.protocol import (
    MOST_BYTES,
    InboxConnection,
    NotFound,
    PermissionRefused,
    Transport,
)
from billing_pipeline.easybill.document import customer_number_in_file_name, file_name
from billing_pipeline.store.blobs import BlobStore, sha256_of

_ENCODINGS: Final = ("utf-8", "utf-16-le", "utf-16-be")
_MONTH: Final = re.compile(r"easybill_(\d{4}-\d{2})_")
_NAME: Final = re.compile(r"easybill_(\d{4}-\d{2})_(.+?)(?:_r([2-9]|[1-9]\d{1,8}))?\.csv")


def find_orphans(
    transport: Transport, places: Places, ledger: Ledger, *, timeout_s: float
) -> list[OrphanFile]:
    """The orphan files in every known directory that may be listed. Raises: DeliveryError, LedgerUnavailable."""
    found = tries_within(timeout_s)(_files, transport, places, deadline_of(timeout_s))
    # Asked after the listing: what another run has published meanwhile was committed before it had its name.
    known = _Known(ledger.sightings)
    return [orphan for directory, names in found for orphan in _unknown(directory, names, places, known)]


class _Known:
    """What the ledger knows, a month at a time: names come sorted, and so month by month, from years of an archive."""

    def __init__(self, sightings: Sightings) -> None:
        self.names = lru_cache(maxsize=1)(sightings.known_names)
        self.files = lru_cache(maxsize=1)(sightings.known_files)


def _unknown(directory: str, names: Sequence[str], places: Places, known: _Known) -> Iterator[OrphanFile]:
    for name in names:
        month = _MONTH.search(name)
        if month is None or month[1] < places.first_month or name in known.names(month[1]):
            continue
        keys = keys_of(name, places)
        if keys and not set(keys) & known.files(keys[0][0]):
            yield OrphanFile(join(directory, name), keys)


def first_of_ours(
    orphans: Sequence[OrphanFile], transport: Transport, rules: Rules, blobs: BlobStore, *, timeout_s: float
) -> OrphanFile | None:
    """The first that this pipeline has written, or that may not be read; None if all are others'.

    The store has whatever was written, under its hash: so a file is known by it, whatever prefix, format or encoding
    the rules name today. Of a store that was restored too, the order number that the rules make today tells.

    A file that somebody else put under one of our names says nothing of the ledger: it is held by itself, when its
    customer's turn comes. Raises: DeliveryError.
    """
    if not orphans:
        return None
    with transport.connect() as inbox:
        for orphan in orphans:
            inbox.finish_by(deadline_of(timeout_s, MOST_BYTES))
            try:
                data = inbox.read(orphan.path)
                if blobs.knows("csv", sha256_of(data)) or _key_in(data, orphan.keys, rules) is not None:
                    return orphan
            except NotFound:
                continue
            except PermissionRefused:
                return orphan
    return None


def read_orphans(
    orphans: Sequence[OrphanFile], transport: Transport, rules: Rules, *, timeout_s: float
) -> list[OrphanFile]:
    """Those that are still there, each with its hash, "" where it may not be read. Raises: DeliveryError."""
    if not orphans:
        return []
    with transport.connect() as inbox:
        return [seen for orphan in orphans if (seen := _read(orphan, inbox, rules, timeout_s)) is not None]


def _read(orphan: OrphanFile, inbox: InboxConnection, rules: Rules, timeout_s: float) -> OrphanFile | None:
    inbox.finish_by(deadline_of(timeout_s, MOST_BYTES))
    try:
        data = inbox.read(orphan.path)
    except NotFound:
        return None
    except PermissionRefused:
        return orphan
    key = _key_in(data, orphan.keys, rules)
    return replace(orphan, sha256=sha256_of(data), keys=orphan.keys if key is None else (key,))


def keys_of(name: str, places: Places) -> tuple[FileKey, ...]:
    """What a name may be of: as it is, and as it was before the receiver changed it; () if it is none of ours.

    A name with a stamp is both, for a customer number may end like one: `easybill_2026-10_10023_20261101T061000.csv`.
    Once the first alone counted: after a restore, what customer 10023 had been sent was sent again.
    """
    candidates = (name, original_name(name, places.archive_names))
    keys = (key for one in candidates if one and (key := key_of(one)) is not None)
    return tuple(dict.fromkeys(keys))


def key_of(name: str) -> FileKey | None:
    """Month, customer and revision of a name that `easybill.document.file_name` makes; None for any other name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    month, key, revision = match[1], match[2], int(match[3] or 1)
    customer_number = customer_number_in_file_name(key)
    return (month, customer_number, revision) if file_name(month, customer_number, revision) == name else None


def _key_in(data: bytes, keys: Sequence[FileKey], rules: Rules) -> FileKey | None:
    """The first of the keys whose order number, as the rules make it today, stands in the file; None if none does.

    A number with a stamp comes before the one that it begins with.
    """
    numbers = ((key, rules.order_number(*key)) for key in keys)
    found = (key for key, number in numbers if any(number.encode(code) in data for code in _ENCODINGS))
    return next(found, None)


def _files(transport: Transport, places: Places, deadline: Deadline) -> list[tuple[str, list[str]]]:
    """The directories, each with the names in it."""
    with transport.connect() as inbox:
        inbox.finish_by(deadline)
        return [
            (directory, _names(inbox, directory))
            # In the direction in which files move, so that one that moves meanwhile is seen twice, not missed.
            for directory in (places.remote_dir, places.archive_dir, places.error_dir)
            if directory is not None
        ]


def _names(inbox: InboxConnection, directory: str) -> list[str]:
    """Names in the directory; none where the account may only look for single names, as delivery itself does."""
    try:
        return inbox.list(directory)
    except (NotFound, PermissionRefused):
        return []
