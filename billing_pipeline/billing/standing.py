"""The standing of every OMS row that is not simply billed: why it is not, and what a person can do about it.

A row has exactly one standing; of several that fit, the first of `STANDINGS`. What only a person can decide is set
aside: it blocks nobody, changes no customer's outcome, and waits until it is admitted, omitted or corrected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.amounts import MAX_MINOR, minor_units_per_whole
from billing_pipeline.billing.arrow import (
    MINOR,
    TEXT,
    all_of,
    any_of,
    array,
    by_distinct,
    each_row,
    frame_of,
    negation,
    where,
    with_columns,
)
from billing_pipeline.billing.late import GONE, LedgerView, index_of
from billing_pipeline.billing.omissions import NOT_A_CUSTOMER, NOT_A_SERVICE
from billing_pipeline.billing.rows import ADJUSTMENT, FEE, SERVICE, supported_exponent
from billing_pipeline.billing.rules import Rules
from billing_pipeline.billing.set_aside import state_fingerprints
from billing_pipeline.money import round_half_up_array
from billing_pipeline.problems import Code, Problem

STANDINGS: Final = ("billed", "omitted", "not_billable", "set_aside", "blocked", "late", "to_bill")
"""Every row has the first that fits; `billed` rows are noted where they have changed, or are gone from the OMS."""

ROW_STANDINGS: Final = pa.schema(
    [
        ("source_kind", TEXT),
        ("source_id", TEXT),
        ("customer_number", TEXT),
        ("month", TEXT),  # the row's own; of a row without an instant the month that was billed
        ("standing", TEXT),
        ("code", TEXT),  # of what needs a person, else ""
        ("message", TEXT),
        ("fingerprint", TEXT),  # how the row looked, status included; `GONE`
        ("related_id", TEXT),  # of a possible replacement: the row that has gone, else ""
        (
            "order_number",
            TEXT,
        ),  # of a billed row: what billed it; of a possible replacement: what billed that row
        ("net", MINOR),  # minor units; null where price, quantity or currency is not known
        ("currency", TEXT),
    ]
)
"""One row for each OMS row or adjustment that is not simply billed, or that has changed since it was."""

_FLAGS: Final = {SERVICE: "--service", FEE: "--fee"}


def standings_of(
    rows: pd.DataFrame,
    of_tests: pd.DataFrame,
    customers: pd.DataFrame,
    month: str,
    rules: Rules,
    ledger: LedgerView,
    problems: Sequence[Problem],
    kept_back: pd.DataFrame,
    *,
    of_every_row: bool = False,
) -> pd.DataFrame:
    """`ROW_STANDINGS` of the source rows after `set_aside` and `with_billing_flags`, by customer, kind and id.

    `of_tests`: the source rows of test customers. `problems`: why customers are blocked. `kept_back`: rows that are
    set aside or blocked alone. Rows that become a line have no entry, unless `of_every_row`: nothing is sent, and they
    are still to bill, or late.
    """
    kept = {(one.source_kind, one.source_id): one for one in each_row(kept_back)}
    blocked: dict[str, Problem] = {}
    faults: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        blocked.setdefault(problem.customer_number, problem)
        faults.setdefault((problem.customer_number, problem.source_id), problem)
    numbers = array(rows["customer_number"])
    becomes_line = all_of(
        array(rows["is_billed"]), negation(pc.is_in(numbers, pa.array(sorted(blocked), TEXT)))
    )
    is_billed = any_of(array(rows["billed_here"]), array(rows["billed_elsewhere"]))
    told = where(rows, negation(is_billed if of_every_row else any_of(becomes_line, is_billed)))
    told = told.pipe(_with_customers_currency, customers)
    found = [
        _standing_of(row, month, rules, blocked, faults, kept) | {"net": net, "fingerprint": fingerprint}
        for row, net, fingerprint in zip(
            each_row(told), net_amounts(told), state_fingerprints(told).to_pylist(), strict=True
        )
    ]
    tests = of_tests.pipe(_with_customers_currency, customers)
    found += [
        _entry(row, month, "not_billable", message="a test customer")
        | {"net": net, "fingerprint": fingerprint}
        for row, net, fingerprint in zip(
            each_row(tests), net_amounts(tests), state_fingerprints(tests).to_pylist(), strict=True
        )
    ]
    found += _drifted(where(rows, is_billed), ledger)
    found.sort(key=lambda one: (one["customer_number"], one["source_kind"], one["source_id"]))
    return frame_of(
        {field.name: pa.array([one[field.name] for one in found], field.type) for field in ROW_STANDINGS}
    )


def in_order_of_customers(standings: pd.DataFrame) -> pd.DataFrame:
    """`ROW_STANDINGS` by customer, kind and id (code points)."""
    keys = ("customer_number", "source_kind", "source_id")
    order = pc.sort_indices(
        pa.table({name: array(standings[name]) for name in keys}), [(name, "ascending") for name in keys]
    )
    return standings.take(order.to_numpy()).reset_index(drop=True)


def no_standings() -> pd.DataFrame:
    """`ROW_STANDINGS` of nothing."""
    frame: pd.DataFrame = ROW_STANDINGS.empty_table().to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def drift_of(standings: pd.DataFrame) -> list[Problem]:
    """One CHANGED_AFTER_DELIVERY per billed row that has changed since, is not billable any more, or is gone."""
    changed = where(standings, pc.equal(array(standings["code"]), str(Code.CHANGED_AFTER_DELIVERY)))
    return [
        Problem(Code.CHANGED_AFTER_DELIVERY, row.customer_number, row.message, source_id=row.source_id)
        for row in each_row(changed)
    ]


def _standing_of(
    row: Any,
    month: str,
    rules: Rules,
    blocked: Mapping[str, Problem],
    faults: Mapping[tuple[str, str], Problem],
    kept: Mapping[tuple[str, str], Any],
) -> dict[str, Any]:
    """The entry of a row that is neither billed nor about to be."""
    number = row.customer_number
    if row.left_out not in (None, NOT_A_CUSTOMER, NOT_A_SERVICE):
        return _entry(row, month, "omitted", message=row.left_out)
    if row.left_out == NOT_A_CUSTOMER:
        return _entry(row, month, "not_billable", message=row.left_out)
    if (row.source_kind, row.source_id) in kept:
        one = kept[row.source_kind, row.source_id]
        message = f"{one.message}; {_decisions(row, month)}" if one.standing == "set_aside" else one.message
        return _entry(row, month, one.standing, one.code, message)
    if not row.billable:
        return _entry(row, month, "not_billable", message=_why_not_billable(row, rules))
    if row.set_aside is not None:
        return _entry(row, month, "set_aside", row.set_aside, _set_aside_message(row, month))
    if row.is_billed and number in blocked:
        problem = faults.get((number, row.source_id), blocked[number])
        return _entry(row, month, "blocked", problem.code, problem.message)
    if row.waiting or row.comes_late:
        return _entry(row, month, "late", message="the customer's next open month bills it")
    return _entry(row, month, "to_bill", message=f"`billing-pipeline run {row.month or month}` bills it")


def _entry(
    row: Any, month: str, standing: str, code: str = "", message: str = "", order_number: str = ""
) -> dict[str, Any]:
    return {
        "source_kind": row.source_kind,
        "source_id": row.source_id,
        "customer_number": row.customer_number,
        "month": row.month or month,
        "standing": standing,
        "code": str(code),
        "message": message,
        "related_id": getattr(row, "related_id", "") or "",
        "order_number": order_number,
        "currency": row.currency or "",
    }


def _set_aside_message(row: Any, month: str) -> str:
    return (
        f"{row.source_kind} {row.source_id} of {row.month or month} is not billed without a person's word: "
        f"{row.set_aside_why}; {_decisions(row, month)}"
    )


def _decisions(row: Any, month: str) -> str:
    """The two answers that a person has to a row that is set aside."""
    own = row.month or month
    name = f"{_FLAGS[row.source_kind]} {row.source_id}"
    admit = f"billing-pipeline admit {own} --customer {row.customer_number} {name}"
    same = f", with --same-as {row.related_id} as the same row under a new id" if row.related_id else ""
    return (
        f"`{admit} --reason TEXT --by NAME` bills it{same}, `billing-pipeline omit add {own} {name} --reason TEXT "
        "--by NAME` leaves it out"
    )


def _why_not_billable(row: Any, rules: Rules) -> str:
    mine = rules.for_customer(row.customer_number)
    if row.source_kind == FEE:
        return "the rules bill services only" if mine.lines == "services_only" else "a fee of 0.00 is waived"
    if mine.lines == "fees_only":
        return "the rules bill fees only"
    if row.status not in mine.billable_statuses:
        return f"its status is {row.status}"
    if mine.billable_sub_statuses and row.sub_status not in mine.billable_sub_statuses:
        return f"its sub-status is {row.sub_status or 'empty'}"
    return f"its provider is {row.provider or 'empty'}"


def _drifted(billed_rows: pd.DataFrame, ledger: LedgerView) -> Iterator[dict[str, Any]]:
    """An entry for each billed row that is not as it was when it was billed, and of which no person has said so."""
    billed = ledger.billed
    place = index_of(
        *(array(billed_rows["source_kind"]), array(billed_rows["source_id"])),
        *(array(billed["source_kind"]), array(billed["source_id"])),
    )
    changed = pc.not_equal(array(billed_rows["fingerprint"]), array(billed["fingerprint"]).take(place))
    ended = negation(array(billed_rows["billable"]))
    names = ("customer_number", "billed_month", "order_number", "accepted", "month")
    then = {f"{name}_then": array(billed[name]).take(place) for name in names}
    other = with_columns(billed_rows, has_changed=changed, **then).pipe(where, any_of(changed, ended))
    for row, net, fingerprint in zip(
        each_row(other), net_amounts(other), state_fingerprints(other).to_pylist(), strict=True
    ):
        if row.accepted_then != fingerprint:
            says = "has changed" if row.has_changed else "is not billable any more"
            yield _changed(
                row,
                says,
                customer_number=row.customer_number_then,
                billed_month=row.billed_month_then,
                month=row.month_then,
                order_number=row.order_number_then,
            ) | {"net": net, "fingerprint": fingerprint}
    for row in each_row(ledger.gone):
        if row.accepted != GONE:
            yield _changed(
                row,
                "is gone from the OMS",
                customer_number=row.customer_number,
                billed_month=row.billed_month,
                month=row.month,
                order_number=row.order_number,
            ) | {"net": None, "fingerprint": GONE}


def _changed(
    row: Any, says: str, *, customer_number: str, billed_month: str, month: str, order_number: str
) -> dict[str, Any]:
    return {
        "source_kind": row.source_kind,
        "source_id": row.source_id,
        "customer_number": customer_number,
        "month": month,
        "standing": "billed",
        "code": str(Code.CHANGED_AFTER_DELIVERY),
        "message": f"{row.source_kind} {row.source_id} {says} since order {order_number} billed it, and is not billed "
        f"again: `billing-pipeline correct {billed_month} --customer {customer_number} --reason TEXT --by NAME` sends "
        f"the month anew, `billing-pipeline release {order_number} --as delivered --reason TEXT --by NAME` leaves it "
        "as it was sent",
        "related_id": "",
        "order_number": order_number,
        "currency": getattr(row, "currency", "") or "",
    }


def _with_customers_currency(rows: pd.DataFrame, customers: pd.DataFrame) -> pd.DataFrame:
    """The rows; an adjustment has its customer's currency."""
    place = pc.index_in(array(rows["customer_number"]), array(customers["customer_number"]))
    of_customer = array(customers["currency"]).take(place)
    is_adjustment = pc.equal(array(rows["source_kind"]), ADJUSTMENT)
    return with_columns(rows, currency=pc.if_else(is_adjustment, of_customer, array(rows["currency"])))


def net_amounts(rows: pd.DataFrame) -> list[int | None]:
    """`nets_of`, as a list."""
    found: list[int | None] = nets_of(rows).to_pylist()
    return found


def nets_of(rows: pd.DataFrame) -> pa.Array:
    """Quantity × price of each row in minor units, rounded half up once; null where a part of it is not known."""
    exponents = by_distinct(supported_exponent, pa.int8(), array(rows["currency"]))
    unit_net = pc.multiply(array(rows["unit_price"]), minor_units_per_whole(exponents))
    nets = round_half_up_array(pc.multiply(array(rows["quantity"]), unit_net), 0)
    too_much = pc.greater(pc.abs(nets), pa.scalar(Decimal(MAX_MINOR), nets.type))
    return pc.if_else(too_much, pa.scalar(None, nets.type), nets).cast(MINOR)
