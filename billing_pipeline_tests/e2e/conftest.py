"""One `dagster dev` for all tests here, on PostgreSQL; each test bills months of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from billing_pipeline.delivery.ledger import Ledger, open_ledger
from billing_pipeline.report.month import MonthStatus, month_status
from billing_pipeline_tests.support.dagster_dev import DagsterDev, dagster_dev, wait_for
from billing_pipeline_tests.support.installation import Installation
from billing_pipeline_tests.support.postgres import fresh_database

CUSTOMERS = ("10020", "10021", "10022", "10023")


@dataclass(frozen=True)
class House:
    """An installation on PostgreSQL, served by Dagster."""

    installation: Installation
    dagster: DagsterDev
    ledger: Ledger

    def status(self, month: str) -> MonthStatus:
        """What `billing-pipeline status` says."""
        return month_status(
            month, self.ledger.months.customers(month), self.ledger.deliveries.of_month(month)
        )

    def services(self, month: str, *, without_price: str = "") -> None:
        """A service of each customer in the month; of one of them without a price."""
        for number in CUSTOMERS:
            self.installation.oms.service(
                f"S-{month}-{number}",
                number,
                completed_at=f"{month}-14T09:30:00Z",
                unit_price_net=None if number == without_price else "150.00",
            )

    def published(self, month: str) -> list[str]:
        """The files of the month that were ever published, one entry per publication."""
        return sorted(
            event.order_number
            for event in self.ledger.events.find(month=month)
            if event.action == "publish" and event.outcome == "success"
        )


@pytest.fixture(scope="session")
def house(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with fresh_database(postgres_url) as database, fresh_database(postgres_url) as ledger_url:
        installation = Installation(folder, BILLING_LEDGER_URL=ledger_url, BILLING_CUSTOMERS_PER_RUN="4")
        for number in CUSTOMERS:
            installation.oms.customer(number)
        with dagster_dev(folder / "dagster", database, installation.environment) as dagster:
            wait_for(lambda: set(dagster.customers()) >= set(CUSTOMERS), "the customers' registration")
            yield House(installation, dagster, open_ledger(ledger_url))
