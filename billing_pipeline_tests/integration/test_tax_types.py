"""Tax types that only EASY Bill's API can say: over it each becomes a draft, and over CSV the remedy leads there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.billing.tax import TAX_TYPES
from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline_tests.support.easybill_sandbox import judged_sandbox
from billing_pipeline_tests.support.installation import Installation, customer_in, outcomes_in
from billing_pipeline_tests.support.plain_months import run_plainly

MONTH = "2026-10"
API_ALONE = sorted({one.vat_option for one in TAX_TYPES.values() if one.csv is None and one.vat_option})
COUNTRIES = {"anywhere": "DE", "another member state": "AT", "outside the EU": "US"}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with judged_sandbox(tmp_path / "sandbox") as running:
        yield running


def installation_at(sandbox: Sandbox, folder: Path, transport: str) -> Installation:
    """10023 pays VAT; each other customer has a tax type that only the API can say, and is its name."""
    api = {name: value for name, value in sandbox.settings().items() if name.startswith("BILLING_EASYBILL")}
    api["BILLING_EASYBILL_REQUESTS_PER_MINUTE"] = "600"
    house = Installation(folder, **api, BILLING_TRANSPORT=transport)
    house.environment["BILLING_FOLDER"] = str(sandbox.files)
    for number in ("10023", *API_ALONE):
        sandbox.add_customer(number, company_name="x")
        tax = TAX_TYPES.get(number)
        cells = {
            "tax_type": number if tax else None,
            "country": COUNTRIES[tax.place] if tax else "DE",
            "vat_id": "ATU13585627" if tax and tax.needs_vat_id else None,
        }
        house.oms.customer(number, **cells)
        house.oms.service(f"S-{number}", number, vat_percent=None if tax else "19")
    return house


def drafts(sandbox: Sandbox) -> dict[str, tuple[object, int, int]]:
    """By customer: tax option, VAT and gross."""
    return {
        draft.customer_number: (draft.details["vat_option"], draft.vat, draft.gross)
        for draft in sandbox.drafts()
    }


def test_over_the_api_each_becomes_a_draft_with_its_option_and_no_vat(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    house = installation_at(sandbox, tmp_path, "api")
    answer = house.command("run", MONTH, "--json")
    assert answer.status == 0, answer.out
    assert drafts(sandbox) == {"10023": (None, 2850, 17850), **{one: (one, 0, 15000) for one in API_ALONE}}


def test_over_csv_they_are_blocked_and_with_the_api_as_the_message_says_they_are_billed_once(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    house = installation_at(sandbox, tmp_path, "folder")
    result = run_plainly(house, MONTH)
    assert outcomes_in(result) == {"10023": "delivered", **dict.fromkeys(API_ALONE, "blocked")}
    for number in API_ALONE:
        (problem,) = customer_in(result, number)["problems"]
        assert problem["code"] == "TAX_TYPE_UNSUPPORTED"
        assert "BILLING_TRANSPORT=api" in problem["message"]
    sandbox.import_now()
    assert set(drafts(sandbox)) == {"10023"}

    house.environment["BILLING_TRANSPORT"] = "api"
    answer = house.command("run", MONTH, "--json")
    assert answer.status == 0, answer.out
    assert outcomes_in(answer.json()) == {"10023": "unchanged", **dict.fromkeys(API_ALONE, "delivered")}
    assert drafts(sandbox) == {"10023": (None, 2850, 17850), **{one: (one, 0, 15000) for one in API_ALONE}}
    assert len(sandbox.drafts()) == 1 + len(API_ALONE)
    assert house.command("status").status == 0


def test_over_csv_a_tax_type_that_it_knows_is_the_other_remedy(sandbox: Sandbox, tmp_path: Path) -> None:
    house = installation_at(sandbox, tmp_path, "folder")
    run_plainly(house, MONTH)
    house.oms.change_customer("nStb", tax_type="export")
    house.oms.change_customer("nStbUstID", tax_type="intra-community-trade")
    result = run_plainly(house, MONTH)
    assert {number for number, outcome in outcomes_in(result).items() if outcome == "delivered"} == {
        "nStb",
        "nStbUstID",
    }
    sandbox.import_now()
    assert drafts(sandbox)["nStb"] == ("AL", 0, 15000)
    assert drafts(sandbox)["nStbUstID"] == ("IG", 0, 15000)
