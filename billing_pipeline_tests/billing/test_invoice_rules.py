"""What an invoice must not get wrong: VAT rates and ids, tax types, the address, sums below 0."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.billing.addresses import WITHOUT_POSTAL_CODES
from billing_pipeline.billing.adjustments import Adjustment
from billing_pipeline.billing.rules import RulesInvalid
from billing_pipeline.billing.tax import EU_MEMBERS, TAX_TYPES
from billing_pipeline.oms.row_rules import COUNTRIES
from billing_pipeline.problems import Code, Problem, problems_of
from billing_pipeline_tests.support.billing import (
    MONTH,
    bill,
    billed_source,
    ledger,
    line_of,
    outcomes,
    problems_in,
    rules_of,
)
from billing_pipeline_tests.support.frames import Row, customer, fee, service

ME = "10023"
AUSTRIAN = customer(country="AT", vat_id="ATU57194903", tax_type="intra-community-trade")


def only_problem(*rows: Row, **others: Any) -> Problem:
    (problem,) = problems_in(bill(*rows, **others))
    return problem


# ---- VAT rates


@pytest.mark.parametrize("rate", ["0.19", "1.9", "100", "16", "5", "20"])
def test_a_rate_that_was_not_in_force_is_a_problem_that_names_those_that_were(rate: str) -> None:
    problem = only_problem(service(vat_percent=rate))
    assert (problem.code, problem.source_id, problem.field) == (Code.VAT_INVALID, "S-1", "vat_percent")
    assert "on 2026-10-14 it would be 19 or 7 %" in problem.message
    assert only_problem(fee(vat_percent=rate)).code == Code.VAT_INVALID


@pytest.mark.parametrize("rate", ["19", "7"])
def test_the_rates_in_force_are_none(rate: str) -> None:
    assert problems_in(bill(service(vat_percent=rate))) == []


@pytest.mark.parametrize(
    ("completed_at", "right", "wrong"),
    [
        ("2020-06-30T21:59:59Z", "19", "16"),
        ("2020-06-30T22:00:00Z", "16", "19"),
        ("2020-12-31T22:59:59Z", "5", "7"),
        ("2020-12-31T23:00:00Z", "7", "5"),
        ("2006-12-31T22:59:59Z", "16", "19"),
        ("1998-03-31T12:00:00Z", "15", "16"),
        ("1983-07-01T12:00:00Z", "14", "15"),
    ],
)
def test_the_rows_own_local_date_decides(completed_at: str, right: str, wrong: str) -> None:
    month = service(completed_at=completed_at)["month"]
    assert problems_in(bill(service(completed_at=completed_at, vat_percent=right), month=month)) == []
    assert (
        only_problem(service(completed_at=completed_at, vat_percent=wrong), month=month).field
        == "vat_percent"
    )


def test_a_late_row_is_judged_by_its_own_date() -> None:
    view = ledger(closed=[(ME, "2020-12")])
    late = service("S-9", completed_at="2020-12-20T10:00:00Z", vat_percent="16")
    now = service(completed_at="2021-01-10T10:00:00Z")
    assert len(bill(now, late, month="2021-01", ledger_view=view).lines) == 2


def test_0_percent_needs_a_tax_type_or_an_exempt_code() -> None:
    problem = only_problem(service(vat_percent="0"))
    assert problem.code == Code.VAT_INVALID
    assert "vat_exempt_codes" in problem.message
    assert "BAT-2" in problem.message
    assert line_of(service(vat_percent="0"), rules='vat_exempt_codes = ["BAT-2"]').vat == 0
    assert (
        only_problem(service(vat_percent="16"), rules='vat_exempt_codes = ["BAT-2"]').field == "vat_percent"
    )


def test_any_rate_will_do_where_the_rules_say_so() -> None:
    for rate in ("0", "8.1", "100"):
        assert problems_in(bill(service(vat_percent=rate), rules='vat_rates = "any"')) == []


def test_a_table_of_dates_holds_for_itself_and_for_one_customer() -> None:
    swiss = 'customers."10023".vat_rates = { 2024-01-01 = [8.1, 2.6], 2018-01-01 = [7.7] }'
    assert problems_in(bill(service(vat_percent="8.1"), rules=swiss)) == []
    assert "8,1 or 2,6 %" in only_problem(service(vat_percent="7.7"), rules=swiss).message
    old = service(completed_at="2017-05-05T10:00:00Z", vat_percent="7.7")
    assert "none that is known" in only_problem(old, rules=swiss, month="2017-05").message
    assert only_problem(service(vat_percent="8.1", customer_number="2"), rules=swiss).customer_number == "2"


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ('vat_rates = "AT"', "it must be one of DE, any"),
        ("vat_rates = 19", "it must be a name"),
        ("vat_rates = {}", "it must be a name"),
        ("vat_rates = { 2021-13-01 = [19] }", "month must be in 1..12"),
        ("vat_rates = { 2021-01-01 = 19 }", "must be a list"),
        ("vat_rates = { 2021-01-01 = [119] }", "from 0 to 100"),
        ('vat_rates = { 2021-01-01 = ["x"] }', "rules.toml, line 1"),
        ('seller_country = "Germany"', "ISO 3166-1"),
    ],
)
def test_a_wrong_rule_is_named(rule: str, says: str) -> None:
    with pytest.raises(RulesInvalid, match=r"rules\.toml, line 1") as raised:
        rules_of(rule)
    assert says in str(raised.value)


# ---- VAT ids and tax types


@pytest.mark.parametrize(
    ("vat_id", "says"),
    [
        (None, "is missing"),
        ("  ", "is missing"),
        ("ATU57194904", "check digits"),
        ("AT57194903", "check digits"),
        ("DE136695976", "does not begin with AT"),
    ],
)
def test_a_wrong_vat_id_blocks_where_the_exemption_hangs_on_it(vat_id: str | None, says: str) -> None:
    for tax_type in ("intra-community-trade", "IG"):
        problem = only_problem(
            service(vat_percent=None), customers=[AUSTRIAN | {"vat_id": vat_id, "tax_type": tax_type}]
        )
        assert (problem.code, problem.field) == (Code.VAT_ID_INVALID, "vat_id")
        assert says in problem.message


@pytest.mark.parametrize("vat_id", ["ATU57194903", "ATU 571-949.03", "atu57194903"])
def test_a_right_vat_id_is_right_however_it_is_written(vat_id: str) -> None:
    assert problems_in(bill(service(vat_percent=None), customers=[AUSTRIAN | {"vat_id": vat_id}])) == []


def test_a_greek_vat_id_begins_with_el() -> None:
    greek = AUSTRIAN | {"country": "GR", "vat_id": "EL 094259216"}
    assert problems_in(bill(service(vat_percent=None), customers=[greek])) == []


def test_a_wrong_vat_id_on_which_nothing_hangs_is_told_and_blocks_nobody() -> None:
    billed = bill(service(), customers=[customer(vat_id="DE136695978")])
    assert outcomes(billed) == {ME: "to_bill"}
    (told,) = problems_of(billed.warnings)
    assert (told.code, told.customer_number) == (Code.VAT_ID_INVALID, ME)
    assert problems_of(bill(service(), customers=[customer(vat_id="DE136695976")]).warnings) == []
    assert problems_of(bill(service(), customers=[customer(country="CH", vat_id="CHE-1")]).warnings) == []


@pytest.mark.parametrize(
    ("tax_type", "country"),
    [
        ("intra-community-trade", "DE"),
        ("IG", "CH"),
        ("export", "AT"),
        ("AL", "DE"),
        ("nStb", "FR"),
        ("nStbUstID", "DE"),
        ("nStbNoneUstID", "US"),
    ],
)
def test_a_tax_type_must_fit_the_customers_country(tax_type: str, country: str) -> None:
    one = customer(tax_type=tax_type, country=country, vat_id="ATU57194903")
    problem = only_problem(service(vat_percent=None), customers=[one], over_api=True)
    assert (problem.code, problem.field, problem.value) == (Code.VAT_INVALID, "tax_type", tax_type)
    assert country in problem.message


def test_the_sellers_country_is_a_rule() -> None:
    german = customer(tax_type="intra-community-trade", vat_id="DE136695976")
    assert (
        problems_in(bill(service(vat_percent=None), customers=[german], rules='seller_country = "AT"')) == []
    )


@pytest.mark.parametrize("tax_type", sorted(set(TAX_TYPES) - {"NULL"}))
def test_every_tax_type_of_the_api_has_its_rate_and_what_the_csv_cannot_carry_names_the_api(
    tax_type: str,
) -> None:
    one = (
        customer(tax_type=tax_type)
        | {
            "another member state": {"country": "AT", "vat_id": "ATU57194903"},
            "outside the EU": {"country": "CH"},
            "anywhere": {},
        }[TAX_TYPES[tax_type].place]
    )
    assert line_of(service(vat_percent=None), customers=[one], over_api=True).vat == 0
    taxed = only_problem(service(vat_percent="19"), customers=[one], over_api=True)
    assert taxed.code == Code.VAT_NOT_ALLOWED
    in_csv = problems_in(bill(service(vat_percent=None), customers=[one]))
    if TAX_TYPES[tax_type].csv is None:
        assert [problem.code for problem in in_csv] == [Code.TAX_TYPE_UNSUPPORTED]
        assert "BILLING_TRANSPORT=api" in in_csv[0].message
    else:
        assert in_csv == []


@pytest.mark.parametrize("tax_type", [None, "", "NULL"])
def test_no_tax_type_and_an_empty_one_are_the_same(tax_type: str | None) -> None:
    customers = [customer(tax_type=tax_type)]
    assert line_of(service(), customers=customers).vat == 2850
    assert only_problem(service(vat_percent=None), customers=customers).field == "vat_percent"


def test_the_european_union_has_27_members() -> None:
    assert len(EU_MEMBERS) == 27
    assert EU_MEMBERS <= COUNTRIES


# ---- The address


def test_everything_that_is_missing_in_an_address_is_named_at_once() -> None:
    bare = customer(company_name=None, last_name=" ", street="", zip_code=None, city=None)
    problem = only_problem(service(), customers=[bare])
    assert problem.code == Code.CUSTOMER_INCOMPLETE
    assert "company_name or last_name, street, city and zip_code are missing" in problem.message
    assert "country is missing" in only_problem(service(), customers=[customer(country=None)]).message
    assert problems_in(bill(service(), customers=[bare], rules="require_address = false")) == []
    mine = 'customers."10023".require_address = false'
    assert problems_in(bill(service(), customers=[bare], rules=mine)) == []


@pytest.mark.parametrize("country", ["AE", "HK", "QA"])
def test_a_country_without_postal_codes_needs_none(country: str) -> None:
    assert problems_in(bill(service(), customers=[customer(country=country, zip_code=None)])) == []


def test_the_countries_without_postal_codes_are_countries_and_outside_the_union() -> None:
    assert WITHOUT_POSTAL_CODES <= COUNTRIES
    assert not WITHOUT_POSTAL_CODES & EU_MEMBERS


def test_who_has_nothing_to_bill_needs_no_address() -> None:
    billed = bill(service(status="cancelled"), customers=[customer(street=None)])
    assert outcomes(billed) == {ME: "nothing_to_bill"}


# ---- Less than nothing


def discount(price: str, adjustment_id: str = "7", vat: str = "19", quantity: str = "1") -> Adjustment:
    return Adjustment(adjustment_id, MONTH, ME, "Rabatt", Decimal(quantity), Decimal(price), Decimal(vat))


def test_a_document_below_0_says_how_much_of_the_discount_to_move() -> None:
    billed = bill(service(), adjustments=[discount("-160.51")])
    (problem,) = problems_in(billed)
    assert (problem.code, problem.customer_number) == (Code.NEGATIVE_TOTAL, ME)
    assert "-12,51 EUR gross" in problem.message
    assert "10,51 EUR net of adjustment 7" in problem.message
    assert "adjust edit 7 --quantity 1 --price -150.00 " in problem.message
    assert (
        f"adjust add 2026-11 --customer {ME} --title TEXT --quantity 1 --price -10.51 --vat 19"
        in problem.message
    )
    assert outcomes(billed) == {ME: "blocked"}
    assert len(billed.lines) == len(billed.totals) == 0


def test_a_document_of_0_is_no_problem() -> None:
    assert problems_in(bill(service(), adjustments=[discount("-150")])) == []


@pytest.mark.parametrize("basis", ["gross", "net"])
def test_the_named_amount_is_enough_and_a_cent_less_is_not(basis: str) -> None:
    numbers = [str(cents) for cents in range(15001, 15040)]
    rows = [service(f"S-{number}", customer_number=number) for number in numbers]

    def below_0(prices: dict[str, Decimal]) -> dict[str, Problem]:
        """Each customer has one service and one discount of this price."""
        discounts = [
            replace(discount(str(price), number), customer_number=number) for number, price in prices.items()
        ]
        billed = bill(
            *rows,
            customers=[customer(number) for number in numbers],
            adjustments=discounts,
            rules=f'price_basis = "{basis}"',
        )
        found = problems_in(billed)
        assert {problem.code for problem in found} <= {Code.NEGATIVE_TOTAL}
        return {problem.customer_number: problem for problem in found}

    too_much = below_0({number: -Decimal(number) / 100 for number in numbers})
    assert sorted(too_much) == numbers
    enough = {
        number: Decimal(problem.message.split("--price ")[1].split()[0])
        for number, problem in too_much.items()
    }
    assert below_0(enough) == {}
    assert sorted(below_0({number: price - Decimal("0.01") for number, price in enough.items()})) == numbers


def test_several_discounts_are_moved_the_largest_first_and_a_whole_one_is_deleted() -> None:
    both = [discount("-200", "7"), discount("-40", "8", vat="7")]
    message = only_problem(service(unit_price_net="10"), adjustments=both).message
    assert "adjust delete 7 " in message
    assert "adjust edit 8 --quantity 1 --price -11.12 " in message


# ---- What was sent stands


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({}, {"street": None}),
        ({}, {"tax_type": "revc"}),
        ({}, {"tax_type": "export"}),
        ({}, {"vat_id": "DE136695978"}),
    ],
)
def test_what_was_sent_is_not_judged_anew(before: Row, now: Row) -> None:
    first = bill(service(vat_percent="0"), customers=[customer(**before)], rules='vat_rates = "any"')
    sent = ledger(billed_source(first, "S-1"), closed=[(ME, MONTH)])
    again = bill(service(vat_percent="0"), customers=[customer(**now)], ledger_view=sent)
    assert problems_in(again) == []
    assert problems_of(again.warnings) == []
    assert outcomes(again) == {ME: "to_bill"}


def test_a_negative_document_that_was_sent_stands() -> None:
    rebate = [discount("-160")]
    sources = [
        billed_source(bill(service()), "S-1"),
        billed_source(bill(service(unit_price_net="500"), adjustments=rebate), "7"),
    ]
    again = bill(service(), adjustments=rebate, ledger_view=ledger(*sources, closed=[(ME, MONTH)]))
    assert problems_in(again) == []
