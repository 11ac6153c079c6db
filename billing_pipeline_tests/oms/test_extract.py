"""Which rows an extract holds, and the month of each, through the packaged queries of both databases."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from billing_pipeline.oms.contract import RELATIONS
from billing_pipeline.oms.extract import Extract, extract_month, reading_month
from billing_pipeline.oms.period import months_between, period_of
from billing_pipeline.oms.source import OmsSource
from billing_pipeline_tests.support.oms_database import customer, fee, problems_in_extract, service, task

Oms = Callable[..., OmsSource]
October = Callable[[OmsSource], Extract]
BERLIN = "Europe/Berlin"


def months_by_id(extract: Extract) -> dict[str, str | None]:
    """The month of each service."""
    months = extract.services["month"].astype(object).where(extract.services["month"].notna(), None)
    return dict(zip(extract.services["service_id"], months, strict=True))


def all_since(first_month: str, source: OmsSource) -> Extract:
    """All rows of October 2026 and of the months from the first one on."""
    with reading_month(source, "2026-10", timezone=BERLIN, first_month=first_month) as reading:
        return reading.extract(whole=months_between(first_month, "2026-09"))


MONTH_OF_INSTANT = {
    "2026-09-30T21:59:59.999999Z": "2026-09",
    "2026-09-30T22:00:00Z": "2026-10",
    "2026-10-01T00:00:00+02:00": "2026-10",
    "2026-10-31T22:59:59Z": "2026-10",
    "2026-10-31T23:59:59.999999+01:00": "2026-10",
    "2026-10-31T23:00:00Z": "2026-11",
    "2026-10-31T23:30:00Z": "2026-11",
    "2026-11-01T09:00:00+10:00": "2026-11",
    "2026-11-01T08:59:59+10:00": "2026-10",
    "2026-05-31T22:30:00Z": "2026-06",
    "2026-10-25T02:30:00+02:00": "2026-10",
    "2026-10-25T02:30:00+01:00": "2026-10",
    "2028-02-29T23:00:00Z": "2028-03",
    "2026-12-31T23:00:00Z": "2027-01",
}


def test_a_row_is_in_the_month_of_its_instant_and_in_no_other(any_oms: Oms) -> None:
    source = any_oms(
        customers=[customer()],
        services=[service(instant, completed_at=instant) for instant in MONTH_OF_INSTANT],
        cancellation_fees=[fee(instant, charged_at=instant) for instant in MONTH_OF_INSTANT],
    )

    for month in ("2026-05", "2026-06", "2026-09", "2026-10", "2026-11", "2026-12", "2027-01", "2028-03"):
        extract = extract_month(source, period_of(month, BERLIN), timezone=BERLIN)
        expected = sorted(instant for instant, billed_in in MONTH_OF_INSTANT.items() if billed_in == month)
        assert extract.services["service_id"].tolist() == expected
        assert extract.cancellation_fees["fee_id"].tolist() == expected
        assert set(extract.services["month"]) | set(extract.cancellation_fees["month"]) <= {month}


def test_digits_beyond_milliseconds_do_not_lose_a_row_between_two_months(sqlite_oms: Oms) -> None:
    source = sqlite_oms(
        customers=[customer()], services=[service(completed_at="2026-10-31T22:59:59.9999999Z")]
    )

    counts = [
        len(extract_month(source, period_of(month, BERLIN), timezone=BERLIN).services)
        for month in ("2026-10", "2026-11")
    ]
    assert counts == [1, 0]


def test_the_extract_holds_all_statuses_their_tasks_and_only_owners(any_oms: Oms, october: October) -> None:
    extract = october(
        any_oms(
            customers=[customer("00123"), customer("2"), customer("3", is_test=True), customer("4")],
            services=[
                service("S2", "3", status="cancelled", cancelled_at="2026-10-15T00:00:00Z"),
                service("S10", "00123"),
                service("S1", "2", completed_at=None, status="planned"),
                service("S3", "2", completed_at="2026-09-14T00:00:00Z"),
            ],
            service_tasks=[task("S10", 10), task("S10", 9), task("S3", 1)],
            cancellation_fees=[fee("F1", "4")],
        )
    )

    assert extract.customers["customer_number"].tolist() == ["00123", "3", "4"]
    assert extract.customers["is_test"].tolist() == [False, True, False]
    assert extract.services["service_id"].tolist() == ["S10", "S2"]
    assert extract.service_tasks[["service_id", "position"]].to_numpy().tolist() == [["S10", 9], ["S10", 10]]


def test_looking_back_adds_the_rows_of_earlier_months(any_oms: Oms) -> None:
    source = any_oms(
        customers=[customer(), customer("2")],
        services=[
            service("S1"),
            service("S2", "2", completed_at="2026-08-20T08:00:00Z"),
            service("S3", "2", completed_at="2026-07-31T21:59:59Z"),
        ],
    )

    extract = all_since("2026-08", source)
    assert months_by_id(extract) == {"S1": "2026-10", "S2": "2026-08"}
    assert extract.customers["customer_number"].tolist() == ["10023", "2"]


def test_a_time_without_zone_is_reported_in_every_month_it_may_belong_to(sqlite_oms: Oms) -> None:
    source = sqlite_oms(
        customers=[customer()],
        services=[
            service("midst", completed_at="2026-10-14 12:00:00"),
            service("edge", completed_at="2026-10-31T23:30"),
            service("date", completed_at="2026-10-01"),
            service("text", completed_at="gestern"),
            service("empty", completed_at=""),
            service("offset", completed_at="2026-10-14T12:00:00+0200"),
        ],
    )

    found = {
        month: months_by_id(extract_month(source, period_of(month, BERLIN), timezone=BERLIN))
        for month in ("2026-08", "2026-09", "2026-10", "2026-11")
    }
    nowhere = {"text": None, "empty": None}
    assert found["2026-08"] == nowhere
    assert found["2026-09"] == nowhere | {"date": "2026-09"}
    assert found["2026-10"] == nowhere | dict.fromkeys(("midst", "edge", "date", "offset"), "2026-10")
    assert found["2026-11"] == nowhere | {"edge": "2026-11"}


def test_looking_back_ascribes_a_time_without_zone_to_the_month_that_it_reads(sqlite_oms: Oms) -> None:
    source = sqlite_oms(
        customers=[customer()],
        services=[
            service("S1", completed_at="2026-08-31T12:00:00"),
            service("S2", completed_at="2026-09-30T12:00:00"),
        ],
    )

    extract = all_since("2026-08", source)
    assert months_by_id(extract) == {"S1": "2026-08", "S2": "2026-10"}


def test_a_month_without_rows_has_empty_frames_of_the_contracts_types(any_oms: Oms, october: October) -> None:
    extract = october(any_oms(customers=[customer()]))

    for name, relation in RELATIONS.items():
        frame = getattr(extract, name)
        assert len(frame) == 0
        assert pa.Schema.from_pandas(frame, preserve_index=False).equals(relation.frame_schema)


def test_the_start_of_the_look_back_may_lie_years_before(sqlite_oms: Oms) -> None:
    source = sqlite_oms(customers=[customer()], services=[service(completed_at="2016-02-29T08:00:00Z")])

    extract = all_since("2016-01", source)
    assert months_by_id(extract) == {"S1": "2016-02"}


def test_customers_asked_for_come_without_a_row_of_their_own(any_oms: Oms) -> None:
    source = any_oms(customers=[customer("1"), customer("2"), customer("3")], services=[service("S1", "1")])
    extract = extract_month(source, period_of("2026-10", BERLIN), timezone=BERLIN, also=["3", "unknown"])
    assert extract.customers["customer_number"].tolist() == ["1", "3"]


def test_a_service_without_an_instant_is_read_where_its_status_is_billable(any_oms: Oms) -> None:
    source = any_oms(
        customers=[customer(), customer("2"), customer("3")],
        services=[
            service("S1"),
            service("S2", "2", completed_at=None),
            service("S3", "3", completed_at=None, status="planned"),
        ],
        service_tasks=[task("S2"), task("S3")],
    )

    for month in ("2026-09", "2026-10"):
        extract = extract_month(
            source, period_of(month, BERLIN), timezone=BERLIN, billable_statuses=("completed",)
        )
        assert months_by_id(extract) == {"S2": None} | ({"S1": "2026-10"} if month == "2026-10" else {})
        assert extract.service_tasks["service_id"].tolist() == ["S2"]
        (problem,) = problems_in_extract(extract)
        assert (problem.code, problem.source_id) == ("TIMESTAMP_MISSING", "S2")
        assert "belongs to no month" in problem.message
        assert "3" not in set(extract.customers["customer_number"])
