"""EASY Bill's inbox as a channel: files over a transport, and the receiver's directories beside it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from billing_pipeline.billing.rules import Rules
from billing_pipeline.delivery.channel import Found, OrphanFile, Withdrawal, behind
from billing_pipeline.delivery.context import DeliveryContext, Destination, Places
from billing_pipeline.delivery.files.error_directory import note_rejected
from billing_pipeline.delivery.files.orphans import find_orphans, first_of_ours, read_orphans
from billing_pipeline.delivery.files.pool import deadline_of, deliver_all
from billing_pipeline.delivery.files.recovery import find
from billing_pipeline.delivery.files.withdraw import take_back, withdraw_month
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import Delivery, DeliveryResult, Parcel
from billing_pipeline.delivery.transports.protocol import (
    DeliveryError,
    InboxConnection,
    NameTaken,
    NotFound,
    PermissionRefused,
    Transport,
)
from billing_pipeline.problems import PipelineError
from billing_pipeline.store.blobs import BlobStore

_WITHOUT_ARCHIVE = "a file that is gone after a death is only presumed to be delivered"
_WITHOUT_ERROR = "what the receiver rejects is not noticed"
_TRIAL_DATA = b"billing-pipeline doctor\n" * 100


@dataclass(frozen=True)
class Inbox:
    """Where the importer looks for files. `rules` and `blobs` say which files are ours.

    `connections`: files in flight at once, each over a connection of its own as the transport gives them; `timeout_s`:
    the transport's.
    """

    transport: Transport
    places: Places
    rules: Rules
    blobs: BlobStore
    connections: int = 4
    timeout_s: float = 30.0

    needs_customer_ids: ClassVar[bool] = False

    @property
    def destination(self) -> Destination:
        lease_s = 2 * self.timeout_s + 1
        return Destination(
            self.transport.name,
            self.transport.address,
            self.places,
            # Longer than the lease: of a run that died on another machine, the lease alone tells.
            patience_s=lease_s + 1,
            lease_s=lease_s,
        )

    def obstacle(self, ledger: Ledger) -> DeliveryError | None:
        """Files that this pipeline wrote and the ledger does not know; or that nobody could look for any."""
        try:
            orphans = self.orphans(ledger)
            ours = first_of_ours(orphans, self.transport, self.rules, self.blobs, timeout_s=self.timeout_s)
        except DeliveryError as error:
            return error
        return behind(orphans, self.transport.address) if ours else None

    def send(
        self, month: str, parcels: Sequence[Parcel], context: DeliveryContext
    ) -> Iterator[DeliveryResult]:
        return deliver_all(
            parcels, self.transport, context, connections=self.connections, timeout_s=self.timeout_s
        )

    def withdraw(self, month: str, context: DeliveryContext, *, why: str) -> list[Withdrawal]:
        return withdraw_month(month, self.transport, context, timeout_s=self.timeout_s, why=why)

    def take_back(self, delivery: Delivery, context: DeliveryContext, *, why: str) -> str:
        return take_back(delivery, self.transport, context, timeout_s=self.timeout_s, why=why)

    def find(self, delivery: Delivery) -> Found:
        if delivery.endpoint != self.transport.address:
            return Found()
        with self.transport.connect() as inbox:
            inbox.finish_by(deadline_of(self.timeout_s, delivery.size_bytes))
            return find(delivery, inbox, self.places)

    def note_rejected(self, ledger: Ledger) -> list[Delivery]:
        return note_rejected(self.transport, self.places, ledger, timeout_s=self.timeout_s)

    def orphans(self, ledger: Ledger) -> list[OrphanFile]:
        return find_orphans(self.transport, self.places, ledger, timeout_s=self.timeout_s)

    def inspect_orphans(self, ledger: Ledger) -> list[OrphanFile]:
        return read_orphans(self.orphans(ledger), self.transport, self.rules, timeout_s=self.timeout_s)

    def _try_receivers_directories(self, inbox: InboxConnection) -> list[str]:
        """What the archive and error directories are good for. Raises: PipelineError for one that is not there."""
        can = []
        for setting, directory, without in (
            ("BILLING_REMOTE_ARCHIVE_DIR", self.places.archive_dir, _WITHOUT_ARCHIVE),
            ("BILLING_REMOTE_ERROR_DIR", self.places.error_dir, _WITHOUT_ERROR),
        ):
            if directory is None:
                can.append(f"{setting} is not set: {without}")
                continue
            try:
                can.append(f"list {directory} ({len(inbox.list(directory))} names)")
            except NotFound as error:
                raise PipelineError(f"{setting}: {error}") from error
            except PermissionRefused as error:
                can.append(f"{setting}: {directory} may not be listed ({error}): {without}")
        return can

    def try_out(self) -> str:
        """Connect, write, read back, rename, refuse to overwrite, remove, list; under names that importers ignore."""
        directory = self.places.remote_dir.rstrip("/")
        token = secrets.token_hex(8)
        first, second = (f"{directory}/.doctor.{token}.{part}.tmp" for part in ("a", "b"))
        can = []
        with self.transport.connect() as inbox:
            inbox.finish_by(deadline_of(self.timeout_s))
            try:
                inbox.create(first, _TRIAL_DATA)
                if inbox.read(first, len(_TRIAL_DATA) + 1) != _TRIAL_DATA:
                    raise PipelineError(
                        f"{self.transport.address}: what was written to {first} is not what is read back: "
                        "the server loses bytes; nothing must be sent there"
                    )
                can.append("write and read back")
                inbox.create(second, _TRIAL_DATA)
                try:
                    inbox.rename(first, second)
                    can.append("rename (overwrites: the ledger alone guards names here)")
                except NameTaken:
                    inbox.remove(second)
                    inbox.rename(first, second)
                    can.append("rename without overwriting")
            finally:
                inbox.remove(first)
                inbox.remove(second)
            names = inbox.list(directory or "/")
            can.append(f"remove, list ({len(names)} names in {directory or '/'})")
            can += self._try_receivers_directories(inbox)
        return f"{self.transport.address}: {', '.join(can)}"
