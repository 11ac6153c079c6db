"""Bills a month, or a part of it, from the OMS and what the ledger knows, and keeps what came of it as a billing.

The one way for the assets, for a run of some customers, for corrections, dry runs and previews.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import pandas as pd

from billing_pipeline.billing.bill import BilledMonth, bill_month
from billing_pipeline.billing.omissions import Omission
from billing_pipeline.billing.size import HISTORY_MONTHS, SizeVerdict, judge_size
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.adjustment_records import as_adjustment
from billing_pipeline.delivery.records import Billing, BillingKind, Export, ExtractRecord, MonthLook
from billing_pipeline.easybill.export import unfit_problems
from billing_pipeline.oms.extract import Extract
from billing_pipeline.oms.period import months_back, period_of
from billing_pipeline.problems import PipelineError, Problem, UsageError, problems_of
from billing_pipeline.steps.current_billing import current_billing
from billing_pipeline.steps.look_back import (
    LookBack,
    before_reading,
    first_month_to_read,
    look_back,
    looks_to_keep,
)
from billing_pipeline.steps.past import Past, ended_admissions, ids_of, past_of, require_same_identity
from billing_pipeline.steps.wiring import BillingSettings, Oms, Wiring
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline.store.frames import LOOK_BACK, TOTALS, FrameStore, Hashes, write_billed, write_extract


class MonthSuspicious(PipelineError):
    """The month is so much smaller or larger than the months before it that nothing is sent before a person looks."""


@dataclass(frozen=True)
class Billed:
    """What was billed just now. `month` is of everybody; `customers` are those it was asked of, () for everybody.

    To be kept it needs of the extract no more than `dispositions.OF_EXTRACT`, and a past that is `named`.
    """

    extract: Extract
    month: BilledMonth
    past: Past
    customers: tuple[str, ...] = ()

    @property
    def part(self) -> BilledMonth:
        """What was asked for: the month, with nobody in it but `customers`."""
        return self.month.of_customers(self.customers) if self.customers else self.month


def extract_of_month(
    oms: Oms, ledger: Ledger, month: str, billing: BillingSettings
) -> tuple[Extract, LookBack]:
    """The month's rows, those of earlier months that must be read with them, and the adjustments' customers.

    Raises: the errors of reading the OMS; LedgerUnavailable.
    """
    first = first_month_to_read(ledger, month, billing.rules.late_months, billing.first_month)
    before = before_reading(ledger, month, first)
    also = sorted({one.customer_number for one in ledger.adjustments.up_to(month)})
    with oms.reading(month, first) as reading:
        return look_back(reading, before, ledger, also=also)


def bill_extract(
    extract: Extract,
    month: str,
    past: Past,
    *,
    ledger: Ledger,
    billing: BillingSettings,
    only_services: Collection[str] = (),
    of_every_row: bool = False,
    let_go: bool = False,
) -> BilledMonth:
    """What is billed of a month by the rules and what the ledger says now.

    `only_services`: of the customers who have these services nothing else is billed; of the others nothing changes.
    `of_every_row`: the standings are of every row that is not billed yet, as an audit wants them. `let_go`: the extract
    and the past's billed rows may be emptied on the way.
    Raises: LedgerUnavailable, LinesInvalid.
    """
    rules = billing.rules

    def unfit(billed: BilledMonth, customers: pd.DataFrame) -> list[Problem]:
        layouts = billing.layouts_of(billed.totals["customer_number"])
        return unfit_problems(billed, customers, month=month, rules=rules, layouts=layouts)

    bill = partial(
        bill_month,
        month=month,
        rules=rules,
        timezone=billing.timezone,
        ledger_view=past.view,
        omissions=[
            Omission(one.reason, one.customer_number, one.service_id, one.month, one.author, one.fee_id)
            for one in ledger.omissions.current()
        ],
        adjustments=[as_adjustment(one) for one in past.adjustments],
        of_every_row=of_every_row,
        over_api=billing.over_api,
        unfit=unfit,
    )
    billed = bill(extract, let_go=let_go and not only_services)
    if only_services:
        part = bill(extract, only_services=only_services)
        billed = billed.with_customers_of(part, owners_of(extract, only_services))
    return _with_billed_before(billed, ledger.deliveries.revisions(month))


def bill_part(
    wiring: Wiring,
    month: str,
    *,
    customers: Collection[str] = (),
    services: Collection[str] = (),
    reopened: Collection[str] = (),
    accept_new_ids: bool = False,
) -> Billed:
    """Reads the OMS and bills these customers, or those who have these services, or without either the whole month.

    With `services`, of their customers nothing else is billed. `reopened`: customers whose month is billed as if it
    had not been delivered, for a correction. Nothing is recorded yet (`keep`).
    Raises: UsageError for a service that nobody who is billed has; OmsIdentityChanged unless `accept_new_ids`; the
    errors of `extract_of_month`, `bill_extract`.
    """
    ledger = wiring.ledger.open()
    extract, looked = extract_of_month(wiring.oms, ledger, month, wiring.billing)
    past = past_of(
        ledger, ids_of(extract), month, look_back=looked, frames=wiring.frames, billing=wiring.billing
    )
    if not accept_new_ids:
        require_same_identity(past, ledger)
    if reopened:
        past = past.reopened(reopened, month)
    billed = bill_extract(extract, month, past, ledger=ledger, billing=wiring.billing, only_services=services)
    numbers = set(customers)
    if services:
        owners = _owners_in(billed, extract, month, services)
        numbers = numbers & owners if customers else owners
        if not numbers:
            raise UsageError("--service and --customer: none of the customers has one of the services")
    return Billed(extract, billed, past, tuple(sorted(numbers)))


def keep(billed: Billed, wiring: Wiring, month: str, *, kind: BillingKind, run_id: str) -> Billing:
    """Stores what was billed as a billing of its own. Raises: StoreError, LedgerUnavailable."""
    looked = billed.past.look_back
    assert looked is not None
    extract = keep_extract(billed.extract, looked, wiring.frames, wiring.ledger.open(), month, kind, run_id)
    return keep_billed(
        billed,
        extract,
        write_billed(wiring.frames, month, billed.part),
        blobs=wiring.blobs,
        ledger=wiring.ledger.open(),
        billing=wiring.billing,
        run_id=run_id,
    )


def keep_extract(
    extract: Extract,
    looked: LookBack,
    frames: FrameStore,
    ledger: Ledger,
    month: str,
    kind: BillingKind,
    run_id: str,
) -> ExtractRecord:
    """Stores one read of the OMS, and how it looked back. Raises: StoreError, LedgerUnavailable."""
    hashes = write_extract(frames, month, extract) | {
        LOOK_BACK: frames.write(LOOK_BACK, month, looked.as_frame())
    }
    return ledger.billings.record_extract(month, kind, hashes, run_id, first_month=looked.first_month)


def kept_look_back(read: ExtractRecord, frames: FrameStore) -> LookBack | None:
    """How a stored read looked back; None where it read every row. Raises: StoreError."""
    if LOOK_BACK not in read.frames:
        return None
    frame = frames.read(LOOK_BACK, read.month, read.frames[LOOK_BACK])
    return LookBack.of_frame(read.first_month or read.month, frame)


def keep_billed(
    billed: Billed,
    extract: ExtractRecord,
    stored: Hashes,
    *,
    blobs: BlobStore,
    ledger: Ledger,
    billing: BillingSettings,
    run_id: str,
) -> Billing:
    """Records what was billed of an extract, both of which are stored already, with the rules by which it was.

    Unless it is a dry run, the ledger then knows who is in the month. Raises: StoreError, LedgerUnavailable.
    """
    month, part = extract.month, billed.part
    layouts = {layout.name: layout for layout in map(billing.layout_of, part.roster["customer_number"])}
    kept = ledger.billings.record(
        extract,
        extract.kind,
        stored,
        run_id,
        customers=billed.customers,
        rules_sha256=blobs.put("rules", billing.rules.model_dump_json().encode()),
        layouts={
            name: blobs.put("layout", layout.model_dump_json().encode()) for name, layout in layouts.items()
        },
    )
    if kept.kind != "dry_run":
        ledger.months.record_roster(
            month, _roster(billed.month, kept), run_id, covered=billed.customers or None
        )
        ledger.rows.record(
            billed.month.standings,
            billed.past.months,
            run_id,
            judged=month,
            customers=billed.customers or None,
            looks=_looks_to_keep(billed, kept.kind),
        )
        ledger.admissions.end(
            ended_admissions(
                billed.past, billed.extract, billed.month.standings, ledger, customers=billed.customers
            )
        )
    return kept


def owners_of(extract: Extract, service_ids: Collection[str]) -> set[str]:
    """The customers who have these services, or a fee for one of them."""
    return {
        number
        for frame in (extract.services, extract.cancellation_fees)
        for number in frame[frame["service_id"].isin(list(service_ids))]["customer_number"]
    }


def month_size(
    billed: BilledMonth, month: str, frames: FrameStore, ledger: Ledger, timezone: str
) -> SizeVerdict:
    """How the month compares with those before it that were billed here; one that is not over does with none."""
    if datetime.now(UTC) < period_of(month, timezone).end:
        return SizeVerdict("usual", f"{len(billed.lines)} lines; the month is not over")
    counts = []
    for back in range(1, HISTORY_MONTHS + 1):
        before = current_billing(months_back(month, back), ledger, frames)
        if before is not None:
            totals = frames.read(TOTALS, before.month, before.frames[TOTALS])
            counts.append(int(totals["line_count"].sum()))
    return judge_size(len(billed.lines), counts)


def require_plausible(month: str, size: SizeVerdict) -> None:
    """Raises: MonthSuspicious, where nothing should be sent before a person has looked."""
    if size.size == "absurd":
        raise MonthSuspicious(
            f"{month} has {size.sentence}: nothing is sent. See whether the OMS was complete when it was read and "
            "whether rules and filters are right; `--force`, or `force: true` for the op billed_month in the UI's "
            "launchpad, bills it as it is"
        )


def _looks_to_keep(billed: Billed, kind: BillingKind) -> list[MonthLook]:
    """The looks at months of which the standings of all rows are recorded."""
    past = billed.past
    if kind != "complete" or billed.customers or past.look_back is None:
        return []
    return looks_to_keep(past.look_back, billed.extract, past.view.billed, billed.month.standings)


def _owners_in(billed: BilledMonth, extract: Extract, month: str, services: Collection[str]) -> set[str]:
    in_month = set(billed.roster["customer_number"])
    for service in services:
        if not owners_of(extract, [service]) & in_month:
            raise UsageError(
                f"--service {service}: {month} has no such service of a customer who is billed; its id is the "
                "service_id of the OMS"
            )
    return owners_of(extract, services) & in_month


def _with_billed_before(billed: BilledMonth, customer_numbers: Iterable[str]) -> BilledMonth:
    """The month with these customers in its roster too, with nothing to bill where they have no row any more.

    They were billed for it once: that they vanished from the OMS must not make them vanish here.
    """
    gone = sorted(set(customer_numbers) - set(billed.roster["customer_number"]))
    if not gone:
        return billed
    rows = pd.DataFrame(
        {"customer_number": gone, "outcome": "nothing_to_bill", "late_rows": 0, "reason": ""}
    ).astype(billed.roster.dtypes.to_dict())
    roster = pd.concat([billed.roster, rows], ignore_index=True)
    return replace(billed, roster=roster.sort_values("customer_number", ignore_index=True))


def _roster(billed: BilledMonth, kept: Billing) -> list[Export]:
    """Who is in the month, and why somebody has nothing to bill, before any file is made."""
    problems: dict[str, list[Problem]] = {}
    for problem in problems_of(billed.problems):
        problems.setdefault(problem.customer_number, []).append(problem)
    return [
        Export(
            kept.month,
            row["customer_number"],
            row["outcome"],
            problems=tuple(problems.get(row["customer_number"], ())),
            late_rows=row["late_rows"],
            reason=row["reason"],
            billing_id=kept.id,
        )
        for row in billed.roster.to_dict("records")
    ]
