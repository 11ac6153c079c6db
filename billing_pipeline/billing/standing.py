"""The standing of every OMS row that is not simply billed: why it is not, and what a person can do about it.

A row has exactly one standing; of several that fit, the first of `STANDINGS`. What only a person can decide is set
aside: it blocks nobody, changes no customer's outcome, and waits until it is admitted, omitted or corrected.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
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
from billing_pipeline.billing.late import GONE, LedgerView, cells_text, fingerprints, index_of
from billing_pipeline.billing.omissions import NOT_A_CUSTOMER, NOT_A_SERVICE
from billing_pipeline.billing.rows import ADJUSTMENT, FEE, SERVICE, supported_exponent
from billing_pipeline.billing.rules import Rules
from billing_pipeline.money import round_half_up_array
from billing_pipeline.oms.period import months_back
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

MONTHS_WITHOUT_CENSUS: Final = 3
"""How far back releases before 0.2 looked for late rows. What lies further back they had left out for good."""

_FLAGS: Final = {SERVICE: "--service", FEE: "--fee"}
_STILL_LEFT_OUT: Final = (Code.RULE_CHANGED, Code.STATUS_UNKNOWN)


def state_fingerprints(rows: pd.DataFrame) -> pa.Array:
    """The SHA-256 of all that says whether and how a source row is billed: status, sub-status and provider too.

    The ledger keeps them in its census: how they are made must not change without a migration.
    """
    return fingerprints(*(array(rows[name]) for name in ("fingerprint", "status", "sub_status", "provider")))


def likenesses(rows: pd.DataFrame) -> pa.Array:
    """What source rows that differ in nothing but id and time have in common, as text."""
    return cells_text(*(array(rows[name]) for name in _LIKENESS))


_LIKENESS: Final = (
    *("source_kind", "customer_number", "item_number", "head", "description", "location", "quantity", "unit"),
    *("unit_price", "vat_percent", "currency", "tasks_text"),
)


def set_aside(rows: pd.DataFrame, month: str, ledger: LedgerView) -> pd.DataFrame:
    """The source rows with `set_aside` (a code, or null), `set_aside_why` and `related_id`; such a row is not due.

    RULE_CHANGED: the census knows the row as it is, and only a rule or its customer has changed since. It guards closed
    months and what later months take. POSSIBLE_REPLACEMENT: it may be a billed row that has gone, under another id.
    What a person has admitted, and has not changed since, is not set aside.
    """
    codes: list[str | None] = [None] * len(rows)
    reasons: list[str] = [""] * len(rows)
    related: list[str] = [""] * len(rows)
    candidates = all_of(
        array(rows["billable"]),
        any_of(array(rows["due"]), array(rows["waiting"])),
        pc.is_null(array(rows["left_out"])),
        pc.not_equal(array(rows["source_kind"]), ADJUSTMENT),
    )
    for place, why in _by_rule(rows, month, ledger, candidates):
        codes[place], reasons[place] = Code.RULE_CHANGED, why
    for place, gone in _replacements(rows, ledger, candidates):
        if codes[place] is None:
            codes[place] = Code.POSSIBLE_REPLACEMENT
            reasons[place] = (
                f"{gone.source_kind} {gone.source_id}, which order {gone.order_number} billed, is no longer in the OMS"
            )
            related[place] = gone.source_id
    kept = pc.is_null(pa.array(codes, TEXT))
    return with_columns(
        rows,
        set_aside=pa.array(codes, TEXT),
        set_aside_why=pa.array(reasons, TEXT),
        related_id=pa.array(related, TEXT),
        due=all_of(array(rows["due"]), kept),
        waiting=all_of(array(rows["waiting"]), kept),
    )


def _by_rule(
    rows: pd.DataFrame, month: str, ledger: LedgerView, candidates: pa.Array
) -> Iterator[tuple[int, str]]:
    """The places of the rows that only a changed rule or customer makes billable, and why each was left out."""
    guarded = all_of(candidates, any_of(array(rows["is_late"]), array(rows["own_closed"])))
    census = ledger.census
    known = all_of(
        pc.is_in(array(census["standing"]), pa.array(["not_billable", "set_aside"], TEXT)),
    )
    left_out = where(census, known)
    place_in_census = index_of(
        *(array(rows["source_kind"]), array(rows["source_id"])),
        *(array(left_out["source_kind"]), array(left_out["source_id"])),
    )
    far_back = pc.is_in(
        array(rows["month"]),
        pa.array(
            [past for past in ledger.without_census if past < months_back(month, MONTHS_WITHOUT_CENSUS)], TEXT
        ),
    )
    asked = all_of(guarded, any_of(pc.is_valid(place_in_census), far_back))
    places = _places(asked)
    if not places:
        return
    asked_rows = rows.iloc[places].reset_index(drop=True)
    now = state_fingerprints(asked_rows).to_pylist()
    admitted = _admitted(asked_rows, now, ledger)
    of_census = place_in_census.take(pa.array(places)).to_pylist()
    prints, standings, their_codes = (
        array(left_out[name]).to_pylist() for name in ("fingerprint", "standing", "code")
    )
    for index, place in enumerate(places):
        if admitted[index]:
            continue
        at = of_census[index]
        if at is None:
            yield place, "its month was finished by a release that noted nothing of its unbilled rows"
        elif prints[at] == now[index] and (
            standings[at] == "not_billable" or their_codes[at] in _STILL_LEFT_OUT
        ):
            yield (
                place,
                "it was not billable when its month was billed, and only a rule or its customer has changed",
            )


def _replacements(rows: pd.DataFrame, ledger: LedgerView, candidates: pa.Array) -> Iterator[tuple[int, Any]]:
    """The places of the rows that may be a billed row that has gone, each with that row."""
    if not len(ledger.gone):
        return
    gone = list(each_row(ledger.gone))
    by_month: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for one in gone:
        by_month[one.customer_number, one.month].append(one)
    customers = pa.array(sorted({one.customer_number for one in gone}), TEXT)
    places = _places(all_of(candidates, pc.is_in(array(rows["customer_number"]), customers)))
    if not places:
        return
    asked = rows.iloc[places].reset_index(drop=True)
    admitted = _admitted(asked, state_fingerprints(asked).to_pylist(), ledger)
    looks = likenesses(asked).to_pylist()
    new = [
        (place, row, look)
        for place, row, look, is_admitted in zip(places, each_row(asked), looks, admitted, strict=True)
        if not is_admitted
    ]
    pairs = dict(_alike(new, gone, _answered(ledger)))
    for place, row, _ in new:
        if place in pairs:
            yield place, pairs[place]
        elif (row.customer_number, row.month) in by_month:
            of_month = by_month[row.customer_number, row.month]
            yield place, next((one for one in of_month if one.source_kind == row.source_kind), of_month[0])


def _alike(
    new: Sequence[tuple[int, Any, str]], gone: Iterable[Any], answered: Counter[str]
) -> Iterator[tuple[int, Any]]:
    """For rows that have gone, new ones that equal them in all but id and time: one each, the nearest in time."""
    by_look: dict[str, list[tuple[int, datetime | None]]] = defaultdict(list)
    for place, row, look in new:
        by_look[look].append((place, row.performed_at))
    wanted: dict[str, list[Any]] = defaultdict(list)
    for one in gone:
        if one.likeness is None:
            continue
        if answered[one.source_id] > 0:
            answered[one.source_id] -= 1
            continue
        wanted[one.likeness].append(one)
    for look, ones in wanted.items():
        free = dict(by_look.get(look, ()))
        distances = sorted(
            (
                abs((at - one.performed_at).total_seconds()) if at and one.performed_at else float("inf"),
                place,
                number,
            )
            for number, one in enumerate(ones)
            for place, at in free.items()
        )
        taken: set[int] = set()
        for _, place, number in distances:
            if place in free and number not in taken:
                del free[place]
                taken.add(number)
                yield place, ones[number]


def _answered(ledger: LedgerView) -> Counter[str]:
    """The rows that have gone for which a person has admitted a new one: they set aside no other month's row."""
    return Counter(related for related in array(ledger.admitted["related_id"]).to_pylist() if related)


def _admitted(rows: pd.DataFrame, now: Sequence[str], ledger: LedgerView) -> list[bool]:
    """Whether a person has admitted each row, as it looks now."""
    decided = {
        (kind, source_id): fingerprint
        for kind, source_id, fingerprint in zip(
            *(
                array(ledger.admitted[name]).to_pylist()
                for name in ("source_kind", "source_id", "fingerprint")
            ),
            strict=True,
        )
    }
    return [
        decided.get((kind, source_id)) == fingerprint
        for kind, source_id, fingerprint in zip(rows["source_kind"], rows["source_id"], now, strict=True)
    ]


def standings_of(
    rows: pd.DataFrame,
    of_tests: pd.DataFrame,
    customers: pd.DataFrame,
    month: str,
    rules: Rules,
    ledger: LedgerView,
    problems: Sequence[Problem],
    *,
    of_every_row: bool = False,
) -> pd.DataFrame:
    """`ROW_STANDINGS` of the source rows after `set_aside` and `with_billing_flags`, by customer, kind and id.

    `of_tests`: the source rows of test customers. `problems`: why customers, or rows alone, are blocked. Rows that
    become a line have no entry, unless `of_every_row`: nothing is sent, and they are still to bill, or late.
    """
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
        _standing_of(row, month, rules, blocked, faults) | {"net": net, "fingerprint": fingerprint}
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
) -> dict[str, Any]:
    """The entry of a row that is neither billed nor about to be."""
    number = row.customer_number
    if row.left_out not in (None, NOT_A_CUSTOMER, NOT_A_SERVICE):
        return _entry(row, month, "omitted", message=row.left_out)
    if row.left_out == NOT_A_CUSTOMER:
        return _entry(row, month, "not_billable", message=row.left_out)
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
    own = row.month or month
    name = f"{_FLAGS[row.source_kind]} {row.source_id}"
    admit = f"billing-pipeline admit {own} --customer {row.customer_number} {name}"
    same = f", with --same-as {row.related_id} as the same row under a new id" if row.related_id else ""
    return (
        f"{row.source_kind} {row.source_id} of {own} is not billed without a person's word: {row.set_aside_why}; "
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
    """Quantity × price of each row in minor units, rounded half up once; None where a part of it is not known."""
    exponents = by_distinct(supported_exponent, pa.int8(), array(rows["currency"]))
    unit_net = pc.multiply(array(rows["unit_price"]), minor_units_per_whole(exponents))
    nets = round_half_up_array(pc.multiply(array(rows["quantity"]), unit_net), 0).to_pylist()
    return [None if net is None or abs(net) > MAX_MINOR else int(net) for net in nets]


def _places(mask: pa.Array) -> list[int]:
    places: list[int] = pc.indices_nonzero(mask).to_pylist()
    return places
