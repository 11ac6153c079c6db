"""Reconciles a billed month with its extract: each row has one disposition, and amounts agree to the cent.

A disposition is where a row of the month ended: billed, not billable, blocked customer and so on. This is an audit, row
by row in plain Python, that shares no step with `bill`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import pandas as pd

from billing_pipeline.billing.bill import BilledMonth
from billing_pipeline.billing.rules import Rules
from billing_pipeline.money import exponent_of, round_half_up
from billing_pipeline.oms.extract import Extract

DISPOSITIONS: Final = (
    "billed",
    "billed before",
    "blocked customer",
    "omitted",
    "late, waiting",
    "set aside",
    "not billable",
    "test customer",
)
"""Every row has exactly one: the first, in the order of `_Dispositions.of`, that applies."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A service or fee of the extract. `price` is that of one unit, None where there is none."""

    kind: str  # "service" or "fee"
    source_id: str
    customer_number: str
    month: str | None
    quantity: Decimal | None
    price: Decimal | None
    currency: str | None
    status: str = ""
    sub_status: str = ""
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Disposition:
    """How many rows of the month ended here, and their net in minor units by currency."""

    name: str
    rows: int
    net: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The rows of the month by disposition, and what does not add up, one sentence each."""

    dispositions: tuple[Disposition, ...]
    rows: int
    faults: tuple[str, ...]


def reconcile(
    extract: Extract,
    billed: BilledMonth,
    month: str,
    rules: Rules,
    *,
    billed_before: Collection[tuple[str, str]] = (),
) -> Reconciliation:
    """Compares the billed `month` with the extract that it was made from.

    `billed_before`: (kind, id) of rows billed by a delivery of another month.
    """
    rows = {(row.kind, row.source_id): row for row in _source_rows(extract)}
    lines = _line_groups(billed.lines)
    faults = [*_sources_faults(lines, rows), *_amount_faults(lines, rows)]
    in_lines = {source for sources in lines for source in sources}
    counted: Counter[str] = Counter()
    nets: dict[str, Counter[str]] = {name: Counter() for name in DISPOSITIONS}
    where = _Dispositions(extract, billed, rules, in_lines, frozenset(billed_before))
    of_month = [row for row in rows.values() if row.month == month]
    for row in of_month:
        name = where.of(row)
        if name is None:
            faults.append(
                f"{row.kind} {row.source_id} of customer {row.customer_number} is billable, in no line, and nothing "
                "says why"
            )
            continue
        counted[name] += 1
        if row.currency and (net := _net_of(row)) is not None:
            nets[name][row.currency] += net
    dispositions = tuple(Disposition(name, counted[name], dict(nets[name])) for name in DISPOSITIONS)
    return Reconciliation(dispositions, len(of_month), tuple(faults))


def accounting_faults(extract: Extract, billed: BilledMonth, month: str) -> Iterator[str]:
    """What is wrong where a customer of the month has not exactly one outcome, or is billed without lines or total."""
    test = _test_customers(extract)
    owners = {
        number
        for frame in (extract.services, extract.cancellation_fees)
        for number in frame.loc[frame["month"] == month, "customer_number"].tolist()
    } - test
    roster = Counter(billed.roster["customer_number"].tolist())
    for number in sorted(owners - roster.keys()):
        yield f"customer {number} has rows in {month} and no outcome"
    for number in sorted(number for number, times in roster.items() if times > 1):
        yield f"customer {number} has {roster[number]} outcomes"
    due = set(billed.roster.loc[billed.roster["outcome"] == "to_bill", "customer_number"])
    for name, numbers in (("lines", billed.lines), ("a total", billed.totals)):
        having = set(numbers["customer_number"])
        for number in sorted(due - having):
            yield f"customer {number} is to be billed and has no {name.removeprefix('a ')}"
        for number in sorted(having - due):
            yield f"customer {number} has {name} and is not to be billed"


def _source_rows(extract: Extract) -> Iterator[SourceRow]:
    """All services and fees of an extract."""
    for cells in _records(
        extract.services,
        *("service_id", "customer_number", "month", "quantity", "unit_price_net", "currency"),
        *("status", "sub_status", "provider"),
    ):
        yield SourceRow("service", *cells)
    for source_id, number, month, amount, currency in _records(
        extract.cancellation_fees, "fee_id", "customer_number", "month", "amount_net", "currency"
    ):
        yield SourceRow("fee", source_id, number, month, Decimal(1), amount, currency)


def _net_of(row: SourceRow) -> int | None:
    """The row's net in minor units, rounded once; None where quantity or currency is unknown."""
    if row.currency is None or row.quantity is None:
        return None
    try:
        exponent = exponent_of(row.currency)
    except ValueError:
        return None
    return int(round_half_up(row.quantity * (row.price or Decimal(0)), exponent).scaleb(exponent))


class _Dispositions:
    """Finds the disposition of a row of the month."""

    def __init__(
        self,
        extract: Extract,
        billed: BilledMonth,
        rules: Rules,
        in_lines: set[tuple[str, str]],
        billed_before: frozenset[tuple[str, str]],
    ) -> None:
        self._test = _test_customers(extract)
        self._roster = {
            number: (outcome, late_rows, reason)
            for number, outcome, late_rows, reason in _records(
                billed.roster, "customer_number", "outcome", "late_rows", "reason"
            )
        }
        self._set_aside = {
            (kind, source_id)
            for standing, kind, source_id in _records(
                billed.kept_back, "standing", "source_kind", "source_id"
            )
            if standing == "set_aside"
        }
        self._rules = rules
        self._in_lines = in_lines
        self._billed_before = billed_before

    def of(self, row: SourceRow) -> str | None:
        """The name of the row's disposition; None where nothing says why a billable row is in no line."""
        source = (row.kind, row.source_id)
        if source in self._in_lines:
            return "billed"
        if row.customer_number in self._test:
            return "test customer"
        if source in self._set_aside and self._may_be_billable(row):
            return "set aside"
        if not self._is_billable(row):
            return "not billable"
        outcome, late_rows, reason = self._roster.get(row.customer_number, ("", 0, ""))
        explanations = {
            "billed before": source in self._billed_before,
            "blocked customer": outcome == "blocked",
            "omitted": outcome == "omitted" or reason != "",
            "late, waiting": late_rows > 0,
        }
        return next((name for name, explains in explanations.items() if explains), None)

    def _is_billable(self, row: SourceRow) -> bool:
        rules = self._rules.for_customer(row.customer_number)
        if row.kind == "fee":
            return rules.lines != "services_only" and row.price != 0
        return row.status in rules.billable_statuses and self._may_be_billable(row)

    def _may_be_billable(self, row: SourceRow) -> bool:
        """Whether the rules say nothing against billing this service but, perhaps, for its status."""
        rules = self._rules.for_customer(row.customer_number)
        return (
            rules.lines != "fees_only"
            and row.status not in set(rules.not_billable_statuses) - set(rules.billable_statuses)
            and (not rules.billable_sub_statuses or row.sub_status in rules.billable_sub_statuses)
            and (not rules.providers or row.provider in rules.providers)
        )


def _line_groups(lines: pd.DataFrame) -> dict[tuple[tuple[str, str], ...], int]:
    """Net in minor units by source rows; several lines of the same rows (itemised tasks) are one entry."""
    groups: dict[tuple[tuple[str, str], ...], int] = {}
    for line_type, ids, net in _records(lines, "line_type", "source_ids", "net"):
        if not line_type.endswith("adjustment"):
            kind = "service" if line_type.endswith("service") else "fee"
            sources = tuple((kind, source_id) for source_id in ids)
            groups[sources] = groups.get(sources, 0) + net
    return groups


def _sources_faults(
    lines: Iterable[tuple[tuple[str, str], ...]], rows: Mapping[tuple[str, str], SourceRow]
) -> Iterator[str]:
    times = Counter(source for sources in lines for source in sources)
    for (kind, source_id), count in times.items():
        if (kind, source_id) not in rows:
            yield f"{kind} {source_id} is in a line and not in the extract"
        if count > 1:
            yield f"{kind} {source_id} is billed {count} times"


def _amount_faults(
    lines: Mapping[tuple[tuple[str, str], ...], int], rows: Mapping[tuple[str, str], SourceRow]
) -> Iterator[str]:
    for sources, net in lines.items():
        known = [rows[source] for source in sources if source in rows]
        nets = [_net_of(row) for row in known]
        expected = sum(known_net for known_net in nets if known_net is not None)
        if len(known) == len(sources) and (None in nets or expected != net):
            names = ", ".join(source_id for _, source_id in sources)
            yield f"{names}: the OMS's rows come to {expected} minor units, their lines to {net}"


def _test_customers(extract: Extract) -> set[str]:
    return set(extract.customers.loc[extract.customers["is_test"].fillna(False), "customer_number"])


def _records(frame: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """The cells of these columns, row by row, as plain Python values; None where there is none."""
    return zip(*(frame[column].array.__arrow_array__().to_pylist() for column in columns), strict=True)
