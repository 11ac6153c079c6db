"""A billing is a value: whatever is looked at, or billed in part, changes nothing of what another run sends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import dagster as dg
import pytest

from billing_pipeline.defs.asset_records import CSV, UPLOAD
from billing_pipeline.defs.build import build_defs
from billing_pipeline.defs.partitions import range_tags, ranges_over
from billing_pipeline.easybill import export
from billing_pipeline.easybill.document_columns import DocumentColumns
from billing_pipeline.easybill.layout import Layout
from billing_pipeline.easybill.render import render_files
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.launch.run_month import run_month
from billing_pipeline.settings import Settings
from billing_pipeline.store.frames import EXTRACTED
from billing_pipeline_tests.support.installation import Installation, customer_in, outcomes_in
from billing_pipeline_tests.support.plain_months import PlainMonths

MONTH = "2026-10"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
Item = TypeVar("Item")


def two_services_each(folder: Path, **settings: str) -> Installation:
    return filled(Installation(folder, **settings))


def filled(installation: Installation) -> Installation:
    for number in ("10023", "10024"):
        installation.oms.customer(number)
        for name in ("a", "b"):
            installation.oms.service(f"S-{number}-{name}", number)
    return installation


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return two_services_each(tmp_path, BILLING_CUSTOMERS_PER_RUN="1")


class OnFirst:
    """Progress that does something else, in a shell of its own, once the first customer is delivered."""

    def __init__(self, installation: Installation, *arguments: str) -> None:
        self.command = [str(Path(sys.executable).with_name("billing-pipeline")), *arguments]
        self.installation = installation
        self.done: subprocess.CompletedProcess[str] | None = None

    def over(self, items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
        for item in items:
            yield item
            if self.done is None:
                self.done = subprocess.run(
                    self.command,
                    env=self.installation.environment,
                    cwd=self.installation.folder,
                    capture_output=True,
                    text=True,
                    check=False,
                )


def upload_alone(installation: Installation, *selection: dg.AssetKey) -> None:
    """These assets of all customers of the month, as a person materializes them in the UI."""

    def launched(settings: Settings) -> None:
        with open_instance(settings) as instance:
            registered = instance.get_dynamic_partitions("customer")
            for part in ranges_over(registered, registered, limit=250):
                build_defs(settings).resolve_job_def("customer_delivery").execute_in_process(
                    instance=instance,
                    tags=range_tags(part, MONTH),
                    run_config=QUIET,
                    asset_selection=list(selection),
                    raise_on_error=False,
                )

    installation.do(launched)


def lines_sent(installation: Installation) -> dict[str, int]:
    return {
        customer["customer_number"]: customer["lines"]
        for customer in installation.command("status", MONTH, "--json").json()["customers"]
        if customer["outcome"] in {"delivered", "unchanged"}
    }


@pytest.mark.parametrize(
    "meanwhile",
    [
        ("run", MONTH, "--dry-run", "--service", "S-10024-a"),
        ("preview", MONTH, "--customer", "10024", "--out", "files"),
    ],
)
def test_who_looks_while_a_run_is_at_work_changes_no_byte_of_what_it_sends(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory, meanwhile: tuple[str, ...]
) -> None:
    alone = two_services_each(tmp_path_factory.mktemp("alone"))
    alone.run_json(MONTH)
    other = OnFirst(installation, *meanwhile)

    installation.do(lambda settings: run_month(settings, MONTH, progress=other))

    assert other.done is not None
    assert other.done.returncode in {0, 1}, other.done.stderr
    assert installation.files() == alone.files()
    assert lines_sent(installation) == {"10023": 2, "10024": 2}


def test_after_a_failed_upload_and_a_dry_run_of_one_service_the_upload_alone_sends_the_whole_file(
    installation: Installation,
) -> None:
    away = installation.inbox.with_name("away")
    installation.inbox.rename(away)
    assert installation.command("run", MONTH).status == 1
    away.rename(installation.inbox)
    looked = installation.command("run", MONTH, "--dry-run", "--service", "S-10023-a", "--json")
    assert customer_in(looked.json())["lines"] == 1

    upload_alone(installation, UPLOAD)

    assert lines_sent(installation) == {"10023": 2, "10024": 2}


def test_a_dry_run_leaves_the_records_of_the_month_and_its_status_as_they_were(
    installation: Installation,
) -> None:
    installation.run_json(MONTH)
    before = installation.command("status", MONTH, "--json").json()
    installation.oms.change_service("S-10023-a", unit_price_net="999.00")
    installation.oms.change_service("S-10024-a", unit_price_net=None)
    looked = installation.command("run", MONTH, "--dry-run", "--json").json()
    assert outcomes_in(looked) == {"10023": "failed", "10024": "blocked"}
    assert "ready" not in customer_in(looked), "a file was sent, and would be another one now"
    assert installation.command("status", MONTH, "--json").json() == before
    upload_alone(installation, CSV, UPLOAD)
    assert outcomes_in(installation.command("status", MONTH, "--json").json()) == {
        "10023": "unchanged",
        "10024": "unchanged",
    }


def test_a_run_of_some_customers_changes_nothing_of_the_others(installation: Installation) -> None:
    away = installation.inbox.with_name("away")
    installation.inbox.rename(away)
    installation.command("run", MONTH)
    away.rename(installation.inbox)
    installation.oms.change_service("S-10024-b", unit_price_net=None)
    assert outcomes_in(installation.run_json(MONTH, "--customer", "10023")) == {"10023": "delivered"}

    upload_alone(installation, CSV, UPLOAD)

    assert lines_sent(installation) == {"10023": 2, "10024": 2}


def test_what_a_correction_sent_stays_what_is_sent_when_its_customer_is_redone(
    installation: Installation,
) -> None:
    installation.run_json(MONTH)
    installation.oms.change_service("S-10023-a", unit_price_net="999.00")
    corrected = installation.command(
        "correct", MONTH, "--customer", "10023", "--reason", "price", "--by", "Kim", "--json"
    )
    assert corrected.json()["customer"]["outcome"] == "delivered"
    sent = installation.files()

    upload_alone(installation, CSV, UPLOAD)

    assert installation.files() == sent
    status = installation.command("status", MONTH, "--json").json()
    assert (customer_in(status)["outcome"], customer_in(status)["revision"]) == ("unchanged", 2)


def test_the_data_versions_of_a_months_assets_are_the_hashes_of_their_frames(
    installation: Installation,
) -> None:
    installation.run_json(MONTH)
    billing = installation.ledger.billings.current(MONTH)
    assert billing is not None

    def versions(settings: Settings) -> dict[str, str]:
        found = {}
        with open_instance(settings) as instance:
            for name in (*EXTRACTED, "invoice_lines", "billing_problems"):
                event = instance.get_latest_data_version_record(dg.AssetKey(name), partition_key=MONTH)
                assert event is not None
                assert event.asset_materialization is not None
                found[name] = (event.asset_materialization.tags or {})["dagster/data_version"]
        return found

    hashes = {**billing.extract.frames, **billing.frames}
    told = installation.do(versions)
    assert told == {name: hashes[name] for name in told}


def test_the_same_month_billed_again_leaves_no_further_frame_in_the_store(installation: Installation) -> None:
    installation.run_json(MONTH)
    frames = sorted(path for path in (installation.home / "store" / "frames").rglob("*.parquet"))
    sent_before = installation.ledger.billings.current(MONTH)
    installation.run_json(MONTH)
    again = installation.ledger.billings.current(MONTH)
    assert sent_before is not None
    assert again is not None
    assert (again.id, again.extract.frames) != (sent_before.id, {})
    relations = [{name: one.extract.frames[name] for name in EXTRACTED} for one in (sent_before, again)]
    assert relations[0] == relations[1]
    kept = sorted(path for path in (installation.home / "store" / "frames").rglob("*.parquet"))
    new = [path for path in kept if path not in frames]
    # When earlier months were looked at is another time with each read.
    assert all("/oms_" not in str(path) or "/oms_look_back/" in str(path) for path in new)


def made_by(months: PlainMonths, monkeypatch: pytest.MonkeyPatch, *customers: str) -> list[str]:
    """The customers whose files a run of the month renders."""
    rendered: list[str] = []

    def note(documents: DocumentColumns, layout: Layout) -> list[bytes]:
        rendered.extend(documents.heads["customer_number"].to_pylist())
        return render_files(documents, layout)

    with monkeypatch.context() as patch:
        patch.setattr(export, "render_files", note)
        months.run(MONTH, customers=customers)
    return sorted(rendered)


def test_a_month_that_is_run_again_renders_only_what_has_changed_or_is_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    months = PlainMonths(tmp_path)
    installation = filled(months.installation)
    assert made_by(months, monkeypatch) == ["10023", "10024"]
    before = {row.export.customer_number: row.export for row in installation.ledger.months.customers(MONTH)}
    assert made_by(months, monkeypatch) == []
    after = {row.export.customer_number: row.export for row in installation.ledger.months.customers(MONTH)}
    assert {
        number: replace(one, billing_id=before[number].billing_id) for number, one in after.items()
    } == before
    assert after["10023"].billing_id != before["10023"].billing_id

    installation.oms.change_service("S-10024-b", service_name="Another service")
    assert made_by(months, monkeypatch) == ["10024"]

    (installation.home / "store" / "csv" / before["10023"].sha256[:2] / before["10023"].sha256).unlink()
    assert made_by(months, monkeypatch) == ["10023"]
    assert made_by(months, monkeypatch) == []
    document = before["10023"].document_sha256
    (installation.home / "store" / "document" / document[:2] / document).unlink()
    assert made_by(months, monkeypatch) == ["10023"]
    assert made_by(months, monkeypatch, "10023") == []
