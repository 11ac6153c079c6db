"""What holds for every invoice line, as a pandera schema: the last look before lines leave this room.

Belongs here: laws that any line keeps, whatever the rules. Does not: what is wrong with the OMS's rows (`checks`): a
line that breaks a law here is a fault of this program, and no customer's.
"""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.amounts import minor_units_per_whole
from billing_pipeline.billing.arrow import array, by_distinct
from billing_pipeline.billing.lines import LINE_TYPES, LINES
from billing_pipeline.billing.vat import PER_WHOLE
from billing_pipeline.money import exponent_of, round_half_up_array
from billing_pipeline.problems import PipelineError


class LinesInvalid(PipelineError):
    """A line breaks a law of this program: nothing may be made of it."""


def proven(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines as they are. Raises LinesInvalid, naming law, customer and line, where one breaks a law."""
    try:
        _SCHEMA.validate(lines, lazy=True)
    except pandera.errors.SchemaErrors as fault:
        # A law of one column says more than what follows from it for the whole line.
        first = fault.failure_cases.sort_values("column", kind="stable", na_position="last").iloc[0]
        subject = "a line" if pd.isna(first["column"]) else first["column"]
        where = ""
        if not pd.isna(first["index"]):
            line = lines.iloc[int(first["index"])]
            where = f" in line {line['position']} of customer {line['customer_number']}"
        raise LinesInvalid(
            f"invoice lines: {subject} breaks the law {first['check']!r}{where}; "
            "nothing was made of the month: report this as a fault of the program"
        ) from None
    return lines


def _of_lines(law: pa.Array, lines: pd.DataFrame) -> pd.Series[bool]:
    return pd.Series(law.fill_null(False).to_numpy(zero_copy_only=False), index=lines.index)


def _are_counted(lines: pd.DataFrame) -> pd.Series[bool]:
    numbers = array(lines["customer_number"])
    counted = pc.add(pc.subtract(pa.array(range(len(lines)), pa.int32()), pc.index_in(numbers, numbers)), 1)
    return _of_lines(pc.equal(array(lines["position"]), counted), lines)


def _adds_up(lines: pd.DataFrame) -> pd.Series[bool]:
    return _of_lines(pc.equal(array(lines["gross"]), pc.add(array(lines["net"]), array(lines["vat"]))), lines)


def _ties(lines: pd.DataFrame) -> pd.Series[bool]:
    exponents = by_distinct(exponent_of, pa.int8(), array(lines["currency"]))
    major = pc.multiply(array(lines["file_quantity"]), array(lines["file_price"]))
    product = round_half_up_array(pc.multiply(major, minor_units_per_whole(exponents)), 0)
    is_gross = pc.equal(array(lines["price_basis"]), "gross")
    amount = pc.if_else(is_gross, array(lines["gross"]), array(lines["net"]))
    return _of_lines(pc.equal(product, amount.cast(pa.decimal128(19, 0))), lines)


def _has_sources(lines: pd.DataFrame) -> pd.Series[bool]:
    ids, fingerprints = (
        pc.list_value_length(array(lines[name])) for name in ("source_ids", "source_fingerprints")
    )
    return _of_lines(pc.and_(pc.greater(ids, 0), pc.equal(ids, fingerprints)), lines)


_CHECKS: Final[dict[str, list[Any]]] = {
    "line_type": [pandera.Check.isin(LINE_TYPES)],
    "vat_basis_points": [pandera.Check.in_range(0, PER_WHOLE)],
    "price_basis": [pandera.Check.isin(["gross", "net"])],
}

_SCHEMA: Final = pandera.DataFrameSchema(
    {
        field.name: pandera.Column(pd.ArrowDtype(field.type), checks=_CHECKS.get(field.name, []))
        for field in LINES
    },
    checks=[
        pandera.Check(_are_counted, name="positions count up from 1 within each customer"),
        pandera.Check(_adds_up, name="gross = net + vat"),
        pandera.Check(_ties, name="file_quantity × file_price is the amount on the price basis"),
        pandera.Check(_has_sources, name="every line has its source rows, each with a fingerprint"),
    ],
    strict=True,
    ordered=True,
)
