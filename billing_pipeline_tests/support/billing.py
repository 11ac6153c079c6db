"""A month billed in one call: rules as TOML text, rows as `support.frames` makes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import TEXT, array, each_row
from billing_pipeline.billing.bill import BilledMonth, bill_month
from billing_pipeline.billing.late import BilledSource, LedgerView, gone_of
from billing_pipeline.billing.rules import Rules, load_rules
from billing_pipeline.problems import Problem, problems_of
from billing_pipeline_tests.support.extent import FULL
from billing_pipeline_tests.support.frames import TIMEZONE, Row, extract

MONTH = "2026-10"
_FEW = 5


def rules_of(toml: str = "") -> Rules:
    """The packaged rules, and over them what the text sets."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rules.toml"
        path.write_text(toml, "utf-8")
        return load_rules(path)


def bill(
    *rows: Row,
    customers: Iterable[Row] | None = None,
    tasks: Iterable[Row] = (),
    month: str = MONTH,
    rules: str | Rules = "",
    **others: Any,
) -> BilledMonth:
    """`bill_month` of these services and fees. What the view has billed of the month, and is not there, is gone.

    Of several customers also one by one, of many in two portions: the month must be the same. (Of rows with the same
    id, one has the tasks.)
    """
    read = extract(*rows, customers=customers, tasks=tasks)
    view: LedgerView = others.pop("ledger_view", None) or LedgerView.empty()
    if not len(view.gone):
        present = {
            "service": array(read.services["service_id"]),
            "fee": array(read.cancellation_fees["fee_id"]),
            "adjustment": pa.array([one.adjustment_id for one in others.get("adjustments", ())], TEXT),
        }
        view = replace(view, gone=gone_of(view.billed, [month], present))
    known = rules_of(rules) if isinstance(rules, str) else rules
    bill_it = partial(bill_month, read, month, known, timezone=TIMEZONE, ledger_view=view, **others)
    billed = bill_it()
    ids, numbers = array(read.services["service_id"]), array(read.services["customer_number"])
    if len(pc.unique(numbers)) > 1 and len(pc.unique(ids)) == len(ids) and not numbers.null_count:
        few = FULL or len(pc.unique(numbers)) <= _FEW
        assert same_month(billed, bill_it(most_rows=1 if few else len(ids) // 2 + 1))
    return billed


def same_month(one: BilledMonth, other: BilledMonth) -> bool:
    """Whether all frames of both are the same."""
    return all(frame.equals(getattr(other, name)) for name, frame in vars(one).items())


def lines_of(billed: BilledMonth, customer_number: str = "10023") -> list[Any]:
    """The customer's lines, with the columns as attributes."""
    return [line for line in each_row(billed.lines) if line.customer_number == customer_number]


def line_of(*rows: Row, **others: Any) -> Any:
    """The only line of a month with these rows; fails where there are problems or more lines."""
    billed = bill(*rows, **others)
    assert problems_of(billed.problems) == []
    (line,) = lines_of(billed)
    return line


def problems_in(billed: BilledMonth) -> list[Problem]:
    """The problems of the month."""
    return problems_of(billed.problems)


def outcomes(billed: BilledMonth) -> dict[str, str]:
    """The outcome of each customer in the roster."""
    return dict(zip(billed.roster["customer_number"], billed.roster["outcome"], strict=True))


def ledger(*sources: BilledSource, closed: Iterable[tuple[str, str]] = ()) -> LedgerView:
    """A ledger that has billed these rows, and closed these customers' months."""
    return LedgerView.of(closed, sources)


def billed_source(billed: BilledMonth, source_id: str, **cells: Any) -> BilledSource:
    """A row of a billed month as the ledger keeps it after delivery; an October one unless told."""
    line, fingerprint = next(
        (line, fingerprint)
        for line in each_row(billed.lines)
        for name, fingerprint in zip(line.source_ids, line.source_fingerprints, strict=True)
        if name == source_id
    )
    kinds = {"service": "service", "late_service": "service", "adjustment": "adjustment"}
    return BilledSource(
        **{
            "source_kind": kinds.get(line.line_type, "fee"),
            "source_id": source_id,
            "customer_number": line.customer_number,
            "billed_month": MONTH,
            "month": line.performed_month,
            "order_number": f"{MONTH}-{line.customer_number}",
            "fingerprint": fingerprint,
        }
        | cells
    )
