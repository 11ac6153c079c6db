"""How a document adds up, on both price bases."""

from __future__ import annotations

from typing import Any

from billing_pipeline.billing.arrow import each_row
from billing_pipeline_tests.support.billing import bill
from billing_pipeline_tests.support.frames import Row, service

ODD = [service(f"S-{n}", unit_price_net="0.03") for n in range(3)]  # 0.0357 each, 0.1071 together


def totals(*rows: Row, rules: str = "") -> dict[str, Any]:
    (row,) = each_row(bill(*rows, rules=rules).totals)
    return dict(vars(row))


def test_on_the_gross_basis_a_document_is_the_sum_of_its_lines() -> None:
    assert totals(*ODD) == {
        "customer_number": "10023",
        "currency": "EUR",
        "line_count": 3,
        "net": 9,
        "vat": 3,
        "gross": 12,
    }


def test_on_the_net_basis_vat_is_computed_once_per_rate() -> None:
    reduced = [service(f"R-{n}", unit_price_net="0.07", vat_percent="7") for n in range(3)]
    document = totals(*ODD, *reduced, rules='price_basis = "net"')
    assert (document["net"], document["vat"], document["gross"]) == (30, 2 + 1, 33)  # 0.0171 and 0.0147


def test_the_basis_may_be_one_customers() -> None:
    theirs = [row | {"service_id": f"T-{n}", "customer_number": "2"} for n, row in enumerate(ODD)]
    billed = bill(*ODD, *theirs, rules='[customers."2"]\nprice_basis = "net"')
    assert list(billed.totals["vat"]) == [3, 2]
