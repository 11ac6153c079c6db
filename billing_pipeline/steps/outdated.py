"""Decisions that came after a file was made, and before it was sent: they count, so the file is outdated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import OmissionRecord, Parcel, SourceKind
from billing_pipeline.problems import Code, Problem


def outdated(parcels: Sequence[Parcel], month: str, ledger: Ledger) -> dict[str, Problem]:
    """By customer number, an EXPORT_OUTDATED for each parcel that does not know of a decision about it.

    A file knows what was decided until the billing that it is made of. What was committed for sending already is past
    deciding. Raises: LedgerUnavailable.
    """
    made_of = {parcel.export.billing_id for parcel in parcels if parcel.export.billing_id is not None}
    closed = ledger.deliveries.closed([month])
    found: dict[str, Problem] = {}
    for billing_id in sorted(made_of):
        billing = ledger.billings.get(billing_id)
        if billing is None:
            continue
        of_billing = [
            parcel
            for parcel in parcels
            if parcel.export.billing_id == billing_id
            and ((parcel.export.customer_number, month) not in closed or parcel.revision > 1)
        ]
        decided = _decided_since(ledger, month, billing.at, of_billing)
        for parcel in of_billing:
            what = decided.get(parcel.export.customer_number)
            if what is not None:
                number = parcel.export.customer_number
                found[number] = Problem(
                    Code.EXPORT_OUTDATED,
                    number,
                    f"the file was made before this was decided: {what}; run `billing-pipeline run {month} --customer "
                    f"{number}` to make it anew",
                    source_id=parcel.export.order_number,
                )
    return found


def billing_orders(ledger: Ledger, omission: OmissionRecord) -> list[str]:
    """The orders that have billed what an omission leaves out, and stand."""
    if omission.customer_number:
        return sorted(
            one.order_number
            for one in ledger.deliveries.standing(omission.month)
            if one.customer_number == omission.customer_number
        )
    kind, name = _row_of(omission)
    billed = ledger.billed.sources([], {kind: [name]})
    return sorted(set(billed["order_number"]))


def _decided_since(ledger: Ledger, month: str, at: datetime, parcels: Sequence[Parcel]) -> Mapping[str, str]:
    """By customer number what was decided about their month after this instant: the first of it, in words."""
    found: dict[str, str] = {}
    for omission in ledger.omissions.since(at):
        if not omission.customer_number:
            numbers = _owners(ledger, parcels, *_row_of(omission))
        elif omission.month in (None, month):
            numbers = {omission.customer_number}
        else:
            numbers = set()
        for number in numbers:
            found.setdefault(number, f"omission {omission.id} ({omission.reason})")
    for version in ledger.adjustments.since(at):
        if version.month <= month:
            found.setdefault(version.customer_number, f"adjustment {version.id} ({version.title})")
    for admission in ledger.admissions.since(at):
        found.setdefault(
            admission.customer_number, f"{admission.source_kind} {admission.source_id} was admitted"
        )
    return found


def _row_of(omission: OmissionRecord) -> tuple[SourceKind, str]:
    """The source kind and id of the row that an omission names."""
    return ("service", omission.service_id) if omission.service_id else ("fee", omission.fee_id)


def _owners(ledger: Ledger, parcels: Iterable[Parcel], kind: SourceKind, source_id: str) -> set[str]:
    """Whose the row is: a parcel bills it, or it is known and not billed."""
    owners = {
        parcel.export.customer_number
        for parcel in parcels
        if any((row.source_kind, row.source_id) == (kind, source_id) for row in parcel.billed)
    }
    standing = ledger.rows.of_row(kind, source_id)
    return owners if standing is None else owners | {standing.customer_number}
