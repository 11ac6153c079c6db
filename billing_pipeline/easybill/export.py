"""What each customer of a month gets: a checked file, or the reasons why there is none.

Joins the steps of this room for the customers of a month: documents, fitness for the layout, bytes, independent check.
A preview takes the same way as a run, so that a preview is the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

import pandas as pd
import pyarrow as pa

from billing_pipeline.billing.bill import BilledMonth
from billing_pipeline.billing.rules import Rules
from billing_pipeline.easybill.document import Document, FramesDisagree
from billing_pipeline.easybill.document_columns import DocumentColumns, month_columns
from billing_pipeline.easybill.file_check import FileChecker, check_csv
from billing_pipeline.easybill.fitness import unfit_values
from billing_pipeline.easybill.layout import Layout
from billing_pipeline.easybill.render import render_files
from billing_pipeline.problems import Code, Problem, problems_of

FILES_VERSION: Final = 2
"""How layouts and documents become files. Whoever changes which bytes are made of the same layout and document, or
which are refused (`FIELDS`, `fitness`, `render`, `file_check`), adds one: what is stored is then made anew."""


@dataclass(frozen=True, slots=True)
class CustomerFile:
    """A file that passed the check, and the canonical JSON of its document. Amounts in minor units of `currency`."""

    order_number: str
    file_name: str
    currency: str
    net: int
    vat: int
    gross: int
    line_count: int
    layout: str
    data: bytes
    document_json: bytes
    made_of: str
    """Hash of everything that decides `data`."""

    @property
    def document(self) -> Document:
        """The document, as an object."""
        return Document.from_json(self.document_json)


@dataclass(frozen=True, slots=True)
class CustomerExport:
    """One customer's month. With outcome "rendered" there is a file; "as_stored": the one that is stored already.

    `problems` are why there is none; `reason` is an omission's; `late_rows` wait for the next open month.
    """

    customer_number: str
    outcome: Literal["rendered", "as_stored", "blocked", "nothing_to_bill", "omitted"]
    problems: tuple[Problem, ...] = ()
    reason: str = ""
    late_rows: int = 0
    file: CustomerFile | None = None


def unfit_problems(
    billed: BilledMonth, customers: pd.DataFrame, *, month: str, rules: Rules, layouts: Mapping[str, Layout]
) -> list[Problem]:
    """Every value of the month that does not fit its customer's layout: a text too long, say.

    Found before any file is made, so that the month's problems are complete. `layouts`: by customer number.
    """
    return [
        problem
        for documents in month_columns(
            billed.lines, billed.totals, customers, month=month, rules=rules, revisions={}
        )
        for problem in _unfit(documents, layouts)
    ]


def export_customers(
    billed: BilledMonth,
    customers: pd.DataFrame,
    *,
    month: str,
    rules: Rules,
    layouts: Mapping[str, Layout],
    revisions: Mapping[str, int],
    stored: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[CustomerExport]:
    """One export per customer of the month's roster, by customer number.

    `layouts`: by customer number. `revisions` likewise, 1 for all others. `stored`: what the stored file of a customer
    was made of; who would get the same is "as_stored", and nothing of theirs is made again.
    """
    problems: dict[str, list[Problem]] = {}
    for problem in problems_of(billed.problems):
        problems.setdefault(problem.customer_number, []).append(problem)
    to_bill = billed.roster["customer_number"][billed.roster["outcome"] == "to_bill"]
    totals = billed.totals[billed.totals["customer_number"].isin(to_bill)]
    made = (
        export
        for documents in month_columns(
            billed.lines, totals, customers, month=month, rules=rules, revisions=revisions
        )
        for export in export_documents(documents, layouts, stored)
    )
    for row in billed.roster.sort_values("customer_number").to_dict("records"):
        number = row["customer_number"]
        if row["outcome"] != "to_bill":
            reasons = tuple(problems.get(number, ()))
            yield CustomerExport(number, row["outcome"], reasons, row["reason"], row["late_rows"])
            continue
        export = next(made, None)
        if export is None or export.customer_number != number:
            raise FramesDisagree(f"month {month}: customer {number} is to be billed and has no total")
        yield replace(export, late_rows=row["late_rows"])


def export_documents(
    documents: DocumentColumns, layouts: Mapping[str, Layout], stored: Mapping[str, str]
) -> Iterator[CustomerExport]:
    """The file of each document, read back and checked; or blocked, with every reason; or as it is stored."""
    numbers = documents.heads["customer_number"].to_pylist()
    exports: dict[str, CustomerExport] = {}
    for layout, places in _by_layout(numbers, layouts):
        for export in _exports(documents.take(places), layout, stored):
            exports[export.customer_number] = export
    for number in numbers:
        yield exports[number]


def _exports(
    documents: DocumentColumns, layout: Layout, stored: Mapping[str, str]
) -> Iterator[CustomerExport]:
    numbers = documents.heads["customer_number"].to_pylist()
    texts: list[bytes] = documents.json().cast(pa.binary()).to_pylist()
    made_of = _made_of(texts, layout)
    to_make = []
    for place, number in enumerate(numbers):
        if stored.get(number) == made_of[place]:
            yield CustomerExport(number, "as_stored")
        else:
            to_make.append(place)
    documents = documents.take(to_make)
    problems: dict[str, list[Problem]] = {}
    for problem in unfit_values(documents, layout):
        problems.setdefault(problem.customer_number, []).append(problem)
    for number, reasons in problems.items():
        yield CustomerExport(number, "blocked", tuple(reasons))
    fit = [place for place, old in enumerate(to_make) if numbers[old] not in problems]
    kept = [to_make[place] for place in fit]
    yield from _files(
        documents.take(fit), [texts[place] for place in kept], [made_of[place] for place in kept], layout
    )


def _made_of(documents: Collection[bytes], layout: Layout) -> list[str]:
    """For each document (canonical JSON) the hash of everything that decides its file's bytes."""
    how = hashlib.sha256(f"{FILES_VERSION}\n{layout.model_dump_json()}".encode()).digest()
    return [hashlib.sha256(how + hashlib.sha256(one).digest()).hexdigest() for one in documents]


def _files(
    documents: DocumentColumns, texts: list[bytes], made_of: list[str], layout: Layout
) -> Iterator[CustomerExport]:
    """The file of each document that fits the layout; or blocked, with what the check found.

    `texts`: each document's JSON.
    """
    heads = documents.heads
    names = ("customer_number", "month", "order_number", "file_name", "currency", "net", "vat", "gross")
    checker = FileChecker(documents, layout)
    counts = (documents.ends - documents.starts).tolist()
    for place, (data, head) in enumerate(
        zip(
            render_files(documents, layout),
            pa.table({name: heads[name] for name in names}).to_pylist(),
            strict=True,
        )
    ):
        number, month = head.pop("customer_number"), head.pop("month")
        problems = _as_problems(checker.faults(place, data), number, month, head["order_number"], layout)
        if problems:
            yield CustomerExport(number, "blocked", tuple(problems))
            continue
        yield CustomerExport(
            number,
            "rendered",
            file=CustomerFile(
                **head,
                line_count=counts[place],
                layout=layout.name,
                data=data,
                document_json=texts[place],
                made_of=made_of[place],
            ),
        )


def file_problems(data: bytes, document_json: bytes, layout: Layout) -> list[Problem]:
    """What the independent check finds in the file's bytes, as problems of its customer.

    Raises ValueError where the JSON is no document's.
    """
    document = DocumentColumns.from_json(document_json)
    number, month, order_number = (
        document.heads[name][0].as_py() for name in ("customer_number", "month", "order_number")
    )
    return _as_problems(check_csv(data, document, layout), number, month, order_number, layout)


def _as_problems(
    reasons: list[str], customer_number: str, month: str, order_number: str, layout: Layout
) -> list[Problem]:
    return [
        Problem(
            Code.LAYOUT_INVALID,
            customer_number,
            f"The file is not what layout {layout.name} and the lines say: {reason}. Nothing was sent; report this "
            f"with the file of `billing-pipeline preview {month} --customer {customer_number}`.",
            source_id=order_number,
        )
        for reason in reasons
    ]


def _unfit(documents: DocumentColumns, layouts: Mapping[str, Layout]) -> list[Problem]:
    """Every value that does not fit its customer's layout, by customer number."""
    found = [
        problem
        for layout, places in _by_layout(documents.heads["customer_number"].to_pylist(), layouts)
        for problem in unfit_values(documents.take(places), layout)
    ]
    return sorted(found, key=lambda problem: problem.customer_number)


def _by_layout(
    customer_numbers: list[str], layouts: Mapping[str, Layout]
) -> Iterator[tuple[Layout, list[int]]]:
    """Each layout, and the places of the customers who have it."""
    by_layout: dict[int, list[int]] = {}
    for place, number in enumerate(customer_numbers):
        by_layout.setdefault(id(layouts[number]), []).append(place)
    for places in by_layout.values():
        yield layouts[customer_numbers[places[0]]], places
