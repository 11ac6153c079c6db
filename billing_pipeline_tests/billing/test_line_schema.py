"""The last look at lines: what must hold for any of them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from billing_pipeline.billing.arrow import with_columns
from billing_pipeline.billing.lines import LinesInvalid, validated
from billing_pipeline_tests.support.billing import bill
from billing_pipeline_tests.support.frames import fee, service

LINES = bill(service(), fee()).lines


def test_good_lines_come_back_as_they_are() -> None:
    assert validated(LINES) is LINES


@pytest.mark.parametrize(
    ("column", "values", "rule"),
    [
        ("line_type", pa.array(["service", "gift"]), "line_type"),
        ("vat_basis_points", pa.array([1900, 10001], pa.int32()), "vat_basis_points"),
        ("gross", pa.array([17850, 1], pa.int64()), r"gross = net \+ vat"),
        (
            "file_quantity",
            pa.array([1, 2]).cast(pa.decimal128(19, 0)).cast(pa.decimal128(12, 3)),
            "file_quantity ×",
        ),
        ("source_ids", pa.array([["S-1"], []], pa.list_(pa.string())), "source rows"),
        ("position", pa.array([1, 1], pa.int32()), "positions count up"),
        ("net", pa.array([15000.0, 2500.0]), "net"),
        ("currency", pa.array(["EUR", None]), "currency"),
    ],
)
def test_a_line_that_breaks_a_rule_stops_the_month(column: str, values: pa.Array, rule: str) -> None:
    others: dict[str, Any] = {column: values}
    if column == "gross":
        others["price_basis"] = pa.array(["gross", "net"])
    with pytest.raises(LinesInvalid, match=rule):
        validated(with_columns(LINES, **others))


def test_the_message_names_the_line() -> None:
    with pytest.raises(LinesInvalid, match="in line 2 of customer 10023"):
        validated(with_columns(LINES, line_type=pa.array(["service", "gift"])))
