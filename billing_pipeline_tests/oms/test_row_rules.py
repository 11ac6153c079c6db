"""What is wrong with rows, from the database to the problem, in SQLite and in PostgreSQL where it can hold it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from billing_pipeline.oms.contract import SERVICES
from billing_pipeline.oms.extract import Extract
from billing_pipeline.oms.row_rules import task_rules
from billing_pipeline.oms.source import OmsSource
from billing_pipeline_tests.support.oms_database import Row, customer, fee, problems_in_extract, service, task

Oms = Callable[..., OmsSource]
October = Callable[[OmsSource], Extract]


def codes_of(extract: Extract) -> list[tuple[str, str, str, str, str]]:
    """The problems, without their messages."""
    return [
        (str(one.code), one.customer_number, one.source_id, one.field, one.value)
        for one in problems_in_extract(extract)
    ]


def test_rows_in_good_order_have_no_faults(any_oms: Oms, october: October) -> None:
    extract = october(
        any_oms(
            customers=[
                customer(company_name=None, last_name="Müller\tund\r\nSöhne", tax_type="export", country=None)
            ],
            services=[service(unit_price_net="0.00"), service("S2", unit_price_net=None, vat_percent=None)],
            service_tasks=[task(price_net="70.00"), task(position=2)],
            cancellation_fees=[fee(amount_net="0.00")],
        )
    )

    assert codes_of(extract) == []
    for frame in (extract.customers, extract.services, extract.service_tasks, extract.cancellation_fees):
        assert frame["faults"].isna().all()


@pytest.mark.parametrize(
    ("cells", "code", "field"),
    [
        ({"unit_price_net": "-0.01"}, "PRICE_INVALID", "unit_price_net"),
        ({"quantity": "0"}, "QUANTITY_INVALID", "quantity"),
        ({"quantity": "-1.5"}, "QUANTITY_INVALID", "quantity"),
        ({"vat_percent": "100.01"}, "VAT_INVALID", "vat_percent"),
        ({"vat_percent": "-19"}, "VAT_INVALID", "vat_percent"),
        ({"currency": "EURO"}, "CURRENCY_INVALID", "currency"),
        ({"currency": "eur"}, "CURRENCY_INVALID", "currency"),
        ({"currency": "XXX"}, "CURRENCY_INVALID", "currency"),
        ({"currency": "JPY", "unit_price_net": "150.50"}, "PRICE_INVALID", "unit_price_net"),
        ({"description": "a\x0bb"}, "TEXT_INVALID", "description"),
        ({"location": "a\x7fb"}, "TEXT_INVALID", "location"),
        ({"unit": "a\x85b"}, "TEXT_INVALID", "unit"),
        ({"service_code": "\ufeffA1"}, "TEXT_INVALID", "service_code"),
        ({"customer_number": "4711"}, "CUSTOMER_UNKNOWN", "customer_number"),
        ({"status": "planned", "unit_price_net": "-1"}, "PRICE_INVALID", "unit_price_net"),
    ],
)
def test_a_wrong_service_names_row_field_and_value(
    any_oms: Oms, october: October, cells: Row, code: str, field: str
) -> None:
    row = service("S7", **cells)
    extract = october(any_oms(customers=[customer()], services=[row, service("S8")]))

    ((found, owner, source, column, _),) = codes_of(extract)
    assert (found, owner, source, column) == (code, row["customer_number"], "S7", field)
    assert extract.services["faults"].isna().tolist() == [False, True]
    (problem,) = problems_in_extract(extract)
    assert problem.message.startswith(f"Service S7: {field} ")
    assert "OMS" in problem.message


@pytest.mark.parametrize(
    ("cells", "code", "field"),
    [
        ({"company_name": None}, "CUSTOMER_INCOMPLETE", "company_name"),
        ({"company_name": " ", "last_name": ""}, "CUSTOMER_INCOMPLETE", "company_name"),
        ({"country": "UK"}, "COUNTRY_INVALID", "country"),
        ({"country": "Deutschland"}, "COUNTRY_INVALID", "country"),
        ({"country": ""}, "COUNTRY_INVALID", "country"),
        ({"currency": "DM"}, "CURRENCY_INVALID", "currency"),
        ({"city": "Ber\x00lin"}, "TEXT_INVALID", "city"),
    ],
)
def test_a_wrong_customer_is_told_without_a_source(
    sqlite_oms: Oms, october: October, cells: Row, code: str, field: str
) -> None:
    extract = october(sqlite_oms(customers=[customer(**cells)], services=[service()]))

    ((found, owner, source, column, _),) = codes_of(extract)
    assert (found, owner, source, column) == (code, "10023", "", field)


@pytest.mark.parametrize(
    ("price", "currency"), [("70.001", "EUR"), ("-1", "EUR"), ("0.50", "JPY"), ("abc", "EUR")]
)
def test_a_wrong_task_names_its_service_and_the_services_customer(
    sqlite_oms: Oms, october: October, price: str, currency: str
) -> None:
    extract = october(
        sqlite_oms(
            customers=[customer(currency=currency)],
            services=[service(currency=currency)],
            service_tasks=[task(position=2, price_net=price)],
        )
    )

    assert codes_of(extract) == [("PRICE_INVALID", "10023", "S1", "price_net", price)]
    assert problems_in_extract(extract)[0].message.startswith("Task 2 of service S1: price_net ")


@pytest.mark.parametrize(
    ("cells", "code", "field"),
    [
        ({"amount_net": "-25.00"}, "PRICE_INVALID", "amount_net"),
        ({"amount_net": "25.005"}, "PRICE_INVALID", "amount_net"),
        ({"amount_net": None}, "PRICE_MISSING", "amount_net"),
        ({"vat_percent": "1900"}, "VAT_INVALID", "vat_percent"),
        ({"currency": None}, "CURRENCY_INVALID", "currency"),
        ({"fee_type": None}, "TEXT_INVALID", "fee_type"),
        ({"charged_at": None}, "TIMESTAMP_MISSING", "charged_at"),
        ({"customer_number": "4711"}, "CUSTOMER_UNKNOWN", "customer_number"),
    ],
)
def test_a_wrong_fee_names_row_and_field(
    sqlite_oms: Oms, october: October, cells: Row, code: str, field: str
) -> None:
    row = fee(**cells)
    extract = october(sqlite_oms(typed=False, customers=[customer()], cancellation_fees=[row]))

    ((found, owner, source, column, _),) = codes_of(extract)
    assert (found, owner, source, column) == (code, row["customer_number"], "F1", field)


def test_every_fault_of_a_row_is_reported_not_only_the_first(sqlite_oms: Oms, october: October) -> None:
    extract = october(
        sqlite_oms(
            customers=[customer(country="XX", currency="DM")],
            services=[service(unit_price_net="1e2", quantity="0", vat_percent="x", currency="?")],
        )
    )

    assert [(code, field) for code, _, _, field, _ in codes_of(extract)] == [
        ("COUNTRY_INVALID", "country"),
        ("CURRENCY_INVALID", "currency"),
        ("CURRENCY_INVALID", "currency"),
        ("QUANTITY_INVALID", "quantity"),
        ("PRICE_INVALID", "unit_price_net"),
        ("VAT_INVALID", "vat_percent"),
    ]
    assert [fault["field"] for fault in json.loads(extract.services["faults"][0])] == [
        "currency",
        "quantity",
        "unit_price_net",
        "vat_percent",
    ]


def test_rows_with_the_same_key_are_faulty_all_of_them(sqlite_oms: Oms, october: October) -> None:
    extract = october(
        sqlite_oms(
            typed=False,
            customers=[customer(), customer("2"), customer("2", company_name="Zwei AG")],
            services=[service(), service(customer_number="2"), service("S2", "2")],
            service_tasks=[task("S2", 1), task("S2", 1), task("S2", 2)],
            cancellation_fees=[fee(), fee()],
        )
    )

    assert codes_of(extract) == [
        ("DUPLICATE_KEY", "10023", "F1", "fee_id", "F1"),
        ("DUPLICATE_KEY", "10023", "S1", "service_id", "S1"),
        ("DUPLICATE_KEY", "2", "", "customer_number", "2"),
        ("DUPLICATE_KEY", "2", "S1", "service_id", "S1"),
        ("DUPLICATE_KEY", "2", "S2", "position", "1"),
    ]
    assert extract.services["faults"].isna().tolist() == [False, False, True]
    assert extract.service_tasks["faults"].isna().tolist() == [False, False, True]


def test_a_float_in_a_money_column_of_sqlite_is_refused_and_integers_are_exact(
    sqlite_oms: Oms, october: October
) -> None:
    extract = october(
        sqlite_oms(
            typed=False,
            customers=[customer()],
            services=[
                service("S1", unit_price_net=0.1),
                service("S2", unit_price_net=150, quantity=2, vat_percent=19),
                service("S3", quantity=1.0),
            ],
            cancellation_fees=[fee(amount_net=25.0)],
        )
    )

    assert codes_of(extract) == [
        ("PRICE_INVALID", "10023", "F1", "amount_net", "25.0 (float)"),
        ("PRICE_INVALID", "10023", "S1", "unit_price_net", "0.1 (float)"),
        ("QUANTITY_INVALID", "10023", "S3", "quantity", "1.0 (float)"),
    ]
    assert str(extract.services["unit_price_net"][1]) == "150.00"


def test_bytes_that_are_not_utf_8_are_reported_as_escapes(sqlite_oms: Oms, october: October) -> None:
    extract = october(
        sqlite_oms(
            typed=False,
            customers=[customer(city=b"M\xfcnchen")],
            services=[service(description=b"lone \xed\xa0\x80 surrogate"), service("S2", description="gut")],
        )
    )

    assert codes_of(extract) == [
        ("TEXT_INVALID", "10023", "", "city", "M\\xfcnchen"),
        ("TEXT_INVALID", "10023", "S1", "description", "lone \\xed\\xa0\\x80 surrogate"),
    ]


@example(keys=[("b", 1), ("a", 2), ("b", 1)], is_sorted=False)
@given(
    keys=st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(1, 3)), max_size=8),
    is_sorted=st.booleans(),
)
def test_a_key_that_is_there_twice_is_seen_in_any_order(
    keys: list[tuple[str, int | None]], is_sorted: bool
) -> None:
    if is_sorted:
        keys.sort(key=lambda key: (key[0], key[1] or 0))
    columns = {
        "service_id": pa.array([name for name, _ in keys], pa.string()),
        "position": pa.array([position for _, position in keys], pa.int32()),
    }
    tasks = pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype)
    no_services = SERVICES.frame_schema.empty_table().to_pandas(types_mapper=pd.ArrowDtype)
    (rule,) = (one for one in task_rules(no_services) if "more than once" in one.says)
    assert rule.holds(tasks).tolist() == [keys.count(key) == 1 for key in keys]
