"""The delivery room's nouns, as plain values: an export, what is to be delivered, what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from billing_pipeline.problems import Code, Problem

ExportOutcome = Literal["to_bill", "rendered", "blocked", "nothing_to_bill", "omitted"]
Outcome = Literal["delivered", "unchanged", "nothing_to_bill", "omitted", "blocked", "failed", "held"]
"""How a customer's month ended in a run."""
EventKind = Literal["export", "exchange", "decision"]
EventOutcome = Literal["success", "failure"]
AdjustmentAction = Literal["add", "edit", "delete", "undo"]
SourceKind = Literal["service", "fee", "adjustment"]
BillingKind = Literal["complete", "part", "correction", "dry_run"]
"""What a billing is of: the whole month; some customers or services of it; one customer's month that was sent, to
be corrected; or nothing that may be sent."""


class State(StrEnum):
    """Where a delivery stands; the edges between them are 4-delivery's."""

    PLANNED = "PLANNED"
    UPLOADING = "UPLOADING"
    COMMITTING = "COMMITTING"
    PUBLISHED = "PUBLISHED"
    CONSUMED = "CONSUMED"
    CONFIRMED = "CONFIRMED"
    HELD = "HELD"
    WITHDRAWN = "WITHDRAWN"


SENT_STATES: frozenset[State] = frozenset({State.PUBLISHED, State.CONSUMED, State.CONFIRMED})
"""The final name was published: not one byte is ever sent again."""


@dataclass(frozen=True, slots=True)
class ExtractRecord:
    """One read of a month from the OMS. `frames`: asset (`oms_services` …) → SHA-256 of its stored frame.

    `first_month`: the oldest month of which all rows were read, "" for `month` alone.
    """

    id: int
    month: str
    kind: BillingKind
    frames: Mapping[str, str]
    run_id: str
    at: datetime
    first_month: str | None = ""


@dataclass(frozen=True, slots=True)
class Billing:
    """What was billed of a month at one time, as a value: which stored frames belong together. Never changed.

    `extract`: the read of the OMS that it is made of. `customers`: those it is of; () for everybody. `frames`: part
    (`invoice_lines`, `billing_problems` …) → SHA-256. `layouts`: name of each layout that was used → SHA-256 of its
    declaration.
    """

    id: int
    month: str
    kind: BillingKind
    extract: ExtractRecord
    customers: tuple[str, ...]
    frames: Mapping[str, str]
    rules_sha256: str
    layouts: Mapping[str, str]
    run_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Export:
    """What one export said of one customer's month. One per (month, customer_number).

    `outcome` is "to_bill" until a file is made, and "rendered" once its bytes passed the check; only then are order
    number, file, hashes and amounts filled. `sha256` names the CSV bytes in the store, `document_sha256` the canonical
    document JSON. `net`, `vat`, `gross` are minor units of `currency`. `reason` is an omission's. `billing_id`: the
    `Billing` it was made from, None for what a release before 0.2 made. `made_of`: hash of everything that decides the
    file's bytes (`easybill.export`), None where there is no file or it is not known.
    """

    month: str
    customer_number: str
    outcome: ExportOutcome
    order_number: str = ""
    file_name: str = ""
    sha256: str = ""
    document_sha256: str = ""
    size_bytes: int = 0
    line_count: int = 0
    currency: str = ""
    net: int = 0
    vat: int = 0
    gross: int = 0
    layout: str = ""
    problems: tuple[Problem, ...] = ()
    late_rows: int = 0
    reason: str = ""
    billing_id: int | None = None
    made_of: str | None = None


@dataclass(frozen=True, slots=True)
class BilledRow:
    """One OMS row, or adjustment, that a file bills.

    `month` is the row's own, which for a late row is not the file's; `fingerprint` is that of `billing.late`.
    """

    source_kind: SourceKind
    source_id: str
    month: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class RowInFile:
    """One row that a delivery bills, as the late rows of `billing.late` need it.

    `month` is the row's own, `delivery_month` the file's. `committed`: the file, or the one that it corrects, was
    committed for sending; until then the row may still move to another plan.
    """

    source_kind: SourceKind
    source_id: str
    fingerprint: str
    customer_number: str
    month: str
    delivery_month: str
    order_number: str
    committed: bool


@dataclass(frozen=True, slots=True)
class Parcel:
    """One file to deliver: a "rendered" export, the rows it bills and its revision.

    The bytes lie in the store under `export.sha256`. `reason` and `author` are a correction's (revision 2
    and on). `customer_id`: EASY Bill's own id of the customer, where it was looked up and is there exactly once.
    """

    export: Export
    billed: tuple[BilledRow, ...]
    revision: int = 1
    reason: str = ""
    author: str = ""
    customer_id: int | None = None


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """How one customer's month ended in one run, with a file or without one.

    `sha256` names the bytes that the outcome is about, "" where there are none. The fields from `revision` on are a
    file's; `remote_path` is where it was published, "" if it was not, and `at` when this was known (UTC).
    """

    month: str
    customer_number: str
    outcome: Outcome
    problems: tuple[Problem, ...] = ()
    sha256: str = ""
    order_number: str = ""
    revision: int = 0
    file_name: str = ""
    remote_path: str = ""
    size_bytes: int = 0
    at: datetime | None = None


def result_of(
    parcel: Parcel,
    at: datetime,
    outcome: Outcome,
    problems: tuple[Problem, ...] = (),
    *,
    remote_path: str = "",
) -> DeliveryResult:
    """The result of one parcel."""
    export = parcel.export
    return DeliveryResult(
        month=export.month,
        customer_number=export.customer_number,
        outcome=outcome,
        problems=problems,
        sha256=export.sha256,
        order_number=export.order_number,
        revision=parcel.revision,
        file_name=export.file_name,
        remote_path=remote_path,
        size_bytes=export.size_bytes,
        at=at,
    )


def failed(parcel: Parcel, at: datetime, why: str, code: Code = Code.DELIVERY_FAILED) -> DeliveryResult:
    """The result of a parcel that could not be sent, for one reason."""
    return result_of(parcel, at, "failed", (Problem(code, parcel.export.customer_number, why),))


@dataclass(frozen=True, slots=True)
class MonthCustomer:
    """The current word on one customer's month: its last export, and how its last delivery ended. UTC.

    `delivery_outcome` is None until a delivery has spoken; `delivery_sha256` names the bytes it spoke of,
    which are not the export's own if an export came after it. `closed_at`: nothing to bill, and the
    delivery finished.
    """

    export: Export
    export_run_id: str
    exported_at: datetime
    delivery_outcome: Outcome | None
    delivery_problems: tuple[Problem, ...]
    delivery_sha256: str
    delivery_run_id: str
    delivered_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One (customer, month, revision): the row that decides whether anything may be sent. Times are UTC.

    `token` is the last one taken; it is valid only in UPLOADING and COMMITTING. `temporary_path` is that
    token's temporary file at `endpoint`, `leftovers` those of earlier tokens that may still be there. `holder`
    is the process at work on it, "" if nobody is.
    `accepted_sha256`: other bytes that a person has accepted as already delivered; `released_as`: what a
    person last decided about it. `gone_at`: since when its file and draft are known not to be in EASY Bill any more;
    `presumed_at`: since when it is taken for delivered although nobody has seen it arrive.
    Draft amounts are minor units, None until read back. `held_code` and
    `held_reason` say why it is HELD, or, where it was sent, what is wrong with its draft.
    """

    id: int
    customer_number: str
    month: str
    revision: int
    order_number: str
    file_name: str
    remote_dir: str
    sha256: str
    document_sha256: str
    size_bytes: int
    line_count: int
    currency: str
    net: int
    vat: int
    gross: int
    layout: str
    billing_id: int | None
    transport: str
    endpoint: str
    state: State
    token: str
    holder: str
    temporary_path: str
    leftovers: tuple[str, ...]
    remote_path: str
    held_code: Code | None
    held_reason: str
    accepted_sha256: str
    released_as: Literal["", "send", "delivered", "withdrawn"]
    reason: str
    author: str
    run_id: str
    created_at: datetime
    updated_at: datetime
    committed_at: datetime | None
    published_at: datetime | None
    draft_id: int | None
    draft_net: int | None
    draft_gross: int | None
    confirmed_at: datetime | None
    gone_at: datetime | None = None
    presumed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the append-only log: an export, an exchange with inbox or API, or a person's decision.

    `revision` is 0 and `order_number` "" where there is none, as for an export without a file.
    """

    id: int
    at: datetime
    month: str
    customer_number: str
    revision: int
    order_number: str
    kind: EventKind
    action: str
    outcome: EventOutcome
    detail: str
    run_id: str


@dataclass(frozen=True, slots=True)
class OmissionRecord:
    """A customer, a service or a fee that a person left out of a month (`month` None: for good), and its removal.

    Exactly one of `customer_number`, `service_id` and `fee_id` is filled. `removed_at` None: it holds. Times are UTC.
    """

    id: int
    month: str | None
    customer_number: str
    service_id: str
    fee_id: str
    reason: str
    author: str
    created_at: datetime
    removed_reason: str
    removed_by: str
    removed_at: datetime | None


@dataclass(frozen=True, slots=True)
class MonthLook:
    """A look at all rows of a month. `row_count`, `digest`: of the ids that the OMS had; see `oms.heads`. UTC.

    `billed_state`: what was billed of them then, "" where rows were neither billed nor noted otherwise. `absent`:
    (kind, id) of rows that are billed as the month's own, and that it did not have.
    """

    month: str
    row_count: int
    digest: str
    billed_state: str
    absent: tuple[tuple[str, str], ...]
    looked_at: datetime


@dataclass(frozen=True, slots=True)
class RowStanding:
    """What became of an OMS row that is not simply billed, as it was last seen; see `billing.standing`. UTC.

    `net` in minor units of `currency`, None where it is not known. `since`: since when it has this standing.
    """

    source_kind: SourceKind
    source_id: str
    month: str
    customer_number: str
    standing: str
    code: str
    message: str
    fingerprint: str
    related_id: str
    order_number: str
    net: int | None
    currency: str
    run_id: str
    since: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Admission:
    """A row that was set aside, and that a person lets be billed, as it looked (`fingerprint`). UTC.

    `related_id`: the row that has gone, for which it was set aside; `same_as`: the billed row that it is under another
    id, "" where it is a row of its own.
    """

    id: int
    source_kind: SourceKind
    source_id: str
    month: str
    customer_number: str
    fingerprint: str
    related_id: str
    same_as: str
    reason: str
    author: str
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class MonthAudit:
    """The account of a month's rows: how many have which standing, and net amounts in minor units by currency.

    `findings`: what is wrong with what was sent, beside the rows: a stored file that is damaged, say.
    """

    month: str
    rows: Mapping[str, int]
    amounts: Mapping[str, Mapping[str, int]]
    findings: tuple[Problem, ...]
    run_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ToldReport:
    """A report of a month that told something new: its facts and its page in the store, by SHA-256. UTC."""

    id: int
    month: str
    facts_sha256: str
    page_sha256: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AdjustmentRecord:
    """One version of a row that a person added to a customer's month; the highest `version` is what counts.

    `unit_price_net` is in the customer's currency, a discount below 0; `unit` and `item_number` may be "".
    `action` is what made this version.
    """

    id: int
    version: int
    month: str
    customer_number: str
    title: str
    quantity: Decimal
    unit_price_net: Decimal
    vat_percent: Decimal
    unit: str
    item_number: str
    deleted: bool
    action: AdjustmentAction
    reason: str
    author: str
    at: datetime
