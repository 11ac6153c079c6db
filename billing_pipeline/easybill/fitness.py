"""Finds every value of a month that a layout cannot write: one pass over the columns of all documents of a layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import all_of, any_of, negation
from billing_pipeline.easybill.document import FORBIDDEN_IN_TEXT, plain
from billing_pipeline.easybill.document_columns import DocumentColumns
from billing_pipeline.easybill.layout import FIELDS, Column, Layout, cut
from billing_pipeline.problems import Code, Problem

_FORBIDDEN: Final = re.compile(f"[{FORBIDDEN_IN_TEXT}]")
# As RE2 writes it; no Arrow text holds surrogates.
_FORBIDDEN_IN_ARROW: Final = re.sub(r"\\u([0-9a-f]{4})", r"\\x{\1}", f"[{FORBIDDEN_IN_TEXT}]")

Fault = tuple[Code, pa.Array, Callable[[Any], str]]
"""Which values of a column have it, and what is said of one that does."""


def unfit_values(documents: DocumentColumns, layout: Layout) -> list[Problem]:
    """Every value that the layout cannot write, by document, in the order of the file; empty where all fit.

    A fault of a line names the OMS row it came from; one of the customer has an empty `source_id`.
    """
    found: dict[int, list[tuple[tuple[int, ...], Problem]]] = {}
    for place, problem in _basis_problems(documents, layout):
        found.setdefault(place, []).append(((-1,), problem))
    for index, column in enumerate(layout.columns):
        field = FIELDS.get(column.source)
        if field is None:
            continue
        values = field.values(documents)
        for rule, (code, mask, told) in enumerate(_faults(values, column, layout)):
            for row in np.flatnonzero(mask.fill_null(False).to_numpy(zero_copy_only=False)).tolist():
                place = documents.document_of_line[row].as_py() if field.of_line else row
                value = values[row].as_py()
                where, source_id = _place_of(documents, row) if field.of_line else ("The customer", "")
                problem = Problem(
                    code,
                    documents.heads["customer_number"][place].as_py(),
                    f"{where}: {told(value)}",
                    source_id,
                    _name(column),
                    cut(plain(value) if isinstance(value, Decimal) else str(value or "")),
                )
                found.setdefault(place, []).append(((index, row, rule), problem))
    problems: list[Problem] = []
    for _, of_document in sorted(found.items()):
        # Two columns may have one source (sku and item_number): one fault is told once.
        once: dict[tuple[str, str, str], Problem] = {}
        for _, problem in sorted(of_document, key=lambda one: one[0]):
            once.setdefault((problem.code, problem.source_id, problem.field), problem)
        problems += once.values()
    return problems


def _basis_problems(documents: DocumentColumns, layout: Layout) -> Iterator[tuple[int, Problem]]:
    for place, basis in enumerate(documents.heads["price_basis"].to_pylist()):
        if not layout.takes(basis):
            yield (
                place,
                Problem(
                    Code.LAYOUT_INVALID,
                    documents.heads["customer_number"][place].as_py(),
                    f"The lines add up {basis}, layout {layout.name} takes only {layout.price_basis} "
                    "prices: set the same price_basis in the rules and in the layout.",
                    field="price_basis",
                    value=basis,
                ),
            )


def _place_of(documents: DocumentColumns, row: int) -> tuple[str, str]:
    """The line at this row, for people, and the OMS row that it came from."""
    sources = documents.lines["source_ids"][row].as_py()
    return f"Line {documents.lines['position'][row]}", sources[0] if sources else ""


def _name(column: Column) -> str:
    return column.source.partition(".")[2]


def _faults(values: pa.Array, column: Column, layout: Layout) -> Iterator[Fault]:
    """The faults that a value of this column can have, in the order in which they are told."""
    name, filled = _name(column), None
    is_text = pa.types.is_string(values.type)
    if column.required:
        empty = pc.is_null(values)
        if is_text:
            empty = any_of(empty, pc.equal(values, ""), pc.utf8_is_space(values))
        filled = negation(empty)
        yield (
            Code.CUSTOMER_INCOMPLETE if column.source.startswith("customer.") else Code.TEXT_INVALID,
            empty,
            lambda value: (
                f"{name} is empty, and column {column.name} of layout {layout.name} is required: fill it in the OMS."
            ),
        )
    for code, mask, told in (_text_faults if is_text else _number_faults)(values, column, layout):
        yield code, mask if filled is None else all_of(filled, mask), told


def _text_faults(values: pa.Array, column: Column, layout: Layout) -> Iterator[Fault]:
    name = _name(column)
    forbidden = pc.match_substring_regex(values, _FORBIDDEN_IN_ARROW)
    yield (
        Code.TEXT_INVALID,
        forbidden,
        lambda text: (
            f"{name} holds U+{ord(_FORBIDDEN.findall(text)[0]):04X}, which no text may: remove it in the OMS."
        ),
    )
    if layout.encoding != "utf-8":
        yield (
            Code.TEXT_INVALID,
            all_of(pc.match_substring_regex(values, r"[^\x{00}-\x{ff}]"), negation(forbidden)),
            lambda text: (
                f"{name} cannot be written as {layout.encoding.upper()}: change it in the OMS, or the layout's "
                "encoding."
            ),
        )
    if column.max_length is not None:
        yield (
            Code.TEXT_TOO_LONG,
            pc.greater(pc.utf8_length(values), column.max_length),
            lambda text: (
                f"{name} has {len(text)} characters, column {column.name} of layout {layout.name} holds "
                f"{column.max_length}: shorten it in the OMS."
            ),
        )


def _number_faults(values: pa.Array, column: Column, layout: Layout) -> Iterator[Fault]:
    name = _name(column)
    if pa.types.is_decimal(values.type) and values.type.scale > column.places:
        yield (
            Code.LAYOUT_INVALID,
            pc.not_equal(pc.round(values, column.places, round_mode="towards_zero"), values),
            lambda value: (
                f"{name} has {len(plain(value).partition('.')[2])} decimals, column {column.name} of layout "
                f"{layout.name} only {column.places}: raise 'decimals' there if EASY Bill takes it."
            ),
        )
