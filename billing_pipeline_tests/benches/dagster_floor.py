"""`python -m billing_pipeline_tests.benches.dagster_floor CUSTOMERS`: what Dagster costs by itself.

A process that imports Dagster, opens the instance in `DAGSTER_HOME`, and records in one run what the product's runs
record for their customers, around an empty body. It knows nothing of the product but the
storage that the instance names.
"""

import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import nullcontext

import dagster as dg

MONTHS = dg.MonthlyPartitionsDefinition(start_date="2025-01", fmt="%Y-%m", end_offset=1)
PARTITIONS = dg.MultiPartitionsDefinition(
    {"customer": dg.DynamicPartitionsDefinition(name="customer"), "month": MONTHS}
)
METADATA: dict[str, str | int | dg.MarkdownMetadataValue] = {
    "order_number": "2026-10-10023",
    "file": "easybill_2026-10_10023.csv",
    "remote_path": "/import/easybill_2026-10_10023.csv",
    "sha256": "0" * 64,
    "lines": 3,
    "net": "150.00 EUR",
    "vat": "28.50 EUR",
    "gross": "178.50 EUR",
    "rows": dg.MarkdownMetadataValue(
        "| title | quantity | price |\n|---|---|---|\n" + "| Battery | 1 | 70.00 |\n" * 3
    ),
}
TAGS = {"dagster/data_version": "0" * 64}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.PreviewWarning)
    LAYOUT_CHECK = dg.AssetCheckSpec("layout", asset="csv", partitions_def=PARTITIONS)


@dg.multi_asset(
    specs=[dg.AssetSpec("csv", skippable=True), dg.AssetSpec("upload", skippable=True, deps=["csv"])],
    check_specs=[LAYOUT_CHECK],
    partitions_def=PARTITIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    can_subset=True,
)
def chunk(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Records what the product's own op records, and does nothing else; its verdict says how long that took."""
    keys = context.partition_keys
    started = time.perf_counter()
    together = getattr(context.instance.event_log_storage, "together", nullcontext)
    with together():
        for key in keys:
            csv = dg.AssetMaterialization("csv", partition=key, metadata=METADATA, tags=TAGS)
            check = dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey("csv"), check_name="layout", passed=True, partition=key
            )
            upload = dg.AssetMaterialization("upload", partition=key, metadata=METADATA, tags=TAGS)
            for event in (csv, check, upload):
                context.log_event(event)
    spent = time.perf_counter() - started
    yield dg.AssetCheckResult(asset_key="csv", check_name="layout", passed=True, metadata={"seconds": spent})


def record(instance: dg.DagsterInstance, customers: int) -> float:
    """One run over so many customers; the seconds that its body spent on recording them."""
    keys = [f"{number}|2026-10" for number in range(10_000, 10_000 + customers)]
    job = dg.Definitions(assets=[chunk], jobs=[dg.define_asset_job("job")]).resolve_job_def("job")
    instance.add_dynamic_partitions("customer", [key.partition("|")[0] for key in keys])
    tags = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
    result = job.execute_in_process(instance=instance, run_config=QUIET, tags=tags)
    assert instance.get_materialized_partitions(dg.AssetKey("upload")) == set(keys)
    overall = result.get_asset_check_evaluations()[-1]
    return float(str(overall.metadata["seconds"].value))


if __name__ == "__main__":
    with dg.DagsterInstance.get() as opened:
        record(opened, int(sys.argv[1]))
