"""The sensors: how a billed month is cut into delivery runs, whose runs they leave alone, and who is registered."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from billing_pipeline.defs.build import build_defs
from billing_pipeline.defs.jobs import DELIVERS_ITSELF_TAG
from billing_pipeline.defs.partitions import CUSTOMER
from billing_pipeline.settings import load_settings
from billing_pipeline.steps.wiring import LedgerAt
from billing_pipeline.store.frames import FrameStore
from billing_pipeline_tests.support.rosters import billing_of_roster

MONTH = "2026-10"
NUMBERS = [f"{number}" for number in range(10_000, 11_000)]
PER_RUN = 250
FIRST_RUN = "b5c7f0f4-2f0e-4c55-9d43-0e1f6f0a7a11"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def requests(
    tmp_path: Path,
    instance: dg.DagsterInstance,
    roster: list[str],
    tags: Mapping[str, str] | None = None,
    **of_run: str,
) -> list[dg.RunRequest]:
    """What the delivery sensor asks for after a month run with these tags and fields, with all NUMBERS registered."""
    frames = FrameStore(str(tmp_path))
    ledger = LedgerAt(f"sqlite:///{tmp_path / 'ledger.db'}")
    instance.add_dynamic_partitions(CUSTOMER, NUMBERS)
    definitions = build_defs(
        settings=load_settings({"BILLING_HOME": str(tmp_path), "BILLING_CUSTOMERS_PER_RUN": str(PER_RUN)})
    )

    @dg.job(name="monthly_billing")
    def month() -> None: ...

    run = month.execute_in_process(instance=instance, tags={"dagster/partition": MONTH, **(tags or {})})
    billing_of_roster(ledger.open(), frames, MONTH, roster, run.run_id)
    context = dg.build_run_status_sensor_context(
        sensor_name="customer_delivery_sensor",
        dagster_event=run.get_run_success_event(),
        dagster_instance=instance,
        dagster_run=run.dagster_run._replace(**of_run),
        resources={"frames": frames, "ledger": ledger},
    )
    sensor: Any = definitions.resolve_sensor_def("customer_delivery_sensor")
    return [one for one in sensor(context) if isinstance(one, dg.RunRequest)]


def ranges(asked: list[dg.RunRequest]) -> list[tuple[str, str]]:
    return [
        (one.tags["dagster/asset_partition_range_start"], one.tags["dagster/asset_partition_range_end"])
        for one in asked
    ]


def test_a_thousand_customers_are_four_runs_of_250(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    asked = requests(tmp_path, instance, NUMBERS)
    assert ranges(asked) == [
        (f"{first}|{MONTH}", f"{first + 249}|{MONTH}") for first in (10_000, 10_250, 10_500, 10_750)
    ]
    assert {one.job_name for one in asked} == {"customer_delivery"}
    assert len({one.run_key for one in asked}) == 4


def test_it_asks_for_the_months_customers_and_not_for_every_customer_ever_seen(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    assert ranges(requests(tmp_path, instance, ["10010", "10011", "10900"])) == [
        (f"10010|{MONTH}", f"10011|{MONTH}"),
        (f"10900|{MONTH}", f"10900|{MONTH}"),
    ]


def test_a_run_of_the_command_line_makes_its_own_deliveries(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    assert requests(tmp_path, instance, NUMBERS, {DELIVERS_ITSELF_TAG: "true"}) == []


def test_such_a_run_executed_again_in_the_ui_is_delivered_as_any_other(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    # The UI gives it the tags of the first run, of a process that has ended.
    tags = {DELIVERS_ITSELF_TAG: "true"}
    again = requests(tmp_path, instance, NUMBERS, tags, parent_run_id=FIRST_RUN, root_run_id=FIRST_RUN)
    assert len(again) == 4


def test_customers_are_registered_once_as_they_appear(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    class Oms:
        numbers: tuple[str, ...] = ("b", "a")

        def customer_numbers(self) -> list[str]:
            return list(self.numbers)

    sensor: Any = build_defs(settings=load_settings({"BILLING_HOME": str(tmp_path)})).resolve_sensor_def(
        "customer_registration_sensor"
    )
    oms = Oms()
    context = dg.build_sensor_context(instance=instance, resources={"oms": oms})
    (request,) = sensor(context).dynamic_partitions_requests
    assert (request.partitions_def_name, list(request.partition_keys)) == (CUSTOMER, ["a", "b"])
    instance.add_dynamic_partitions(CUSTOMER, ["a", "b"])
    assert isinstance(sensor(context), dg.SkipReason)
    oms.numbers = ("b", "a", "10,0|ü")
    (request,) = sensor(context).dynamic_partitions_requests
    assert list(request.partition_keys) == ["10%2C0%7C%C3%BC"]


def test_an_oms_out_of_reach_is_a_red_tick_and_not_an_oms_without_customers(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    class Oms:
        def customer_numbers(self) -> list[str]:
            raise OSError("down")

    sensor: Any = build_defs(settings=load_settings({"BILLING_HOME": str(tmp_path)})).resolve_sensor_def(
        "customer_registration_sensor"
    )
    with pytest.raises(OSError, match="down"):
        sensor(dg.build_sensor_context(instance=instance, resources={"oms": Oms()}))
