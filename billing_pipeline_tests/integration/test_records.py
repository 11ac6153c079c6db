"""What Dagster keeps of a month: exactly the partitions are green and red that the ledger says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster import AssetCheckKey

from billing_pipeline.defs import delivery_assets
from billing_pipeline.defs.asset_records import CSV, LAYOUT_CHECK, UPLOAD
from billing_pipeline.defs.build import build_defs
from billing_pipeline.defs.partitions import partition_key, range_tags, ranges_over
from billing_pipeline.settings import load_settings
from billing_pipeline.steps.wiring import build_wiring
from billing_pipeline_tests.support.installation import Installation, outcomes_in

MONTH = "2026-10"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """Three customers to bill, one blocked, one with nothing to bill, one whose name the inbox has already."""
    installation = Installation(tmp_path)
    for number in ("10021", "10022", "10023", "10024", "10025", "10026"):
        installation.oms.customer(number)
        installation.oms.service(f"S-{number}", number)
    installation.oms.change_service("S-10024", unit_price_net=None)
    installation.oms.change_service("S-10025", status="planned")
    (installation.inbox / "easybill_2026-10_10026.csv").write_text("somebody else's", encoding="utf-8")
    return installation


class Kept:
    """What an instance knows of the customers of October."""

    def __init__(self, installation: Installation, instance: dg.DagsterInstance) -> None:
        self.definitions = build_defs(settings=load_settings(installation.environment))
        self.instance = instance

    def state(self, asset: dg.AssetKey) -> dict[str, str]:
        partitions = self.definitions.resolve_assets_def(asset).partitions_def
        keys = [
            str(partition_key(number, MONTH))
            for number in ("10021", "10022", "10023", "10024", "10025", "10026")
        ]
        status = self.instance.get_status_by_partition(asset, keys, partitions)  # type: ignore[arg-type]
        return {
            key.split("|")[0]: state.value if state else "MISSING" for key, state in (status or {}).items()
        }


def instance_of(installation: Installation) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(installation.home / "dagster"))


def test_green_and_red_are_exactly_what_status_says(installation: Installation) -> None:
    outcomes = outcomes_in(installation.run_json(MONTH))
    assert outcomes == {
        "10021": "delivered",
        "10022": "delivered",
        "10023": "delivered",
        "10024": "blocked",
        "10025": "nothing_to_bill",
        "10026": "held",
    }
    with instance_of(installation) as instance:
        kept = Kept(installation, instance)
        assert kept.state(UPLOAD) == {
            number: "FAILED" if outcome in {"blocked", "failed", "held"} else "MATERIALIZED"
            for number, outcome in outcomes.items()
        }
        assert kept.state(CSV) == {
            number: "FAILED" if outcome == "blocked" else "MATERIALIZED"
            for number, outcome in outcomes.items()
        }


def test_a_later_good_run_of_the_blocked_customer_clears_the_red(installation: Installation) -> None:
    installation.run_json(MONTH)
    installation.oms.change_service("S-10024", unit_price_net="20.00")
    installation.run_json(MONTH, "--customer", "10024")
    with instance_of(installation) as instance:
        assert Kept(installation, instance).state(UPLOAD)["10024"] == "MATERIALIZED"


def test_each_file_has_its_hash_as_data_version_and_its_facts_as_metadata(installation: Installation) -> None:
    result = installation.run_json(MONTH)
    told = {customer["customer_number"]: customer for customer in result["customers"]}
    with instance_of(installation) as instance:
        records = instance.fetch_materializations(
            dg.AssetRecordsFilter(CSV, asset_partitions=[partition_key("10021", MONTH)]), limit=1
        ).records
        (materialization,) = [record.asset_materialization for record in records]
        assert materialization is not None
        assert materialization.tags is not None
        assert materialization.tags["dagster/data_version"] == told["10021"]["sha256"]
        assert materialization.metadata["order_number"].value == "2026-10-10021"
        assert materialization.metadata["gross"].value == "178,50 EUR"


def test_the_check_of_a_blocked_customer_has_failed_with_the_reasons_and_of_others_passed(
    installation: Installation,
) -> None:
    installation.run_json(MONTH)
    with instance_of(installation) as instance:
        history = instance.event_log_storage.get_asset_check_execution_history(
            AssetCheckKey(CSV, LAYOUT_CHECK), limit=50
        )
        told: dict[str, tuple[bool, str]] = {}
        for record in history:
            assert record.event is not None
            evaluation = record.event.asset_check_evaluation
            if evaluation is not None and evaluation.partition is not None:
                told[evaluation.partition] = (evaluation.passed, evaluation.description or "")
    assert told[f"10021|{MONTH}"] == (True, "")
    passed, description = told[f"10024|{MONTH}"]
    assert not passed
    assert "PRICE_MISSING (S-10024)" in description


def test_the_failure_of_a_run_names_every_customer_who_was_not_delivered_and_why(
    installation: Installation,
) -> None:
    installation.run_json(MONTH)
    with instance_of(installation) as instance:
        (run,) = instance.get_runs(dg.RunsFilter(job_name="customer_delivery"))
        failures = [
            entry.dagster_event.step_failure_data.user_failure_data
            for entry in instance.all_logs(run.run_id)
            if entry.dagster_event is not None and entry.dagster_event.is_step_failure
        ]
        checks = [
            entry.dagster_event.asset_check_evaluation_data
            for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
            if entry.dagster_event is not None
        ]
    (failure,) = failures
    assert failure is not None
    assert failure.description is not None
    assert failure.description == (
        "Not delivered: 2 customers of 2026-10 (NAME_COLLISION 1, PRICE_MISSING 1). "
        "Mend what the table names, then run the failed partitions again."
    )

    (of_all,) = (check for check in checks if check.partition is None)
    assert of_all.description == failure.description
    for metadata in (of_all.metadata, failure.metadata):
        shown = metadata["problems"]
        assert isinstance(shown, dg.TableMetadataValue)
        assert {row.data["customer_number"] for row in shown.records} == {"10024", "10026"}


def test_what_the_progress_counts_is_true_where_every_delivery_fails(installation: Installation) -> None:
    for number in ("10021", "10022", "10023"):
        (installation.inbox / f"easybill_2026-10_{number}.csv").write_text(
            "somebody else's", encoding="utf-8"
        )
    answer = installation.command("run", MONTH)
    assert "4 HELD" in answer.out
    assert "2026-10, customers processed: 6 of 6" in answer.err
    assert "delivered" not in answer.err


def run_range(installation: Installation, instance: dg.DagsterInstance, asset: dg.AssetKey | None) -> bool:
    """The whole range of registered customers, as a backfill would run it."""
    definitions = build_defs(settings=load_settings(installation.environment))
    registered = instance.get_dynamic_partitions("customer")
    (whole,) = ranges_over(registered, registered, limit=250)
    return (
        definitions.resolve_job_def("customer_delivery")
        .execute_in_process(
            instance=instance,
            tags=range_tags(whole, MONTH),
            run_config=QUIET,
            asset_selection=[asset] if asset else None,
            raise_on_error=False,
        )
        .success
    )


def bill(installation: Installation, instance: dg.DagsterInstance) -> None:
    build_defs(settings=load_settings(installation.environment)).resolve_job_def(
        "monthly_billing"
    ).execute_in_process(instance=instance, partition_key=MONTH, run_config=QUIET)


def test_the_csv_alone_sends_nothing_and_the_upload_alone_sends_what_was_stored(
    installation: Installation,
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        bill(installation, instance)
        before = installation.files()
        run_range(installation, instance, CSV)
        assert installation.files() == before
        installation.oms.change_service("S-10021", unit_price_net="999.00")
        run_range(installation, instance, UPLOAD)
    sent = installation.files()
    assert set(sent) - set(before) == {f"easybill_2026-10_{n}.csv" for n in ("10021", "10022", "10023")}
    assert "178.50" in sent["easybill_2026-10_10021.csv"]


def test_an_upload_by_itself_is_refused_while_its_month_is_not_over(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.oms.customer("10023")
    installation.oms.service("S-1", "10023", completed_at="2026-11-02T10:00:00Z")
    definitions = build_defs(settings=load_settings(installation.environment))
    with dg.DagsterInstance.ephemeral() as instance, pytest.MonkeyPatch.context() as patch:
        definitions.resolve_job_def("monthly_billing").execute_in_process(
            instance=instance, partition_key="2026-11", run_config=QUIET
        )
        patch.setattr(delivery_assets, "utc_now", lambda: datetime(2026, 11, 20, tzinfo=UTC))
        (whole,) = ranges_over(["10023"], ["10023"], limit=1)
        result = definitions.resolve_job_def("customer_delivery").execute_in_process(
            instance=instance, tags=range_tags(whole, "2026-11"), run_config=QUIET, raise_on_error=False
        )
    assert not result.success
    assert installation.files() == {}


@pytest.mark.parametrize(("month", "why"), [("2999-01", "has not begun"), ("2024-12", "BILLING_FIRST_MONTH")])
def test_before_its_end_a_month_must_have_begun_and_exist(
    installation: Installation, month: str, why: str
) -> None:
    answer = installation.command("run", month, "--before-end")
    assert (answer.status, why in answer.err) == (2, True), answer.err


def test_a_resource_may_be_replaced_and_one_that_nobody_asks_for_is_an_error(
    installation: Installation,
) -> None:
    settings = load_settings(installation.environment)
    build_defs(settings=settings, resources={"oms": build_wiring(settings).oms})
    with pytest.raises(ValueError, match="omz"):
        build_defs(settings=settings, resources={"omz": object()})
