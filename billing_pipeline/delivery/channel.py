"""A way for files to EASY Bill, and sending a month over it: into its inbox, or as drafts through its API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from billing_pipeline.delivery.context import DeliveryContext, Destination, result_of_held
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.sightings import FileKey
from billing_pipeline.delivery.records import Delivery, DeliveryResult, Parcel, failed
from billing_pipeline.delivery.transports.protocol import DeliveryError, Permanent
from billing_pipeline.problems import Code

FAILURES_IN_A_ROW = 5
"""So many files, or drafts, in a row without an answer end the sending of a month."""

_NAMED = 3


class LedgerBehind(Permanent):
    """The inbox has files of ours that the ledger does not know: nothing more is sent."""


@dataclass(frozen=True, slots=True)
class OrphanFile:
    """A file of ours that the ledger does not know. `sha256` is "" where it was not, or may not be, read.

    `keys`: what it may be; several where the receiver may have stamped the name, and what is in it does not tell.
    """

    path: str
    keys: tuple[FileKey, ...]
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What became of one published delivery: as the ledger has it now, and why it was not withdrawn, "" if it was."""

    delivery: Delivery
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a file that was sent was seen: its path in the inbox, and in the receiver's archive; "" where it is not."""

    inbox: str = ""
    archive: str = ""


class Channel(Protocol):
    """One way for files to EASY Bill. Every method may raise DeliveryError, ApiError and LedgerUnavailable."""

    @property
    def destination(self) -> Destination:
        """Where it leads. Opens nothing."""

    @property
    def needs_customer_ids(self) -> bool:
        """Whether nothing can be sent to a customer whom EASY Bill does not have exactly once."""

    def obstacle(self, ledger: Ledger) -> DeliveryError | None:
        """Why nothing may be sent over it now; None if all may. Never raises DeliveryError."""

    def send(
        self, month: str, parcels: Sequence[Parcel], context: DeliveryContext
    ) -> Iterator[DeliveryResult]:
        """Send these parcels of a month, at most once; one result for each, recorded before it is yielded.

        Raises: after every parcel's result, what ended the sending; at once, LedgerUnavailable.
        """

    def withdraw(self, month: str, context: DeliveryContext, *, why: str) -> list[Withdrawal]:
        """Take back what the month has sent and nobody has taken; what was sent and stays is told too."""

    def take_back(self, delivery: Delivery, context: DeliveryContext, *, why: str) -> str:
        """Take back one delivery that nobody has taken: it is HELD then. Why it was not taken back, "" if it was."""

    def find(self, delivery: Delivery) -> Found:
        """Where the file of a delivery lies, or a file that would be in its way."""

    def note_rejected(self, ledger: Ledger) -> list[Delivery]:
        """Hold what the receiver has moved to its error directory since it was published; those held now."""

    def orphans(self, ledger: Ledger) -> list[OrphanFile]:
        """The files of ours there that the ledger does not know."""

    def inspect_orphans(self, ledger: Ledger) -> list[OrphanFile]:
        """The same, read: each with its hash. Raises: UsageError where there is nowhere to look."""

    def try_out(self) -> str:
        """Try all that sending needs, and leave nothing behind; what was tried, in words."""


def behind(orphans: Sequence[OrphanFile], endpoint: str) -> LedgerBehind:
    """What is wrong and what to do, in one line."""
    names = ", ".join(orphan.path for orphan in orphans[:_NAMED])
    more = f" and {len(orphans) - _NAMED} more" if len(orphans) > _NAMED else ""
    return LedgerBehind(
        f"{endpoint} has files that the ledger does not know ({names}{more}); was it restored from a backup? Nothing "
        "is sent until `billing-pipeline reconcile --reason TEXT --by NAME` has looked at them"
    )


def record_rejected(channel: Channel, ledger: Ledger, *, run_id: str) -> list[Delivery]:
    """Holds what the receiver has rejected since, in the month's outcomes too. Raises: DeliveryError."""
    rejected = channel.note_rejected(ledger)
    ledger.months.record_outcomes([result_of_held(one) for one in rejected], run_id)
    return rejected


def send_over(
    channel: Channel, month: str, parcels: Sequence[Parcel], context: DeliveryContext
) -> Iterator[DeliveryResult]:
    """Send the parcels of a month, unless something stands in the channel's way: then only what is settled is told.

    Raises: as `Channel.send`; and the obstacle, after the results.
    """
    # An inbox that cannot be asked now is told by what is to be sent over it.
    with suppress(DeliveryError):
        record_rejected(channel, context.ledger, run_id=context.run_id)
    unsettled = context.ledger.deliveries.unsettled(month, [parcel.export for parcel in parcels])
    obstacle = channel.obstacle(context.ledger) if unsettled else None
    stopped = unsettled if obstacle is not None else frozenset()
    going = [parcel for parcel in parcels if parcel.export.customer_number not in stopped]
    if going:
        yield from channel.send(month, going, context)
    if obstacle is not None:
        code = Code.LEDGER_BEHIND if isinstance(obstacle, LedgerBehind) else Code.DELIVERY_FAILED
        for parcel in parcels:
            if parcel.export.customer_number in stopped:
                yield context.record(failed(parcel, context.clock(), str(obstacle), code))
        raise obstacle
