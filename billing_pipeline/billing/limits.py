"""Documents above the limit that the rules set: a price in the wrong unit is found before it is an invoice."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import array, each_row, where
from billing_pipeline.billing.rules import Rules
from billing_pipeline.money import exponent_of, format_minor, from_minor
from billing_pipeline.problems import Code, Problem


def totals_over_limit(totals: pd.DataFrame, rules: Rules, judged: Collection[str]) -> Iterator[Problem]:
    """A problem for each of the `judged` customers whose document's net is above their `most_net_per_month`."""
    if not any(one.most_net_per_month for one in (rules, *rules.customers.values())):
        return
    numbers = pc.is_in(array(totals["customer_number"]), pa.array(sorted(judged), pa.string()))
    for total in each_row(where(totals, numbers)):
        most = rules.for_customer(total.customer_number).most_net_per_month
        limit = most * 10 ** exponent_of(total.currency)
        if most and total.net > limit:
            net, allowed = (
                format_minor(minor, total.currency, rules.language) for minor in (total.net, limit)
            )
            yield Problem(
                Code.TOTAL_OVER_LIMIT,
                total.customer_number,
                f"Customer {total.customer_number}: the month comes to {net} "
                f"net, above the limit of {allowed}: correct it in the OMS, or raise "
                f'most_net_per_month in the rules, for this customer alone under [customers."{total.customer_number}"]',
                field="net",
                value=str(from_minor(total.net, total.currency)),
            )
