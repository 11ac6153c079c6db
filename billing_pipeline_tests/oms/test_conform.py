from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.oms.conform import conform, instants_of, text_schema, validate_keys
from billing_pipeline.oms.contract import CUSTOMERS, RELATIONS, SERVICE_TASKS, SERVICES, Relation
from billing_pipeline.oms.oms_errors import OmsShapeWrong
from billing_pipeline_tests.support.oms_database import Row, customer, service, task


def text_of(relation: Relation, *rows: Row) -> pa.Table:
    """Rows as a source would hand them over."""
    listed = [{name: None if value is None else str(value) for name, value in row.items()} for row in rows]
    return pa.Table.from_pylist(listed, schema=text_schema(relation))


def prices_of(*texts: str) -> list[Decimal | None]:
    """How the texts come out as prices."""
    table, _ = conform(
        SERVICES, text_of(SERVICES, *(service(f"S{i}", unit_price_net=t) for i, t in enumerate(texts)))
    )
    prices: list[Decimal | None] = table["unit_price_net"].to_pylist()
    return prices


@given(st.decimals("-9999999999.99", "9999999999.99", places=2, allow_nan=False, allow_infinity=False))
def test_every_price_comes_through_exactly(price: Decimal) -> None:
    (typed,) = prices_of(format(price, "f"))

    assert typed == price


@given(
    st.decimals("0", "9999999999", places=2),
    st.integers(0, 30),
    st.integers(0, 30),
)
def test_zeros_that_say_nothing_change_nothing(price: Decimal, leading: int, trailing: int) -> None:
    (typed,) = prices_of("0" * leading + format(price, "f") + "0" * trailing)

    assert typed == price


@given(st.text(st.sampled_from("0123456789.-+eE, _\n\u0663NanIf"), max_size=14))
def test_a_text_becomes_its_exact_value_or_a_fault_and_never_something_else(text: str) -> None:
    typed, faults = conform(SERVICES, text_of(SERVICES, service(unit_price_net=text)))

    value = typed["unit_price_net"][0].as_py()
    assert (value is None) == any(fault.field == "unit_price_net" for fault in faults)
    if value is not None:
        assert value == Decimal(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("150.505", "more than 2 decimals"),
        ("0.001", "more than 2 decimals"),
        ("1e2", "not a decimal number"),
        ("NaN", "not a decimal number"),
        ("Infinity", "not a decimal number"),
        ("150,00", "not a decimal number"),
        ("1_000", "not a decimal number"),
        ("+1", "not a decimal number"),
        (" 1", "not a decimal number"),
        ("1.", "not a decimal number"),
        (".5", "not a decimal number"),
        ("1\n", "not a decimal number"),
        ("\u0661", "not a decimal number"),
        ("", "not a decimal number"),
        ("10000000000.00", "too large for NUMERIC(12,2)"),
        ("0.1 (float)", "floating-point"),
    ],
)
def test_what_is_no_exact_price_is_a_fault_that_says_why(text: str, reason: str) -> None:
    typed, faults = conform(SERVICES, text_of(SERVICES, service("S7", unit_price_net=text)))

    (fault,) = faults
    assert typed["unit_price_net"][0].as_py() is None
    assert (fault.code, fault.field, fault.row) == ("PRICE_INVALID", "unit_price_net", 0)
    assert fault.message.startswith("Service S7: unit_price_net ")
    assert reason in fault.message


def test_null_and_empty_are_kept_apart() -> None:
    typed, faults = conform(
        SERVICES, text_of(SERVICES, service("S1", unit_price_net=None, unit=None), service("S2", unit=""))
    )

    assert typed["unit_price_net"].to_pylist() == [None, Decimal("150.00")]
    assert typed["unit"].to_pylist() == [None, ""]
    assert faults == []


def test_quantities_have_three_decimals_and_rates_two() -> None:
    typed, faults = conform(
        SERVICES,
        text_of(
            SERVICES,
            service("S1", quantity="1.5000", vat_percent="7"),
            service("S2", quantity="0.3333"),
            service("S3", vat_percent="19.005"),
        ),
    )

    assert typed["quantity"].to_pylist() == [Decimal("1.500"), None, Decimal(1)]
    assert typed["vat_percent"].to_pylist() == [Decimal("7.00"), Decimal("19.00"), None]
    assert [fault.code for fault in faults] == ["QUANTITY_INVALID", "VAT_INVALID"]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-10-14T08:30:00Z", "2026-10-14T08:30:00+00:00"),
        ("2026-10-14 08:30z", "2026-10-14T08:30:00+00:00"),
        ("2026-10-14T08:30:00+02:00", "2026-10-14T06:30:00+00:00"),
        ("2026-10-14T08:30:00-11:30", "2026-10-14T20:00:00+00:00"),
        ("2026-10-31T22:59:59.999999999Z", "2026-10-31T22:59:59.999999+00:00"),
        ("2028-02-29T00:00:00.5Z", "2028-02-29T00:00:00.500000+00:00"),
    ],
)
def test_an_instant_is_iso_8601_with_a_zone(text: str, instant: str) -> None:
    (typed,) = instants_of(pa.chunked_array([[text]])).to_pylist()

    assert typed.isoformat() == instant


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-14T08:30:00",
        "2026-10-14",
        "2026-02-29T08:30:00Z",
        "2026-10-14T24:00:00Z",
        "2026-10-14T08:30:60Z",
        "2026-10-14T08:30:00+0200",
        "2026-10-14T08:30:00+15:00",
        "14.10.2026 08:30 Z",
        "1760430600",
        "infinity",
        "gestern",
        "",
    ],
)
def test_a_time_without_a_zone_is_never_guessed(text: str) -> None:
    typed, faults = conform(SERVICES, text_of(SERVICES, service(cancelled_at=text)))

    (fault,) = faults
    assert typed["cancelled_at"][0].as_py() is None
    assert (fault.code, fault.field, fault.value) == ("TIMESTAMP_WITHOUT_ZONE", "cancelled_at", text)


@pytest.mark.parametrize("text", ["t", "true", "TRUE", "1"])
def test_databases_write_true_in_their_own_ways(text: str) -> None:
    assert conform(CUSTOMERS, text_of(CUSTOMERS, customer(is_test=text)))[0]["is_test"].to_pylist() == [True]


@pytest.mark.parametrize("text", ["f", "false", "False", "0"])
def test_databases_write_false_in_their_own_ways(text: str) -> None:
    assert conform(CUSTOMERS, text_of(CUSTOMERS, customer(is_test=text)))[0]["is_test"].to_pylist() == [False]


def test_a_flag_that_is_neither_makes_the_customer_incomplete() -> None:
    typed, faults = conform(CUSTOMERS, text_of(CUSTOMERS, customer(is_test="maybe")))

    assert typed["is_test"].to_pylist() == [None]
    assert [(fault.code, fault.field) for fault in faults] == [("CUSTOMER_INCOMPLETE", "is_test")]


@pytest.mark.parametrize("missing", [None, "", "\0S\\xfc"])
@pytest.mark.parametrize(
    ("relation", "column", "row"),
    [
        ("customers", "customer_number", customer()),
        ("services", "service_id", service()),
        ("services", "customer_number", service()),
        ("service_tasks", "service_id", task()),
        ("service_tasks", "position", task()),
    ],
)
def test_a_row_without_its_key_ends_the_run_and_is_named_by_its_other_cells(
    relation: str, column: str, row: Row, missing: str | None
) -> None:
    with pytest.raises(OmsShapeWrong) as raised:
        validate_keys(RELATIONS[relation], text_of(RELATIONS[relation], row | {column: missing}))

    other = next(name for name in row if name != column)
    assert f"OMS relation {relation}: {column} is NULL" in str(raised.value)
    assert f"{other} {str(row[other])!r}" in str(raised.value)


@pytest.mark.parametrize("position", ["1.0", "first", "99999999999"])
def test_a_position_that_is_no_whole_number_ends_the_run(position: str) -> None:
    with pytest.raises(OmsShapeWrong, match=r"position .* of service S1 is not a whole number"):
        validate_keys(SERVICE_TASKS, text_of(SERVICE_TASKS, task(position=position)))
