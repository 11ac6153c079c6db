"""The checks of a month's assets, evaluated in real runs: what they say, whom they stop, and where they are shown."""

from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest

from billing_pipeline.defs import month_checks
from billing_pipeline.defs.month_checks import relation_checks
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.settings import load_settings
from billing_pipeline_tests.support.frames import customer, extract, faulty, service
from billing_pipeline_tests.support.installation import Installation, outcomes_in
from billing_pipeline_tests.support.plain_months import run_plainly

MONTH = "2026-10"


@pytest.fixture
def house(tmp_path: Path) -> Installation:
    installation = Installation(tmp_path)
    installation.oms.customer("10023")
    installation.oms.service("S-1", "10023")
    return installation


def evaluations(house: Installation) -> dict[tuple[str, str], Any]:
    """The newest evaluation of each check of the month's assets, by asset and check; all are of the month."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        with open_instance(load_settings(house.environment)) as instance:
            run = instance.get_runs(dg.RunsFilter(job_name="monthly_billing"))[0]
            records = instance.get_records_for_run(
                run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
            ).records
    said = [
        record.event_log_entry.dagster_event.asset_check_evaluation_data
        for record in records
        if record.event_log_entry.dagster_event
    ]
    assert {one.partition for one in said} <= {MONTH}
    return {(one.asset_key.to_user_string(), one.check_name): one for one in said}


def test_a_good_month_passes_all_its_checks(house: Installation) -> None:
    house.run_json(MONTH)
    said = evaluations(house)
    assert set(said) == {
        ("oms_customers", "valid_rows"),
        ("oms_services", "valid_rows"),
        ("oms_service_tasks", "valid_rows"),
        ("oms_cancellation_fees", "valid_rows"),
        ("invoice_lines", "reconciliation"),
        ("invoice_lines", "customers_accounted_for"),
        ("invoice_lines", "month_size"),
    }
    assert all(one.passed for one in said.values())
    dispositions = said["invoice_lines", "reconciliation"].metadata["dispositions"].records
    assert dispositions[0].data == {"rows of the month": "billed", "count": 1, "net": "150,00 EUR"}
    assert dispositions[-1].data["count"] == sum(record.data["count"] for record in dispositions[:-1]) == 1


def test_a_faulty_row_warns_with_the_row_as_a_table_and_blocks_its_customer_only(house: Installation) -> None:
    house.oms.customer("10024", country="Germany")
    house.oms.service("S-2", "10024", unit_price_net="1.005")
    house.oms.task("S-2", price_net="-1.00")
    house.oms.fee("F-2", "10024", currency="EURO")
    assert outcomes_in(house.run_json(MONTH)) == {"10023": "delivered", "10024": "blocked"}
    said = evaluations(house)
    for asset, source in {
        "oms_customers": "",
        "oms_services": "S-2",
        "oms_service_tasks": "S-2",
        "oms_cancellation_fees": "F-2",
    }.items():
        check = said[asset, "valid_rows"]
        assert not check.passed
        assert check.severity is dg.AssetCheckSeverity.WARN
        (row,) = check.metadata["problems"].records
        assert (row.data["customer_number"], row.data["source_id"]) == ("10024", source)
        assert row.data["message"]
    assert said["invoice_lines", "reconciliation"].passed
    assert said["invoice_lines", "customers_accounted_for"].passed


def test_what_does_not_add_up_is_counted_in_a_sentence_and_named_in_a_table(
    house: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = [f"customer {number} has 2 outcomes" for number in range(1, 31)]
    monkeypatch.setattr(month_checks, "accounting_faults", lambda *_: iter(faults))
    house.command("run", MONTH)
    check = evaluations(house)["invoice_lines", "customers_accounted_for"]
    assert (check.passed, check.description) == (False, f"30 faults, the first: {faults[0]}")
    assert [row.data["fault"] for row in check.metadata["faults"].records] == faults


def test_faults_are_those_of_the_months_own_rows_and_of_rows_without_a_month() -> None:
    found = extract(
        faulty(service("S-1"), "QUANTITY_INVALID", "quantity", "0"),
        faulty(service("S-9", customer_number="2", month=None), "TIMESTAMP_WITHOUT_ZONE", "completed_at"),
        customers=[customer(), faulty(customer("2"), "COUNTRY_INVALID", "country", "XX")],
    )

    def told(month: str) -> list[tuple[Any, Any]]:
        relations = {"oms_customers": "customers", "oms_services": "services"}
        return [
            (row.data["customer_number"], row.data["code"])
            for check in relation_checks(found, month, relations)
            for row in cast(dg.TableMetadataValue, check.metadata["problems"]).records
        ]

    without_a_month = [("2", "COUNTRY_INVALID"), ("2", "TIMESTAMP_WITHOUT_ZONE")]
    assert sorted(told("2026-10")) == [("10023", "QUANTITY_INVALID"), *without_a_month]
    assert sorted(told("2026-09")) == without_a_month


def three_months_before(house: Installation, lines: int) -> None:
    for month in ("07", "08", "09"):
        for number in range(lines):
            house.oms.service(f"S-{month}-{number}", completed_at=f"2026-{month}-14T09:30:00Z")
        run_plainly(house, f"2026-{month}")


def test_a_month_ten_times_as_large_as_usual_is_not_sent_until_a_person_says_so(house: Installation) -> None:
    three_months_before(house, 2)
    for number in range(30):
        house.oms.service(f"N-{number}")
    answer = house.command("run", MONTH)
    assert answer.status == 3
    assert "31 lines; the 3 months before it have 2 in the median" in answer.err
    assert "--force" in answer.err
    assert f"easybill_{MONTH}_10023.csv" not in house.files()
    check = evaluations(house)["invoice_lines", "month_size"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert house.command("run", MONTH, "--force").status == 0
    assert f"easybill_{MONTH}_10023.csv" in house.files()


def test_a_month_that_is_empty_where_others_are_not_closes_nobody(house: Installation) -> None:
    house.oms.remove_service("S-1")
    three_months_before(house, 20)
    house.oms.service("S-open", status="open")
    assert house.command("run", MONTH).status == 3
    assert all(row.closed_at is None for row in house.ledger.months.customers(MONTH))


def test_a_month_four_times_as_large_is_billed_with_a_warning(house: Installation) -> None:
    three_months_before(house, 6)
    for number in range(24):
        house.oms.service(f"N-{number}")
    assert house.command("run", MONTH).status == 0
    check = evaluations(house)["invoice_lines", "month_size"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_a_file_that_passed_is_shown_as_passed_and_a_blocked_customer_as_failed(house: Installation) -> None:
    """A check that does not name its materialization counts as missing on Dagster's page."""
    house.oms.customer("10024")
    house.oms.service("S-2", "10024", unit_price_net=None)
    house.run_json(MONTH)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        with open_instance(load_settings(house.environment)) as instance:
            found = instance.event_log_storage.get_asset_check_partition_info(
                [dg.AssetCheckKey(dg.AssetKey("easybill_csv"), "easybill_layout")]
            )
    shown = {one.partition_key: (one.latest_execution_status.value, one.is_current) for one in found}
    assert shown["10023|2026-10"] == ("SUCCEEDED", True)
    assert shown["10024|2026-10"] == ("FAILED", True)
