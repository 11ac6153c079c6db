from __future__ import annotations

import pytest

from billing_pipeline.oms.contract import RELATIONS, SERVICES
from billing_pipeline.oms.queries import Query, load_queries


def written(sql: str) -> str:
    """The SQL, its parameters in angle brackets."""
    parameters = {"period_start": "<period_start>", "period_end": "<period_end>"}
    return Query(SERVICES, sql, "services.sql").with_parameters(parameters)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("a >= :period_start AND a < :period_end", "a >= <period_start> AND a < <period_end>"),
        ("(:period_start)::date", "(<period_start>)::date"),
        (":period_start::timestamptz", "<period_start>::timestamptz"),
        ("x::period_start", "x::period_start"),
        ("':period_start' \":period_end\"", "':period_start' \":period_end\""),
        ("'it''s :period_start'", "'it''s :period_start'"),
        ("$$:period_start$$ $q$:period_end$q$", "$$:period_start$$ $q$:period_end$q$"),
        (":period_started", ":period_started"),
        ("'12:30' :other", "'12:30' :other"),
    ],
)
def test_parameters_are_found_where_they_are_meant(sql: str, expected: str) -> None:
    assert written(sql) == expected


def test_comments_are_left_out_and_parameters_in_them_with_them() -> None:
    sql = "SELECT 1 -- until :period_end; it's over\n/* ' :period_start */ FROM t"

    assert written(sql).split() == ["SELECT", "1", "FROM", "t"]


@pytest.mark.parametrize("end", [";", "; ", ";\n-- done\n", "; /* done */"])
def test_a_closing_semicolon_is_left_out(end: str) -> None:
    assert written(f"SELECT ';' {end}").strip() == "SELECT ';'"


def test_a_semicolon_between_two_statements_stays() -> None:
    assert written("SELECT 1; SELECT 2") == "SELECT 1; SELECT 2"


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_each_dialect_has_packaged_queries_for_every_relation(dialect: str) -> None:
    queries = load_queries(dialect, None)

    assert [query.where for query in queries.values()] == [
        f"packaged {dialect}/{name}.sql" for name in RELATIONS
    ]
