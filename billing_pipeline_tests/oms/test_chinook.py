"""A foreign OMS, mapped by four queries in a folder and nothing else."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal

import pandas as pd
import psycopg2
import pytest

from billing_pipeline.oms.extract import Extract, reading_month
from billing_pipeline.oms.period import months_between, previous_month
from billing_pipeline.oms.source import open_source
from billing_pipeline_tests.support.chinook import CHINOOK_QUERIES, load_chinook
from billing_pipeline_tests.support.oms_database import problems_in_extract

BERLIN = "Europe/Berlin"


@pytest.fixture
def chinook(postgres_database: str) -> str:
    """Chinook in PostgreSQL."""
    load_chinook(postgres_database)
    return postgres_database


def extract_of(url: str, month: str, first_month: str | None = None) -> Extract:
    """The month, through the mapping, with all rows since the first month."""
    source, first = open_source(url, CHINOOK_QUERIES), first_month or month
    with reading_month(source, month, timezone=BERLIN, first_month=first) as reading:
        return reading.extract(whole=months_between(first, previous_month(month)))


def total_of(services: pd.DataFrame) -> tuple[int, Decimal]:
    """How many services, and the sum of their prices."""
    return len(services), sum(services["unit_price_net"].tolist(), Decimal(0))


def totals_of(url: str) -> dict[str, tuple[int, Decimal]]:
    """Chinook's own count of invoices, and their sum, by month."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_char(invoice_date, 'YYYY-MM'), count(*), sum(total) FROM invoice GROUP BY 1"
        )
        return {month: (count, total) for month, count, total in cursor.fetchall()}


def test_a_month_of_a_foreign_oms_equals_its_own_totals(chinook: str) -> None:
    extract = extract_of(chinook, "2024-03")

    assert total_of(extract.services) == totals_of(chinook)["2024-03"]
    assert problems_in_extract(extract) == []
    assert extract.customers["customer_number"].str.fullmatch("000[0-9]{2}").all()
    assert extract.customers["country"].str.len().eq(2).all()
    tasks = extract.service_tasks.groupby("service_id")["price_net"].sum()
    assert tasks.to_dict() == extract.services.set_index("service_id")["unit_price_net"].to_dict()


def test_every_month_of_a_foreign_oms_equals_its_own_totals(chinook: str) -> None:
    services = extract_of(chinook, "2026-12", "2020-01").services

    months = {month: total_of(rows) for month, rows in services.groupby("month")}
    assert months == totals_of(chinook)
