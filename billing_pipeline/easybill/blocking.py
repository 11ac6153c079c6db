"""What keeps a document from being written in a layout: problems that block its customer before rendering.

Belongs here: whether every value fits its column. Does not: whether the OMS rows are right (`oms/`, `billing/`), nor
whether written bytes are (`check`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from billing_pipeline.easybill.document import FORBIDDEN_IN_TEXT, Document, DocumentLine, plain
from billing_pipeline.easybill.fields import FIELDS, Value
from billing_pipeline.easybill.layout import Column, Layout
from billing_pipeline.easybill.words import cut
from billing_pipeline.problems import Code, Problem

_FORBIDDEN = re.compile(f"[{FORBIDDEN_IN_TEXT}]")


def document_problems(document: Document, layout: Layout) -> list[Problem]:
    """Every value of the document that the layout cannot write, in the order of the file; empty where all fit.

    A fault of a line names the OMS row it came from; one of the customer has an empty `source_id`.
    """
    problems = []
    if not layout.takes(document.price_basis):
        problems.append(
            Problem(
                Code.LAYOUT_INVALID,
                document.customer_number,
                f"The lines add up {document.price_basis}, layout {layout.name} takes only {layout.price_basis} "
                "prices: set the same price_basis in the rules and in the layout.",
                field="price_basis",
                value=document.price_basis,
            )
        )
    for column in layout.columns:
        field = FIELDS.get(column.source)
        if field is None:
            continue
        if field.of_document is not None:
            problems += _value_problems(field.of_document(document), column, layout, document, None)
        elif field.of_line is not None:
            for line in document.lines:
                problems += _value_problems(field.of_line(document, line), column, layout, document, line)
    # Two columns may have one source (sku and item_number): one fault is told once.
    return list({(p.code, p.source_id, p.field): p for p in reversed(problems)}.values())[::-1]


def _value_problems(
    value: Value, column: Column, layout: Layout, document: Document, line: DocumentLine | None
) -> Iterator[Problem]:
    name = column.source.partition(".")[2]
    source_id = line.sources[0].source_id if line and line.sources else ""
    where = f"Line {line.position}" if line else "The customer"

    def problem(code: Code, message: str) -> Problem:
        text = plain(value) if isinstance(value, Decimal) else str(value or "")
        return Problem(code, document.customer_number, f"{where}: {message}", source_id, name, cut(text))

    if column.required and (value is None or (isinstance(value, str) and not value.strip())):
        yield problem(
            Code.CUSTOMER_INCOMPLETE if column.source.startswith("customer.") else Code.TEXT_INVALID,
            f"{name} is empty, and column {column.name} of layout {layout.name} is required: fill it in the OMS.",
        )
    elif isinstance(value, str):
        yield from (problem(code, message) for code, message in _text_faults(value, column, layout))
    elif isinstance(value, Decimal):
        decimals = len(plain(value).partition(".")[2])
        if decimals > column.places:
            yield problem(
                Code.LAYOUT_INVALID,
                f"{name} has {decimals} decimals, column {column.name} of layout {layout.name} only "
                f"{column.places}: raise 'decimals' there if EASY Bill takes it.",
            )


def _text_faults(text: str, column: Column, layout: Layout) -> Iterator[tuple[Code, str]]:
    name = column.source.partition(".")[2]
    if found := _FORBIDDEN.search(text):
        yield (
            Code.TEXT_INVALID,
            f"{name} holds U+{ord(found[0]):04X}, which no text may: remove it in the OMS.",
        )
    elif (
        layout.encoding != "utf-8" and text.encode(layout.encoding, "ignore").decode(layout.encoding) != text
    ):
        yield (
            Code.TEXT_INVALID,
            f"{name} cannot be written as {layout.encoding.upper()}: change it in the OMS, or the layout's encoding.",
        )
    if column.max_length is not None and len(text) > column.max_length:
        yield (
            Code.TEXT_TOO_LONG,
            f"{name} has {len(text)} characters, column {column.name} of layout {layout.name} holds "
            f"{column.max_length}: shorten it in the OMS.",
        )
