"""5,000 customers × 24 months registered, on PostgreSQL: the partitions page's data, and the delivery sensor's tick.

The floor is the same page over one customer.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg

from billing_pipeline.defs.build import build_defs
from billing_pipeline.defs.partitions import CUSTOMER, partition_key
from billing_pipeline.settings import load_settings
from billing_pipeline.steps.wiring import LedgerAt
from billing_pipeline.store.frames import FrameStore
from billing_pipeline_tests.benches.figure import Figure
from billing_pipeline_tests.support.dagster_dev import DagsterDev, dagster_dev, instance_variables
from billing_pipeline_tests.support.installation import Installation
from billing_pipeline_tests.support.postgres import fresh_database, postgres_server
from billing_pipeline_tests.support.rosters import billing_of_roster

CUSTOMERS = 5_000
FIRST_MONTH, MONTH = "2024-12", "2026-10"
GOAL_S = 5.0


def figures() -> Iterator[Figure]:
    """Seconds for the page's data and for a tick."""
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres_server(durable=True) as server,
        fresh_database(server) as database,
    ):
        installation = Installation(Path(folder), BILLING_FIRST_MONTH=FIRST_MONTH)
        installation.oms.customer("10000")
        home = Path(folder) / "dagster"
        with (
            dagster_dev(home, database, installation.environment) as served,
            patch.dict(os.environ, {**instance_variables(database), "DAGSTER_HOME": str(home)}),
            dg.DagsterInstance.get() as instance,
        ):
            yield Figure("the page's data, one customer (the floor)", page(served, ["10000"], instance), "s")
            numbers = [f"{number}" for number in range(10_000, 10_000 + CUSTOMERS)]
            yield Figure(
                f"the page's data, {CUSTOMERS:,} customers x 24 months",
                page(served, numbers, instance),
                "s",
                GOAL_S,
            )
            yield Figure("a tick of customer_delivery_sensor", tick(folder, numbers, instance), "s", GOAL_S)


def page(served: DagsterDev, numbers: Sequence[str], instance: dg.DagsterInstance) -> float:
    """What the partitions page of `easybill_upload` asks for, with the last month delivered to everybody."""
    instance.add_dynamic_partitions(CUSTOMER, list(numbers))
    known = instance.get_materialized_partitions(dg.AssetKey("easybill_upload"))
    for number in numbers:
        key = partition_key(number, MONTH)
        if key not in known:
            instance.report_runless_asset_event(dg.AssetMaterialization("easybill_upload", partition=key))
    served.partitions("easybill_upload")  # fills the cache, as anybody's first look does
    return seconds(lambda: (served.customers(), served.months(), served.partitions("easybill_upload")))


def tick(folder: str, numbers: Sequence[str], instance: dg.DagsterInstance) -> float:
    """One evaluation of the sensor, for a month that bills every customer."""
    frames = FrameStore(folder)
    ledger = LedgerAt(f"sqlite:///{folder}/ledger.db")
    sensor: Any = build_defs(
        settings=load_settings({"BILLING_HOME": folder, "BILLING_FIRST_MONTH": FIRST_MONTH})
    ).resolve_sensor_def("customer_delivery_sensor")

    @dg.job(name="monthly_billing")
    def month() -> None: ...

    quiet = redirect_stderr(io.StringIO())
    with quiet, dg.DagsterInstance.ephemeral() as elsewhere:
        run = month.execute_in_process(instance=elsewhere, tags={"dagster/partition": MONTH})
        billing_of_roster(ledger.open(), frames, MONTH, numbers, run.run_id)
        context = dg.build_run_status_sensor_context(
            sensor_name=sensor.name,
            dagster_event=run.get_run_success_event(),
            dagster_instance=instance,
            dagster_run=run.dagster_run,
            resources={"frames": frames, "ledger": ledger},
        )
        return seconds(lambda: list(sensor(context)))


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
