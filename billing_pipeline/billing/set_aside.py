"""Which rows are set aside, because only a person can say whether it is right to bill them.

A row that only a changed rule or customer makes billable; and one that may be a billed row that has gone, under another
id.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import TEXT, all_of, any_of, array, each_row, where, with_columns
from billing_pipeline.billing.late import LedgerView, cells_text, fingerprints, index_of
from billing_pipeline.billing.rows import ADJUSTMENT
from billing_pipeline.oms.period import months_back
from billing_pipeline.problems import Code

MONTHS_WITHOUT_CENSUS: Final = 3
"""How far back releases before 0.2 looked for late rows. What lies further back they had left out for good."""

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


def with_admitted(rows: pd.DataFrame, ledger: LedgerView) -> pd.DataFrame:
    """The source rows; one with a status that no rule names is billable where a person has admitted it as it is."""
    places = _places(pc.is_valid(array(rows["unknown_status"])))
    if not places or not len(ledger.admitted):
        return rows
    asked = rows.iloc[places].reset_index(drop=True)
    admitted = _admitted(asked, state_fingerprints(asked).to_pylist(), ledger)
    chosen = [place for place, is_admitted in zip(places, admitted, strict=True) if is_admitted]
    mask = pc.is_in(pa.array(range(len(rows)), pa.int64()), pa.array(chosen, pa.int64()))
    return with_columns(
        rows,
        billable=pc.or_(array(rows["billable"]), mask),
        unknown_status=pc.if_else(mask, pa.scalar(None, TEXT), array(rows["unknown_status"])),
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
    left_out = where(
        census, pc.is_in(array(census["standing"]), pa.array(["not_billable", "set_aside"], TEXT))
    )
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


def _places(mask: pa.Array) -> list[int]:
    places: list[int] = pc.indices_nonzero(mask).to_pylist()
    return places
