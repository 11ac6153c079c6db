"""What each customer of a month gets: a checked file, or the reason why there is none.

Joins the steps of this room - document, fitness for the layout, bytes, independent check - for the customers of a
month. Used alike by the Dagster shell and by `preview`, so that a preview is the file. Stores and sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from billing_pipeline.billing.bill import BilledMonth
from billing_pipeline.easybill.blocking import document_problems
from billing_pipeline.easybill.check import check_csv
from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.layout import Layout
from billing_pipeline.easybill.render import render_csv
from billing_pipeline.problems import Code, Problem, problems_frame


@dataclass(frozen=True, slots=True)
class CustomerExport:
    """One customer's month. With outcome "rendered" there are a document and bytes that passed the check."""

    customer_number: str
    outcome: Literal["rendered", "blocked", "nothing_to_bill", "omitted"]
    problems: tuple[Problem, ...] = ()
    late_rows: int = 0
    reason: str = ""
    document: Document | None = None
    data: bytes | None = None
    layout: str = ""


def export_document(document: Document, layout: Layout, *, late_rows: int = 0) -> CustomerExport:
    """The document's file, read back and checked; or blocked, with every reason."""
    problems = document_problems(document, layout)
    data = b""
    if not problems:
        data = render_csv(document, layout)
        problems = [
            Problem(
                Code.LAYOUT_INVALID,
                document.customer_number,
                f"The file is not what layout {layout.name} and the lines say: {reason}. Nothing was sent; "
                f"report this with the file of `billing-pipeline preview {document.month} "
                f"--customer {document.customer_number}`.",
                source_id=document.order_number,
            )
            for reason in check_csv(data, document, layout)
        ]
    if problems:
        return CustomerExport(document.customer_number, "blocked", tuple(problems), late_rows=late_rows)
    return CustomerExport(
        document.customer_number,
        "rendered",
        late_rows=late_rows,
        document=document,
        data=data,
        layout=layout.name,
    )
