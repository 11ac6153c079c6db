"""A month in slices of customers, so that what is made on the way to lines never exists for the whole month at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.adjustments import Adjustment
from billing_pipeline.billing.arrow import TEXT, array, frame_of, freed_memory_is_reused, in_portions, where
from billing_pipeline.billing.late import LedgerView
from billing_pipeline.oms.extract import Extract
from billing_pipeline.problems import Problem

MOST_ROWS: Final = 15_000
"""Services and fees of one slice, unless one customer alone has more."""


@dataclass(frozen=True)
class Slice:
    """Some customers of a month, with what the ledger knows of their rows."""

    extract: Extract
    ledger: LedgerView
    adjustments: Sequence[Adjustment]
    also_wrong: Sequence[Problem]


def slices(
    extract: Extract,
    ledger: LedgerView,
    adjustments: Sequence[Adjustment],
    also_wrong: Sequence[Problem],
    *,
    most_rows: int = MOST_ROWS,
) -> Iterator[Slice]:
    """The month, each customer in exactly one slice, by customer number (code point); one slice if it is small."""
    owned = [array(frame["customer_number"]) for frame in (extract.services, extract.cancellation_fees)]
    if sum(map(len, owned)) <= most_rows:
        yield Slice(extract, ledger, adjustments, also_wrong)
        return
    others = [
        array(extract.customers["customer_number"]),
        array(ledger.gone["customer_number"]),
        pa.array([one.customer_number for one in adjustments], TEXT),
    ]
    owners = pa.concat_arrays([*owned, pc.unique(pa.concat_arrays(others))])
    with freed_memory_is_reused():
        for numbers in portions_of_customers(owners, most_rows):
            named = set(numbers.to_pylist())
            part = of_customers(extract, numbers)
            changed = [one for one in adjustments if one.customer_number in named]
            yield Slice(
                part,
                _of_rows(ledger, part, changed, numbers),
                changed,
                [one for one in also_wrong if one.customer_number in named],
            )


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
    columns = {}
    for name in list(frames[0].columns):
        parts = [array(frame.pop(name)) for frame in frames]
        columns[name] = _joined_texts(parts) if parts[0].type == TEXT else pa.concat_arrays(parts)
        del parts
    return frame_of(columns)


def _joined_texts(parts: list[pa.Array]) -> pa.Array:
    """The texts of all parts as one array, each part let go once it is copied: a month's titles are 35 MB."""
    if any(part.null_count for part in parts):
        return pa.concat_arrays(parts)
    lengths = [pc.binary_length(part).cast(pa.int64()) for part in parts]
    ends = np.cumsum(np.concatenate(lengths))
    if len(ends) and ends[-1] > np.iinfo(np.int32).max:
        raise pa.ArrowInvalid(f"{ends[-1]} bytes of text do not fit into one column")
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    data = np.empty(offsets[-1], np.uint8)
    at = 0
    while parts:
        part = parts.pop(0)
        own = np.frombuffer(part.buffers()[1], np.int32)[part.offset : part.offset + len(part) + 1]
        size = int(own[-1] - own[0])
        if size:
            data[at : at + size] = np.frombuffer(part.buffers()[2], np.uint8)[own[0] : own[-1]]
        at += size
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))


def portions_of_customers(owners: pa.Array, most_rows: int) -> Iterator[pa.Array]:
    """The customers, by number (code point), in portions of at most so many rows, or of one customer.

    `owners`: the customer of each row.
    """
    counted = pc.value_counts(owners)
    order = pc.sort_indices(counted.field("values"))
    numbers = counted.field("values").take(order)
    ends = np.cumsum(counted.field("counts").take(order).to_numpy())
    return (numbers[portion] for portion in in_portions(ends, most_rows))


def _of_rows(
    ledger: LedgerView, part: Extract, adjustments: Sequence[Adjustment], customer_numbers: pa.Array
) -> LedgerView:
    """What the ledger knows of these rows, whoever they were billed to, and of what these customers have no more."""
    ids = pa.concat_arrays(
        [
            array(part.services["service_id"]),
            array(part.cancellation_fees["fee_id"]),
            pa.array([one.adjustment_id for one in adjustments], TEXT),
        ]
    )
    return replace(
        ledger,
        billed=where(ledger.billed, pc.is_in(array(ledger.billed["source_id"]), ids)),
        census=where(ledger.census, pc.is_in(array(ledger.census["source_id"]), ids)),
        gone=_of(ledger.gone, customer_numbers),
    )


def _of(frame: pd.DataFrame, customer_numbers: pa.Array) -> pd.DataFrame:
    return where(frame, pc.is_in(array(frame["customer_number"]), customer_numbers))
