"""Names that the receiver's archive changes are known, and nothing of ours there is read to find that out."""

from __future__ import annotations

import pytest

from billing_pipeline.delivery.context import ARCHIVE_NAMES, Places
from billing_pipeline.delivery.files.archive_names import changed_names, original_name
from billing_pipeline.delivery.files.orphans import find_orphans
from billing_pipeline.delivery.files.recovery import Action, join, seen_before
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.ledger.sightings import Sighting
from billing_pipeline.delivery.records import State
from billing_pipeline.problems import Code
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.delivering import Bench
from billing_pipeline_tests.support.inbox import FakeTransport
from billing_pipeline_tests.support.parcels import parcel

NAME = "easybill_2026-10_10023.csv"
PLACES = Places("/import", "/archive", "/error")


@pytest.mark.parametrize(
    "archived",
    [
        NAME,
        "easybill_2026-10_10023_20261101T061000.csv",
        "easybill_2026-10_10023-20261101-061000.csv",
        "easybill_2026-10_10023.csv.20261101061000",
        "easybill_2026-10_10023.csv20261101061000",
        "easybill_2026-10_10023.csv_20261101T061000Z",
        "easybill_2026-10_10023.csv.done",
        "easybill_2026-10_10023.csv-imported.2",
        "00010.easybill_2026-10_10023.csv",
        "20261101T061000_easybill_2026-10_10023.csv",
        "7-easybill_2026-10_10023_20261101T061000.csv.bak",
    ],
)
def test_our_name_is_known_with_a_time_stamp_and_with_what_is_put_before_or_behind_it(archived: str) -> None:
    assert original_name(archived, ARCHIVE_NAMES) == NAME
    assert changed_names(NAME, [archived], ARCHIVE_NAMES) == ([] if archived == NAME else [archived])


@pytest.mark.parametrize(
    "name",
    [
        "easybill_2026-10_100231.csv",
        "easybill_2026-10_10023_r2.csv",
        "easybill_2026-10_10023-5.csv",
        "00010.easybill_2026-10_100231.csv.done",
        "other.csv",
    ],
)
def test_another_customers_name_or_that_of_a_revision_is_not_ours(name: str) -> None:
    assert changed_names(NAME, [name], ARCHIVE_NAMES) == []
    assert original_name(name, ARCHIVE_NAMES) != NAME


def test_a_temporary_file_is_not_one_that_the_receiver_has_named() -> None:
    name = f".{NAME}.0123456789abcdef01234567.tmp"
    assert changed_names(NAME, [name], ARCHIVE_NAMES) == []
    assert original_name(name, ARCHIVE_NAMES) is None


def test_an_archive_of_changed_names_has_no_orphans_and_none_is_read(
    sqlite_ledger: Ledger, store: BlobStore
) -> None:
    bench = Bench(sqlite_ledger, store)
    for number in range(30):
        one = parcel(str(number), f"file {number}".encode(), store=store)
        assert bench.send(one).outcome == "delivered"
        data = bench.server.files.pop(f"/import/{one.export.file_name}")
        bench.server.files[f"/archive/{one.export.file_name.removesuffix('.csv')}_20261101T061000.csv"] = data
    bench.server.calls.clear()
    assert find_orphans(FakeTransport(bench.server), PLACES, sqlite_ledger, timeout_s=1) == []
    assert {operation for operation, _ in bench.server.calls} == {"list"}


@pytest.mark.parametrize("archived", ["easybill_2026-10_10023_20261101T061000.csv", f"00010.{NAME}"])
def test_a_death_is_recovered_from_such_an_archive(
    sqlite_ledger: Ledger, store: BlobStore, archived: str
) -> None:
    one = parcel(data=b"ours", store=store)
    bench = Bench(sqlite_ledger, store)
    bench.send_and_die_at("renamed", one)
    bench.server.files[f"/archive/{archived}"] = bench.server.files.pop(f"/import/{NAME}")
    assert bench.send(one).outcome == "delivered"
    assert bench.row(one).state is State.CONSUMED


@pytest.mark.parametrize("directory", ["/", "/taken"])
def test_what_reconcile_saw_is_told_by_its_directory_though_that_be_the_root(
    sqlite_ledger: Ledger, store: BlobStore, directory: str
) -> None:
    one = parcel(data=b"ours", store=store)
    bench = Bench(sqlite_ledger, store)
    bench.send_and_die_at("planned", one)
    planned = bench.row(one)
    seen = Sighting(join(directory, f"00010.{NAME}"), planned.sha256)
    key = (planned.month, planned.customer_number, planned.revision)
    sqlite_ledger.sightings.record(key, seen, reason="restored", author="Kim")
    of_archive, of_errors, of_others = (
        seen_before(planned, sqlite_ledger, places)
        for places in (
            Places("/import", archive_dir=directory),
            Places("/import", error_dir=directory),
            Places("/import", "/archive", "/error"),
        )
    )
    assert of_archive is not None
    assert of_archive.action is Action.CONSUMED
    assert of_errors is not None
    assert of_errors.code is Code.REJECTED_BY_RECEIVER
    assert of_others is not None
    assert of_others.action is Action.PUBLISHED


def test_files_of_months_before_the_first_are_nobodys(sqlite_ledger: Ledger, store: BlobStore) -> None:
    bench = Bench(sqlite_ledger, store)
    bench.server.files["/archive/easybill_2019-03_10023.csv"] = b"of a former system"
    places = Places("/import", "/archive", "/error", first_month="2025-01")
    assert find_orphans(FakeTransport(bench.server), places, sqlite_ledger, timeout_s=1) == []
