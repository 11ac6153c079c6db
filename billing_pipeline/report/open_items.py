"""The list: everything, of all months, that needs a person, with its money, its age and the remedy.

Made from what the ledger knows, as of each month's last run or audit. While there is anything on it, `run` and `status`
end with status 1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from billing_pipeline.delivery.records import AdjustmentRecord, Delivery, MonthCustomer, RowStanding
from billing_pipeline.money import format_minor
from billing_pipeline.problems import Code
from billing_pipeline.report.month import CustomerStatus, MonthStatus


@dataclass(frozen=True, slots=True)
class OpenItem:
    """One thing that needs a person: a customer's month (`source_id` ""), a row, or an adjustment.

    `net`: minor units of `currency`, None where it is not known. `since`: UTC.
    """

    month: str
    customer_number: str
    code: str
    message: str
    since: datetime
    source_kind: str = ""
    source_id: str = ""
    order_number: str = ""
    net: int | None = None
    currency: str = ""

    @property
    def what(self) -> str:
        """What it is about, for people: a row, an order, or where neither is named the whole month."""
        if self.source_id:
            return f"{self.source_kind} {self.source_id}"
        return self.order_number or f"all of {self.month}"

    def net_text(self, language: str) -> str:
        """The net as people of `language` read it; "" where it is not known."""
        return "" if self.net is None else format_minor(self.net, self.currency, language)

    def age_text(self, now: datetime) -> str:
        """For how long it has been open: "today", "1 day", "12 days"."""
        days = (now - self.since).days
        return "today" if days < 1 else "1 day" if days == 1 else f"{days} days"

    def as_json(self) -> dict[str, Any]:
        """The keys of 5-interfaces."""
        return {
            "month": self.month,
            "customer_number": self.customer_number,
            "code": self.code,
            "source_kind": self.source_kind or None,
            "source_id": self.source_id,
            "order_number": self.order_number or None,
            "net": self.net,
            "currency": self.currency or None,
            "since": f"{self.since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "message": self.message,
        }


def customer_items(
    status: MonthStatus, rows: Mapping[str, MonthCustomer], blocked: Iterable[RowStanding]
) -> Iterator[OpenItem]:
    """One per customer of the month who is blocked, failed or held, with the money of the rows that wait for it.

    `blocked`: the standings of the month's rows that are blocked.
    """
    of_customer: dict[str, list[RowStanding]] = defaultdict(list)
    for row in blocked:
        of_customer[row.customer_number].append(row)
    for customer in status.needs_a_person:
        theirs = of_customer[customer.customer_number]
        known = rows[customer.customer_number]
        first = next(iter(customer.problems), None)
        more = f" (and {len(customer.problems) - 1} more)" if len(customer.problems) > 1 else ""
        yield OpenItem(
            status.month,
            customer.customer_number,
            str(first.code) if first else customer.outcome.upper(),
            f"{customer.outcome}: {first.message if first else customer.outcome}{more}",
            min([known.delivered_at or known.exported_at, *(row.since for row in theirs)]),
            order_number=customer.order_number,
            **_money_of(customer, theirs),
        )


def _money_of(customer: CustomerStatus, rows: Iterable[RowStanding]) -> dict[str, Any]:
    """Of a file that was made and not sent its net, else the sum of the rows, where they have one currency."""
    if customer.file:
        return {"net": customer.net, "currency": customer.currency}
    priced = [(row.net, row.currency) for row in rows if row.net is not None]
    currencies = {currency for _, currency in priced}
    if len(currencies) != 1:
        return {}
    return {"net": sum(net for net, _ in priced), "currency": currencies.pop()}


def row_items(
    rows: Iterable[RowStanding],
    *,
    with_item: Collection[tuple[str, str]],
    held_orders: Collection[str],
    finished: Collection[str],
    oldest_in_reach: str,
) -> Iterator[OpenItem]:
    """The rows that need a person by themselves.

    `with_item`: (customer_number, month) that are on the list as a whole. `held_orders`: orders on it because their
    month has changed. `oldest_in_reach`: late rows of this month and after are taken by the next open month.
    """
    for row in rows:
        listed = (row.customer_number, row.month) in with_item
        alone = (
            row.standing == "set_aside"
            or (row.standing == "billed" and row.order_number not in held_orders)
            or (row.standing == "blocked" and not listed)
        )
        if alone:
            yield _row_item(row, row.code, row.message)
        elif row.standing == "late" and row.month < oldest_in_reach:
            yield _row_item(row, Code.LATE_OUT_OF_REACH, _out_of_reach(row, oldest_in_reach))
        elif row.standing == "to_bill" and row.month in finished and not listed:
            yield _row_item(
                row,
                Code.NOT_BILLED,
                f"{row.source_kind} {row.source_id} is not billed yet: `billing-pipeline run {row.month} --customer "
                f"{row.customer_number}` bills it",
            )


def adjustment_items(
    unbilled: Iterable[AdjustmentRecord], *, finished: Collection[str], with_item: Collection[tuple[str, str]]
) -> Iterator[OpenItem]:
    """The adjustments of finished months that no order bills, unless their customer's month is on the list already."""
    for one in unbilled:
        if one.month in finished and (one.customer_number, one.month) not in with_item:
            yield OpenItem(
                one.month,
                one.customer_number,
                Code.NOT_BILLED,
                f"adjustment {one.id} ({one.title}) is not billed yet: the customer's next month bills it, "
                f"`billing-pipeline adjust delete {one.id} --reason TEXT --by NAME` gives it up",
                one.at,
                source_kind="adjustment",
                source_id=str(one.id),
            )


def draft_items(replaced: Iterable[Delivery]) -> Iterator[OpenItem]:
    """The drafts of replaced orders that may still be in EASY Bill, beside those that replaced them."""
    for one in replaced:
        draft = f" {one.draft_id}" if one.draft_id is not None else ""
        yield OpenItem(
            one.month,
            one.customer_number,
            Code.DRAFT_TO_REMOVE,
            f"remove the draft{draft} of {one.order_number} ({one.file_name}) in EASY Bill: a later order replaces it; "
            f"then `billing-pipeline release {one.order_number} --as withdrawn --reason TEXT --by NAME`; with "
            f"BILLING_EASYBILL_API_KEY set, `billing-pipeline correct {one.month} --customer {one.customer_number} "
            "--reason TEXT --by NAME --remove-draft` does both",
            one.updated_at,
            order_number=one.order_number,
            net=one.net,
            currency=one.currency,
        )


def presumed_items(presumed: Iterable[Delivery]) -> Iterator[OpenItem]:
    """The deliveries that nobody has seen arrive."""
    for one in presumed:
        yield OpenItem(
            one.month,
            one.customer_number,
            Code.PRESUMED_DELIVERED,
            f"{one.file_name} is most likely delivered, and nobody has seen it arrive: look into EASY Bill. If it has "
            f"the order, `billing-pipeline release {one.order_number} --as delivered --reason TEXT --by NAME`; if not, "
            f"`billing-pipeline release {one.order_number} --as withdrawn --reason TEXT --by NAME`, and run "
            f"{one.month} again",
            one.presumed_at or one.updated_at,
            order_number=one.order_number,
            net=one.net,
            currency=one.currency,
        )


def unread_items(unread: Iterable[Delivery]) -> Iterator[OpenItem]:
    """The deliveries whose drafts nobody has seen, and which are too old to be asked for without being told to."""
    for one in unread:
        yield OpenItem(
            one.month,
            one.customer_number,
            Code.DRAFT_MISSING,
            f"the draft of {one.file_name} was never read back, and is not asked for any more: run the job "
            f"draft_reconciliation for {one.month} and this customer in Dagster, which says whether EASY Bill has it",
            one.published_at or one.updated_at,
            order_number=one.order_number,
            net=one.net,
            currency=one.currency,
        )


def open_lines(items: Iterable[OpenItem], now: datetime, language: str) -> Iterator[str]:
    """Each item in two lines: what and how much, as people of `language` read it, then the words."""
    for item in items:
        net = item.net_text(language)
        age = item.age_text(now)
        parts = (item.month, item.customer_number, item.code, item.what, net and f"{net} net", age)
        yield "  ".join(part for part in parts if part)
        yield f"    {item.message}"


def _row_item(row: RowStanding, code: str, message: str) -> OpenItem:
    return OpenItem(
        row.month,
        row.customer_number,
        str(code),
        message,
        row.since,
        source_kind=row.source_kind,
        source_id=row.source_id,
        order_number=row.order_number,
        net=row.net,
        currency=row.currency,
    )


def _out_of_reach(row: RowStanding, oldest: str) -> str:
    kind = "--fee" if row.source_kind == "fee" else "--service"
    name = f"{kind} {row.source_id}"
    if row.source_kind == "adjustment":
        return f"adjustment {row.source_id} came after its month was sent: the customer's next month bills it"
    return (
        f"{row.source_kind} {row.source_id} came after its month was sent, and the next month looks back to {oldest} "
        f"only: `billing-pipeline admit {row.month} --customer {row.customer_number} {name} --reason TEXT --by NAME` "
        f"bills it with the next month, `billing-pipeline omit add {row.month} {name} --reason TEXT --by NAME` leaves "
        "it out"
    )
