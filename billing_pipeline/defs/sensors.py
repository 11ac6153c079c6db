"""The sensors: a billed month asks for its deliveries; the OMS's customers are registered as they appear.

What a sensor decides is a pure function of `partitions`; here it is only asked and told to Dagster.
"""

from collections.abc import Iterator

import dagster as dg

from billing_pipeline.defs.jobs import Jobs, delivers_itself
from billing_pipeline.defs.partitions import CUSTOMER, customers_to_add, range_tags, ranges_over
from billing_pipeline.easybill.document import customer_key
from billing_pipeline.steps.wiring import LedgerAt, Oms
from billing_pipeline.store.frames import ROSTER, FrameStore

REGISTRATION_INTERVAL_S = 3600


def build_sensors(jobs: Jobs, *, customers_per_run: int) -> list[dg.SensorDefinition]:
    """The sensors, running by default: a month that nobody asked for is still a month that is late."""

    @dg.run_status_sensor(
        name="customer_delivery_sensor",
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[jobs.monthly_billing],
        request_jobs=[jobs.customer_delivery],
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="When a month's lines are made, requests its deliveries, in ranges of customers.",
    )
    def customer_delivery_sensor(
        context: dg.RunStatusSensorContext,
        frames: dg.ResourceParam[FrameStore],
        ledger: dg.ResourceParam[LedgerAt],
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        run = context.dagster_run
        month = run.tags.get("dagster/partition")
        if month is None or delivers_itself(run):
            yield dg.SkipReason(f"run {run.run_id} makes its own deliveries")
            return
        billing = ledger.open().billings.of_run(run.run_id)
        if billing is None:
            yield dg.SkipReason(f"run {run.run_id} has billed nothing")
            return
        roster = frames.read(ROSTER, month, billing.frames[ROSTER])
        wanted = {customer_key(number) for number in roster["customer_number"]}
        registered = context.instance.get_dynamic_partitions(CUSTOMER)
        for customers in ranges_over(registered, wanted, limit=customers_per_run):
            yield dg.RunRequest(
                # One request per range of this billing run, however often the sensor ticks.
                run_key=f"{run.run_id}:{customers.first}",
                job_name=jobs.customer_delivery.name,
                tags=range_tags(customers, month),
            )

    @dg.sensor(
        name="customer_registration_sensor",
        minimum_interval_seconds=REGISTRATION_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Registers the OMS's customers as partitions, so that a backfill of any month finds them.",
    )
    def customer_registration_sensor(
        context: dg.SensorEvaluationContext, oms: dg.ResourceParam[Oms]
    ) -> dg.SensorResult | dg.SkipReason:
        # A read that fails raises, and the tick is red: it must not look like an OMS without customers.
        new = customers_to_add(oms.customer_numbers(), context.instance.get_dynamic_partitions(CUSTOMER))
        if not new:
            return dg.SkipReason("every customer of the OMS is registered")
        return dg.SensorResult(dynamic_partitions_requests=[dg.AddDynamicPartitionsRequest(CUSTOMER, new)])

    return [customer_delivery_sensor, customer_registration_sensor]
