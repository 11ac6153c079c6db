"""Backfills and launches through GraphQL, as scripts make them, by the daemon itself; nothing is sent twice."""

from __future__ import annotations

import re

from billing_pipeline_tests.e2e.conftest import CUSTOMERS, House
from billing_pipeline_tests.support.dagster_dev import TOP

PAGE = TOP / "docs" / "operating.md"


def documented_call() -> str:
    """The GraphQL call of docs/operating.md."""
    (call,) = re.findall(r"```graphql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return str(call)


def every(month: str) -> list[str]:
    return [f"{month}-{number}" for number in CUSTOMERS]


def test_a_month_launched_by_graphql_is_delivered_by_the_sensors_runs_and_once_beside_a_backfill(
    house: House,
) -> None:
    month = "2026-03"
    house.services(month)
    launched = house.dagster.query(documented_call(), month=month)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    assert house.dagster.backfill(house.dagster.assets(), [month]) == "COMPLETED_SUCCESS"
    whole = {
        "dagster/asset_partition_range_start": f"{CUSTOMERS[0]}|{month}",
        "dagster/asset_partition_range_end": f"{CUSTOMERS[-1]}|{month}",
    }
    runs = house.dagster.wait_for_runs("customer_delivery", 1, **whole)
    assert runs[0]["status"] == "SUCCESS"
    assert house.published(month) == every(month)
    assert {one.outcome for one in house.status(month).customers} <= {"delivered", "unchanged"}
    assert len(list(house.installation.inbox.glob(f"*{month}*"))) == len(CUSTOMERS)


def test_one_customer_and_a_new_customer_of_an_old_month_are_backfilled_alone(house: House) -> None:
    month = "2026-04"
    house.services(month)
    months = [asset for asset in house.dagster.assets() if not asset.startswith("easybill")]
    assert house.dagster.backfill(months, [month]) == "COMPLETED_SUCCESS"
    files = ["easybill_csv", "easybill_upload"]
    assert house.dagster.backfill(files, [f"10021|{month}"]) == "COMPLETED_SUCCESS"
    assert house.published(month) == [f"{month}-10021"]

    house.installation.oms.customer("20000")
    house.installation.oms.service("S-new", "20000", completed_at=f"{month}-20T09:30:00Z")
    assert house.dagster.backfill(months, [month]) == "COMPLETED_SUCCESS"
    assert "20000" in house.dagster.customers()
    assert house.dagster.backfill(files, [f"20000|{month}"]) == "COMPLETED_SUCCESS"
    assert house.published(month) == [f"{month}-10021", f"{month}-20000"]
