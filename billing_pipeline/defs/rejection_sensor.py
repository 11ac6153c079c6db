"""Looks into the receiver's error directory, whether or not a month is being delivered."""

import dagster as dg

from billing_pipeline.steps.notice_rejected import notice_rejected
from billing_pipeline.steps.wiring import ChannelAt, LedgerAt

INTERVAL_S = 900


def build_rejection_sensor() -> dg.SensorDefinition:
    """The sensor, running by default; it exists where an error directory is configured."""

    @dg.sensor(
        name="rejection_sensor",
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Holds what the receiver has moved to its error directory since it was delivered.",
    )
    def rejection_sensor(
        context: dg.SensorEvaluationContext,
        channel: dg.ResourceParam[ChannelAt],
        ledger: dg.ResourceParam[LedgerAt],
    ) -> dg.SkipReason:
        # A look that fails raises, and the tick is red: it must not look like an empty error directory.
        rejected = notice_rejected(channel, ledger)
        for delivery in rejected:
            context.log.error(f"{delivery.order_number} is held: {delivery.held_reason}")
        return dg.SkipReason(
            f"{len(rejected)} files were found in the error directory that had been delivered"
        )

    return rejection_sensor
