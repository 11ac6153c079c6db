"""Omissions and selections: what is left out of a month by decision, with its reason.

Belongs here: what an omission names, and which rows it leaves out. Does not: keeping omissions (`delivery/`), or
what is never billed by its status (`rows`).
"""

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
    """A customer or a service that a person leaves out, of one month or (`month` None) for good.

    A service is left out with the cancellation fees that name it. An omission of one month holds for the rows of
    that month wherever they would be billed: what was left out does not come back as a late row.
    Raises UsageError unless it names either a customer or a service, and a reason.
    """

    reason: str
    customer_number: str = ""
    service_id: str = ""
    month: str | None = None
    author: str = ""

    def __post_init__(self) -> None:
        if bool(self.customer_number) == bool(self.service_id):
            raise UsageError("an omission names either a customer or a service: give one of the two")
        if not self.reason.strip():
            raise UsageError("an omission needs a reason: it is shown in the report")

    @property
    def words(self) -> str:
        """The reason, and who decided: "already invoiced by hand (Kim)"."""
        return f"{self.reason} ({self.author})" if self.author else self.reason


_NOT_A_CUSTOMER: Final = "not among only_customers of the rules"
_NOT_A_SERVICE: Final = "not among the services asked for"


def customer_reasons(
    customer_numbers: Iterable[str],
    month: str,
    omissions: Iterable[Omission],
    only_customers: Collection[str],
) -> dict[str, str]:
    """Of these customers, those who are left out of the month as a whole, and why; the first omission speaks."""
    reasons: dict[str, str] = {}
    for omission in omissions:
        if omission.customer_number and omission.month in (None, month):
            reasons.setdefault(omission.customer_number, omission.words)
    return {
        number: reasons.get(number, _NOT_A_CUSTOMER)
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
    """The source rows with `left_out`: why a row is left out by an omission or a selection, else null.

    `month`: the one that is billed. What the month's own delivery has billed is not left out any more. Of a
    selection nothing is selected away by an empty one; adjustments have no service.
    """
    numbers, services = array(rows["customer_number"]), array(rows["service_id"])
    by_customer: dict[tuple[str, str | None], str] = {}
    by_service: dict[tuple[str, str | None], str] = {}
    for omission in omissions:
        if omission.customer_number:
            by_customer.setdefault((omission.customer_number, omission.month), omission.words)
        else:
            words = f"{omission.service_id}: {omission.words}"
            by_service.setdefault((omission.service_id, omission.month), words)
    reasons = [
        _reasons(by_customer, numbers, array(rows["month"]), month),
        _reasons(by_service, services, array(rows["month"]), month),
    ]
    for asked_for, names, words in (
        (only_customers, numbers, _NOT_A_CUSTOMER),
        (only_services, services, _NOT_A_SERVICE),
    ):
        if asked_for:
            chosen = pc.is_in(names, pa.array(sorted(asked_for), TEXT))
            reasons.append(pc.if_else(chosen, pa.scalar(None, TEXT), words))
    left_out = pc.if_else(array(rows["billed_here"]), pa.scalar(None, TEXT), pc.coalesce(*reasons))
    return with_columns(rows, left_out=left_out)


def _reasons(
    reasons: Mapping[tuple[str, str | None], str], names: pa.Array, months: pa.Array, month: str
) -> pa.Array:
    """The reason by which each name is left out: of its own month, of the one that is billed, or for good."""
    known = pa.array(sorted({name for name, _ in reasons}), TEXT)
    # All that no omission names are one case, so that few distinct ones are left.
    omitted = pc.if_else(pc.is_in(names, known), names, pa.scalar(None, TEXT))
    return by_distinct(
        lambda name, own: next(
            (reasons[name, at] for at in (own, month, None) if (name, at) in reasons), None
        ),
        TEXT,
        omitted,
        months,
    )
