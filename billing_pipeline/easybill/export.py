"""What each customer of a month gets: a checked file, or the reasons why there is none.

Joins the steps of this room for the customers of a month: document, fitness for the layout, bytes, independent check.
A preview takes the same way as a run, so that a preview is the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

import pandas as pd
import pyarrow as pa

from billing_pipeline.billing.bill import BilledMonth
from billing_pipeline.billing.rules import Rules
from billing_pipeline.easybill.document import FORBIDDEN_IN_TEXT, Document, DocumentLine, documents, plain
from billing_pipeline.easybill.file_check import check_csv
from billing_pipeline.easybill.layout import FIELDS, Column, Layout, Value, cut
from billing_pipeline.easybill.render import render_csv
from billing_pipeline.problems import Code, Problem, problems_frame, problems_of


@dataclass(frozen=True, slots=True)
class CustomerExport:
    """One customer's month. With outcome "rendered" there are a document and bytes that passed the check.

    `problems` are why there is no file; `reason` is an omission's; `late_rows` wait for the next open month.
    """

    customer_number: str
    outcome: Literal["rendered", "blocked", "nothing_to_bill", "omitted"]
    problems: tuple[Problem, ...] = ()
    reason: str = ""
    late_rows: int = 0
    document: Document | None = None
    data: bytes | None = None
    layout: str = ""


def first_revision(customer_number: str) -> int:
    """The revision of a month that was never corrected."""
    return 1


def block_unfit(
    billed: BilledMonth,
    customers: pd.DataFrame,
    *,
    month: str,
    rules: Rules,
    layout_of: Callable[[str], Layout],
) -> BilledMonth:
    """The month with every customer blocked whose document does not fit their layout: a text too long, say.

    Found here, before any file is made, so that the month's problems are complete.
    """
    found = [
        problem
        for document in documents(billed.lines, billed.totals, customers, month=month, rules=rules)
        for problem in document_problems(document, layout_of(document.customer_number))
    ]
    if not found:
        return billed
    unfit = {problem.customer_number for problem in found}
    roster = billed.roster.copy()
    outcome = roster["outcome"].where(~roster["customer_number"].isin(unfit), "blocked")
    roster["outcome"] = outcome.astype(pd.ArrowDtype(pa.string()))
    return replace(
        billed,
        lines=_without(billed.lines, unfit),
        totals=_without(billed.totals, unfit),
        roster=roster,
        problems=pd.concat([billed.problems, problems_frame(found)], ignore_index=True),
    )


def export_customers(
    billed: BilledMonth,
    customers: pd.DataFrame,
    *,
    month: str,
    rules: Rules,
    layout_of: Callable[[str], Layout],
    only: Collection[str] | None = None,
    revision_of: Callable[[str], int] = first_revision,
) -> Iterator[CustomerExport]:
    """One export per customer of the month's roster, or of those `only` names, by customer number."""
    roster = (
        billed.roster if only is None else billed.roster[billed.roster["customer_number"].isin(list(only))]
    )
    wanted = set(roster["customer_number"])
    problems: dict[str, list[Problem]] = {}
    for problem in problems_of(billed.problems):
        problems.setdefault(problem.customer_number, []).append(problem)
    written = {
        document.customer_number: document
        for document in documents(
            billed.lines[billed.lines["customer_number"].isin(wanted)],
            billed.totals[billed.totals["customer_number"].isin(wanted)],
            customers,
            month=month,
            rules=rules,
            revision_of=revision_of,
        )
    }
    for row in roster.sort_values("customer_number").to_dict("records"):
        number = row["customer_number"]
        if row["outcome"] == "to_bill":
            export = export_document(written[number], layout_of(number))
            yield replace(export, late_rows=row["late_rows"])
        else:
            reasons = tuple(problems.get(number, ()))
            yield CustomerExport(number, row["outcome"], reasons, row["reason"], row["late_rows"])


def export_document(document: Document, layout: Layout) -> CustomerExport:
    """The document's file, read back and checked; or blocked, with every reason."""
    problems = document_problems(document, layout)
    if not problems:
        data = render_csv(document, layout)
        problems = file_problems(data, document, layout)
        if not problems:
            return CustomerExport(
                document.customer_number, "rendered", document=document, data=data, layout=layout.name
            )
    return CustomerExport(document.customer_number, "blocked", tuple(problems))


def file_problems(data: bytes, document: Document, layout: Layout) -> list[Problem]:
    """What the independent check finds in the file's bytes, as problems of its customer."""
    return [
        Problem(
            Code.LAYOUT_INVALID,
            document.customer_number,
            f"The file is not what layout {layout.name} and the lines say: {reason}. Nothing was sent; report this "
            f"with the file of `billing-pipeline preview {document.month} --customer {document.customer_number}`.",
            source_id=document.order_number,
        )
        for reason in check_csv(data, document, layout)
    ]


def _without(frame: pd.DataFrame, customer_numbers: Collection[str]) -> pd.DataFrame:
    return frame[~frame["customer_number"].isin(list(customer_numbers))].reset_index(drop=True)


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
