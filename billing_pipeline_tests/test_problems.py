"""A URL that people are shown has no secret in it, and a problem no personal value, wherever it stands."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.delivery.ledger import LedgerUnavailable, open_ledger
from billing_pipeline.problems import Code, Problem, without_personal_values, without_secrets
from billing_pipeline.store.store_files import StoreFiles

SECRET = "canary-4c1d"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://u:{SECRET}@h/x", "postgresql://u@h/x"),
        (f"postgresql://h/x?user=u&password={SECRET}", "postgresql://h/x?user=u&password=***"),
        (
            f"postgresql://h/x?PASSWORD={SECRET}&sslmode=require",
            "postgresql://h/x?PASSWORD=***&sslmode=require",
        ),
        (f"postgresql://h/x?sslpassword={SECRET}", "postgresql://h/x?sslpassword=***"),
        (f"s3://key:{SECRET}@bucket/store", "s3://key@bucket/store"),
        (f"abfs://box/store?sig={SECRET}&account_key={SECRET}", "abfs://box/store?sig=***&account_key=***"),
        (f"https://h/p;token={SECRET}", "https://h/p;token=***"),
        ("sqlite:////var/lib/billing/ledger.db", "sqlite:////var/lib/billing/ledger.db"),
        ("/var/lib/billing/store", "/var/lib/billing/store"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


@given(st.text(alphabet=st.characters(codec="ascii", exclude_categories=["C"]), max_size=60))
def test_any_text_can_be_shown(text: str) -> None:
    assert isinstance(without_secrets(text), str)


def test_a_ledger_out_of_reach_is_named_without_the_password_in_its_query() -> None:
    with pytest.raises(LedgerUnavailable) as caught:
        open_ledger(f"postgresql://127.0.0.1:1/ledger?user=billing&password={SECRET}")
    assert "127.0.0.1:1/ledger" in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_store_is_named_without_the_secrets_of_its_url() -> None:
    assert SECRET not in StoreFiles(f"memory://store?token={SECRET}").url


def test_a_problem_is_told_without_the_value_of_a_personal_field_and_with_any_other() -> None:
    street = Problem(
        Code.TEXT_TOO_LONG,
        "7",
        'Customer 7: street "Main "St" 1" is too long',
        field="street",
        value='Main "St" 1',
    )
    shown = without_personal_values(street)
    assert (shown.value, shown.message.startswith("Customer 7: street 'M… (")) == ("M… (11 characters)", True)
    assert "St" not in shown.message
    price = Problem(
        Code.PRICE_INVALID, "7", 'Service S-1: unit_price_net "x" is no number', "S-1", "unit_price_net", "x"
    )
    assert without_personal_values(price) == price
