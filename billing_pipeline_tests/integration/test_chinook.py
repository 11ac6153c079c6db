"""Chinook as a foreign OMS on PostgreSQL: four queries in a folder, and a month whose totals are Chinook's own."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import psycopg2

from billing_pipeline_tests.support.chinook import CHINOOK_QUERIES, load_chinook
from billing_pipeline_tests.support.installation import Installation

MONTH = "2025-08"


def test_a_month_of_a_foreign_oms_is_billed_to_its_own_totals(tmp_path: Path, postgres_database: str) -> None:
    load_chinook(postgres_database)
    installation = Installation(
        tmp_path,
        # A shop for music in many countries, which knows no VAT, and not everybody's zip code.
        rules='vat_rates = "any"\nrequire_address = false\n',
        BILLING_OMS_URL=postgres_database,
        BILLING_OMS_QUERIES=str(CHINOOK_QUERIES),
        BILLING_TIMEZONE="UTC",
        BILLING_FIRST_MONTH="2021-01",
    )
    with psycopg2.connect(postgres_database) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT lpad(customer_id::text, 5, '0'), sum(total) FROM invoice"
            " WHERE to_char(invoice_date, 'YYYY-MM') = %s GROUP BY customer_id",
            [MONTH],
        )
        expected: dict[str, Decimal] = dict(cursor.fetchall())
    assert len(expected) > 3

    answer = installation.command("run", MONTH, "--json")

    assert answer.status == 0, answer.err
    result = answer.json()
    nets = {customer["customer_number"]: Decimal(customer["net"]) / 100 for customer in result["customers"]}
    assert nets == expected
    assert result["counts"]["delivered"] == len(expected) == len(installation.files())
