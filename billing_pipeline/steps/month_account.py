"""What has become of every row of a month, as the audit tells it.

All rows are held against the ledger, in columns and some at a time. Most are simply billed: they look as they did then,
and would be billed again. Who has another row is billed in full, as if the month were run, to learn its standing; where
the others are not billable in any case, those rows alone are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import (
    MINOR,
    TEXT,
    all_of,
    any_of,
    array,
    distinct,
    frame_of,
    in_one_chunk,
    negation,
    where,
    with_columns,
)
from billing_pipeline.billing.late import index_of
from billing_pipeline.billing.rows import FEE, SERVICE, source_rows
from billing_pipeline.billing.slices import MOST_ROWS, concatenated, portions_of_customers
from billing_pipeline.billing.standing import nets_of, no_standings
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.adjustment_records import as_adjustment
from billing_pipeline.oms.extract import MonthText, no_extract
from billing_pipeline.steps.bill_month import bill_extract
from billing_pipeline.steps.past import Past, past_of
from billing_pipeline.steps.wiring import BillingSettings, Wiring

OPEN: Final = frozenset({"to_bill", "late", "blocked", "set_aside"})

_UNBILLED: Final = pa.schema([("source_kind", TEXT), ("source_id", TEXT), ("currency", TEXT), ("net", MINOR)])


@dataclass(frozen=True)
class MonthAccount:
    """`standings`: `ROW_STANDINGS` of the rows that are not simply billed, and of billed ones that have gone.

    `counts`: the month's own rows by standing, and all of them as `rows`. `amounts`: their net by currency, `billed`
    and `open`. `ids`: of all rows that were read, by source kind.
    """

    standings: pd.DataFrame
    counts: Counter[str]
    amounts: dict[str, Counter[str]]
    ids: Mapping[str, pa.Array]


@dataclass(frozen=True)
class _Sifted:
    """`counts` and `amounts`: of the month's own rows that are billed. `unbilled`: its others, as `_UNBILLED`.

    `customers`: those who have a row that is neither simply billed nor among the `not_billable`: ids, by source kind,
    of unbilled rows that are not billable by the rules and a status that they name.
    """

    counts: Counter[str]
    amounts: dict[str, Counter[str]]
    unbilled: pd.DataFrame
    customers: frozenset[str]
    not_billable: Mapping[str, pa.ChunkedArray]


def account_of(wiring: Wiring, month: str, *, most_rows: int = MOST_ROWS) -> MonthAccount:
    """Reads the month from the OMS. Nothing is recorded. `most_rows`: looked at together; only memory depends on it.

    Raises: the errors of reading the OMS; LedgerUnavailable, StoreError.
    """
    ledger, billing = wiring.ledger.open(), wiring.billing
    text = wiring.oms.month_text(
        month, also=sorted({one.customer_number for one in ledger.adjustments.up_to(month)})
    )
    ids = {
        SERVICE: in_one_chunk(text.services["service_id"]),
        FEE: in_one_chunk(text.cancellation_fees["fee_id"]),
    }
    past = past_of(ledger, ids, month, frames=wiring.frames, billing=billing)
    sharing = _sharing_customers(text)
    found = _sifted(text, past, month, billing, also=sharing, most_rows=most_rows)
    parts = [
        _standings(text, numbers, past, month, ledger, billing)
        for numbers in _looked_at_together(text, found.customers, sharing, most_rows)
    ]
    # Nothing else of their customers changes what becomes of rows that are not billable in any case.
    rest = text.of_rows(found.not_billable[SERVICE], found.not_billable[FEE])
    parts += [
        _standings(rest, numbers, past, month, ledger, billing)
        for numbers in _looked_at_together(rest, rest.owners() - found.customers, (), most_rows)
    ]
    standings = concatenated([no_standings(), *parts])
    counts, amounts = found.counts, found.amounts
    place = index_of(
        *(array(found.unbilled[name]) for name in ("source_kind", "source_id")),
        *(array(standings[name]) for name in ("source_kind", "source_id")),
    )
    # What has no entry becomes a line when the month is run.
    standing = array(standings["standing"]).take(place).fill_null("to_bill")
    counts.update(standing.to_pylist())
    counts["rows"] = sum(counts.values())
    _add_up(amounts, "open", where(found.unbilled, pc.is_in(standing, pa.array(sorted(OPEN), TEXT))))
    return MonthAccount(standings, counts, dict(sorted(amounts.items())), ids)


def _sifted(
    text: MonthText,
    past: Past,
    month: str,
    billing: BillingSettings,
    *,
    also: Collection[str],
    most_rows: int,
) -> _Sifted:
    """Holds every row of the month, and every adjustment, against what the ledger has billed.

    `also`: customers of whom nothing is simply billed. So are test customers, and those who had a row that has gone.
    """
    billed = past.view.billed
    counts: Counter[str] = Counter()
    amounts: dict[str, Counter[str]] = {}
    unbilled = [_UNBILLED.empty_table()]
    customers = {*also, *text.test_customers(), *past.view.gone["customer_number"]}
    not_billable: dict[str, list[pa.Array]] = {SERVICE: [], FEE: []}
    for part in text.portions(most_rows):
        rows = source_rows(part, billing.rules, month, billing.timezone, ())
        is_billed, simply = _billed_as_they_are(rows, billed)
        never = all_of(
            negation(is_billed), negation(array(rows["billable"])), pc.is_null(array(rows["unknown_status"]))
        )
        customers |= distinct(where(rows, negation(any_of(simply, never)))["customer_number"])
        for kind, ids in not_billable.items():
            ids.append(
                array(rows["source_id"]).filter(all_of(never, pc.equal(array(rows["source_kind"]), kind)))
            )
        own = with_columns(rows, net=nets_of(rows), is_billed=is_billed).pipe(
            where, pc.equal(array(rows["month"]).fill_null(month), month)
        )
        own_billed, own_unbilled = (
            where(own, mask)[_UNBILLED.names]
            for mask in (array(own["is_billed"]), negation(array(own["is_billed"])))
        )
        counts["billed"] += len(own_billed)
        _add_up(amounts, "billed", own_billed)
        unbilled.append(pa.Table.from_pandas(own_unbilled, _UNBILLED, preserve_index=False))
    adjusted = source_rows(
        no_extract(), billing.rules, month, billing.timezone, map(as_adjustment, past.adjustments)
    )
    _, simply = _billed_as_they_are(adjusted, billed)
    customers |= distinct(where(adjusted, negation(simply))["customer_number"])
    table = pa.concat_tables(unbilled).combine_chunks()
    return _Sifted(
        counts,
        amounts,
        frame_of({name: table[name] for name in table.column_names}),
        frozenset(customers),
        {kind: pa.chunked_array(ids, TEXT) for kind, ids in not_billable.items()},
    )


def _billed_as_they_are(rows: pd.DataFrame, billed: pd.DataFrame) -> tuple[pa.Array, pa.Array]:
    """Whether each source row is billed; and whether it is simply billed, which leaves nothing to tell of it."""
    known = where(billed, pc.is_in(array(billed["source_id"]), array(rows["source_id"])))
    place = index_of(
        *(array(rows[name]) for name in ("source_kind", "source_id")),
        *(array(known[name]) for name in ("source_kind", "source_id")),
    )
    same = pc.equal(array(rows["fingerprint"]), array(known["fingerprint"]).take(place))
    return pc.is_valid(place), all_of(same, array(rows["billable"]))


def _standings(
    text: MonthText,
    customer_numbers: pa.Array,
    past: Past,
    month: str,
    ledger: Ledger,
    billing: BillingSettings,
) -> pd.DataFrame:
    """`ROW_STANDINGS` of these customers, as if the month were run now."""
    named = set(customer_numbers.to_pylist())
    gone = past.view.gone
    theirs = replace(
        past,
        view=replace(past.view, gone=where(gone, pc.is_in(array(gone["customer_number"]), customer_numbers))),
        adjustments=tuple(one for one in past.adjustments if one.customer_number in named),
    )
    extract = text.of_customers(customer_numbers)
    return bill_extract(extract, month, theirs, ledger=ledger, billing=billing, of_every_row=True).standings


def _looked_at_together(
    text: MonthText, customers: Collection[str], sharing: Collection[str], most_rows: int
) -> Iterator[pa.Array]:
    """These customers, in portions of about so many rows; those who share a key with others are in one."""
    if sharing:
        yield pa.array(sorted(sharing), TEXT)
    others = pa.array(sorted(set(customers) - set(sharing)), TEXT)
    owners = pa.chunked_array(
        [
            *text.services["customer_number"].chunks,
            *text.cancellation_fees["customer_number"].chunks,
        ],
        TEXT,
    )
    owned = owners.filter(pc.is_in(owners, others)).combine_chunks()
    # One more of each: some have no row but an adjustment, or one that has gone.
    yield from portions_of_customers(pa.concat_arrays([owned, others]), most_rows)


def _sharing_customers(text: MonthText) -> set[str]:
    """The customers of a service or fee whose id another row has too: a fault of each, seen only with all of them."""
    found: set[str] = set()
    for rows, key in ((text.services, "service_id"), (text.cancellation_fees, "fee_id")):
        counted = pc.value_counts(rows[key])
        twice = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
        found.update(rows["customer_number"].filter(pc.is_in(rows[key], twice)).to_pylist())
    return found


def _add_up(amounts: dict[str, Counter[str]], name: str, rows: pd.DataFrame) -> None:
    """Adds the net of these rows, as far as it is known, to the amounts of that name."""
    known = where(rows, pc.is_valid(array(rows["net"])))
    sums = pa.table({column: array(known[column]) for column in ("currency", "net")})
    for row in sums.group_by("currency").aggregate([("net", "sum")]).to_pylist():
        amounts.setdefault(row["currency"], Counter(billed=0, open=0))[name] += row["net_sum"]
