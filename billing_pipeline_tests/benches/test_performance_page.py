"""The arithmetic of the page: medians, ranges, sums of floors, ratios; and that what is not measured is not there."""

from __future__ import annotations

import pytest

from billing_pipeline_tests.benches import performance_page as rows
from billing_pipeline_tests.benches.bench_oms import Size
from billing_pipeline_tests.benches.measured import Sample
from billing_pipeline_tests.benches.performance_page import Measured, page, ratio, reach, spread, table

MB = 1_000_000


def measured(name: str = "S", without: str = "") -> Measured:
    """Round figures: floors of 1, 2 and 3 s, a run of 13 s; in the third turn the machine was half as quick."""
    samples = {
        rows.COPY: [Sample(1, 0.5, 10 * MB), Sample(1, 0.5, 10 * MB), Sample(2, 1, 10 * MB)],
        rows.SPLIT: [Sample(2, 2.5, 200 * MB), Sample(2, 2.5, 200 * MB), Sample(4, 5, 200 * MB)],
        rows.SEND: [Sample(3, 1, 20 * MB), Sample(3, 1, 20 * MB), Sample(6, 2, 20 * MB)],
        rows.DAGSTER: [Sample(4, 3, 100 * MB), Sample(4, 3, 100 * MB), Sample(8, 6, 100 * MB)],
        rows.RUN: [Sample(12, 8, 300 * MB), Sample(13, 7, 400 * MB), Sample(22, 18, 350 * MB)],
    }
    samples.pop(without, None)
    return Measured(name, Size(200, 50), samples, csv_bytes=4 * MB, store_bytes=10 * MB)


def test_each_column_has_its_own_median() -> None:
    assert measured().middle(rows.RUN) == Sample(13, 8, 350 * MB)
    assert measured().middle(rows.NEXT) is None


def test_seconds_of_the_floors_add_up_turn_by_turn_and_of_memory_the_largest_counts() -> None:
    assert measured().floors == [Sample(6, 4, 200 * MB), Sample(6, 4, 200 * MB), Sample(12, 8, 200 * MB)]


def test_without_one_of_the_floors_there_is_no_sum_and_no_ratio_over_it() -> None:
    one = measured(without=rows.SEND)
    assert one.floors == []
    text = page([one], {})
    assert "floors 1 + 2 + 3 |" not in text
    assert "over floors" not in text.partition("## S")[2]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([1.234], "1.23"),
        ([3.0, 1.0, 2.0], "2.00 (1.00 to 3.00)"),
        ([1_000.0, 3_000.0], "2,000.00 (1,000.00 to 3,000.00)"),
    ],
)
def test_a_range_stands_where_there_are_several(values: list[float], shown: str) -> None:
    assert spread(values) == shown


def test_a_ratio_divides_each_column_turn_by_turn_and_nothing_by_zero() -> None:
    assert list(ratio("x", [Sample(12, 8, 350)], [Sample(6, 0, 200)])) == [("x", "2.00", "n/a", "1.75")]
    of, over = [Sample(12, 8, 300), Sample(40, 9, 300)], [Sample(6, 8, 200), Sample(10, 3, 100)]
    assert list(ratio("x", of, over)) == [
        ("x", "3.00 (2.00 to 4.00)", "2.00 (1.00 to 3.00)", "2.25 (1.50 to 3.00)")
    ]
    assert list(ratio("x", [], over)) == []


def test_a_table_without_rows_is_nothing() -> None:
    assert table(("a", "b"), []) == ""
    assert table(("a", "b", "c"), [("x", "1", "2")]) == "| a | b | c |\n|---|---:|---:|\n| x | 1 | 2 |"


def test_the_page_has_the_machine_and_a_table_and_ratios_per_size() -> None:
    text = page([measured()], {"CPU": "2 cores"}, {"Records": ["one  1.00 ms"]})
    for line in (
        "| CPU | 2 cores |",
        "## S: 200 customers × 50 services",
        "10,000 invoice lines of two tasks each; 4.0 MB of CSV.",
        "| floors 1 + 2 + 3 | 6.00 (6.00 to 12.00) | 4.00 (4.00 to 8.00) | 200 (200 to 200) |",
        "| `run MONTH` | 13.00 (12.00 to 22.00) | 8.00 (7.00 to 18.00) | 350 (300 to 400) |",
        # Of one turn: the machine's bad minute is in both.
        "| `run MONTH` over floors 1 + 2 + 3 | 2.00 (1.83 to 2.17) | 2.00 (1.75 to 2.25) | 1.75 (1.50 to 2.00) |",
        "| Dagster's own floor over `run MONTH` | 0.33 (0.31 to 0.36) | 0.38 (0.33 to 0.43) | 0.29 (0.25 to 0.33) |",
        "Store over CSV, in bytes: 2.50.",
        "one  1.00 ms",
    ):
        assert line in text.splitlines()
    assert "L over M" not in text


def test_a_missing_program_is_named_with_its_package() -> None:
    one = Measured("S", Size(1, 1), {}, csv_bytes=1, store_bytes=1, missing={"psql": "postgresql-client"})
    assert "Not measured: `psql` is missing (`apt-get install postgresql-client`)." in page([one], {})


def test_l_over_m_stands_where_both_were_measured() -> None:
    medium = measured("M")
    large = Measured("L", Size(1_000, 50), {rows.RUN: [Sample(65, 40, 700 * MB)]}, csv_bytes=1, store_bytes=1)
    assert "| `run MONTH` of L over that of M (5 × the lines) | 5.00 | 5.00 | 2.00 |" in page(
        [medium, large], {}
    )


def test_what_is_to_be_reached_stands_with_its_goal_and_only_where_it_was_measured() -> None:
    medium = measured("M")
    large = Measured("L", Size(1, 1), {rows.RUN: [Sample(78, 40, 500 * MB)]}, csv_bytes=1, store_bytes=1)
    assert list(reach({"M": medium, "L": large})) == [
        ("M: `run MONTH` over floors 1 + 2 + 3", "2.00", "≤ 8", "reached"),
        ("M: peak memory of any run, MB", "350.00", "≤ 600", "reached"),
        ("M: store over CSV, in bytes", "2.50", "≤ 1.5", "missed"),
        ("L over M: time", "6.00", "≤ 5.5", "missed"),
        ("L over M: memory", "1.43", "≤ 2", "reached"),
    ]
    assert list(reach({"S": measured("S")})) == []
    assert "| L over M: time | 6.00 | ≤ 5.5 | missed |" in page([medium, large], {})
    assert "## Reach" not in page([measured("S")], {})
