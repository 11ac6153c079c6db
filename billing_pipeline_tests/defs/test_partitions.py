"""Partition keys, and how a month's customers are cut into runs."""

from datetime import UTC, datetime

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.defs.partitions import (
    CustomerRange,
    build_partitions,
    customers_to_add,
    partition_key,
    range_tags,
    ranges_over,
)
from billing_pipeline.easybill.document import customer_number_of

KEYS = [f"c{number:03d}" for number in range(60)]


def test_the_months_run_from_the_first_one_to_the_running_one() -> None:
    months = build_partitions("2026-08", "Europe/Berlin").months
    keys = months.get_partition_keys(current_time=datetime(2026, 11, 20, tzinfo=UTC))
    assert list(keys) == ["2026-08", "2026-09", "2026-10", "2026-11"]


def test_a_key_names_customer_and_month_and_survives_commas_pipes_and_umlauts() -> None:
    key = partition_key("10,0|Ü~", "2026-10")
    assert str(key) == "10%2C0%7C%C3%9C%7E|2026-10"
    assert customer_number_of(key.keys_by_dimension["customer"]) == "10,0|Ü~"


def test_a_key_looks_as_the_documentation_says() -> None:
    assert str(partition_key("10023", "2026-10")) == "10023|2026-10"


def test_only_customers_who_are_not_registered_are_added_in_order_of_their_keys() -> None:
    assert customers_to_add(["b", "ä", "a", "c", "a"], ["b"]) == ["%C3%A4", "a", "c"]


def test_neighbours_share_a_range_and_a_long_gap_splits_it() -> None:
    wanted = ["c001", "c002", "c004", "c050"]
    assert ranges_over(KEYS, wanted, limit=60, bridged_gap=5) == [
        CustomerRange("c001", "c004"),
        CustomerRange("c050", "c050"),
    ]


def test_with_no_gap_bridged_nobody_else_is_touched() -> None:
    assert ranges_over(KEYS, ["c001", "c003"], limit=60, bridged_gap=0) == [
        CustomerRange("c001", "c001"),
        CustomerRange("c003", "c003"),
    ]


def test_nobody_wanted_is_no_range() -> None:
    assert ranges_over(KEYS, [], limit=10) == []


def test_a_customer_who_is_not_registered_is_an_error_and_not_left_out() -> None:
    with pytest.raises(KeyError):
        ranges_over(KEYS, ["somebody else"], limit=10)


@given(st.sets(st.sampled_from(KEYS)), st.integers(1, 70), st.integers(0, 70))
def test_ranges_cover_all_who_are_wanted_once_and_none_is_longer_than_a_run(
    wanted: set[str], limit: int, gap: int
) -> None:
    place = {key: position for position, key in enumerate(KEYS)}
    covered: list[str] = []
    for part in ranges_over(KEYS, wanted, limit=limit, bridged_gap=gap):
        keys = KEYS[place[part.first] : place[part.last] + 1]
        assert len(keys) <= limit
        assert {part.first, part.last} <= wanted
        covered += keys
    assert len(covered) == len(set(covered))
    assert wanted <= set(covered)
    if gap == 0:
        assert wanted == set(covered)


def test_dagster_reads_the_tags_of_a_range_as_exactly_these_customers() -> None:
    partitions = build_partitions("2026-01", "Europe/Berlin")
    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions("customer", KEYS)
    tags = range_tags(CustomerRange("c003", "c005"), "2026-10")
    keys = partitions.customer_months.get_partition_keys_in_range(
        dg.PartitionKeyRange(
            tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"]
        ),
        dynamic_partitions_store=instance,
    )
    assert list(keys) == ["c003|2026-10", "c004|2026-10", "c005|2026-10"]
