"""What an e-invoice would lack: told beside the outcome of each customer, and nobody is blocked for it.

Businesses in Germany must send each other e-invoices by EN 16931: from 1 January 2027 those with a turnover above
800,000 EUR in the year before, from 2028 all (§ 14 (1), § 27 (38) UStG; BGBl. 2024 I Nr. 108, article 23). EASY Bill
makes the e-invoice from the draft; judged here is whether the OMS has what it needs. BT-… are the terms of EN 16931.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import pandas as pd

from billing_pipeline.billing.rules import Rules
from billing_pipeline.billing.tax import canonical_tax_type
from billing_pipeline.problems import Code, Problem

LINE_COLUMNS: Final = ("customer_number", "unit", "vat_basis_points", "item_number", "title")
"""The columns of `billing.lines.LINES` that are judged."""

UNIT_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("stk", "stck", "stück", "st", "pc", "pcs", "piece", "pieces"), "H87"),
        **dict.fromkeys(("", "unit", "units", "einheit", "mal", "x"), "C62"),
        **dict.fromkeys(("h", "std", "stunde", "stunden", "hour", "hours", "hrs"), "HUR"),
        **dict.fromkeys(("min", "minute", "minuten", "minutes"), "MIN"),
        **dict.fromkeys(("tag", "tage", "tg", "day", "days", "d"), "DAY"),
        **dict.fromkeys(("woche", "wochen", "week", "weeks"), "WEE"),
        **dict.fromkeys(("monat", "monate", "mon", "month", "months"), "MON"),
        **dict.fromkeys(("jahr", "jahre", "year", "years"), "ANN"),
        **dict.fromkeys(("pauschal", "pauschale", "psch", "flat", "flat rate", "lump sum"), "LS"),
        **dict.fromkeys(("km", "kilometer"), "KMT"),
        **dict.fromkeys(("m", "meter", "lfm"), "MTR"),
        **dict.fromkeys(("m²", "m2", "qm"), "MTK"),
        **dict.fromkeys(("m³", "m3", "cbm"), "MTQ"),
        **dict.fromkeys(("l", "liter", "litre"), "LTR"),
        **dict.fromkeys(("kg", "kilogramm"), "KGM"),
        **dict.fromkeys(("t", "tonne", "tonnen"), "TNE"),
        "g": "GRM",
        "kwh": "KWH",
    }
)
"""Units as people write them, in lower case without a final full stop → code of UN/ECE Recommendation 20."""


def e_invoice_gaps(customers: pd.DataFrame, lines: pd.DataFrame, rules: Rules) -> Iterator[Problem]:
    """What the e-invoices of the customers with lines would lack, by customer; one entry per gap.

    `customers`: the relation of the extract. `lines`: `LINE_COLUMNS`, of the month's billing. Judged are businesses
    (with a company name) in the seller's country, and the public bodies that the rules name.
    """
    by_number = _cells_by_customer(lines)
    own_codes = {_plain(unit): code for unit, code in rules.unit_codes.items()}
    for customer in customers.sort_values("customer_number").to_dict("records"):
        number = str(customer["customer_number"])
        public = number in rules.public_bodies
        domestic = _text(customer["country"]) in ("", rules.seller_country) and _text(
            customer["company_name"]
        )
        if number in by_number and (public or domestic):
            for field, message in _gaps(customer, by_number[number], rules, own_codes):
                yield Problem(Code.E_INVOICE_INCOMPLETE, number, message, field=field)


def _gaps(
    customer: Mapping[Hashable, Any],
    cells: set[tuple[str, int, str]],
    rules: Rules,
    own_codes: Mapping[str, str],
) -> Iterator[tuple[str, str]]:
    number = str(customer["customer_number"])
    if not _text(customer["vat_id"]):
        yield (
            "vat_id",
            "no VAT id of the buyer (BT-48): enter vat_id in the OMS, or a tax number in EASY Bill",
        )
    if not _text(customer["email"]):
        yield (
            "email",
            "no electronic address of the buyer (BT-49): enter an e-mail in the OMS, or the address in EASY Bill",
        )
    unknown = sorted(
        {unit for unit, _, _ in cells if _plain(unit) not in own_codes and _plain(unit) not in UNIT_CODES}
    )
    for unit in unknown:
        yield (
            "unit",
            f'the unit "{unit}" has no code of UN/ECE Recommendation 20 (BT-130): name it in the rules, unit_codes',
        )
    if not canonical_tax_type(_text(customer["tax_type"])):
        free = sorted({item for _, rate, item in cells if rate == 0})
        if free:
            named = ", ".join(free[:3]) + (" …" if len(free) > 3 else "")
            yield (
                "tax_type",
                f"0 % VAT ({named}) without a reason (BT-120): give the customer a tax type, or the draft a tax note",
            )
    if number in rules.public_bodies and not rules.public_bodies[number]:
        yield (
            "buyer_reference",
            "a public body without a buyer reference (BT-10, the Leitweg-ID): ask for it, enter it in EASY Bill and in "
            "the rules, public_bodies",
        )


def _cells_by_customer(lines: pd.DataFrame) -> dict[str, set[tuple[str, int, str]]]:
    """Of each customer the distinct unit, VAT rate and article of their lines."""
    found: dict[str, set[tuple[str, int, str]]] = defaultdict(set)
    for number, unit, rate, item, title in zip(*(lines[name].tolist() for name in LINE_COLUMNS), strict=True):
        found[number].add((unit, int(rate), item or title.partition("\n")[0]))
    return found


def _plain(unit: str) -> str:
    return unit.strip().casefold().removesuffix(".")


def _text(cell: object) -> str:
    return cell.strip() if isinstance(cell, str) else ""
