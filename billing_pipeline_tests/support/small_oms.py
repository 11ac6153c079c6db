"""A small OMS in SQLite that a test fills, and changes between two commands as people do.

Rows are in good order but for the cells given; see `oms_database` for what they hold otherwise.
"""

from __future__ import annotations

import copy
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from billing_pipeline.oms.conform import instant_text
from billing_pipeline.oms.contract import CANCELLATION_FEES, CUSTOMERS, SERVICE_TASKS, SERVICES, Relation
from billing_pipeline_tests.support import oms_database
from billing_pipeline_tests.support.oms_database import Cell, Row, insert_row, stored_names, write_sqlite


class SmallOms:
    """The contract's tables in one SQLite file; every method is a transaction of its own."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.url = write_sqlite(file, {})

    def in_file(self, file: Path) -> SmallOms:
        """The OMS in a copy of its file."""
        other = copy.copy(self)
        other.file, other.url = file, self.url.replace(str(self.file), str(file))
        return other

    def customer(self, customer_number: str = "10023", **cells: Cell) -> None:
        """A company in Germany, billed in EUR."""
        self._insert(CUSTOMERS, oms_database.customer(customer_number, **cells))

    def service(self, service_id: str = "S-1", customer_number: str = "10023", **cells: Cell) -> None:
        """Completed on 14 October 2026: 1 × 150.00 EUR at 19 %."""
        self._insert(SERVICES, oms_database.service(service_id, customer_number, **cells))

    def task(self, service_id: str = "S-1", position: int = 1, **cells: Cell) -> None:
        """A task of a service, without a price."""
        self._insert(SERVICE_TASKS, oms_database.task(service_id, position, **cells))

    def fee(self, fee_id: str = "F-1", customer_number: str = "10023", **cells: Cell) -> None:
        """A no-show, charged on 15 October 2026: 25.00 EUR at 19 %."""
        self._insert(CANCELLATION_FEES, oms_database.fee(fee_id, customer_number, **cells))

    def change_service(self, service_id: str, /, **cells: Cell) -> None:
        """Other cells in a service that is there, and the time of the change, unless it is among them."""
        cells = {"updated_at": _now(), **cells}
        changes = ", ".join(f"{column} = ?" for column in cells)
        self._execute(f"UPDATE services SET {changes} WHERE service_id = ?", [*cells.values(), service_id])

    def price_if_missing(self, service_id: str, price: str) -> None:
        """A price, where the service has none."""
        self._execute(
            "UPDATE services SET unit_price_net = ?, updated_at = ? WHERE service_id = ? AND unit_price_net IS NULL",
            [price, _now(), service_id],
        )

    def change_customer(self, customer_number: str, /, **cells: Cell) -> None:
        """Other cells in a customer who is there."""
        changes = ", ".join(f"{column} = ?" for column in cells)
        self._execute(
            f"UPDATE customers SET {changes} WHERE customer_number = ?", [*cells.values(), customer_number]
        )

    def remove_service(self, service_id: str) -> None:
        """The service vanishes, with its tasks."""
        self._execute("DELETE FROM service_tasks WHERE service_id = ?", [service_id])
        self._execute("DELETE FROM services WHERE service_id = ?", [service_id])

    def _insert(self, relation: Relation, row: Row) -> None:
        unknown = row.keys() - set(stored_names(relation))
        if unknown:
            raise KeyError(f"{relation.name} has no column {', '.join(sorted(unknown))}")
        self._execute(insert_row(relation, "?"), [row.get(column) for column in stored_names(relation)])

    def _execute(self, statement: str, values: list[Cell]) -> None:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute(statement, values)


def _now() -> str:
    return instant_text(datetime.now(UTC))
