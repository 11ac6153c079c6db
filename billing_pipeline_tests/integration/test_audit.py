"""The list and the audit, as the command line and Dagster show them; what a person decides takes it off the list."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from billing_pipeline.defs.audit_assets import AUDIT, NOTHING_OPEN
from billing_pipeline.defs.build import build_defs
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.settings import Settings
from billing_pipeline_tests.support.installation import Installation
from billing_pipeline_tests.support.plain_months import run_plainly

SEPTEMBER, OCTOBER = "2026-09", "2026-10"
IN_SEPTEMBER = "2026-09-15T08:00:00Z"
SIGNED = ("--reason", "looked at it", "--by", "Ann")


@pytest.fixture(scope="module")
def replaced(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """A service of September was sent, has gone since, and another one is there in its place."""
    installation = Installation(tmp_path_factory.mktemp("replaced"))
    installation.oms.customer("10023")
    installation.oms.service("S-1", "10023", completed_at=IN_SEPTEMBER, unit_price_net="10.00")
    installation.oms.service("S-2", "10023", completed_at=IN_SEPTEMBER, unit_price_net="20.00")
    run_plainly(installation, SEPTEMBER)
    assert installation.command("status").out == "nothing is open\n"
    installation.oms.remove_service("S-2")
    installation.oms.service("S-2b", "10023", completed_at=IN_SEPTEMBER, unit_price_net="25.00")
    return installation


def test_the_audit_is_the_documented_object(replaced: Installation) -> None:
    answer = replaced.command("audit", "--from", SEPTEMBER, "--to", SEPTEMBER, "--json")
    told = answer.json()
    assert answer.status == 1
    assert told["months"] == [
        {
            "month": SEPTEMBER,
            "rows": 2,
            "billed": 1,
            "omitted": 0,
            "not_billable": 0,
            "set_aside": 1,
            "blocked": 0,
            "late": 0,
            "to_bill": 0,
            "gone": 1,
            "changed": 0,
            "amounts": {"EUR": {"billed": 1000, "open": 2500}},
        }
    ]
    assert [(item["code"], item["source_kind"], item["source_id"], item["net"]) for item in told["open"]] == [
        ("CHANGED_AFTER_DELIVERY", "service", "S-2", None),
        ("POSSIBLE_REPLACEMENT", "service", "S-2b", 2500),
    ]
    assert replaced.command("status", "--json").json() == {"open": told["open"]}


def test_people_read_the_list_with_money_age_and_remedy(replaced: Installation) -> None:
    answer = replaced.command("status")
    assert answer.status == 1
    assert f"{SEPTEMBER}  10023  POSSIBLE_REPLACEMENT  service S-2b  25,00 EUR net  today" in answer.out
    assert f"billing-pipeline admit {SEPTEMBER} --customer 10023 --service S-2b" in answer.out
    assert answer.out.splitlines()[-1].startswith("2 items are open, as of ")
    month = replaced.command("status", SEPTEMBER)
    assert "2 items are open, of all months: `billing-pipeline status` lists them" in month.out


def test_the_asset_is_red_for_the_month_with_open_items(replaced: Installation) -> None:
    def audited(settings: Settings) -> dg.AssetCheckEvaluation:
        with open_instance(settings) as instance:
            result = (
                build_defs(settings)
                .resolve_job_def("revenue_audit")
                .execute_in_process(instance=instance, partition_key=SEPTEMBER)
            )
        (evaluation,) = result.get_asset_check_evaluations()
        return evaluation

    check = replaced.do(audited)
    assert (check.asset_key.to_user_string(), check.check_name, check.passed) == (AUDIT, NOTHING_OPEN, False)
    table = check.metadata["open"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["what"] for record in table.records] == ["service S-2", "service S-2b"]


def test_a_decision_takes_the_row_off_the_list_and_the_remedies_work_as_they_are_named(
    replaced: Installation,
) -> None:
    refused = replaced.command("admit", SEPTEMBER, "--customer", "10023", "--service", "S-1", *SIGNED)
    assert refused.status == 2
    assert "only what is set aside can be admitted" in refused.err
    admitted = replaced.command("admit", SEPTEMBER, "--customer", "10023", "--service", "S-2b", *SIGNED)
    assert (admitted.status, admitted.err) == (0, "")
    assert "service S-2b of 2026-09, customer 10023: is billed" in admitted.out
    still = replaced.command("release", "2026-09-10023", "--as", "withdrawn", *SIGNED)
    assert still.status == 2
    assert "its file lies in the inbox" in still.err
    kept = replaced.command("release", "2026-09-10023", "--as", "delivered", *SIGNED)
    assert kept.out == "2026-09-10023 counts as delivered, as it was sent\n"
    assert replaced.command("status").out.startswith("nothing is open")
    replaced.oms.service("S-oct", "10023", completed_at="2026-10-15T08:00:00Z", unit_price_net="7.00")
    october = replaced.command("run", OCTOBER)
    assert october.status == 0, october.out
    explained = replaced.command("explain", "2026-10-10023", "--json").json()
    assert [line["line_type"] for line in explained["lines"]] == ["late_service", "service"]


def test_new_ids_end_a_run_with_three_and_renaming_heals_it(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.oms.customer("10023")
    for number in range(25):
        installation.oms.service(f"S-{number}", "10023", completed_at=f"2026-09-{number + 1:02d}T08:00:00Z")
    run_plainly(installation, SEPTEMBER)
    for number in range(25):
        installation.oms.change_service(f"S-{number}", service_id=f"T-{number}")
    answer = installation.command("run", OCTOBER)
    assert answer.status == 3
    assert "OMS_IDENTITY_CHANGED" in answer.err
    assert "billing-pipeline admit --renamed" in answer.err
    healed = installation.command("admit", "--renamed", *SIGNED)
    assert healed.out.count("under another id") == 25
    assert installation.command("run", OCTOBER).status == 0
    assert list(installation.files()) == ["easybill_2026-09_10023.csv"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("admit", *SIGNED), "admit needs a MONTH and --customer N, or --renamed"),
        (("admit", "--renamed", "--customer", "1", *SIGNED), "--renamed looks at all months"),
        (("admit", OCTOBER, "--customer", "1", *SIGNED), "no row of customer 1 in 2026-10 is set aside"),
        (("admit", OCTOBER, "--customer", "1", "--reason", " ", "--by", "Ann"), "a reason and a name"),
        (("audit", "--from", "october"), "'october' is not a month"),
    ],
)
def test_what_cannot_be_decided_is_a_usage_error(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    answer = Installation(tmp_path).command(*arguments)
    assert answer.status == 2
    assert says in answer.err
