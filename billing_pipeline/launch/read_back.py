"""Reads a month's drafts back now, in this process, through Dagster: what the sensor asks for, and what it leaves."""

from billing_pipeline.defs.build import build_defs
from billing_pipeline.defs.draft_assets import DRAFTS_PER_RUN
from billing_pipeline.defs.partitions import CUSTOMER, customers_to_add, range_tags, ranges_over
from billing_pipeline.delivery.records import SENT_STATES
from billing_pipeline.easybill.document import customer_key
from billing_pipeline.launch.in_process import execute
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.settings import Settings
from billing_pipeline.steps.wiring import build_wiring


def read_back(settings: Settings, month: str) -> None:
    """Holds EASY Bill's draft of everything that was sent of the month against it. The ledger has what came of it.

    Raises: SettingsInvalid without an API key; ApiError where EASY Bill cannot be asked.
    """
    wiring = build_wiring(settings)
    wiring.easybill.require()
    definitions = build_defs(settings, resources=wiring.as_resources())
    numbers = {
        delivery.customer_number
        for delivery in wiring.ledger.open().deliveries.of_month(month)
        if delivery.state in SENT_STATES
    }
    with open_instance(settings) as instance:
        registered = instance.get_dynamic_partitions(CUSTOMER)
        instance.add_dynamic_partitions(CUSTOMER, customers_to_add(numbers, registered))
        for part in ranges_over(
            instance.get_dynamic_partitions(CUSTOMER),
            map(customer_key, numbers),
            limit=DRAFTS_PER_RUN,
            bridged_gap=DRAFTS_PER_RUN,
        ):
            execute(definitions, "draft_reconciliation", instance, tags=range_tags(part, month), ops={})
