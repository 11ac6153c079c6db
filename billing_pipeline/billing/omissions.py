"""Omissions and selections: rows that are left out of a month by decision, with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import TEXT, array, by_distinct, with_columns
from billing_pipeline.problems import UsageError


@dataclass(frozen=True, slots=True)
class Omission:
    """A customer, a service or a fee that a person leaves out of one month, or of all months (`month` None).

    A service is left out together with its cancellation fees. An omission of one month also holds where rows of that
    month would be billed later: they do not come back as late rows.
    Raises UsageError unless it names a customer, a service or a fee, and a reason.
    """

    reason: str
    customer_number: str = ""
    service_id: str = ""
    month: str | None = None
    author: str = ""
    fee_id: str = ""

    def __post_init__(self) -> None:
        if len([one for one in (self.customer_number, self.service_id, self.fee_id) if one]) != 1:
            raise UsageError("an omission names a customer, a service or a fee: give one of the three")
        if not self.reason.strip():
            raise UsageError("an omission needs a reason: it is shown in the report")

    @property
    def reason_and_author(self) -> str:
        """For the report: "already invoiced by hand (Kim)"."""
        return f"{self.reason} ({self.author})" if self.author else self.reason


NOT_A_CUSTOMER: Final = "not among only_customers of the rules"
NOT_A_SERVICE: Final = "not among the services asked for"


def customer_reasons(
    customer_numbers: Iterable[str],
    month: str,
    omissions: Iterable[Omission],
    only_customers: Collection[str],
) -> dict[str, str]:
    """The customers who are left out of the month as a whole, with the reason; of several omissions the first."""
    reasons: dict[str, str] = {}
    for omission in omissions:
        if omission.customer_number and omission.month in (None, month):
            reasons.setdefault(omission.customer_number, omission.reason_and_author)
    return {
        number: reasons.get(number, NOT_A_CUSTOMER)
        for number in customer_numbers
        if number in reasons or (only_customers and number not in only_customers)
    }


def leave_out(
    rows: pd.DataFrame,
    month: str,
    omissions: Iterable[Omission],
    only_customers: Collection[str],
    only_services: Collection[str],
) -> pd.DataFrame:
    """The source rows with `left_out`: why an omission or a selection leaves a row out, else null.

    `month`: the one being billed. Rows that its own delivery has billed already are not left out. An empty selection
    excludes nothing; `only_services` excludes adjustments, which have no service.
    """
    numbers, services = array(rows["customer_number"]), array(rows["service_id"])
    by_customer: dict[tuple[str, str | None], str] = {}
    by_service: dict[tuple[str, str | None], str] = {}
    by_fee: dict[tuple[str, str | None], str] = {}
    for omission in omissions:
        if omission.customer_number:
            by_customer.setdefault((omission.customer_number, omission.month), omission.reason_and_author)
        elif omission.service_id:
            reason = f"{omission.service_id}: {omission.reason_and_author}"
            by_service.setdefault((omission.service_id, omission.month), reason)
        else:
            by_fee.setdefault(
                (omission.fee_id, omission.month), f"{omission.fee_id}: {omission.reason_and_author}"
            )
    fees = pc.if_else(
        pc.equal(array(rows["source_kind"]), "fee"), array(rows["source_id"]), pa.scalar(None, TEXT)
    )
    reasons = [
        _reasons(by_customer, numbers, array(rows["month"]), month),
        _reasons(by_service, services, array(rows["month"]), month),
        _reasons(by_fee, fees, array(rows["month"]), month),
    ]
    for selected, names, reason in (
        (only_customers, numbers, NOT_A_CUSTOMER),
        (only_services, services, NOT_A_SERVICE),
    ):
        if selected:
            chosen = pc.is_in(names, pa.array(sorted(selected), TEXT))
            reasons.append(pc.if_else(chosen, pa.scalar(None, TEXT), reason))
    left_out = pc.if_else(array(rows["billed_here"]), pa.scalar(None, TEXT), pc.coalesce(*reasons))
    return with_columns(rows, left_out=left_out)


def _reasons(
    reasons: Mapping[tuple[str, str | None], str], names: pa.Array, months: pa.Array, month: str
) -> pa.Array:
    """For each name the reason to leave it out: for its own month, for the month being billed, or for all months."""
    known = pa.array(sorted({name for name, _ in reasons}), TEXT)
    # Names without an omission become null, so that few distinct combinations are left.
    omitted = pc.if_else(pc.is_in(names, known), names, pa.scalar(None, TEXT))
    return by_distinct(
        lambda name, own: next(
            (reasons[name, at] for at in (own, month, None) if (name, at) in reasons), None
        ),
        TEXT,
        omitted,
        months,
    )
