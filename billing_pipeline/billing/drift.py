"""Drift: billed rows that are no longer what was billed. They are told of, and never billed again silently.

Belongs here: finding them. Does not: what becomes of a file that would differ now (`delivery/` holds it).
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import all_of, array, each_row, negation, where, with_columns
from billing_pipeline.billing.late import LedgerView, place_of
from billing_pipeline.problems import Code, Problem


def drift(rows: pd.DataFrame, month: str, ledger: LedgerView) -> list[Problem]:
    """One CHANGED_AFTER_DELIVERY for each billed row that differs now, is not billable any more, or has gone.

    `rows`: all source rows of the extract and the adjustments. Only of rows of `month` can it be said that they
    have gone: of earlier ones the extract has some. The customer is the one who was billed.
    """
    billed = ledger.billed
    place = place_of(
        *(array(billed["source_kind"]), array(billed["source_id"])),
        *(array(rows["source_kind"]), array(rows["source_id"])),
    )
    found = pc.is_valid(place)
    same = pc.equal(array(rows["fingerprint"]).take(place), array(billed["fingerprint"]))
    still_billable = array(rows["billable"]).take(place)
    told = with_columns(
        billed,
        says=pc.case_when(
            pc.make_struct(
                all_of(found, negation(same)),
                all_of(found, negation(still_billable)),
                all_of(negation(found), pc.equal(array(billed["month"]), month)),
            ),
            pa.scalar("has changed"),
            pa.scalar("is not billable any more"),
            pa.scalar("is no longer among the rows of its month"),
        ),
    ).pipe(lambda frame: where(frame, pc.is_valid(array(frame["says"]))))
    return [
        Problem(
            code=Code.CHANGED_AFTER_DELIVERY,
            customer_number=row.customer_number,
            source_id=row.source_id,
            message=f"{row.source_kind} {row.source_id} {row.says} since order {row.order_number} billed it, and is "
            f"not billed again: correct {row.billed_month} for customer {row.customer_number}, or leave it",
        )
        for row in each_row(told)
    ]
