"""Documents that come to less than nothing: EASY Bill would make invoices of them that pay the customer."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.amounts import PER_WHOLE, gross_of, vat_of
from billing_pipeline.billing.arrow import MINOR, array, each_row, where
from billing_pipeline.money import format_minor, from_minor
from billing_pipeline.oms.period import next_month
from billing_pipeline.problems import Code, Problem


def negative_totals(
    lines: pd.DataFrame, totals: pd.DataFrame, month: str, judged: Collection[str], language: str
) -> Iterator[Problem]:
    """A problem for each of the `judged` customers whose document's gross is below 0.

    Only discounts can do that, so the remedy says how much of which one to move to the next month.
    """
    numbers = pc.is_in(array(totals["customer_number"]), pa.array(sorted(judged), pa.string()))
    for total in each_row(where(totals, pc.and_(numbers, pc.less(array(totals["gross"]), 0)))):
        mine = list(each_row(lines[lines["customer_number"] == total.customer_number]))
        shown = format_minor(total.gross, total.currency, language)
        steps = "; ".join(_step(line, moved, total, month, language) for line, moved in _to_move(mine))
        yield Problem(
            Code.NEGATIVE_TOTAL,
            total.customer_number,
            f"Customer {total.customer_number}: the month comes to {shown} gross, and EASY Bill would make an invoice "
            f"of it that pays the customer. Move part of the discount to {next_month(month)}: {steps}",
            field="gross",
            value=str(from_minor(total.gross, total.currency)),
        )


def _to_move(lines: list[Any]) -> Iterator[tuple[Any, int]]:
    """The discounts, largest first, each with the least net to take off it, until the document is not below 0."""
    nets = {line.position: line.net for line in lines}
    for line in sorted(lines, key=lambda one: (one.net, one.position)):
        gross = _gross(lines, nets)
        if gross >= 0 or line.net >= 0:
            return
        moved = min(-gross * PER_WHOLE // (PER_WHOLE + line.vat_basis_points), -line.net)
        while moved < -line.net and _gross(lines, nets | {line.position: line.net + moved}) < 0:
            moved += 1
        nets[line.position] += moved
        yield line, moved


def _gross(lines: list[Any], nets: dict[int, int]) -> int:
    """The gross of the document with these nets, by the line's position, as `totals_of` adds it up."""
    net = pa.array([nets[line.position] for line in lines], MINOR)
    rates = pa.array([line.vat_basis_points for line in lines], pa.int32())
    if lines[0].price_basis == "gross":
        return int(pc.sum(gross_of(net, rates)).as_py())
    by_rate = pa.table({"rate": rates, "net": net}).group_by("rate").aggregate([("net", "sum")])
    by_rate = by_rate.combine_chunks()
    vat = vat_of(by_rate["net_sum"].combine_chunks(), by_rate["rate"].combine_chunks())
    return int(pc.sum(net).as_py() + pc.sum(vat).as_py())


def _step(line: Any, moved: int, total: Any, month: str, language: str) -> str:
    """The two commands that move so much of this discount."""
    (adjustment,) = line.source_ids
    rest, taken = (from_minor(minor, total.currency) for minor in (line.net + moved, -moved))
    if line.net + moved == 0:
        first = f"`billing-pipeline adjust delete {adjustment} --reason TEXT --by NAME`"
    else:
        first = (
            f"`billing-pipeline adjust edit {adjustment} --quantity 1 --price {rest} --reason TEXT --by NAME`"
        )
    rate = f"{(Decimal(line.vat_basis_points) / 100).normalize():f}"
    return (
        f"{format_minor(moved, total.currency, language)} net of adjustment {adjustment}, by {first} and "
        f"`billing-pipeline adjust add {next_month(month)} --customer {total.customer_number} --title TEXT "
        f"--quantity 1 --price {taken} --vat {rate} --reason TEXT --by NAME`"
    )
