"""What is wrong with a customer as a whole: tax type, VAT id, currency, address. Each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pandas as pd

from billing_pipeline.billing.addresses import missing_in_address
from billing_pipeline.billing.arrow import each_row
from billing_pipeline.billing.rows import supported_exponent
from billing_pipeline.billing.rules import Rules
from billing_pipeline.billing.tax import EU_MEMBERS, TAX_TYPES, TaxType, tax_type_of, vat_id_fault
from billing_pipeline.oms.row_rules import row_problems
from billing_pipeline.problems import Code, Problem

_NAME: Final = "company_name or last_name"


def customer_faults(customers: pd.DataFrame) -> Iterator[Problem]:
    """The faults that `oms/` found in these customers."""
    yield from row_problems(customers)


def customer_problems(customers: pd.DataFrame) -> Iterator[Problem]:
    """Tax types and currencies with which nobody can be billed."""
    for row in each_row(customers):
        if row.tax_type and row.tax_type not in TAX_TYPES:
            yield _problem(
                row,
                Code.VAT_INVALID,
                "tax_type",
                f"tax_type is {row.tax_type!r}; it must be empty, or one of {', '.join(TAX_TYPES)}",
            )
        if row.currency is not None and supported_exponent(row.currency) is None:
            yield _problem(
                row,
                Code.CURRENCY_INVALID,
                "currency",
                f"nothing can be billed in currency {row.currency!r}; "
                "enter an ISO 4217 code with at most 3 decimals, such as EUR",
            )


def recipient_problems(customers: pd.DataFrame, rules: Rules, *, over_api: bool) -> Iterator[Problem]:
    """Why these customers, of whom something is billed now, cannot be the recipients of an invoice.

    `over_api`: drafts are made through EASY Bill's API, which knows more tax types than its CSV.
    """
    for row in each_row(customers):
        missing = missing_in_address(row)
        # Of a missing name alone the OMS's own rule tells.
        if rules.for_customer(row.customer_number).require_address and set(missing) - {_NAME}:
            field = next(name for name in missing if name != _NAME)
            yield _problem(
                row,
                Code.CUSTOMER_INCOMPLETE,
                field,
                f"an invoice needs the recipient's full address, and {_listed(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} missing: fill in what is missing in the OMS, or set "
                "require_address = false in the rules",
            )
        if not row.tax_type or row.tax_type in TAX_TYPES:
            yield from _tax_problems(row, tax_type_of(row.tax_type), rules.seller_country, over_api)


def vat_id_warnings(customers: pd.DataFrame) -> Iterator[Problem]:
    """VAT ids that are wrong and on which nothing hangs: told, and no reason not to bill."""
    for row in each_row(customers):
        if row.tax_type in TAX_TYPES and TAX_TYPES[row.tax_type].needs_vat_id:
            continue
        if row.vat_id and row.vat_id.strip() and (fault := vat_id_fault(row.vat_id, row.country)):
            yield _problem(
                row, Code.VAT_ID_INVALID, "vat_id", f"vat_id {row.vat_id!r} {fault}: correct it in the OMS"
            )


def _tax_problems(row: Any, tax_type: TaxType, seller_country: str, over_api: bool) -> Iterator[Problem]:
    if row.country and not _is_in_place(row.country, tax_type, seller_country):
        wanted = {
            "another member state": f"in the EU, outside {seller_country} (seller_country of the rules)",
            "outside the EU": "outside the EU",
        }[tax_type.place]
        yield _problem(
            row,
            Code.VAT_INVALID,
            "tax_type",
            f"with tax_type {row.tax_type} a customer is {wanted}, and its country is {row.country}: correct the "
            "tax type or the country",
        )
    elif tax_type.needs_vat_id:
        fault = vat_id_fault(row.vat_id, row.country) if row.vat_id and row.vat_id.strip() else "is missing"
        if fault:
            shown = f"vat_id {row.vat_id!r}" if row.vat_id else "vat_id"
            yield _problem(
                row,
                Code.VAT_ID_INVALID,
                "vat_id",
                f"{shown} {fault}, and tax_type {row.tax_type} hangs on it: correct it in the OMS, or charge VAT "
                "without that tax type",
            )
    if tax_type.csv is None and not over_api:
        yield _problem(
            row,
            Code.TAX_TYPE_UNSUPPORTED,
            "tax_type",
            f"EASY Bill's CSV import knows no tax_type {row.tax_type}: its API does, with BILLING_TRANSPORT=api; the "
            "CSV knows intra-community-trade and export",
        )


def _is_in_place(country: str, tax_type: TaxType, seller_country: str) -> bool:
    if tax_type.place == "another member state":
        return country in EU_MEMBERS and country != seller_country
    return tax_type.place == "anywhere" or country not in EU_MEMBERS


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _problem(row: Any, code: Code, field: str, says: str) -> Problem:
    return Problem(
        code=code,
        customer_number=row.customer_number,
        field=field,
        value=str(getattr(row, field) or ""),
        message=f"Customer {row.customer_number}: {says}",
    )
