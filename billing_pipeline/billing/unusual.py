"""What looks unusual in a month beside the customers' own past. It warns; nothing is blocked by it.

A figure is held against the median of its own past, and its distance is measured in spreads: the median absolute
deviation (MAD), times 1.4826 so that it is a standard deviation where figures are normally distributed (Rousseeuw and
Croux 1993), and never less than a floor, for a figure that never moved has a MAD of 0. More than 3.5 spreads away is
unusual (Iglewicz and Hoaglin 1993). Who has too short a past is not judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import TEXT, all_of, array, where
from billing_pipeline.money import exponent_of, format_minor
from billing_pipeline.problems import Code, Problem

LEAST_MONTHS: Final = 4
"""Months with an invoice that a customer must have behind them before their totals are judged."""

LEAST_PRICES: Final = 4
"""Times that a service must have been billed to a customer before its price is judged."""

MOST_SPREADS: Final = Decimal("3.5")
MAD_TO_SPREAD: Final = Decimal("1.4826")
TENTH: Final = Decimal("0.1")
LEAST_AMOUNT: Final = 20
"""The floor of a total's spread in major units: small customers move by a small amount all the time."""

LEAST_LINES: Final = 3
LEAST_FEES: Final = 1

PRICE_COLUMNS: Final = ("customer_number", "line_type", "item_number", "title", "unit_price_net", "currency")
"""The columns of `billing.lines.LINES` that are read of a month's past."""


@dataclass(frozen=True, slots=True)
class CustomerMonth:
    """What stands billed of one customer's month: net in minor units of `currency`, and the lines of the file."""

    month: str
    customer_number: str
    currency: str
    net: int
    lines: int


@dataclass(frozen=True, slots=True)
class Typical:
    """The median of some figures, and how far such figures are from it as a rule (never 0)."""

    median: Decimal
    spread: Decimal

    def spreads(self, figure: int) -> Decimal:
        """How many spreads the figure is away from the median."""
        return abs(figure - self.median) / self.spread

    def is_far(self, figure: int) -> bool:
        """Whether the figure is unusual."""
        return self.spreads(figure) > MOST_SPREADS


def typical(figures: Sequence[int], least_spread: Decimal) -> Typical:
    """Median and spread of at least one figure; the spread is at least `least_spread` and a tenth of the median."""
    median = _median(sorted(Decimal(figure) for figure in figures))
    mad = _median(sorted(abs(figure - median) for figure in figures))
    return Typical(median, max(mad * MAD_TO_SPREAD, abs(median) * TENTH, least_spread))


def unusual_totals(
    now: Iterable[CustomerMonth], past: Iterable[CustomerMonth], language: str
) -> Iterator[Problem]:
    """The customers whose total, or number of lines, is far from that of their own months, by customer number.

    Months of another currency do not count.
    """
    before = _by_customer(past)
    for one in sorted(now, key=lambda one: one.customer_number):
        own = [month for month in before[one.customer_number] if month.currency == one.currency]
        if len(own) < LEAST_MONTHS:
            continue
        net = typical([month.net for month in own], Decimal(LEAST_AMOUNT).scaleb(exponent_of(one.currency)))
        lines = typical([month.lines for month in own], Decimal(LEAST_LINES))
        if net.is_far(one.net):
            usual = format_minor(int(net.median), one.currency, language)
            yield Problem(
                Code.TOTAL_UNUSUAL,
                one.customer_number,
                f"{format_minor(one.net, one.currency, language)} net; the median of the {len(own)} months before "
                f"with an invoice is {usual} ({_times(net.spreads(one.net))} the usual spread away): look at the lines",
                field="net",
                value=str(one.net),
            )
        if lines.is_far(one.lines):
            yield Problem(
                Code.COUNT_UNUSUAL,
                one.customer_number,
                f"{one.lines} lines; the median of the {len(own)} months before with an invoice is "
                f"{lines.median.normalize():f} ({_times(lines.spreads(one.lines))} the usual spread away): look at "
                "the lines",
                field="lines",
                value=str(one.lines),
            )


def vanished(
    present: Iterable[str], past: Iterable[CustomerMonth], months_before: Sequence[str]
) -> Iterator[Problem]:
    """Who has nothing in the month and was billed in each of the months before.

    `present`: whoever has a row in the month, billed or not. `months_before`: the `LEAST_MONTHS` before it; fewer, and
    nobody is missed.
    """
    if len(months_before) < LEAST_MONTHS:
        return
    here = set(present)
    for number, months in sorted(_by_customer(past).items()):
        if number not in here and {one.month for one in months} >= set(months_before):
            yield Problem(
                Code.CUSTOMER_VANISHED,
                number,
                f"nothing in the OMS, and an invoice in each of the {len(months_before)} months before: ask whether "
                "the services were entered",
            )


def unusual_fees(
    now: Mapping[str, int], past: Mapping[str, Mapping[str, int]], since: Mapping[str, str]
) -> Iterator[Problem]:
    """The customers with far more cancellation fees than they used to have; and the month as a whole (customer "").

    `now`: fees by customer. `past`: by month, whatever months there are, fees by customer. `since`: the first month in
    which a customer had an invoice; before it, having no fee says nothing.
    """
    if len(past) < LEAST_MONTHS:
        return
    whole = typical([sum(fees.values()) for fees in past.values()], Decimal(LEAST_LINES))
    if sum(now.values()) > whole.median and whole.is_far(sum(now.values())):
        yield Problem(
            Code.CANCELLATIONS_UNUSUAL,
            "",
            f"{sum(now.values())} cancellation fees in all; the median of the {len(past)} months before is "
            f"{whole.median.normalize():f}: look whether a status was set by mistake",
            value=str(sum(now.values())),
        )
    for number, count in sorted(now.items()):
        own = [fees.get(number, 0) for month, fees in past.items() if month >= since.get(number, "9999-99")]
        if len(own) < LEAST_MONTHS:
            continue
        usual = typical(own, Decimal(LEAST_FEES))
        if count > usual.median and usual.is_far(count):
            yield Problem(
                Code.CANCELLATIONS_UNUSUAL,
                number,
                f"{count} cancellation fees; the median of the {len(own)} months before is "
                f"{usual.median.normalize():f}: look whether they are right",
                value=str(count),
            )


def unusual_prices(lines: pd.DataFrame, past: Sequence[pd.DataFrame], language: str) -> Iterator[Problem]:
    """The services whose unit price is far from what the same customer paid for the same service before.

    Frames with `PRICE_COLUMNS`, a row per line; `past`: one per month. The same service: the same item number, or where
    there is none the same first line of the title. One entry per customer and service.
    """
    now = _prices_by_key(_priced(lines))
    if not now or not past:
        return
    known = _prices_by_key(_priced(pd.concat(past, ignore_index=True)), pa.array(list(now), TEXT))
    for key, prices in sorted(now.items()):
        before = known.get(key, [])
        if len(before) < LEAST_PRICES or len({*before, *prices}) == 1:
            continue
        customer, service, currency = key.split(_SEPARATOR)
        usual = typical(before, Decimal(1))
        far = sorted({price for price in prices if usual.is_far(price)})
        if far:
            told = ", ".join(format_minor(price, currency, language) for price in far[:3])
            yield Problem(
                Code.PRICE_UNUSUAL,
                customer,
                f"{service}: {told} net each; the median of {len(before)} times before is "
                f"{format_minor(int(usual.median), currency, language)}: look at the price in the OMS",
                field="unit_price_net",
                value=str(far[0]),
            )


_SAME: Final = (
    *("customer_number", "service_code", "service_name", "description", "completed_at"),
    *("quantity", "unit_price_net", "location"),
)


def entered_twice(services: pd.DataFrame, month: str, billed: Iterable[str]) -> Iterator[Problem]:
    """The billed services that are equal in all but their id, to the second in which they were completed.

    `services`: the relation of the extract. `billed`: ids of those that are billed.
    """
    ids = pa.array(list(billed), TEXT)
    own = where(
        services,
        all_of(pc.equal(array(services["month"]), month), pc.is_in(array(services["service_id"]), ids)),
    )
    if own.empty:
        return
    texts = [pc.fill_null(array(own[name]).cast(TEXT), "") for name in _SAME]
    by_key: dict[str, list[int]] = defaultdict(list)
    for place, key in enumerate(pc.binary_join_element_wise(*texts, _SEPARATOR).to_pylist()):
        by_key[key].append(place)
    for places in by_key.values():
        if len(places) < 2:
            continue
        group = own.iloc[places]
        ids = sorted(group["service_id"].tolist())
        first = group.iloc[0]
        yield Problem(
            Code.ENTERED_TWICE,
            str(first["customer_number"]),
            f"{first['service_name']}: services {', '.join(ids[:5])}{' …' if len(ids) > 5 else ''} are equal in text, "
            "price, quantity and time: if it was done once, cancel the other in the OMS, or leave it out with "
            f"`billing-pipeline omit add {month} --service {ids[-1]} --reason TEXT --by NAME`",
            source_id=ids[-1],
        )


_SEPARATOR: Final = "\x1f"


def _priced(lines: pd.DataFrame) -> pa.Table:
    """Of each line of a service with a price: customer, service and currency as one `key`, and its unit `price`."""
    kinds, amounts = array(lines["line_type"]), array(lines["unit_price_net"])
    priced = pc.and_(
        pc.is_in(kinds, pa.array(["service", "late_service"], kinds.type)), pc.greater(amounts, 0)
    )
    numbers, items, titles, currencies = (
        array(lines[name]).filter(priced) for name in ("customer_number", "item_number", "title", "currency")
    )
    heads = pc.list_element(pc.split_pattern(titles, "\n", max_splits=1), 0)
    services = pc.replace_substring(pc.if_else(pc.equal(items, ""), heads, items), _SEPARATOR, " ")
    keys = pc.binary_join_element_wise(numbers, services, currencies, _SEPARATOR)
    return pa.table({"key": keys, "price": amounts.filter(priced)})


def _prices_by_key(priced: pa.Table, wanted: pa.Array | None = None) -> dict[str, list[int]]:
    if wanted is not None:
        priced = priced.filter(pc.is_in(priced["key"], wanted))
    found: dict[str, list[int]] = defaultdict(list)
    for key, price in zip(priced["key"].to_pylist(), priced["price"].to_pylist(), strict=True):
        found[key].append(price)
    return found


def _by_customer(months: Iterable[CustomerMonth]) -> dict[str, list[CustomerMonth]]:
    found: dict[str, list[CustomerMonth]] = defaultdict(list)
    for one in months:
        found[one.customer_number].append(one)
    return found


def _median(in_order: Sequence[Decimal]) -> Decimal:
    middle = len(in_order) // 2
    if len(in_order) % 2:
        return in_order[middle]
    return (in_order[middle - 1] + in_order[middle]) / 2


def _times(spreads: Decimal) -> str:
    return f"{spreads.quantize(TENTH):f} ×"
