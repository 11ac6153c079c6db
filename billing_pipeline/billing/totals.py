"""What a document adds up to, as its receiver will compute it.

Belongs here: the two ways of adding up, by price basis. Does not: the amounts of a line (`amounts`).
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import array, frame_of
from billing_pipeline.billing.vat import vat_of


def totals_of(lines: pd.DataFrame) -> pd.DataFrame:
    """One row per customer_number, sorted: `TOTALS`, in minor units of the customer's one currency.

    Basis "gross": net, VAT and gross are the sums of the lines'. Basis "net": the VAT of each rate is on the sum of
    that rate's nets, rounded half up (EN 16931); gross = net + VAT.
    """
    by_customer = ["customer_number", "currency", "price_basis"]
    rates = (
        pa.table({name: array(lines[name]) for name in (*by_customer, "vat_basis_points", "net", "vat")})
        .group_by([*by_customer, "vat_basis_points"], use_threads=False)
        .aggregate([("net", "sum"), ("vat", "sum"), ([], "count_all")])
    )
    vat = pc.if_else(
        pc.equal(rates["price_basis"], "net"),
        vat_of(rates["net_sum"].combine_chunks(), rates["vat_basis_points"].combine_chunks()),
        rates["vat_sum"].combine_chunks(),
    )
    sums = (
        rates.append_column("document_vat", vat)
        .group_by(by_customer, use_threads=False)
        .aggregate([("net_sum", "sum"), ("document_vat", "sum"), ("count_all", "sum")])
        .sort_by("customer_number")
        .combine_chunks()
    )
    return frame_of(
        {
            "customer_number": sums["customer_number"],
            "currency": sums["currency"],
            "line_count": sums["count_all_sum"].cast(pa.int32()),
            "net": sums["net_sum_sum"],
            "vat": sums["document_vat_sum"],
            "gross": pc.add(sums["net_sum_sum"], sums["document_vat_sum"]),
        }
    )
