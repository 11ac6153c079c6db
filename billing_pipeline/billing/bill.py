"""A month of the OMS becomes invoice lines, totals, a roster and problems: one pass over all rows.

Belongs here: who of the month's customers is billed, blocked, omitted, or has nothing to bill. Does not: the rules
by which lines are made, each of which has a module of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing import row_problems
from billing_pipeline.billing.adjustments import Adjustment
from billing_pipeline.billing.amounts import with_nets
from billing_pipeline.billing.arrow import (
    TEXT,
    all_of,
    any_of,
    array,
    negation,
    where,
    with_columns,
)
from billing_pipeline.billing.customers import with_customers, without_test_customers
from billing_pipeline.billing.drift import drift
from billing_pipeline.billing.late import LedgerView, with_standing
from billing_pipeline.billing.line_schema import proven
from billing_pipeline.billing.lines import invoice_lines
from billing_pipeline.billing.omissions import Omission, customer_reasons, leave_out
from billing_pipeline.billing.roster import members_of, omitted_of, roster_of
from billing_pipeline.billing.rows import source_rows
from billing_pipeline.billing.rules import Rules
from billing_pipeline.billing.totals import totals_of
from billing_pipeline.billing.vat import with_rates
from billing_pipeline.oms.extract import Extract
from billing_pipeline.problems import Problem, problems_frame


@dataclass(frozen=True)
class BilledMonth:
    """What is billed of a month; every frame by customer_number (code point).

    `lines`: `lines.LINES`. `totals`: `totals.TOTALS`. `roster`: `roster.ROSTER`. `problems`: why customers are
    blocked, as `problems.problems_frame`. `drift`: billed rows that have changed since, likewise; they block nobody.
    """

    lines: pd.DataFrame
    totals: pd.DataFrame
    roster: pd.DataFrame
    problems: pd.DataFrame
    drift: pd.DataFrame


def bill_month(
    extract: Extract,
    month: str,
    rules: Rules,
    *,
    timezone: str,
    ledger_view: LedgerView | None = None,
    omissions: Sequence[Omission] = (),
    adjustments: Iterable[Adjustment] = (),
    only_services: Collection[str] = (),
) -> BilledMonth:
    """What is billed of `month`, by the rules and what the ledger knows. Pure: the same input, the same frames.

    `extract` holds the rows of the month and of the earlier months in which late rows are looked for, and the
    customers of these and of the adjustments. `only_services`: bill these services and their fees alone.
    Raises LinesInvalid for a fault of this program; what is wrong with a customer's rows is a problem.
    """
    ledger = ledger_view or LedgerView.empty()
    customers = without_test_customers(extract.customers, extract.customers)
    rows = (
        source_rows(extract, rules, month, timezone, adjustments)
        .pipe(without_test_customers, extract.customers)
        .pipe(with_standing, month, ledger)
        .pipe(leave_out, month, omissions, rules.only_customers, only_services)
        .pipe(with_verdicts)
    )
    billed = (
        where(rows, array(rows["is_billed"]))
        .pipe(with_customers, customers, rules)
        .pipe(with_rates)
        .pipe(with_nets)
    )
    members = members_of(rows)
    omitted = omitted_of(rows, customer_reasons(members, month, omissions, rules.only_customers))
    judged = [number for number in members if number not in omitted]
    problems = _problems(
        rows, billed, customers[customers["customer_number"].isin(judged)], extract.service_tasks
    )
    blocked = {problem.customer_number for problem in problems}
    lines = invoice_lines(_of_others(billed, blocked), extract.service_tasks, timezone).pipe(proven)
    return BilledMonth(
        lines=lines,
        totals=totals_of(lines),
        roster=roster_of(rows, members, omitted, blocked),
        problems=problems_frame(problems),
        drift=problems_frame(drift(rows, month, ledger)),
    )


def with_verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with what becomes of them.

    `is_billed`: a line is made of it. `is_proven`: its faults are problems, since it is billed or stands in an open
    month. `is_left_out`, `is_waiting`: it would be billed, but was left out, or came too late.
    """
    billable, here, due, waiting, of_month = (
        array(rows[name]) for name in ("billable", "billed_here", "due", "waiting", "is_of_month")
    )
    kept = pc.is_null(array(rows["left_out"]))
    is_billed = all_of(billable, any_of(here, all_of(due, kept)))
    return with_columns(
        rows,
        is_billed=is_billed,
        is_proven=any_of(is_billed, all_of(due, kept, of_month)),
        is_left_out=all_of(billable, due, negation(kept), of_month),
        is_waiting=all_of(billable, waiting, kept),
    )


def _problems(
    rows: pd.DataFrame, billed: pd.DataFrame, customers: pd.DataFrame, tasks: pd.DataFrame
) -> list[Problem]:
    """Every problem of the rows and of these customers."""
    proven = where(rows, array(rows["is_proven"]))
    return row_problems.all_problems(
        faults=chain(
            row_problems.row_faults(proven),
            row_problems.task_faults(proven, tasks),
            row_problems.customer_faults(customers),
        ),
        judged=chain(
            row_problems.unknown_customers(proven, customers),
            row_problems.customer_problems(customers),
            row_problems.name_problems(billed, tasks),
            row_problems.price_problems(billed),
            row_problems.task_problems(billed, tasks),
            row_problems.vat_problems(billed),
            row_problems.currency_problems(billed),
        ),
    )


def _of_others(rows: pd.DataFrame, customer_numbers: Collection[str]) -> pd.DataFrame:
    named = pa.array(sorted(customer_numbers), TEXT)
    return where(rows, negation(pc.is_in(array(rows["customer_number"]), named)))
