"""What all deliveries of one run share, whichever way they go: ledger, store, destination, checks, clocks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.liveness import is_free, this_process
from billing_pipeline.delivery.records import Delivery, DeliveryResult, Parcel
from billing_pipeline.easybill.export import file_problems
from billing_pipeline.easybill.layout import Layout
from billing_pipeline.problems import Code, Problem
from billing_pipeline.store.blobs import BlobStore, sha256_of

STEM: Final = "{stem}"
_BEFORE: Final = r"(?:[^.].*?[._-])??"
_STAMP: Final = r"(?:[._-]?\d{8}[T._-]?\d{4,9}Z?)?"
ARCHIVE_NAMES: Final = rf"{_BEFORE}{STEM}{_STAMP}\.csv(?:{_STAMP}|[._-].+)"
"""Our name, also with something before or behind it, or with a time stamp before `.csv`; `{stem}` is our name without
`.csv`. A stamp only, for `_r2` or `-5` there is the name of another file; and no hidden name, for those are our
temporary files.
"""


@dataclass(frozen=True, slots=True)
class Places:
    """The inbox's directories; None where the receiver's are not known.

    `archive_names`: how the receiver names there what it has taken, as `ARCHIVE_NAMES`. `first_month`: files of months
    before it are nobody's concern.
    """

    remote_dir: str
    archive_dir: str | None = None
    error_dir: str | None = None
    archive_names: str = ARCHIVE_NAMES
    first_month: str = ""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where deliveries go, as the ledger names it, and how long another run is left to finish one.

    `transport`: "sftp", "ftps", "folder" or "api". `endpoint`: which server or account. `places`: the inbox's; drafts
    have none. Another run at work on a delivery is waited for up to `patience_s`; one that has not moved for
    `lease_s`, or whose process has ended, is taken over from.
    """

    transport: str
    endpoint: str
    places: Places = Places("")
    patience_s: float = 30.0
    lease_s: float = 61.0


@dataclass(frozen=True, slots=True)
class FileCheck:
    """The last check of a file, on the stored bytes, just before they are sent.

    A check in Dagster guards only its own run: an upload of stored bytes by itself would pass it by. `layouts`: each
    customer's, by customer number. `passed`: files, as the SHA-256 of bytes and document, that have passed the check in
    this run. It would find the same in the same bytes, and is a sixth of a run's work.
    """

    layouts: Mapping[str, Layout]
    passed: frozenset[tuple[str, str]] = frozenset()

    def problems(self, parcel: Parcel, data: bytes, store: BlobStore) -> tuple[Problem, ...]:
        """What is wrong with the bytes; nothing if they may be sent. Raises: StoreError."""
        if (sha256_of(data), parcel.export.document_sha256) in self.passed:
            return ()
        document = store.get("document", parcel.export.document_sha256)
        return tuple(file_problems(data, document, self.layouts[parcel.export.customer_number]))


def held_back(customer_number: str, month: str, why: str) -> Problem:
    """The file was not sent because of others of its month."""
    message = f"nothing of {month} is sent unless all of it can be (delivery_policy all_or_nothing): {why}"
    return Problem(Code.MONTH_HELD_BACK, customer_number, message)


def held(found: Delivery) -> Problem:
    """The delivery is HELD: why, and what a person can do."""
    place = "EASY Bill" if found.transport == "api" else "the inbox"
    return Problem(
        found.held_code or Code.DELIVERY_FAILED,
        found.customer_number,
        f"{found.file_name} is held: {found.held_reason}; look into {place}, then "
        f"`billing-pipeline release {found.order_number} --as send|delivered --reason TEXT --by NAME`",
    )


def result_of_held(found: Delivery) -> DeliveryResult:
    """The result of a delivery that is HELD, told by whoever found it so."""
    return DeliveryResult(
        month=found.month,
        customer_number=found.customer_number,
        outcome="held",
        problems=(held(found),),
        sha256=found.sha256,
        order_number=found.order_number,
        revision=found.revision,
        file_name=found.file_name,
        size_bytes=found.size_bytes,
    )


_NO_FAILURE = frozenset(
    {
        Code.DELIVERY_IN_PROGRESS,
        Code.CHANGED_AFTER_DELIVERY,
        Code.LEDGER_BEHIND,
        Code.MONTH_HELD_BACK,
        Code.NOT_APPROVED,
        Code.APPROVAL_OUTDATED,
    }
)
"""Another run is sending the file, what was sent stands, or it was only held back."""


@dataclass(slots=True)
class Halt:
    """Stops a run under the policy `all_or_nothing`: after the first failure nothing more is begun.

    `because`: what failed, "" while nothing has. Corrections neither stop a run nor are stopped by it.
    """

    because: str = ""

    def note(self, result: DeliveryResult) -> None:
        """Take note of how a delivery ended."""
        if self.because or result.revision != 1 or result.outcome not in {"failed", "held"}:
            return
        failures = [problem for problem in result.problems if problem.code not in _NO_FAILURE]
        if failures:
            self.because = f"{result.customer_number} failed ({failures[0].code})"

    def problems(self, parcel: Parcel) -> tuple[Problem, ...]:
        """Why the parcel is not sent any more; nothing while it may be."""
        if not self.because or parcel.revision != 1:
            return ()
        return (held_back(parcel.export.customer_number, parcel.export.month, self.because),)


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """What all deliveries of one run share.

    `halt`: only under the policy `all_or_nothing`. `unapproved`: by customer number, whose bytes of this run nobody has
    approved, and must not be sent. `language`, `timezone`: in which people are told
    of amounts and times. `at_crash_point` is told of each of `CRASH_POINTS`; tests die there.
    """

    ledger: Ledger
    store: BlobStore
    destination: Destination
    check: FileCheck
    run_id: str
    halt: Halt | None = None
    unapproved: Mapping[str, Problem] = field(default_factory=dict)
    language: str = "en"
    timezone: str = "UTC"
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    at_crash_point: Callable[[str], None] = lambda edge: None
    holder: str = field(default_factory=this_process)

    def is_free(self, delivery: Delivery) -> bool:
        """Whether nobody who is alive is at work on the delivery, as far as can be known."""
        return is_free(delivery, lease_s=self.destination.lease_s, now=self.clock())

    def problems_before_sending(self, parcel: Parcel, data: bytes) -> tuple[Problem, ...]:
        """Why these bytes are not sent: what the check finds, or that the run was stopped. Raises: StoreError."""
        problems = self.check.problems(parcel, data, self.store)
        # Asked last: another connection's failure may have been noted meanwhile.
        return problems or (self.halt.problems(parcel) if self.halt is not None else ())

    def record(self, result: DeliveryResult) -> DeliveryResult:
        """The result itself, once the ledger has it."""
        self.take_note(result)
        self.record_all([result])
        return result

    def take_note(self, result: DeliveryResult) -> None:
        """Of a failure that stops the run."""
        if self.halt is not None:
            self.halt.note(result)

    def record_all(self, results: Sequence[DeliveryResult]) -> None:
        """What was taken note of already is in the ledger, all in one transaction."""
        self.ledger.months.record_outcomes(results, self.run_id)
