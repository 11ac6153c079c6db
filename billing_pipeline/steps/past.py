"""What the ledger knows of the past when a month is billed, held against what the OMS has now.

How far back is looked, which rows are billed already, which have gone, what was noted of the others, and what people
decided.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import TEXT, array, each_row, with_columns
from billing_pipeline.billing.late import GONE, LedgerView, gone_of, index_of
from billing_pipeline.billing.rows import ADJUSTMENT, FEE, SERVICE, source_rows
from billing_pipeline.billing.set_aside import likenesses
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import AdjustmentRecord, ExtractRecord
from billing_pipeline.oms.extract import Extract
from billing_pipeline.oms.period import months_between
from billing_pipeline.problems import Code, PipelineError
from billing_pipeline.steps.look_back import LookBack
from billing_pipeline.steps.wiring import BillingSettings
from billing_pipeline.store.frames import EXTRACTED, FrameMissing, FrameStore

IDENTITY_SHARE = 20
"""Ids have changed, rather than rows gone, where more than one in so many billed rows has gone at once …"""
IDENTITY_ROWS = 20
"""… and at least so many."""


class OmsIdentityChanged(PipelineError):
    """So many billed rows have gone from the OMS at once that their ids must have changed, or a query."""


@dataclass(frozen=True)
class Past:
    """What is known of the past of a month. `months`: those of which every row was looked at, the month itself last.

    `look_back`: how, where earlier months were looked at.
    """

    view: LedgerView
    months: tuple[str, ...]
    adjustments: tuple[AdjustmentRecord, ...]
    look_back: LookBack | None = None

    def reopened(self, customer_numbers: Collection[str], month: str) -> Past:
        """As if the month of these customers had not been delivered."""
        return replace(self, view=self.view.reopened(customer_numbers, month))

    def named(self) -> Past:
        """With no more of the billed rows than what they are called: enough to keep what is billed now."""
        called = self.view.billed[["source_kind", "source_id"]]
        return replace(self, view=replace(self.view, billed=called))


def past_of(
    ledger: Ledger,
    ids: Mapping[str, pa.Array],
    month: str,
    *,
    frames: FrameStore,
    billing: BillingSettings,
    first_month_read: str | None = None,
    look_back: LookBack | None = None,
) -> Past:
    """What the ledger knows of the rows that were read, whose `ids` (`ids_of`) these are, and of those that should be.

    `look_back`: how earlier months were looked at; without it, all rows since `first_month_read` (or of the month
    alone) were read. A customer of whose month a correction is planned, and not sent yet, is billed as if it had not
    been delivered: by the next revision.
    Raises: LedgerUnavailable, StoreError.
    """
    first = look_back.first_month if look_back else first_month_read or month
    months = tuple(months_between(first, month))
    adjustments = tuple(ledger.adjustments.up_to(month))
    with_adjustments = sorted({*months, *(one.month for one in adjustments)})
    finished = ledger.months.finished(with_adjustments)
    present = {**ids, ADJUSTMENT: pa.array([str(one.id) for one in adjustments], TEXT)}
    absent = look_back.absent if look_back else {}
    billed = ledger.billed.sources(
        () if look_back else months,
        {
            kind: pc.unique(pa.concat_arrays([of_kind, pa.array(absent.get(kind, ()), TEXT)]))
            for kind, of_kind in present.items()
        },
    )
    own = [past for past in months if past >= billing.first_month or past == month]
    gone = gone_of(billed, own, present)
    view = LedgerView(
        ledger.deliveries.closed(with_adjustments),
        billed,
        finished=finished,
        staying=ledger.months.staying(finished),
        census=ledger.rows.census(months),
        without_census=ledger.months.without_census(finished),
        admitted=ledger.admissions.in_force(),
        gone=_with_content(gone, ledger, frames, billing),
    )
    past = Past(view, months, adjustments, look_back)
    return past.reopened(list(ledger.deliveries.open_corrections(month)), month)


def require_same_identity(past: Past, ledger: Ledger) -> None:
    """Raises: OmsIdentityChanged, where too many billed rows have gone that no run has told of before."""
    if len(past.view.gone) < IDENTITY_ROWS:
        return
    known = {(one.source_kind, one.source_id) for one in ledger.rows.changed() if one.fingerprint == GONE}
    gone = [
        (one.source_kind, one.source_id)
        for one in each_row(past.view.gone)
        if one.accepted != GONE and (one.source_kind, one.source_id) not in known
    ]
    if len(gone) < IDENTITY_ROWS:
        return
    billed = ledger.billed.count(past.months)
    if len(gone) * IDENTITY_SHARE > billed:
        kind, source_id = gone[0]
        raise OmsIdentityChanged(
            f"{Code.OMS_IDENTITY_CHANGED}: {len(gone)} of {billed} rows billed since {past.months[0]} are no longer in "
            f"the OMS ({kind} {source_id}, for one): ids have changed, or a query has. Nothing is billed. See whether "
            "the OMS and BILLING_OMS_QUERIES are what they were; where rows have new ids, `billing-pipeline admit "
            "--renamed --reason TEXT --by NAME` says so; `--accept-new-ids` goes on, and sets aside what may be the "
            "same work"
        )


def ended_admissions(
    past: Past,
    extract: Extract,
    standings: pd.DataFrame,
    ledger: Ledger,
    *,
    customers: Collection[str] = (),
) -> list[int]:
    """The ids of the admissions whose rows have gone, or are not as they were admitted.

    `standings`: `ROW_STANDINGS` of what was billed just now, with the view of this past. `customers`: those it was
    asked of; () for everybody. Of others nothing is recorded, so that their rows would be in no standing.
    """
    of_months = [
        one
        for one in ledger.admissions.current()
        if one.month in past.months and (not customers or one.customer_number in customers)
    ]
    if not of_months:
        return []
    present = {(kind, one) for kind, ids in ids_of(extract).items() for one in ids.to_pylist()}
    looks = dict(
        zip(
            zip(standings["source_kind"], standings["source_id"], strict=True),
            standings["fingerprint"],
            strict=True,
        )
    )
    return [
        one.id
        for one in of_months
        if (one.source_kind, one.source_id) not in present
        or looks.get((one.source_kind, one.source_id), one.fingerprint) != one.fingerprint
    ]


def ids_of(extract: Extract) -> dict[str, pa.Array]:
    """Every row of the extract: where one has moved here from a month that is not looked at, it is still billed."""
    return {
        SERVICE: array(extract.services["service_id"]),
        FEE: array(extract.cancellation_fees["fee_id"]),
    }


def _with_content(
    gone: pd.DataFrame, ledger: Ledger, frames: FrameStore, billing: BillingSettings
) -> pd.DataFrame:
    """The rows that have gone with what they looked like, where the read that billed them is still stored."""
    if not len(gone):
        return gone
    billings = ledger.deliveries.billings_of_orders(sorted(set(gone["order_number"])))
    found: list[pd.DataFrame] = []
    for billing_id, orders in billings.items():
        made_of = ledger.billings.get(billing_id)
        if made_of is None:
            continue
        customers = sorted(set(gone[gone["order_number"].isin(orders)]["customer_number"]))
        read = _stored_extract(frames, made_of.extract, customers)
        if read is not None:
            found.append(source_rows(read, billing.rules, made_of.month, billing.timezone, ()))
    if not found:
        return gone
    rows = pd.concat(found, ignore_index=True)
    place = index_of(
        *(array(gone["source_kind"]), array(gone["source_id"])),
        *(array(rows["source_kind"]), array(rows["source_id"])),
    )
    return with_columns(
        gone, likeness=likenesses(rows).take(place), performed_at=array(rows["performed_at"]).take(place)
    )


def _stored_extract(frames: FrameStore, read: ExtractRecord, customers: Collection[str]) -> Extract | None:
    """What was read of these customers; None where it is no longer stored."""

    def part(asset: str) -> pd.DataFrame:
        of = None if EXTRACTED[asset] == "service_tasks" else customers
        return frames.read(asset, read.month, read.frames[asset], of)

    try:
        return Extract(**{relation: part(asset) for asset, relation in EXTRACTED.items()})
    except (FrameMissing, KeyError):
        return None
