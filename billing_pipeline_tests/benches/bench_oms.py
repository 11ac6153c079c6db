"""An OMS of any size on PostgreSQL, in seconds: the demo's customers, services and tasks, the same on every machine.

Every service has two tasks, whose prices add up to its own. PostgreSQL makes the rows itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import psycopg2
from psycopg2.extras import execute_values

from billing_pipeline.oms.contract import SERVICE_TASKS, SERVICES
from billing_pipeline.oms.demo import SEED
from billing_pipeline.oms.demo.catalogue import OFFERS
from billing_pipeline.oms.demo.demo_rows import demo_customers
from billing_pipeline_tests.support.oms_database import write_postgres

_OFFERS = [
    offer for offer in OFFERS if len(offer.tasks) == 2 and all(price is not None for _, price in offer.tasks)
]

_HELPERS = """
CREATE TEMPORARY TABLE people (place INTEGER, customer_number TEXT, vat NUMERIC, currency TEXT, area TEXT);
CREATE TEMPORARY TABLE offers (place INTEGER, code TEXT, name TEXT, description TEXT, unit TEXT, price NUMERIC);
CREATE TEMPORARY TABLE tasks (code TEXT, position INTEGER, name TEXT, price NUMERIC);
"""

# In working hours of the month's first 28 days; the columns in the contract's order.
_SERVICES = f"""
INSERT INTO services ({", ".join(SERVICES.column_names)})
SELECT
    format('SV%%s-%%s-%%s', %(month)s, lpad(people.place::text, 5, '0'), lpad(number::text, 6, '0')),
    customer_number, code, name,
    replace(description, '{{scooter}}', (1000 + (people.place * 37 + number) %% 9000)::text),
    'completed', CASE number %% 3 WHEN 0 THEN 'checked' END,
    completed_at, NULL,
    1, unit, price, vat, currency,
    CASE number %% 4 WHEN 0 THEN 'KST 4100' END,
    area,
    (ARRAY['Werkstatt Berlin', 'Mobiler Service', 'Partner Nord'])[1 + number %% 3],
    completed_at + interval '2 hours'
FROM people
CROSS JOIN generate_series(0, %(services)s - 1) AS number
CROSS JOIN LATERAL (
    SELECT (%(month)s || '-01 07:00+00')::timestamptz
        + make_interval(days => number %% 28, hours => number %% 11, mins => number * 7 %% 60) AS completed_at
) AS clock
JOIN offers ON offers.place = (people.place + number) %% {len(_OFFERS)}
WHERE people.place < %(customers)s
"""

_TASKS = f"""
INSERT INTO service_tasks ({", ".join(SERVICE_TASKS.column_names)})
SELECT service_id, position, name, price FROM services JOIN tasks ON code = service_code
"""


@dataclass(frozen=True)
class Size:
    """So many customers, each with so many services in a month."""

    customers: int
    services: int

    @property
    def lines(self) -> int:
        """Invoice lines of a month."""
        return self.customers * self.services


def create_bench_oms(url: str, months: Mapping[str, Size]) -> None:
    """The contract's tables in the empty database, with these months: the first customers of one list in each."""
    people = demo_customers(max(size.customers for size in months.values()), SEED)
    write_postgres(url, {"customers": [{**person.row, "is_test": False} for person in people]})
    with closing(psycopg2.connect(url)) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute(_HELPERS)
            execute_values(
                cursor,
                "INSERT INTO people VALUES %s",
                [
                    (place, one.number, one.vat_percent, one.place.currency, one.place.area)
                    for place, one in enumerate(people)
                ],
            )
            execute_values(
                cursor,
                "INSERT INTO offers VALUES %s",
                [
                    (place, one.code, one.name, one.description, one.unit, one.price_net)
                    for place, one in enumerate(_OFFERS)
                ],
            )
            execute_values(
                cursor,
                "INSERT INTO tasks VALUES %s",
                [(one.code, at, *task) for one in _OFFERS for at, task in enumerate(one.tasks, start=1)],
            )
            for relation in (SERVICES, SERVICE_TASKS):  # an index is quicker made at the end
                cursor.execute(f"ALTER TABLE {relation.name} DROP CONSTRAINT {relation.name}_pkey")
            for month, size in months.items():
                values = {"month": month, "customers": size.customers, "services": size.services}
                cursor.execute(_SERVICES, values)
            cursor.execute(_TASKS)
            for relation in (SERVICES, SERVICE_TASKS):
                cursor.execute(f"ALTER TABLE {relation.name} ADD PRIMARY KEY ({', '.join(relation.key)})")
            cursor.execute("CREATE INDEX ON services (completed_at)")
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
