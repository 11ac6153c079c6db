"""Reconciles a billed month with its extract: each row has one disposition, and amounts agree to the cent.

A disposition is where a row of the month ended: billed, not billable, blocked customer and so on. This is an audit, row
by row in plain Python, some customers at a time, that shares no step with `bill`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import QUANTITY, array, constant, distinct
from billing_pipeline.billing.bill import BilledMonth
from billing_pipeline.billing.rules import Rules
from billing_pipeline.billing.slices import Slicing, cut, portions_of_customers
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


ROWS_AT_A_TIME: Final = 5_000
"""As Python objects rows take ten times the memory of their columns: so many are looked at together."""

_SAID_OF_SERVICES: Final = ["currency", "status", "sub_status", "provider"]
_OF_SERVICES: Final = [
    *("service_id", "customer_number", "month", "quantity", "unit_price_net"),
    *_SAID_OF_SERVICES,
]
_OF_FEES: Final = ["fee_id", "customer_number", "month", "amount_net", "currency"]
OF_EXTRACT: Final = {
    "customers": ["customer_number", "is_test"],
    "services": _OF_SERVICES,
    "service_tasks": [],
    "cancellation_fees": _OF_FEES,
}
"""The columns of an extract that this room looks at, by relation."""
OF_LINES: Final = ["customer_number", "line_type", "source_ids", "net"]
"""The columns of a billed month's lines that it looks at."""


class SourceRow(NamedTuple):
    """A service or fee of the extract. `net`: as of `_net_of`. `is_free`: of a fee, its amount is zero."""

    kind: str  # "service" or "fee"
    source_id: str
    customer_number: str
    month: str | None
    net: int | None
    currency: str | None
    status: str = ""
    sub_status: str = ""
    provider: str = ""
    is_free: bool = False


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

    Of the lines `OF_LINES` are enough, and of the extract `OF_EXTRACT`. `billed_before`: (kind, id) of rows billed by a
    delivery of another month.
    """
    counted: Counter[str] = Counter()
    nets: dict[str, Counter[str]] = {name: Counter() for name in DISPOSITIONS}
    faults: list[str] = []
    seen = of_month = 0
    disposition_of = _Dispositions(extract, billed, rules, frozenset(billed_before)).of
    owned = [
        (frame[columns], array(frame["customer_number"]))
        for frame, columns in (
            (extract.services, _OF_SERVICES),
            (extract.cancellation_fees, _OF_FEES),
            (billed.lines, OF_LINES),
        )
    ]
    owners = pa.concat_arrays([owned[0][1], owned[1][1], pc.unique(owned[2][1])])
    portions = Slicing.of_portions(list(portions_of_customers(owners, ROWS_AT_A_TIME)))
    cuts = [cut(frame, portions.places(numbers)) for frame, numbers in owned]
    for services, fees, of_them in zip(*cuts, strict=True):
        rows = {(row.kind, row.source_id): row for row in _source_rows(services, fees)}
        seen += len(services) + len(fees)
        lines = _line_groups(of_them)
        faults += [*_sources_faults(lines, rows), *_amount_faults(lines, rows)]
        in_lines = {source for sources in lines for source in sources}
        for row in rows.values():
            if row.month != month:
                continue
            of_month += 1
            name = disposition_of(row, in_lines)
            if name is None:
                faults.append(
                    f"{row.kind} {row.source_id} of customer {row.customer_number} is billable, in no line, and "
                    "nothing says why"
                )
                continue
            counted[name] += 1
            if row.currency and row.net is not None:
                nets[name][row.currency] += row.net
    if (rows_read := len(extract.services) + len(extract.cancellation_fees)) != seen:
        faults.append(f"of {rows_read} services and fees that were read only {seen} were looked at")
    dispositions = tuple(Disposition(name, counted[name], dict(nets[name])) for name in DISPOSITIONS)
    return Reconciliation(dispositions, of_month, tuple(faults))


def accounting_faults(extract: Extract, billed: BilledMonth, month: str) -> Iterator[str]:
    """What is wrong where a customer of the month has not exactly one outcome, or is billed without lines or total."""
    test = _test_customers(extract)
    owners = {
        number
        for frame in (extract.services, extract.cancellation_fees)
        for number in distinct(frame.loc[frame["month"] == month, "customer_number"])
    } - test
    roster = Counter(billed.roster["customer_number"].tolist())
    for number in sorted(owners - roster.keys()):
        yield f"customer {number} has rows in {month} and no outcome"
    for number in sorted(number for number, times in roster.items() if times > 1):
        yield f"customer {number} has {roster[number]} outcomes"
    due = set(billed.roster.loc[billed.roster["outcome"] == "to_bill", "customer_number"])
    for name, numbers in (("lines", billed.lines), ("a total", billed.totals)):
        having = distinct(numbers["customer_number"])
        for number in sorted(due - having):
            yield f"customer {number} is to be billed and has no {name.removeprefix('a ')}"
        for number in sorted(having - due):
            yield f"customer {number} has {name} and is not to be billed"


def _source_rows(services: pd.DataFrame, fees: pd.DataFrame) -> Iterator[SourceRow]:
    """These services and fees of an extract, as `_OF_SERVICES` and `_OF_FEES`."""
    nets = _nets(*(array(services[name]) for name in ("quantity", "unit_price_net", "currency")))
    cells = _records(services, "service_id", "customer_number", "month", *_SAID_OF_SERVICES)
    for (source_id, number, month, *said), net in zip(cells, nets, strict=True):
        yield SourceRow("service", source_id, number, month, net, *said)
    once = constant(1, QUANTITY, len(fees))
    nets = _nets(once, array(fees["amount_net"]), array(fees["currency"]))
    cells = _records(fees, "fee_id", "customer_number", "month", "currency", "amount_net")
    for (source_id, number, month, currency, amount), net in zip(cells, nets, strict=True):
        yield SourceRow("fee", source_id, number, month, net, currency, is_free=amount == 0)


def _nets(quantities: pa.Array, prices: pa.Array, currencies: pa.Array) -> Iterator[int | None]:
    """`_net_of` each row, reckoned once for each different combination."""
    encoded = [one.dictionary_encode(null_encoding="encode") for one in (quantities, prices, currencies)]
    values = [one.dictionary.to_pylist() for one in encoded]
    known: dict[tuple[int, ...], int | None] = {}
    for codes in zip(*(one.indices.to_pylist() for one in encoded), strict=True):
        if codes not in known:
            known[codes] = _net_of(*(of[code] for of, code in zip(values, codes, strict=True)))
        yield known[codes]


def _net_of(quantity: Decimal | None, price: Decimal | None, currency: str | None) -> int | None:
    """The net of a row in minor units, rounded once; None where quantity or currency is unknown."""
    if currency is None or quantity is None:
        return None
    try:
        exponent = exponent_of(currency)
    except ValueError:
        return None
    return int(round_half_up(quantity * (price or Decimal(0)), exponent).scaleb(exponent))


class _Dispositions:
    """Finds the disposition of a row of the month."""

    def __init__(
        self,
        extract: Extract,
        billed: BilledMonth,
        rules: Rules,
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
        self._billed_before = billed_before

    def of(self, row: SourceRow, in_lines: Collection[tuple[str, str]]) -> str | None:
        """The name of the disposition; None where nothing says why a billable row is not among those `in_lines`."""
        source = (row.kind, row.source_id)
        if source in in_lines:
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
            return rules.lines != "services_only" and not row.is_free
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


@dataclass(slots=True)
class _LineGroup:
    """The customer of the lines that have the same source rows, and their net in minor units."""

    customer_number: str
    net: int = 0


def _line_groups(lines: pd.DataFrame) -> dict[tuple[tuple[str, str], ...], _LineGroup]:
    """The lines by source rows; several lines of the same rows (itemised tasks) are one entry."""
    groups: dict[tuple[tuple[str, str], ...], _LineGroup] = {}
    kinds = {line_type: _kind_of(line_type) for line_type in distinct(lines["line_type"])}
    for number, line_type, ids, net in _records(lines, *OF_LINES):
        kind = kinds[line_type]
        if kind is None:
            continue
        sources = ((kind, ids[0]),) if len(ids) == 1 else tuple((kind, source_id) for source_id in ids)
        group = groups.get(sources)
        if group is None:
            groups[sources] = _LineGroup(number, net)
        else:
            group.net += net
    return groups


def _kind_of(line_type: str) -> str | None:
    """The kind of the rows of such a line; None where they are not the OMS's."""
    if line_type.endswith("adjustment"):
        return None
    return "service" if line_type.endswith("service") else "fee"


def _sources_faults(
    lines: Mapping[tuple[tuple[str, str], ...], _LineGroup], rows: Mapping[tuple[str, str], SourceRow]
) -> Iterator[str]:
    times = Counter(source for sources in lines for source in sources)
    owners = {source: group.customer_number for sources, group in lines.items() for source in sources}
    for source, count in times.items():
        kind, source_id = source
        row, owner = rows.get(source), owners[source]
        if row is None or row.customer_number != owner:
            yield f"{kind} {source_id} is in a line of customer {owner} and not in the extract as theirs"
        if count > 1:
            yield f"{kind} {source_id} is billed {count} times"


def _amount_faults(
    lines: Mapping[tuple[tuple[str, str], ...], _LineGroup], rows: Mapping[tuple[str, str], SourceRow]
) -> Iterator[str]:
    for sources, group in lines.items():
        nets = [rows[source].net for source in sources if source in rows]
        expected = sum(filter(None, nets))
        if len(nets) == len(sources) and (None in nets or expected != group.net):
            names = ", ".join(source_id for _, source_id in sources)
            yield f"{names}: the OMS's rows come to {expected} minor units, their lines to {group.net}"


def _test_customers(extract: Extract) -> set[str]:
    return set(extract.customers.loc[extract.customers["is_test"].fillna(False), "customer_number"])


def _records(frame: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """The cells of these columns, row by row, as plain Python values; None where there is none."""
    return zip(*(_cells(array(frame[column])) for column in columns), strict=True)


def _cells(values: pa.Array) -> list[Any]:
    """The values as Python objects; of a text or number that stands in many rows there is one object."""
    encoded = None if pa.types.is_nested(values.type) else values.dictionary_encode(null_encoding="encode")
    if encoded is None or 2 * len(encoded.dictionary) > len(values):
        cells: list[Any] = values.to_pylist()
        return cells
    known = encoded.dictionary.to_pylist()
    return [known[code] for code in encoded.indices.to_pylist()]
