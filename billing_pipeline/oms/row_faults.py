"""Faults of rows: what is wrong with a cell, as data on the row, and as a problem in words for people.

Belongs here: a frame's `faults` column, and an extract's problems read back from it. Does not: finding faults
(`conform`, `schemas`), or deciding whom they block (`billing/`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import pandas as pd
import pyarrow as pa

from billing_pipeline.oms.cells import NOT_UTF8_MARK
from billing_pipeline.oms.contract import Relation
from billing_pipeline.problems import Code, Problem

_SHOWN_CHARACTERS: Final = 80


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault of the row at place `row`. `value`: the cell's text, "" where it is NULL; control
    characters as escapes, so that it can be shown and stored anywhere."""

    row: int
    field: str
    code: Code
    value: str
    message: str


def fault_at(text: pa.Table, relation: Relation, row: int, field: str, code: Code, says: str) -> Fault:
    """The fault of one cell of the relation's text.

    `says` goes on after the field and its value, if it has one: what is wrong, and what to do.
    """
    key = {column: text[column][row].as_py() for column in relation.key}
    name = relation.row_name.format(**{column: _printable(value) for column, value in key.items()})
    cell = text[field][row].as_py()
    value = "" if cell is None else _printable(cell.removeprefix(NOT_UTF8_MARK))
    stands = field if cell is None else f'{field} "{_shortened(value)}"'
    return Fault(row, field, code, value, f"{name[:1].upper()}{name[1:]}: {stands} {says}")


def faults_column(faults: Iterable[Fault], length: int) -> pa.Array:
    """A `faults` column of `length` rows: null, or a JSON list of {"code", "field", "value", "message"}.

    The order within a row is by field and code, so that the same rows always give the same text.
    """
    by_row: dict[int, set[Fault]] = {}
    for fault in faults:
        by_row.setdefault(fault.row, set()).add(fault)
    texts = (_as_json(by_row[row]) if row in by_row else None for row in range(length))
    return pa.array(texts, pa.string())


def row_problems(frame: pd.DataFrame, source: str | None = None) -> Iterator[Problem]:
    """The problems in the `faults` of the frame's rows, which need a `customer_number`.

    `source` is the column that names the OMS row; None where the customer itself is meant.
    """
    faulty = frame[frame["faults"].notna()]
    names = [""] * len(faulty) if source is None else faulty[source]
    for customer_number, name, faults in zip(faulty["customer_number"], names, faulty["faults"], strict=True):
        for fault in json.loads(faults):
            yield Problem(
                code=Code(fault["code"]),
                customer_number=customer_number,
                source_id=name,
                field=fault["field"],
                value=fault["value"],
                message=fault["message"],
            )


def _as_json(faults: Iterable[Fault]) -> str:
    listed = [
        {"code": fault.code, "field": fault.field, "value": fault.value, "message": fault.message}
        for fault in sorted(faults)
    ]
    return json.dumps(listed, ensure_ascii=False)


def _printable(value: str) -> str:
    if value.isprintable():
        return value
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in value)


def _shortened(value: str) -> str:
    return value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}…"
