"""What EASY Bill made of the files: confirmed to the cent, or told. The sandbox imports, and answers over its API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from billing_pipeline.defs import draft_assets
from billing_pipeline.defs.asset_records import CSV, DRAFT, DRAFT_CHECK, UPLOAD
from billing_pipeline.defs.build import build_defs
from billing_pipeline.delivery.records import Delivery, State
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.launch.read_back import read_back
from billing_pipeline.problems import Code
from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline.settings import Settings, load_settings
from billing_pipeline.steps import open_list
from billing_pipeline.steps.wiring import LedgerAt, build_wiring
from billing_pipeline_tests.support.custom_csv import custom_csv
from billing_pipeline_tests.support.easybill_sandbox import judged_sandbox, put_file
from billing_pipeline_tests.support.installation import Installation, customer_in, outcomes_in
from billing_pipeline_tests.support.plain_months import run_plainly
from billing_pipeline_tests.support.receivers import Received, webhook

MONTH = "2026-10"
CUSTOMERS = ("10023", "10024", "10025", "10026")


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """Imports when told to; at the end every request made of it is judged."""
    with judged_sandbox(tmp_path / "sandbox") as running:
        yield running


@pytest.fixture
def received() -> Iterator[Received]:
    """What people are alerted to."""
    with webhook() as messages:
        yield messages


@pytest.fixture
def installation(sandbox: Sandbox, received: Received, tmp_path: Path) -> Installation:
    """Customers with a service each; files go into the folder from which the sandbox imports."""
    api = {name: value for name, value in sandbox.settings().items() if name.startswith("BILLING_EASYBILL")}
    api["BILLING_EASYBILL_REQUESTS_PER_MINUTE"] = "600"
    made = Installation(tmp_path, **api, BILLING_FOLDER=str(sandbox.files), BILLING_ALERT_URLS=received.url)
    for number in CUSTOMERS:
        sandbox.add_customer(number, company_name="x")
        made.oms.customer(number)
        made.oms.service(f"S-{number}", number)
    return made


def delivered(installation: Installation, number: str) -> Delivery:
    found = installation.ledger.deliveries.of_order(f"{MONTH}-{number}")
    assert found is not None
    return found


def read(installation: Installation) -> None:
    installation.do(lambda settings: read_back(settings, MONTH))


def alert(installation: Installation, cursor: str | None) -> str | None:
    """One tick of the sensor that tells people; its next cursor."""

    def tick(settings: Settings) -> str | None:
        sensor = build_defs(settings=settings).resolve_sensor_def("run_alert_sensor")
        ledger = LedgerAt(settings.ledger_url_or_default)
        with open_instance(settings) as instance:
            result = sensor(
                dg.build_sensor_context(instance=instance, cursor=cursor, resources={"ledger": ledger})
            )
            assert isinstance(result, dg.SensorResult)
            return result.cursor

    return installation.do(tick)


def statuses(installation: Installation) -> dict[str, str]:
    """The status of each customer's partition of `easybill_draft`, as the UI shows it."""

    def look(settings: Settings) -> dict[str, str]:
        with open_instance(settings) as instance:
            found = instance.get_status_by_partition(
                DRAFT, [f"{number}|{MONTH}" for number in CUSTOMERS], _partitions(settings)
            )
            return {
                key.partition("|")[0]: status.value if status else "" for key, status in (found or {}).items()
            }

    return installation.do(look)


def _partitions(settings: Settings) -> dg.PartitionsDefinition[str]:
    definition = build_defs(settings=settings).resolve_assets_def(DRAFT).partitions_def
    assert definition is not None
    return definition


def link_at(
    installation: Installation, asset: dg.AssetKey, number: str, *, as_made: bool = False
) -> str | None:
    """The link to the draft that the customer's partition shows: as it was made, or (not `as_made`) as seen since."""

    def look(settings: Settings) -> str | None:
        with open_instance(settings) as instance:
            wanted = dg.AssetRecordsFilter(asset, asset_partitions=[f"{number}|{MONTH}"])
            found = [
                *instance.fetch_materializations(wanted, limit=1).records,
                *([] if as_made else instance.fetch_observations(wanted, limit=1).records),
            ]
        events = [record.event_log_entry.dagster_event for record in found]
        shown = [
            (
                event.step_materialization_data.materialization.metadata
                if event.is_step_materialization
                else event.asset_observation_data.asset_observation.metadata
            ).get("link")
            for event in events
            if event
        ]
        return next((str(link.value) for link in shown if link), None)

    return installation.do(look)


def test_before_a_draft_is_seen_no_link_is_made_up_and_later_runs_show_it(
    installation: Installation, sandbox: Sandbox
) -> None:
    installation.run_json(MONTH)
    assert link_at(installation, CSV, "10023") is link_at(installation, UPLOAD, "10023") is None
    sandbox.import_now()
    read(installation)
    installation.run_json(MONTH)
    for asset in (CSV, UPLOAD):
        assert link_at(installation, asset, "10023", as_made=True), asset


def failures_of_checks(installation: Installation) -> dict[str, str]:
    """Why the check failed, by partition."""

    def look(settings: Settings) -> dict[str, str]:
        reasons = {}
        with open_instance(settings) as instance:
            for run in instance.get_runs():
                kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
                for record in instance.get_records_for_run(run.run_id, of_type=kind).records:
                    event = record.event_log_entry.dagster_event
                    said = event.asset_check_evaluation_data if event else None
                    if said and said.check_name == DRAFT_CHECK and said.partition and not said.passed:
                        reasons[said.partition] = said.description or ""
        return reasons

    return installation.do(look)


def test_every_draft_is_confirmed_to_the_cent_with_its_id_and_link(
    installation: Installation, sandbox: Sandbox
) -> None:
    run_plainly(installation, MONTH)
    sandbox.import_now()
    asked = len(sandbox.journal.exchanges)
    read(installation)
    assert [exchange.path for exchange in sandbox.journal.exchanges][asked:] == ["/documents"]
    drafts = {draft.customer_number: draft for draft in sandbox.drafts()}
    for number in CUSTOMERS:
        row, draft = delivered(installation, number), drafts[number]
        assert (row.state, row.draft_id, row.draft_gross) == (State.CONFIRMED, draft.id, draft.gross)
        last = installation.ledger.events.find(customer_number=number)[-1]
        assert (last.action, last.outcome) == ("confirm", "success")
        assert f"{sandbox.api_url}/documents/{draft.id}: 178,50 EUR gross, as delivered" in last.detail
    assert set(statuses(installation).values()) == {"MATERIALIZED"}
    for asset in (CSV, UPLOAD, DRAFT):
        assert link_at(installation, asset, "10023") == f"{sandbox.api_url}/documents/{drafts['10023'].id}"
    status = installation.command("status", MONTH, "--json")
    assert (status.status, set(outcomes_in(status.json()).values())) == (0, {"delivered"})


def test_a_changed_amount_a_missing_draft_and_a_skipped_order_are_each_told(
    installation: Installation, sandbox: Sandbox, received: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Somebody has imported an order of that number before: ours is skipped.
    put_file(sandbox, "other.csv", custom_csv({"order_number": f"{MONTH}-10025", "item_price": "99.00"}))
    sandbox.import_now()
    run_plainly(installation, MONTH)
    assert sandbox.import_now().skipped == (f"{MONTH}-10025",)
    sandbox.faults.change_amount(f"{MONTH}-10023", 1)
    sandbox.faults.lose_draft(f"{MONTH}-10024")
    monkeypatch.setattr(draft_assets, "utc_now", lambda: datetime.now(UTC) + timedelta(hours=25))
    cursor = alert(installation, None)

    read(installation)
    cursor = alert(installation, cursor)
    read(installation)
    alert(installation, cursor)

    result = installation.command("status", MONTH, "--json")
    assert result.status == 1
    assert outcomes_in(result.json()) == {
        "10023": "held",
        "10024": "held",
        "10025": "held",
        "10026": "delivered",
    }
    told = {number: customer_in(result.json(), number)["problems"] for number in CUSTOMERS}
    assert [problem["code"] for problem in told["10023"]] == ["DRAFT_MISMATCH"]
    assert "has a gross amount of 178,51 EUR, delivered were 178,50 EUR" in told["10023"][0]["message"]
    assert [problem["code"] for problem in told["10024"]] == ["DRAFT_MISSING"]
    assert "EASY Bill shows no draft of easybill_2026-10_10024.csv" in told["10024"][0]["message"]
    assert [problem["code"] for problem in told["10025"]] == ["DRAFT_MISMATCH"]
    assert "is for customer 10023, delivered was 10025" in told["10025"][0]["message"]
    assert statuses(installation) == {
        "10023": "FAILED",
        "10024": "FAILED",
        "10025": "FAILED",
        "10026": "MATERIALIZED",
    }
    reasons = failures_of_checks(installation)
    assert set(reasons) == {f"{number}|{MONTH}" for number in ("10023", "10024", "10025")}
    assert "178,51 EUR" in reasons[f"10023|{MONTH}"]
    (body,) = received.bodies  # once, however often it is read back
    for number, code in (("10023", "MISMATCH"), ("10024", "MISSING"), ("10025", "MISMATCH")):
        assert f"Customer {number}, {MONTH}: HELD" in body
        assert f"DRAFT_{code} ({MONTH}-{number})" in body

    # Put right in EASY Bill, it is right here; what is left, a person accepts.
    sandbox.faults.clear()
    read(installation)
    assert outcomes_in(installation.command("status", MONTH, "--json").json()) == {
        "10023": "delivered",
        "10024": "delivered",
        "10025": "held",
        "10026": "delivered",
    }
    decided = ("--as", "delivered", "--reason", "billed by hand", "--by", "Ada")
    assert installation.command("release", f"{MONTH}-10025", *decided).status == 0
    read(installation)
    assert installation.command("status", MONTH, "--json").status == 0
    assert set(statuses(installation).values()) == {"MATERIALIZED"}


def requested(installation: Installation) -> list[dg.RunRequest]:
    """What the sensor asks for."""

    def tick(settings: Settings) -> list[dg.RunRequest]:
        definitions, wiring = build_defs(settings=settings), build_wiring(settings)
        with open_instance(settings) as instance:
            context = dg.build_sensor_context(
                instance=instance, resources={"ledger": wiring.ledger, "billing": wiring.billing}
            )
            result = definitions.resolve_sensor_def("easybill_draft_sensor")(context)
            return list(result.run_requests or []) if isinstance(result, dg.SensorResult) else []

    return installation.do(tick)


def test_the_sensor_asks_for_the_drafts_of_what_was_delivered_until_they_are_confirmed(
    installation: Installation, sandbox: Sandbox
) -> None:
    assert requested(installation) == []
    run_plainly(installation, MONTH)
    (request,) = requested(installation)
    assert request.tags["dagster/asset_partition_range_start"] == f"10023|{MONTH}"
    assert request.tags["dagster/asset_partition_range_end"] == f"10026|{MONTH}"
    sandbox.import_now()
    read(installation)
    assert requested(installation) == []


def test_a_damaged_stored_document_costs_its_customer_alone(
    installation: Installation, sandbox: Sandbox
) -> None:
    run_plainly(installation, MONTH)
    sandbox.import_now()
    name = delivered(installation, "10024").document_sha256
    (stored,) = [
        path for path in installation.home.joinpath("store").rglob("*") if path.name.startswith(name)
    ]
    stored.chmod(0o600)
    stored.write_bytes(b"damaged")
    read(installation)
    states = {number: delivered(installation, number).state for number in CUSTOMERS}
    assert states.pop("10024") is not State.CONFIRMED
    assert set(states.values()) == {State.CONFIRMED}
    told = failures_of_checks(installation)
    assert list(told) == [f"10024|{MONTH}"]
    assert Code.STORED_FILE_DAMAGED in told[f"10024|{MONTH}"]


def test_before_the_deadline_a_missing_draft_is_merely_not_there(installation: Installation) -> None:
    run_plainly(installation, MONTH)
    read(installation)
    assert set(outcomes_in(installation.command("status", MONTH, "--json").json()).values()) == {"delivered"}
    assert "MATERIALIZED" not in statuses(installation).values()
    assert "FAILED" not in statuses(installation).values()
    assert installation.ledger.events.find(customer_number="10023")[-1].detail == "no draft yet"


def test_without_a_key_there_is_no_such_asset(tmp_path: Path) -> None:
    settings = load_settings({"BILLING_HOME": str(tmp_path)})
    assert DRAFT not in build_defs(settings=settings).resolve_all_asset_keys()
    with_key = load_settings({"BILLING_HOME": str(tmp_path), "BILLING_EASYBILL_API_KEY": "canary"})
    assert DRAFT in build_defs(settings=with_key).resolve_all_asset_keys()


def test_a_draft_that_nobody_has_read_in_time_is_listed_until_the_named_job_has_read_it(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    for number in CUSTOMERS:
        installation.oms.service(f"S-09-{number}", number, completed_at="2026-09-14T09:30:00Z")
    assert installation.command("run", "2026-09").status == 0
    sandbox.import_now()
    installation.do(lambda settings: read_back(settings, "2026-09"))
    assert installation.command("run", MONTH).status == 0
    sandbox.import_now()
    monkeypatch.setattr(open_list, "utc_now", lambda: datetime(2027, 3, 1, tzinfo=UTC))
    told = installation.command("status", "--json").json()["open"]
    assert [(one["month"], one["customer_number"], one["code"]) for one in told] == [
        (MONTH, number, Code.DRAFT_MISSING) for number in CUSTOMERS
    ]
    assert "run the job draft_reconciliation" in told[0]["message"]
    read(installation)
    assert installation.command("status", "--json").json()["open"] == []
