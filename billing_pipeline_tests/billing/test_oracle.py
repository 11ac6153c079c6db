"""Random invoices against an independent oracle: PostgreSQL's own numeric.

10,000 invoices in every run, 100,000 where FULL_TESTS=1; always the same ones.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

import psycopg2
import pyarrow as pa

from billing_pipeline.billing.arrow import array, frame_of
from billing_pipeline.billing.bill import BilledMonth, bill_month
from billing_pipeline.money import exponent_of
from billing_pipeline.oms.contract import CANCELLATION_FEES, CUSTOMERS, SERVICE_TASKS, SERVICES, Relation
from billing_pipeline.oms.extract import Extract
from billing_pipeline.oms.period import period_of
from billing_pipeline_tests.support.billing import MONTH, rules_of
from billing_pipeline_tests.support.extent import FULL
from billing_pipeline_tests.support.frames import TIMEZONE

INVOICES: Final = 100_000 if FULL else 10_000
Columns = dict[str, list[Any]]


@contextmanager
def database(url: str) -> Iterator[Any]:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        yield cursor


def random_lines(invoices: int) -> Columns:
    """One to five lines per invoice, one currency each; amounts that love to end in half a cent."""
    random = Random(20261120)
    lines: Columns = {
        name: []
        for name in ("service_id", "customer_number", "quantity", "unit_price_net", "vat_percent", "currency")
    }
    for invoice in range(invoices):
        currency = random.choice(["EUR", "EUR", "EUR", "CHF", "JPY", "KWD"])
        for _ in range(random.randint(1, 5)):
            thousandths = random.choice([1000, random.randint(1, 20) * 500, random.randint(1, 5_000_000)])
            cents = random.choice([random.randint(0, 200), random.randint(0, 1_000_000)])
            lines["service_id"].append(f"S-{len(lines['service_id'])}")
            lines["customer_number"].append(f"{invoice:06d}")
            lines["quantity"].append(Decimal(thousandths).scaleb(-3))
            lines["unit_price_net"].append(Decimal(cents * 100 if currency == "JPY" else cents).scaleb(-2))
            lines["vat_percent"].append(random.choice([Decimal(19), Decimal(7), Decimal(0), Decimal("8.1")]))
            lines["currency"].append(currency)
    return lines


def frame(relation: Relation, columns: Columns, length: int) -> Any:
    return frame_of(
        {
            field.name: pa.array(columns[field.name], field.type)
            if field.name in columns
            else pa.nulls(length, field.type)
            for field in relation.frame_schema
        }
    )


def extract_of(lines: Columns) -> Extract:
    length = len(lines["service_id"])
    start = period_of(MONTH, TIMEZONE).start
    currencies = dict(zip(lines["customer_number"], lines["currency"], strict=True))
    services = lines | {
        "service_name": ["Service"] * length,
        "status": ["completed"] * length,
        "completed_at": [start + timedelta(seconds=second) for second in range(length)],
        "month": [MONTH] * length,
    }
    customers = {
        "customer_number": list(currencies),
        "currency": list(currencies.values()),
        "is_test": [False] * len(currencies),
    }
    return Extract(
        customers=frame(CUSTOMERS, customers, len(currencies)),
        services=frame(SERVICES, services, length),
        service_tasks=frame(SERVICE_TASKS, {}, 0),
        cancellation_fees=frame(CANCELLATION_FEES, {}, 0),
    )


def load(cursor: Any, lines: Columns) -> None:
    cursor.execute(
        "CREATE TABLE line (service_id text, customer_number text, quantity numeric(12, 3), "
        "unit_price_net numeric(12, 2), vat_percent numeric(5, 2), currency text, exponent integer)"
    )
    text = io.StringIO()
    rows = zip(*lines.values(), (exponent_of(currency) for currency in lines["currency"]), strict=True)
    csv.writer(text).writerows(rows)
    text.seek(0)
    cursor.copy_expert("COPY line FROM STDIN (FORMAT csv)", text)


LINE_AMOUNTS: Final = """
    CREATE TABLE amount AS
    SELECT *, round(net * (1 + vat_percent / 100), exponent) AS gross
    FROM (SELECT *, round(quantity * unit_price_net, exponent) AS net FROM line) AS netted
"""
LINES: Final = """
    SELECT (net * power(10::numeric, exponent))::bigint, (gross * power(10::numeric, exponent))::bigint
    FROM amount ORDER BY service_id COLLATE "C"
"""
GROSS_TOTALS: Final = """
    SELECT (sum(net) * power(10::numeric, exponent))::bigint, (sum(gross) * power(10::numeric, exponent))::bigint
    FROM amount GROUP BY customer_number, exponent ORDER BY customer_number COLLATE "C"
"""
NET_TOTALS: Final = """
    SELECT (sum(net) * power(10::numeric, exponent))::bigint, (sum(net + vat) * power(10::numeric, exponent))::bigint
    FROM (
      SELECT customer_number, exponent, sum(net) AS net, round(sum(net) * vat_percent / 100, exponent) AS vat
      FROM amount GROUP BY customer_number, exponent, vat_percent
    ) AS rate
    GROUP BY customer_number, exponent ORDER BY customer_number COLLATE "C"
"""


def pairs(billed: Any) -> list[tuple[int, int]]:
    return list(zip(array(billed["net"]).to_pylist(), array(billed["gross"]).to_pylist(), strict=True))


def by_source(billed: BilledMonth) -> list[tuple[int, int]]:
    ids = [names[0] for names in array(billed.lines["source_ids"]).to_pylist()]
    return [pair for _, pair in sorted(zip(ids, pairs(billed.lines), strict=True))]


def test_amounts_of_random_invoices_are_those_of_the_database_to_the_cent(postgres_database: str) -> None:
    lines = random_lines(INVOICES)
    month = extract_of(lines)
    gross, net = (
        bill_month(
            month,
            MONTH,
            rules_of(f'price_basis = "{basis}"\nvat_rates = "any"\nrequire_address = false'),
            timezone=TIMEZONE,
        )
        for basis in ("gross", "net")
    )
    with database(postgres_database) as cursor:
        load(cursor, lines)
        cursor.execute(LINE_AMOUNTS)
        for sql, mine in (
            (LINES, by_source(gross)),
            (LINES, by_source(net)),
            (GROSS_TOTALS, pairs(gross.totals)),
            (NET_TOTALS, pairs(net.totals)),
        ):
            cursor.execute(sql)
            theirs = cursor.fetchall()
            assert len(theirs) == len(mine) >= INVOICES
            assert [pair for pair in zip(theirs, mine, strict=True) if pair[0] != pair[1]] == []
