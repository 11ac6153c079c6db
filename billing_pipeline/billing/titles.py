"""The text of a line on the invoice.

The name; its description, if any; the date and location; the tasks, one below the other. The first line of a folded
line says quantity, unit and unit price. Belongs here: which text stands where. Does not: the words (`texts`).
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import (
    TEXT,
    all_of,
    array,
    by_distinct,
    joined,
    with_columns,
)
from billing_pipeline.billing.rows import ADJUSTMENT
from billing_pipeline.billing.texts import WORDS, quantity_text, service_dates_text
from billing_pipeline.money import format_minor

_FIRST_LINE = r"(?s)^(?P<first>[^\r\n\x{2028}\x{2029}]*)(?P<others>.*)$"


def with_titles(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines with their `title`."""
    is_dated = all_of(
        pc.not_equal(array(lines["source_kind"]), ADJUSTMENT),
        # The row of an itemised service has the date, those of its tasks below it do not.
        pc.equal(array(lines["part"]).fill_null(0), 0),
    )
    dates = by_distinct(
        service_dates_text,
        TEXT,
        *(array(lines[name]) for name in ("first_performed_on", "performed_on", "language")),
    )
    dated = joined(pc.if_else(is_dated, dates, None), array(lines["location"]), separator=", ")
    return with_columns(
        lines,
        title=joined(
            _heads(lines), array(lines["description"]), dated, array(lines["tasks_text"]), separator="\n"
        ),
    )


def _heads(lines: pd.DataFrame) -> pa.Array:
    head = array(lines["head"])
    parts = pc.extract_regex(head, _FIRST_LINE)
    units = pc.if_else(array(lines["folded"]), _unit_prices(lines), "")
    return pc.binary_join_element_wise(
        pc.struct_field(parts, "first"), units, pc.struct_field(parts, "others"), ""
    )


def _unit_prices(lines: pd.DataFrame) -> pa.Array:
    """Of each line " (0,333 h × 90,00 EUR netto)"."""
    quantities, prices = (
        by_distinct(function, TEXT, *(array(lines[name]) for name in names))
        for function, names in (
            (quantity_text, ("quantity", "language")),
            (format_minor, ("unit_price_net", "currency", "language")),
        )
    )
    net = by_distinct(lambda language: WORDS[language].net, TEXT, array(lines["language"]))
    quantities = joined(quantities, array(lines["unit"]), separator=" ")
    return pc.binary_join_element_wise(" (", quantities, " × ", prices, " ", net, ")", "")
