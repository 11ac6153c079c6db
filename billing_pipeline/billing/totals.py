"""What a document adds up to, as its receiver will compute it.

Belongs here: the two ways of adding up, by price basis. Does not: the amounts of a line (`amounts`).
"""

from __future__ import annotations

from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import MINOR, TEXT, array, frame_of
from billing_pipeline.billing.vat import vat_of

TOTALS: Final = pa.schema(
    [
        ("customer_number", TEXT),
        ("currency", TEXT),
        ("line_count", pa.int32()),
        ("net", MINOR),
        ("vat", MINOR),
        ("gross", MINOR),
    ]
)
"""One row per customer with lines, by customer_number (code point): the document, in minor units."""


def totals_of(lines: pd.DataFrame) -> pd.DataFrame:
    """`TOTALS` of the lines, of which each customer has one currency and one price basis.

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
    columns = (
        sums["customer_number"],
        sums["currency"],
        sums["count_all_sum"],
        sums["net_sum_sum"],
        sums["document_vat_sum"],
        pc.add(sums["net_sum_sum"], sums["document_vat_sum"]),
    )
    return frame_of(
        {field.name: column.cast(field.type) for field, column in zip(TOTALS, columns, strict=True)}
    )
