"""What a cell of each column may be, derived from the layout: as one pattern per column, and as a pandera schema.

The pattern is the fast answer (fits or not) for the check of every file; the pandera schema, made of the same rules,
is the slow and complete one: every fault with its row, column and value. Neither knows what the file *should* say;
that is `check`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from billing_pipeline.easybill.document import FORBIDDEN_IN_TEXT
from billing_pipeline.easybill.layout import Column, Layout
from billing_pipeline.easybill.words import shortened

_DATES: Final = {
    "YYYY-MM-DD": r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])",
    "DD.MM.YYYY": r"(?:0[1-9]|[12][0-9]|3[01])\.(?:0[1-9]|1[0-2])\.[0-9]{4}",
}
_STRING: Final = pd.ArrowDtype(pa.string())


def _form(column: Column, layout: Layout) -> str:
    """The pattern of a filled cell of a number or date; a number has one way to be written."""
    if column.type == "date":
        return _DATES[layout.date_format]
    mark = re.escape(layout.decimal_mark)
    whole = "(?:0|[1-9][0-9]*)"
    if column.type == "quantity":
        fraction = f"(?:{mark}[0-9]{{0,{column.places - 1}}}[1-9])?" if column.places else ""
    else:
        fraction = f"{mark}[0-9]{{{column.places}}}" if column.places else ""
    return f"-?{whole}{fraction}"


def cell_patterns(layout: Layout) -> list[re.Pattern[str]]:
    """One pattern per column, for `fullmatch`: type, length and whether it may be empty, all in one."""
    patterns = []
    for column in layout.columns:
        if column.type == "constant":
            patterns.append(re.compile(re.escape(column.value)))
        elif column.type == "text":
            filled = r"(?s:(?=.*\S))" if column.required else ""
            patterns.append(re.compile(f"{filled}[^{FORBIDDEN_IN_TEXT}]{{0,{column.max_length or ''}}}"))
        else:
            form = _form(column, layout)
            patterns.append(re.compile(form if column.required else f"(?:{form})?"))
    return patterns


@lru_cache(maxsize=8)
def file_schema(layout: Layout) -> pandera.DataFrameSchema:
    """The pandera schema of the file's cells as text: the layout's columns, all of them, in its order."""
    return pandera.DataFrameSchema(
        {column.name: pandera.Column(_STRING, _rules(column, layout)) for column in layout.columns},
        strict=True,
        ordered=True,
        name=layout.name,
    )


def _rules(column: Column, layout: Layout) -> list[pandera.Check]:
    rules = []

    def rule(holds: Callable[[str], bool], says: str) -> None:
        rules.append(pandera.Check(holds, element_wise=True, error=says))

    if column.type == "constant":
        rule(lambda cell: cell == column.value, f"is not {column.value!r}")
        return rules
    if column.required:
        rule(lambda cell: bool(cell.strip()), "is required but empty")
    if column.type == "text":
        forbidden = re.compile(f"[{FORBIDDEN_IN_TEXT}]")
        rule(lambda cell: forbidden.search(cell) is None, "holds a control character")
        limit = column.max_length
        if limit is not None:
            rule(lambda cell: len(cell) <= limit, f"is longer than {limit} characters")
        return rules
    form = re.compile(_form(column, layout))
    kind = {
        "date": f"is no date {layout.date_format}",
        "decimal": f"is no number with {column.places} decimals",
        "quantity": f"is no number with at most {column.places} decimals and no more than it needs",
    }[column.type]
    rule(lambda cell: cell == "" or form.fullmatch(cell) is not None, kind)
    return rules


def schema_faults(rows: Sequence[Sequence[str]], layout: Layout) -> list[str]:
    """Every cell that is not as the layout says, by row (the first below the header is 1), column and value."""
    frame = pd.DataFrame(
        {
            column.name: pd.Series([row[index] for row in rows], dtype=_STRING)
            for index, column in enumerate(layout.columns)
        }
    )
    try:
        file_schema(layout).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as faults:
        cases = faults.failure_cases.sort_values(["index", "column"], kind="stable")
        return [
            f"row {int(case['index']) + 1}, {case['column']}: {shortened(str(case['failure_case']))} {case['check']}"
            for case in cases.to_dict("records")
        ]
    return []
