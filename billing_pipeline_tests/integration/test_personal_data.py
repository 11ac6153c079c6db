"""What a customer is called, and where they live, does not get into Dagster's event log, whatever is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing_pipeline_tests.support.installation import Installation, customer_in

MONTH = "2026-10"
CANARY = "Kanarienvogel"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"vat_id": f"ATU{CANARY}", "country": "AT", "tax_type": "intra-community-trade"}, "VAT_ID_INVALID"),
        ({"vat_id": f"DE{CANARY}"}, None),
        ({"company_name": f'{CANARY} "the" bird ' * 40}, "TEXT_TOO_LONG"),
        ({"street": f"{CANARY}\x07 1"}, "TEXT_INVALID"),
        ({"city": f"{CANARY}stadt " * 40}, "TEXT_TOO_LONG"),
        ({"email": f"{CANARY}\x07@example.com"}, "TEXT_INVALID"),
        ({"country": "Bird"}, "COUNTRY_INVALID"),
    ],
)
def test_no_value_of_a_personal_field_is_kept_by_dagster(
    fault: dict[str, str], code: str | None, tmp_path: Path
) -> None:
    installation = Installation(tmp_path)
    installation.oms.customer(
        "10023",
        **{"company_name": CANARY, "street": f"{CANARY} 1", "email": f"{CANARY}@example.com", **fault},
    )
    installation.oms.service("S-1", "10023")
    problems = customer_in(installation.run_json(MONTH))["problems"]
    assert code is None or code in {problem["code"] for problem in problems}, problems
    kept = [
        path
        for path in (installation.home / "dagster").rglob("*")
        if path.is_file() and CANARY.encode() in path.read_bytes()
    ]
    assert kept == []
