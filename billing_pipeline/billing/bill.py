"""Bills a month: OMS rows become invoice lines, totals, problems, and a roster with each customer's outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import chain
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing import row_problems
from billing_pipeline.billing.adjustments import Adjustment
from billing_pipeline.billing.amounts import totals_of, with_nets, with_rates
from billing_pipeline.billing.arrow import (
    TEXT,
    all_of,
    any_of,
    array,
    distinct,
    frame_of,
    in_pairs,
    negation,
    where,
    with_columns,
)
from billing_pipeline.billing.customer_problems import (
    customer_faults,
    customer_problems,
    recipient_problems,
    vat_id_warnings,
)
from billing_pipeline.billing.kept_back import blocked_alone, kept_back_frame, unknown_statuses
from billing_pipeline.billing.late import LedgerView, with_ledger_status
from billing_pipeline.billing.limits import totals_over_limit
from billing_pipeline.billing.lines import invoice_lines, validated
from billing_pipeline.billing.negative_totals import negative_totals
from billing_pipeline.billing.omissions import Omission, customer_reasons, leave_out
from billing_pipeline.billing.rows import source_rows, with_customers, without_test_customers
from billing_pipeline.billing.rules import Rules
from billing_pipeline.billing.set_aside import set_aside, with_admitted
from billing_pipeline.billing.slices import MOST_ROWS, Slice, concatenated, of_customers, slices, stacked
from billing_pipeline.billing.standing import drift_of, in_order_of_customers, standings_of
from billing_pipeline.oms.extract import Extract
from billing_pipeline.problems import Problem, problems_frame

ROSTER: Final = pa.schema(
    [
        ("customer_number", TEXT),
        ("outcome", TEXT),  # to_bill, nothing_to_bill, omitted, blocked
        ("late_rows", pa.int32()),  # rows too late for this month, which wait for the next open one
        ("reason", TEXT),  # why the customer, or some of their rows, are left out; else ""
    ]
)
"""One row per customer of the month, by customer_number (code point)."""


@dataclass(frozen=True)
class BilledMonth:
    """A billed month; every frame is sorted by customer_number (code point).

    `lines`: `lines.LINES`. `totals`: `amounts.TOTALS`. `roster`: `ROSTER`. `problems`: why customers are blocked, as
    `problems.problems_frame`. `drift`: rows that have changed since they were billed, likewise; they block nobody.
    `standings`: `standing.ROW_STANDINGS`, of the month and of the earlier ones that were looked at.
    `kept_back`: rows that are not billed for a reason of their own, `kept_back.KEPT_BACK`. `warnings`: what else should
    be told, as problems; neither blocks anybody.
    """

    lines: pd.DataFrame
    totals: pd.DataFrame
    roster: pd.DataFrame
    problems: pd.DataFrame
    drift: pd.DataFrame
    standings: pd.DataFrame
    kept_back: pd.DataFrame
    warnings: pd.DataFrame

    def of_customers(self, customer_numbers: Collection[str]) -> BilledMonth:
        """The month, with nobody in it but these customers."""
        named = pa.array(customer_numbers, TEXT)
        return BilledMonth(
            **{
                name: where(frame, pc.is_in(array(frame["customer_number"]), named))
                for name, frame in vars(self).items()
            }
        )

    def with_customers_of(self, other: BilledMonth, customer_numbers: Collection[str]) -> BilledMonth:
        """The month, in which these customers are as in the other one."""
        named = list(customer_numbers)

        def joined(name: str) -> pd.DataFrame:
            mine, theirs = (getattr(one, name) for one in (self, other))
            parts = [
                mine[~mine["customer_number"].isin(named)],
                theirs[theirs["customer_number"].isin(named)],
            ]
            both: pd.DataFrame = pd.concat(parts).sort_values(
                "customer_number", kind="stable", ignore_index=True
            )
            return both

        return BilledMonth(**{name: joined(name) for name in vars(self)})


Unfit = Callable[[BilledMonth, pd.DataFrame], Sequence[Problem]]
"""What is wrong with customers of a billed month, whose rows in `customers` are the second argument."""


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
    also_wrong: Sequence[Problem] = (),
    of_every_row: bool = False,
    over_api: bool = False,
    unfit: Unfit = lambda billed, customers: (),
    most_rows: int = MOST_ROWS,
    let_go: bool = False,
) -> BilledMonth:
    """Bills `month` by the rules and what the ledger knows. Pure: the same input gives the same frames.

    `extract`: the rows of the month and of the earlier months in which late rows are looked for, with the customers of
    these rows and of the adjustments. `only_services`: bill only these services and their fees, if any are named.
    `also_wrong`: problems that were found elsewhere; as others, they block their customers, or a late row alone.
    `of_every_row`: see `standings_of`. `over_api`: drafts are made through EASY Bill's API, which knows more tax types
    than its CSV. `unfit`: finds what is wrong with billed customers elsewhere; they are billed once more without it.
    `most_rows`: of a slice of customers; nothing depends on it but memory. `let_go`: extract and ledger may be emptied
    on the way, for they are not asked again (`slices`).
    Raises LinesInvalid for a bug of this program; whatever is wrong with a customer's rows is a problem.
    """
    bill_customers = partial(
        _bill_customers,
        month=month,
        rules=rules,
        timezone=timezone,
        omissions=omissions,
        only_services=only_services,
        of_every_row=of_every_row,
        over_api=over_api,
    )
    ledger = ledger_view or LedgerView.empty()
    some = slices(extract, ledger, list(adjustments), also_wrong, most_rows=most_rows, let_go=let_go)
    return _joined([_bill_until_fit(one, bill_customers, unfit) for one in some])


def _bill_until_fit(some: Slice, bill: Callable[[Slice], BilledMonth], unfit: Unfit) -> BilledMonth:
    """The month of these customers, without what does not fit: a late row alone, or the month.

    Of late rows that were one line a problem names one; the others are found by looking again.
    """
    latest = billed = bill(some)
    wrong = list(some.also_wrong)
    while found := unfit(latest, some.extract.customers):
        wrong += found
        numbers = {problem.customer_number for problem in wrong}
        theirs = of_customers(some.extract, pa.array(sorted(numbers), TEXT))
        latest = bill(replace(some, extract=theirs, also_wrong=wrong)).of_customers(numbers)
        billed = billed.with_customers_of(latest, numbers)
    return billed


def _bill_customers(
    some: Slice,
    *,
    month: str,
    rules: Rules,
    timezone: str,
    omissions: Sequence[Omission],
    only_services: Collection[str],
    of_every_row: bool,
    over_api: bool,
) -> BilledMonth:
    """The month of these customers; see `bill_month`."""
    extract, ledger = some.extract, some.ledger
    customers = without_test_customers(extract.customers, extract.customers)
    read = source_rows(extract, rules, month, timezone, some.adjustments).pipe(with_admitted, ledger)
    rows = (
        read.pipe(without_test_customers, extract.customers)
        .pipe(with_ledger_status, month, ledger)
        .pipe(leave_out, month, omissions, rules.only_customers, only_services)
        .pipe(set_aside, month, ledger)
        .pipe(with_billing_flags)
    )
    everything = _to_bill(rows, customers, rules)
    of_rows = [
        *_row_problems(rows, everything, customers, extract.service_tasks, rules, timezone),
        *some.also_wrong,
    ]
    alone, rows = without_blocked_alone(rows, of_rows)
    billed = _to_bill(rows, customers, rules) if alone else everything
    members = members_of(rows)
    omitted = omitted_of(rows, customer_reasons(members, month, omissions, rules.only_customers))
    judged = customers[customers["customer_number"].isin(set(members) - omitted.keys())]
    recipients = judged[judged["customer_number"].isin(_newly_billed(billed))]
    problems = [
        *(problem for problem in of_rows if problem not in alone),
        *row_problems.all_problems(
            faults=customer_faults(judged),
            found=chain(customer_problems(judged), recipient_problems(recipients, rules, over_api=over_api)),
        ),
    ]
    lines = invoice_lines(
        _without_customers(billed, {problem.customer_number for problem in problems}),
        extract.service_tasks,
        timezone,
    ).pipe(validated)
    totals = totals_of(lines)
    # What was sent stands: rules of what an invoice must not get wrong judge what is billed now.
    problems += negative_totals(lines, totals, month, _newly_billed(billed), rules.language)
    problems += totals_over_limit(totals, rules, _newly_billed(billed))
    problems.sort(key=row_problems.in_order)
    blocked = {problem.customer_number for problem in problems}
    kept_back = kept_back_frame([*unknown_statuses(rows), *blocked_alone(everything, alone)])
    standings = standings_of(
        rows,
        _without_customers(read, distinct(rows["customer_number"])),
        extract.customers,
        month,
        rules,
        ledger,
        problems,
        kept_back,
        of_every_row=of_every_row,
    )
    return BilledMonth(
        lines=_without_customers(lines, blocked),
        totals=_without_customers(totals, blocked),
        roster=roster_of(rows, members, omitted, blocked),
        problems=problems_frame(problems),
        drift=problems_frame(drift_of(standings)),
        standings=standings,
        kept_back=kept_back,
        warnings=problems_frame(vat_id_warnings(recipients)),
    )


def with_billing_flags(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with flags for what becomes of each.

    `is_billed`: it becomes a line. `is_validated`: its faults are problems, because it is billed or belongs to the open
    month. `is_left_out`, `is_waiting`: it would be billed, but is left out, or comes too late. `is_set_aside`: only a
    person can say whether it would.
    """
    billable, here, due, waiting, of_month = (
        array(rows[name]) for name in ("billable", "billed_here", "due", "waiting", "is_of_month")
    )
    kept = pc.is_null(array(rows["left_out"]))
    known = pc.is_null(array(rows["unknown_status"]))
    is_billed = all_of(billable, any_of(here, all_of(due, kept)))
    return with_columns(
        rows,
        is_billed=is_billed,
        is_validated=any_of(is_billed, all_of(due, kept, of_month, known)),
        is_left_out=all_of(any_of(billable, negation(known)), due, negation(kept), of_month),
        # What has no month of its own does not wait for another one.
        is_waiting=all_of(billable, waiting, kept, pc.is_valid(array(rows["month"]))),
        is_set_aside=all_of(any_of(due, waiting), kept, negation(known)),
    )


def _joined(parts: Sequence[BilledMonth]) -> BilledMonth:
    """One month of its slices, which are in the order of their customers.

    A billed row that has another customer since is told under the one it was billed to, whose slice may be another.
    """
    if len(parts) == 1:
        return parts[0]
    joined = {
        field.name: (stacked if field.name == "lines" else concatenated)(
            [getattr(one, field.name) for one in parts]
        )
        for field in fields(BilledMonth)
    }
    standings = in_order_of_customers(joined["standings"])
    return BilledMonth(**joined | {"standings": standings, "drift": problems_frame(drift_of(standings))})


def members_of(rows: pd.DataFrame) -> list[str]:
    """The customers of the month, sorted: those with a row in it, or with a late row that it bills."""
    return sorted(_numbers(rows, "is_of_month") | _numbers(rows, "is_billed"))


def omitted_of(rows: pd.DataFrame, reasons: Mapping[str, str]) -> dict[str, str]:
    """Fully omitted customers with their reason, except those already delivered."""
    billed = _numbers(rows, "is_billed")
    return {number: reason for number, reason in reasons.items() if number not in billed}


def roster_of(
    rows: pd.DataFrame, members: Sequence[str], omitted: Mapping[str, str], blocked: Collection[str]
) -> pd.DataFrame:
    """`ROSTER` of these customers, by the flags of their rows."""
    waiting = Counter(array(rows["customer_number"]).filter(array(rows["is_waiting"])).to_pylist())
    to_bill = _numbers(rows, "is_billed")
    reasons: dict[str, set[str]] = {}
    left_out = where(rows, array(rows["is_left_out"]))
    for number, reason in zip(left_out["customer_number"], left_out["left_out"], strict=True):
        reasons.setdefault(number, set()).add(reason)

    def outcome(number: str) -> str:
        if number in omitted:
            return "omitted"
        if number in blocked:
            return "blocked"
        if number in to_bill:
            return "to_bill"
        return "omitted" if number in reasons else "nothing_to_bill"

    columns = (
        members,
        [outcome(number) for number in members],
        [waiting[number] for number in members],
        [omitted.get(number, "; ".join(sorted(reasons.get(number, ())))) for number in members],
    )
    return frame_of(
        {field.name: pa.array(column, field.type) for field, column in zip(ROSTER, columns, strict=True)}
    )


def without_blocked_alone(
    rows: pd.DataFrame, problems: Collection[Problem]
) -> tuple[list[Problem], pd.DataFrame]:
    """The problems that are of late rows, and the rows, of which these late ones are not billed any more.

    What is wrong with a late row keeps that row alone: its customer's month goes.
    """
    numbers, ids, is_late = (array(rows[name]) for name in ("customer_number", "source_id", "is_late"))
    named = frozenset((problem.customer_number, problem.source_id) for problem in problems)
    has_problem = in_pairs(numbers, ids, named)
    is_billed_late = all_of(array(rows["is_billed"]), is_late)
    late = where(rows, all_of(has_problem, is_billed_late, negation(array(rows["billed_here"]))))
    others = where(rows, all_of(has_problem, negation(is_billed_late)))
    faulty = frozenset(_owned(late) - _owned(others))
    alone = [problem for problem in problems if (problem.customer_number, problem.source_id) in faulty]
    is_faulty = all_of(is_late, in_pairs(numbers, ids, faulty))
    return alone, with_columns(rows, is_billed=all_of(array(rows["is_billed"]), negation(is_faulty)))


def _to_bill(rows: pd.DataFrame, customers: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """The rows that are billed, with their customers, rates and nets."""
    return (
        where(rows, array(rows["is_billed"]))
        .pipe(with_customers, customers, rules)
        .pipe(with_rates)
        .pipe(with_nets)
    )


def _row_problems(
    rows: pd.DataFrame,
    billed: pd.DataFrame,
    customers: pd.DataFrame,
    tasks: pd.DataFrame,
    rules: Rules,
    timezone: str,
) -> list[Problem]:
    """Every problem of the rows."""
    validated_rows = where(rows, array(rows["is_validated"]))
    return row_problems.all_problems(
        faults=chain(
            row_problems.row_faults(validated_rows), row_problems.task_faults(validated_rows, tasks)
        ),
        found=chain(
            row_problems.unknown_customers(validated_rows, customers),
            row_problems.name_problems(billed, tasks),
            row_problems.price_problems(billed, rules.language),
            row_problems.task_problems(billed, tasks, rules.language),
            row_problems.vat_problems(billed, rules.language),
            row_problems.rate_problems(_not_sent(billed), rules, timezone),
            row_problems.currency_problems(billed),
        ),
    )


def _not_sent(billed: pd.DataFrame) -> pd.DataFrame:
    return where(billed, negation(array(billed["billed_here"])))


def _newly_billed(billed: pd.DataFrame) -> set[str]:
    """The customers of whom something is billed that was not sent yet."""
    return distinct(_not_sent(billed)["customer_number"])


def _owned(rows: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(rows["customer_number"], rows["source_id"], strict=True))


def _without_customers(rows: pd.DataFrame, customer_numbers: Collection[str]) -> pd.DataFrame:
    named = pa.array(sorted(customer_numbers), TEXT)
    return where(rows, negation(pc.is_in(array(rows["customer_number"]), named)))


def _numbers(rows: pd.DataFrame, flag: str) -> set[str]:
    """The customers with a row for which the flag is true."""
    return set(pc.unique(array(rows["customer_number"]).filter(array(rows[flag]))).to_pylist())
