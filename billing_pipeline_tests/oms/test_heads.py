"""Heads of rows, and rows by their ids, from both databases."""

from __future__ import annotations

from collections.abc import Callable

from billing_pipeline.oms.contract import CANCELLATION_FEES, SERVICE_TASKS, SERVICES
from billing_pipeline.oms.extract import reading_month
from billing_pipeline.oms.period import period_of
from billing_pipeline.oms.source import OmsSource
from billing_pipeline_tests.support.oms_database import customer, fee, service, task

Oms = Callable[..., OmsSource]
BERLIN = "Europe/Berlin"
OCTOBER = period_of("2026-10", BERLIN)
HOSTILE = (
    *("O'Brien", 'a"b', "back\\slash", "{1,2}", "NULL", "new\nline", "Größe 😀", " blank "),
    *("%s", ":name", "$1", "a,b"),
)


def test_rows_are_read_by_whatever_ids_they_have(any_oms: Oms) -> None:
    source = any_oms(
        customers=[customer()],
        services=[service(name) for name in (*HOSTILE, "other")],
        service_tasks=[task(name) for name in (*HOSTILE, "other")],
        cancellation_fees=[fee("F'1"), fee("F2")],
    )

    with source.snapshot() as snapshot:
        whole = snapshot.read(SERVICES, OCTOBER.start, OCTOBER.end).sort_by("service_id")
        found = snapshot.read_ids(SERVICES, OCTOBER.start, OCTOBER.end, HOSTILE).sort_by("service_id")
        tasks = snapshot.read_ids(SERVICE_TASKS, OCTOBER.start, OCTOBER.end, HOSTILE)
        fees = snapshot.read_ids(CANCELLATION_FEES, OCTOBER.start, OCTOBER.end, ["F'1", "F3"])
    assert found.to_pylist() == [row for row in whole.to_pylist() if row["service_id"] != "other"]
    assert sorted(tasks["service_id"].to_pylist()) == sorted(HOSTILE)
    assert fees["fee_id"].to_pylist() == ["F'1"]


def test_heads_are_three_columns_of_the_same_rows(any_oms: Oms) -> None:
    source = any_oms(services=[service("S1"), service("S2", completed_at="2026-09-14T08:30:00Z")])

    with source.snapshot() as snapshot:
        heads = snapshot.heads(SERVICES, OCTOBER.start, OCTOBER.end).to_pylist()
        whole = snapshot.read(SERVICES, OCTOBER.start, OCTOBER.end).to_pylist()
    assert heads == [
        {name: row[name] for name in ("service_id", "completed_at", "updated_at")} for row in whole
    ]
    assert [row["service_id"] for row in heads] == ["S1"]


def test_a_hundred_thousand_ids_are_no_limit(any_oms: Oms) -> None:
    source = any_oms(services=[service("S7"), service("other")])
    wanted = [f"S{number}" for number in range(100_000)]

    with source.snapshot() as snapshot:
        found = snapshot.read_ids(SERVICES, OCTOBER.start, OCTOBER.end, wanted)
    assert found["service_id"].to_pylist() == ["S7"]


def test_digests_differ_where_a_row_is_new_gone_or_of_another_month(sqlite_oms: Oms) -> None:
    def months(*services: object) -> dict[str, tuple[int, str]]:
        with reading_month(oms, "2026-10", timezone=BERLIN, first_month="2026-09") as reading:
            return {month: (heads.count, heads.digest) for month, heads in reading.heads().items()}

    oms = sqlite_oms(
        services=[service("S1"), service("S2", completed_at="2026-09-14T08:30:00Z")],
        cancellation_fees=[fee("S1")],
    )
    found = months()
    assert {month: count for month, (count, _) in found.items()} == {"2026-09": 1, "2026-10": 2}
    assert len({digest for _, digest in found.values()}) == 2


def test_of_earlier_months_come_the_rows_asked_for_once_and_those_with_an_unreadable_instant(
    sqlite_oms: Oms,
) -> None:
    source = sqlite_oms(
        customers=[customer()],
        services=[
            service("S1"),
            service("S2", completed_at="2026-09-14T08:30:00Z"),
            service("S3", completed_at="2026-09-15T08:30:00Z"),
            service("S4", completed_at="2026-09-16 08:30"),
            service("S5", completed_at="gestern"),
        ],
        service_tasks=[task("S1"), task("S2"), task("S3")],
    )

    with reading_month(source, "2026-10", timezone=BERLIN, first_month="2026-08") as reading:
        reading.heads()
        extract = reading.extract(ids={"services": ["S2", "S1", "unknown"]})
    assert extract.services["service_id"].tolist() == ["S1", "S2", "S4", "S5"]
    assert extract.service_tasks["service_id"].tolist() == ["S1", "S2"]
