"""What each customer of a month gets: a checked file, or the reason why there is none.

Joins the steps of this room - document, fitness for the layout, bytes, independent check - for the customers of a
month. Used alike by the Dagster shell and by `preview`, so that a preview is the file. Stores and sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd
import pyarrow as pa

from billing_pipeline.billing.bill import BilledMonth
from billing_pipeline.billing.rules import Rules
from billing_pipeline.easybill.blocking import document_problems
from billing_pipeline.easybill.document import Document, documents
from billing_pipeline.easybill.file_check import check_csv
from billing_pipeline.easybill.layout import Layout
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
