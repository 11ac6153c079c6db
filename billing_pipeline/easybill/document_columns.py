"""The documents of many customers as columns: what checks, files and stored JSON of a month are made of, in one pass.

A column is an Arrow array, with one value per document or one per line. `Document` is the same for one customer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import TEXT, by_distinct, constant, in_one_chunk, in_portions
from billing_pipeline.billing.rules import Rules
from billing_pipeline.billing.tax import canonical_tax_type
from billing_pipeline.easybill.document import (
    CUSTOMER_FIELDS,
    Document,
    DocumentLine,
    FramesDisagree,
    file_name,
    purchase_date,
)

MOST_LINES: Final = 20_000
"""Lines of one slice of a month: what is made of a slice is in memory at once, and must fit Arrow's 2 GB of text."""

Columns = Mapping[str, pa.Array]

_OTHER_LINE_BREAK: Final = r"\r\n|[\r\x{2028}\x{2029}]"
"""Every line break that OMS text may hold and that is not `\\n` (in RE2's syntax)."""

_HEAD: Final = (
    *("customer_number", "month", "revision", "order_number", "file_name", "currency", "price_basis"),
    *("purchase_date", "net", "vat", "gross"),
)
_LINE: Final = tuple(one.name for one in fields(DocumentLine) if one.name != "sources")
_SOURCES: Final = ("source_ids", "source_fingerprints")
_AMOUNTS: Final = frozenset({"net", "vat", "gross", "unit_price_net"})
_AMOUNT: Final = pa.decimal128(30, 0)
_MOST_DIGITS: Final = 38
_NUMBERS: Final = frozenset({"quantity", "file_quantity", "file_price"})
_KINDS: Final = {
    "position": pa.int64(),
    "vat_basis_points": pa.int64(),
    "revision": pa.int64(),
    "performed_on": pa.date32(),
    "purchase_date": pa.date32(),
}
"""What is neither an amount, nor a number with decimals, nor text."""


@dataclass(frozen=True)
class DocumentColumns:
    """Documents as columns. Amounts in minor units; every text has `\\n` as its only line break.

    `heads`: one value per document: its fields, and those of its customer as `customer.<field>`. `lines`: one value
    per line, by document and position: the fields of `DocumentLine`, with `source_ids` and `source_fingerprints`.
    `ends`: for each document, how many lines there are up to its last one.
    """

    heads: Columns
    lines: Columns
    ends: npt.NDArray[np.int64]

    @classmethod
    def of(cls, documents: Sequence[Document]) -> DocumentColumns:
        """These documents, whose customers have the same fields."""
        lines = [line for document in documents for line in document.lines]
        heads = {name: _array(name, [getattr(one, name) for one in documents]) for name in _HEAD}
        heads |= {
            f"customer.{name}": pa.array([one.customer[name] for one in documents], TEXT)
            for name in (documents[0].customer if documents else ())
        }
        columns = {name: _array(name, [getattr(line, name) for line in lines]) for name in _LINE}
        for name, part in zip(_SOURCES, ("source_id", "fingerprint"), strict=True):
            columns[name] = pa.array(
                [[getattr(source, part) for source in line.sources] for line in lines], pa.list_(TEXT)
            )
        return cls(heads, columns, np.cumsum([len(one.lines) for one in documents], dtype=np.int64))

    @classmethod
    def from_json(cls, data: bytes) -> DocumentColumns:
        """The document of which `Document.to_json` made these bytes. Raises ValueError for anything else."""
        try:
            record: dict[str, Any] = json.loads(data)
            lines: list[dict[str, Any]] = record["lines"]
            heads = {name: _array_of_json(name, [record[name]]) for name in _HEAD}
            heads |= {f"customer.{name}": pa.array([text], TEXT) for name, text in record["customer"].items()}
            columns = {name: _array_of_json(name, [line[name] for line in lines]) for name in _LINE}
            for place, name in enumerate(_SOURCES):
                columns[name] = pa.array(
                    [[source[place] for source in line["sources"]] for line in lines], pa.list_(TEXT)
                )
            return cls(heads, columns, np.array([len(lines)], dtype=np.int64))
        except (TypeError, KeyError, AttributeError, IndexError, pa.ArrowException) as fault:
            raise ValueError(f"these bytes are not a document: {fault}") from fault

    def __len__(self) -> int:
        return len(self.ends)

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """For each document, how many lines there are before its first one."""
        return np.concatenate(([0], self.ends[:-1])) if len(self) else self.ends

    @cached_property
    def document_of_line(self) -> pa.Array:
        """For each line the place of its document: to `take` a column of documents for every line."""
        return pa.array(np.repeat(np.arange(len(self)), self.ends - self.starts))

    def take(self, places: Sequence[int]) -> DocumentColumns:
        """The documents at these places."""
        if list(places) == list(range(len(self))):
            return self
        counts = (self.ends - self.starts)[list(places)]
        of_lines = pa.array(
            np.concatenate([np.arange(self.starts[one], self.ends[one]) for one in places] or [np.arange(0)])
        )
        return DocumentColumns(
            {name: column.take(pa.array(places, pa.int64())) for name, column in self.heads.items()},
            {name: column.take(of_lines) for name, column in self.lines.items()},
            np.cumsum(counts, dtype=np.int64),
        )

    def some_lines_at_a_time(self) -> Iterator[DocumentColumns]:
        """The same documents, each time with `MOST_LINES` of all their lines, in order."""
        count = int(self.ends[-1]) if len(self) else 0
        for start in range(0, count, MOST_LINES):
            yield DocumentColumns(
                self.heads,
                {name: column[start : start + MOST_LINES] for name, column in self.lines.items()},
                np.clip(self.ends - start, 0, min(MOST_LINES, count - start)),
            )

    def of_each_line(self, texts: Callable[[DocumentColumns], pa.Array]) -> pa.Array:
        """A text of each line, made of some lines at a time: on its way every cell is one, and all of them many."""
        parts = list(map(texts, self.some_lines_at_a_time()))
        return parts[0] if len(parts) == 1 else pa.concat_arrays([*parts, pa.array([], TEXT)])

    def joined_lines(self, texts: pa.Array, separator: str = "") -> pa.Array:
        """For each document the texts of its lines, one after the other."""
        offsets = pa.array(np.concatenate(([0], self.ends)), pa.int32())
        return pc.binary_join(pa.ListArray.from_arrays(offsets, texts), separator)

    def json(self) -> pa.Array:
        """For each document its canonical JSON (`Document.to_json`), as text."""
        customer = {
            name.removeprefix("customer."): _json_value(column)
            for name, column in self.heads.items()
            if name.startswith("customer.")
        }
        return _json_record(
            {name: _json_value(self.heads[name]) for name in _HEAD}
            | {
                "customer": [_json_record(customer) if customer else constant("{}", TEXT, len(self))],
                # No name for what it is made of: of a customer with very many lines each such text is as large as all.
                "lines": ["[", self.joined_lines(self.of_each_line(DocumentColumns._lines_json), ","), "]"],
            }
        )

    def _lines_json(self) -> pa.Array:
        """For each line its JSON."""
        pairs = _json_objects(
            '["', _json_text(self.lines["source_ids"].flatten()), '","',
            _json_text(self.lines["source_fingerprints"].flatten()), '"]',
        )  # fmt: skip
        offsets = pa.array(
            np.concatenate(([0], np.cumsum(pc.list_value_length(self.lines["source_ids"]).to_numpy()))),
            pa.int32(),
        )
        sources = pc.binary_join(pa.ListArray.from_arrays(offsets, pairs), ",")
        return _json_record(
            {name: _json_value(self.lines[name]) for name in _LINE} | {"sources": ["[", sources, "]"]}
        )


def month_columns(
    lines: pd.DataFrame,
    totals: pd.DataFrame,
    customers: pd.DataFrame,
    *,
    month: str,
    rules: Rules,
    revisions: Mapping[str, int],
    most_lines: int = MOST_LINES,
) -> Iterator[DocumentColumns]:
    """One document per row of `totals`, by customer number (code points); its lines by position. In slices.

    `revisions`: by customer number, 1 for all others. Line breaks of any kind become `\\n` here, so that every format
    writes the same text. Raises FramesDisagree where the frames are not of one extract: a customer of the totals is
    missing or stands twice in `customers`, or has other lines than the totals count.
    """
    total = _table(totals, ("customer_number", "currency", "line_count", "net", "vat", "gross"))
    total = total.sort_by("customer_number").combine_chunks()
    numbers = _column(total, "customer_number")
    line = _table(lines, ("customer_number", "price_basis", *_SOURCES, *_LINE))
    address = _table(customers, ("customer_number", *CUSTOMER_FIELDS))

    document = pc.index_in(_column(line, "customer_number"), numbers)
    keys = pa.table({"document": document, "position": line["position"]})
    order = pc.sort_indices(keys, [("document", "ascending"), ("position", "ascending")])
    # As billing leaves them: then the columns are looked at where they are, and nothing of a month is copied.
    is_in_order = np.array_equal(order.to_numpy(), np.arange(len(order)))
    counts = np.bincount(document.drop_null().to_numpy(), minlength=len(total))
    ends = np.cumsum(counts, dtype=np.int64)
    basis = _column(line, "price_basis").take(order[: ends[-1] if len(ends) else 0])
    firsts = pa.array(np.minimum(ends - counts, max(len(basis) - 1, 0)))
    bases = basis.take(firsts) if len(basis) else pa.nulls(len(total), TEXT)
    other = pc.not_equal(basis, bases.take(pa.array(np.repeat(np.arange(len(total)), counts))))
    mixed = set(np.repeat(np.arange(len(total)), counts)[other.to_numpy(zero_copy_only=False)].tolist())
    known = _column(address, "customer_number")
    twice = pc.value_counts(known)
    twice = twice.field("values").filter(pc.greater(twice.field("counts"), 1))
    places = pc.index_in(numbers, known)
    is_whole = pc.and_(pc.is_valid(places), pc.invert(pc.is_in(numbers, twice)))
    for place, (found, told, whole) in enumerate(
        zip(counts.tolist(), total["line_count"].to_pylist(), is_whole.to_pylist(), strict=True)
    ):
        if not whole or not found or found != told or place in mixed:
            raise FramesDisagree(
                f"month {month}: the lines and the customers of customer {numbers[place]} are not of one extract; "
                "materialise the month's assets again"
            )

    for portion in in_portions(ends, most_lines):
        before = ends[portion.start] - counts[portion.start]
        heads = {name: _column(total, name)[portion] for name in ("currency", "net", "vat", "gross")}
        heads |= {
            f"customer.{name}": _one_line_break(_column(address, name).take(places[portion]))
            for name in CUSTOMER_FIELDS
        }
        heads["customer.tax_type"] = by_distinct(canonical_tax_type, TEXT, heads["customer.tax_type"])
        own = slice(before, ends[portion.stop - 1])
        columns = {
            name: _one_line_break(cells[own] if is_in_order else cells.take(order[own]))
            for name, cells in ((name, _column(line, name)) for name in (*_LINE, *_SOURCES))
        }
        of_slice = ends[portion] - before
        yield DocumentColumns(
            heads
            | {"price_basis": bases[portion]}
            | _names(numbers[portion], month, rules, revisions, columns["performed_on"], of_slice),
            columns,
            of_slice,
        )


def _names(
    numbers: pa.Array,
    month: str,
    rules: Rules,
    revisions: Mapping[str, int],
    performed_on: pa.Array,
    ends: npt.NDArray[np.int64],
) -> dict[str, pa.Array]:
    """What each customer's document is called, and its date."""
    named = numbers.to_pylist()
    revised = [revisions.get(number, 1) for number in named]
    starts = [0, *ends[:-1].tolist()]
    return {
        "customer_number": numbers,
        "month": constant(month, TEXT, len(named)),
        "revision": pa.array(revised, pa.int64()),
        "order_number": pa.array(
            [rules.order_number(month, *one) for one in zip(named, revised, strict=True)], TEXT
        ),
        "file_name": pa.array([file_name(month, *one) for one in zip(named, revised, strict=True)], TEXT),
        "purchase_date": pa.array(
            [
                purchase_date(
                    rules.for_customer(number).purchase_date, month, pc.max(performed_on[start:end]).as_py()
                )
                for number, start, end in zip(named, starts, ends.tolist(), strict=True)
            ],
            pa.date32(),
        ),
    }


def plain_numbers(numbers: pa.Array) -> pa.Array:
    """Each number as text with as few decimals as it needs, as `document.plain`."""
    text = numbers.cast(TEXT)
    if pa.types.is_decimal(numbers.type) and numbers.type.scale > 0:
        return pc.ascii_rtrim(pc.ascii_rtrim(text, "0"), ".")
    return text


def _array(name: str, values: Sequence[Any]) -> pa.Array:
    """The values of a field of documents or lines."""
    if name in _AMOUNTS:
        return pa.array(values, _AMOUNT)
    if name in _NUMBERS:
        scale = max((-int(value.as_tuple().exponent) for value in values), default=0)
        return pa.array(values, pa.decimal128(_MOST_DIGITS, max(scale, 0)))
    return pa.array(values, _KINDS.get(name, TEXT))


def _array_of_json(name: str, values: Sequence[Any]) -> pa.Array:
    """The values of a field of documents or lines, as JSON has them: numbers with decimals, and dates, as text."""
    if name in _NUMBERS:
        scale = max((len(value.partition(".")[2]) for value in values), default=0)
        return pa.array(values, TEXT).cast(pa.decimal128(_MOST_DIGITS, scale))
    if _KINDS.get(name) == pa.date32():
        return pa.array(values, TEXT).cast(pa.date32())
    return _array(name, values)


def _table(frame: pd.DataFrame, columns: Sequence[str]) -> pa.Table:
    return pa.Table.from_pandas(frame[list(columns)], preserve_index=False)


def _column(table: pa.Table, name: str) -> pa.Array:
    return in_one_chunk(table[name])


def _one_line_break(column: pa.Array) -> pa.Array:
    """A text with `\\n` as its only line break, null as empty; any other column as it is."""
    if not pa.types.is_string(column.type):
        return column
    if pc.any(pc.match_substring_regex(column, "[\r\u2028\u2029]")).as_py():
        column = pc.replace_substring_regex(column, _OTHER_LINE_BREAK, "\n")
    return column.fill_null("")


Parts = Sequence[str | pa.Array]
"""What makes up a text of each row: the same for all rows, or one for each."""


def _json_record(values: Mapping[str, Parts]) -> pa.Array:
    """For each row an object with these keys, sorted."""
    parts: list[str | pa.Array] = []
    for name in sorted(values):
        parts += [f'{"," if parts else "{"}"{name}":', *values[name]]
    return _json_objects(*parts, "}")


def _json_objects(*parts: str | pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


def _json_value(column: pa.Array) -> Parts:
    """Each value as JSON: integers as numbers, everything else as text."""
    if pa.types.is_integer(column.type) or column.type == _AMOUNT:
        return [column.cast(TEXT)]
    if pa.types.is_decimal(column.type):
        return ['"', plain_numbers(column), '"']
    return ['"', _json_text(column.cast(TEXT)), '"']


def _json_text(column: pa.Array) -> pa.Array:
    """Each text as it stands between the quotes in JSON."""
    # One look, where four replacements would each copy what they find nothing in: ids, dates, most names.
    if not pc.any(pc.match_substring_regex(column, r'[\x00-\x1f"\\]')).as_py():
        return column
    if pc.any(pc.match_substring_regex(column, r"[\x00-\x08\x0b-\x1f]")).as_py():
        return pa.array([json.dumps(text, ensure_ascii=False)[1:-1] for text in column.to_pylist()], TEXT)
    for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t")):
        column = pc.replace_substring(column, character, escaped)
    return column


def documents_of(columns: Iterable[DocumentColumns]) -> Iterator[Document]:
    """The documents one by one, as objects: where single customers are looked at."""
    return (Document.from_json(text.as_py().encode()) for one in columns for text in one.json())
