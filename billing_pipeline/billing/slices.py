"""A month in slices of customers, so that what is made on the way to lines never exists for the whole month at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.adjustments import Adjustment
from billing_pipeline.billing.arrow import TEXT, array, frame_of, in_portions, where
from billing_pipeline.billing.late import LedgerView
from billing_pipeline.oms.extract import Extract
from billing_pipeline.problems import Problem

MOST_ROWS: Final = 15_000
"""Services and fees of one slice, unless one customer alone has more."""

Places = npt.NDArray[np.int32]
"""The numbers of some rows of a frame, ascending."""


@dataclass(frozen=True)
class Slice:
    """Some customers of a month, with what the ledger knows of their rows."""

    extract: Extract
    ledger: LedgerView
    adjustments: Sequence[Adjustment]
    also_wrong: Sequence[Problem]


@dataclass(frozen=True)
class Slicing:
    """In which slice each id is. An id may be in several, where an OMS has given it to two customers' rows."""

    ids: pa.Array
    slice_of: npt.NDArray[np.int32]
    count: int

    @classmethod
    def of_portions(cls, portions: Sequence[pa.Array]) -> Slicing:
        """Each portion of ids is a slice."""
        lengths = [len(portion) for portion in portions]
        return cls(
            pa.concat_arrays([pa.array([], TEXT), *portions]),
            np.repeat(np.arange(len(portions), dtype=np.int32), lengths),
            len(portions),
        )

    def of(self, ids: pa.Array, owners: pa.Array) -> Slicing:
        """In which slice each of these ids is, by its owner; every owner is in exactly one."""
        return replace(
            self, ids=ids, slice_of=self.slice_of[pc.index_in(owners, value_set=self.ids).to_numpy()]
        )

    def places(self, ids: pa.Array | pa.ChunkedArray) -> list[Places]:
        """For each slice, which of these rows, by their id, are in it."""
        rows, numbers = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
        known, slice_of = self.ids, self.slice_of
        while len(known):
            found = pc.index_in(ids, value_set=known)
            rows.append(np.flatnonzero(found.is_valid()).astype(np.int32))
            numbers.append(slice_of[found.drop_null().to_numpy()])
            # What is in another slice too is looked for once more; nearly always that is nothing.
            again = slice_of != slice_of[pc.index_in(known, value_set=known).to_numpy()]
            known, slice_of = known.filter(pa.array(again)), slice_of[again]
        place, number = np.concatenate(rows), np.concatenate(numbers)
        order = np.lexsort((place, number))
        ends = np.cumsum(np.bincount(number, minlength=self.count))
        return np.split(place[order], ends[:-1])[: self.count]


def slices(
    extract: Extract,
    ledger: LedgerView,
    adjustments: Sequence[Adjustment],
    also_wrong: Sequence[Problem],
    *,
    most_rows: int = MOST_ROWS,
    let_go: bool = False,
) -> Iterator[Slice]:
    """The month, each customer in exactly one slice, by customer number (code point); one slice if it is small.

    `let_go`: the frames of extract and ledger are empty afterwards (`cut`), unless there is one slice alone.
    """
    owned = [array(frame["customer_number"]) for frame in (extract.services, extract.cancellation_fees)]
    changed = pa.array([one.customer_number for one in adjustments], TEXT)
    others = [array(frame["customer_number"]) for frame in (extract.customers, ledger.gone)]
    is_small = sum(map(len, owned)) <= most_rows
    owners = pa.concat_arrays([*owned, pc.unique(pa.concat_arrays([*others, changed]))])
    portions = [] if is_small else list(portions_of_customers(owners, most_rows))
    del owned, others, owners
    if len(portions) < 2:
        yield Slice(extract, ledger, adjustments, also_wrong)
        return
    of_customers = Slicing.of_portions(portions)
    cuts = (
        *_cuts_of_extract(extract, of_customers, let_go),
        *_cuts_of_ledger(ledger, _slicing_of_rows(extract, adjustments, of_customers), of_customers, let_go),
    )
    for numbers, (customers, services, tasks, fees, billed, census, gone) in zip(
        portions, zip(*cuts, strict=True), strict=True
    ):
        named = set(numbers.to_pylist())
        yield Slice(
            Extract(customers, services, tasks, fees),
            replace(ledger, billed=billed, census=census, gone=gone),
            [one for one in adjustments if one.customer_number in named],
            [one for one in also_wrong if one.customer_number in named],
        )


def _cuts_of_extract(
    extract: Extract, of_customers: Slicing, let_go: bool
) -> Iterator[Iterator[pd.DataFrame]]:
    """The four relations in the order of `Extract`."""
    services = extract.services
    of_services = of_customers.of(array(services["service_id"]), array(services["customer_number"]))
    for frame, key, slicing in (
        (extract.customers, "customer_number", of_customers),
        (services, "customer_number", of_customers),
        (extract.service_tasks, "service_id", of_services),
        (extract.cancellation_fees, "customer_number", of_customers),
    ):
        yield cut(frame, slicing.places(pa.array(frame[key])), let_go=let_go)


def _cuts_of_ledger(
    ledger: LedgerView, of_rows: Slicing, of_customers: Slicing, let_go: bool
) -> Iterator[Iterator[pd.DataFrame]]:
    """What is billed, the census, and what has gone.

    Of these rows, whoever they were billed to, and of what these customers have no more.
    """
    for frame, key, slicing in (
        (ledger.billed, "source_id", of_rows),
        (ledger.census, "source_id", of_rows),
        (ledger.gone, "customer_number", of_customers),
    ):
        yield cut(frame, slicing.places(pa.array(frame[key])), let_go=let_go)


def _slicing_of_rows(extract: Extract, adjustments: Sequence[Adjustment], of_customers: Slicing) -> Slicing:
    """In which slice each service, fee and adjustment is."""
    of_oms = ((extract.services, "service_id"), (extract.cancellation_fees, "fee_id"))
    ids = [array(frame[key]) for frame, key in of_oms]
    owners = [array(frame["customer_number"]) for frame, _ in of_oms]
    return of_customers.of(
        pa.concat_arrays([*ids, pa.array([one.adjustment_id for one in adjustments], TEXT)]),
        pa.concat_arrays([*owners, pa.array([one.customer_number for one in adjustments], TEXT)]),
    )


def cut(frame: pd.DataFrame, places: Sequence[Places], *, let_go: bool = False) -> Iterator[pd.DataFrame]:
    """The rows at these places, slice by slice, each with a fresh range index.

    `let_go`: all slices are made before the first is returned, column by column, and the frame is empty afterwards:
    with each slice that its reader lets go, its part of the month's memory is free.
    """
    if not let_go:
        whole = {name: array(frame[name]) for name in frame.columns}
        for place in places:
            yield frame_of({name: column.take(pa.array(place)) for name, column in whole.items()})
        return
    rows = [pa.array(place) for place in reversed(places)]
    columns: dict[str, list[pa.Array]] = {}
    for name in list(frame.columns):
        column = array(frame.pop(name))
        columns[name] = [column.take(of_slice) for of_slice in rows]
    del rows, column
    for _ in places:
        yield frame_of({name: of_slices.pop() for name, of_slices in columns.items()})


def of_customers(extract: Extract, customer_numbers: pa.Array) -> Extract:
    """The extract, with no rows but those of these customers."""
    services = _of(extract.services, customer_numbers)
    of_them = pc.is_in(array(extract.service_tasks["service_id"]), array(services["service_id"]))
    return Extract(
        customers=_of(extract.customers, customer_numbers),
        services=services,
        service_tasks=where(extract.service_tasks, of_them),
        cancellation_fees=_of(extract.cancellation_fees, customer_numbers),
    )


def concatenated(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all frames, which have the same columns, each column in one chunk.

    The frames are empty afterwards: they are let go column by column, for a month of lines is not to be there twice.
    """
    return frame_of(
        {
            name: pa.concat_arrays([array(frame.pop(name)) for frame in frames])
            for name in list(frames[0].columns)
        }
    )


def stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all frames, which have the same columns, each column in as many chunks: nothing is copied.

    For what is hardly looked at before it is written: `array` copies such a column at every look.
    """
    columns = {name: pa.chunked_array([array(frame[name]) for frame in frames]) for name in frames[0].columns}
    stack: pd.DataFrame = pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype)
    return stack


def portions_of_customers(owners: pa.Array, most_rows: int) -> Iterator[pa.Array]:
    """The customers, by number (code point), in portions of at most so many rows, or of one customer.

    `owners`: the customer of each row.
    """
    counted = pc.value_counts(owners)
    order = pc.sort_indices(counted.field("values"))
    numbers = counted.field("values").take(order)
    ends = np.cumsum(counted.field("counts").take(order).to_numpy())
    return (numbers[portion] for portion in in_portions(ends, most_rows))


def _of(frame: pd.DataFrame, customer_numbers: pa.Array) -> pd.DataFrame:
    return where(frame, pc.is_in(array(frame["customer_number"]), customer_numbers))
