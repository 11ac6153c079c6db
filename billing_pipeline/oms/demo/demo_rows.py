"""The demo's valid rows: customers, and their services, tasks and fees of a month.

They include what a real month has: fractions, services at the edges of the month, waived fees, cancelled services.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

from stdnum.eu import vat

from billing_pipeline.oms.conform import instant_text
from billing_pipeline.oms.demo.catalogue import (
    COMPANY_FORMS,
    COMPANY_WORDS,
    FEES,
    FIRST_NAMES,
    FLEETS,
    FOREIGN_FORMS,
    FOREIGN_PLACES,
    HOME_PLACES,
    LAST_NAMES,
    OFFERS,
    OUTSIDE_THE_UNION,
    PROVIDERS,
    STREETS,
    Offer,
    Place,
)
from billing_pipeline.oms.period import period_of

Row = Mapping[str, Any]
Rows = dict[str, list[Row]]

TIMEZONE: Final = "Europe/Berlin"
DOMESTIC_VAT: Final = "19.00"
_BERLIN: Final = ZoneInfo(TIMEZONE)


@dataclass(frozen=True, slots=True)
class DemoCustomer:
    """A customer. `activity`: the probability of having services in a month; `size`: roughly how many."""

    row: Row
    place: Place
    vat_percent: str
    activity: float
    size: float

    @property
    def number(self) -> str:
        """The customer number."""
        return str(self.row["customer_number"])

    @property
    def is_real(self) -> bool:
        """Not a test customer."""
        return not self.row["is_test"]


def seeded(*names: object) -> Random:
    """A random generator that yields the same for the same names, on every machine."""
    return Random("/".join(map(str, names)))  # noqa: S311 - to be predictable is the point


def demo_customers(count: int, seed: int) -> list[DemoCustomer]:
    """The first `count` customers; each depends on seed and index alone."""
    return [_customer(index, seeded(seed, "customer", index)) for index in range(count)]


def month_rows(customers: Sequence[DemoCustomer], month: str, seed: int) -> Rows:
    """Services, tasks and fees of the month, by customer."""
    rows: Rows = {"services": [], "service_tasks": [], "cancellation_fees": []}
    for index, customer in enumerate(customers):
        rng = seeded(seed, month, index)
        if index == 0:
            _add_edges_of_month(rows, customer, month, rng)
        elif index == 1:
            _add_nothing_billable(rows, customer, month, rng)
        elif rng.random() < customer.activity:
            _add_ordinary_month(rows, customer, f"{index:04d}", month, rng)
    return rows


def service_row(
    customer: DemoCustomer, offer: Offer, service_id: str, completed_at: datetime, rng: Random
) -> dict[str, Any]:
    """A service of the offer, completed at `completed_at`."""
    return {
        "service_id": service_id,
        "customer_number": customer.number,
        "service_code": offer.code,
        "service_name": offer.name,
        "description": _filled_in(offer.description, rng) or None,
        "status": "completed",
        "sub_status": rng.choice((None, None, "checked")),
        "completed_at": completed_at.isoformat(),
        "quantity": rng.choice(offer.quantities),
        "unit": offer.unit,
        "unit_price_net": offer.price_net,
        "vat_percent": customer.vat_percent,
        "currency": customer.place.currency,
        "cost_center": rng.choice((None, None, "KST 4100", "007")),
        "location": customer.place.area,
        "provider": rng.choice(PROVIDERS),
        "updated_at": instant_text(completed_at + timedelta(minutes=rng.randrange(5, 240))),
    }


def task_rows(offer: Offer, service: Row) -> list[Row]:
    """The tasks of the offer, as rows of that service."""
    return [
        {"service_id": service["service_id"], "position": position, "task_name": name, "price_net": price}
        for position, (name, price) in enumerate(offer.tasks, start=1)
    ]


def random_time(month: str, rng: Random) -> datetime:
    """A time of the month in working hours, Berlin time."""
    period = period_of(month, TIMEZONE)
    first = period.start.astimezone(_BERLIN)
    days = (period.end - timedelta(seconds=1)).astimezone(_BERLIN).day
    return datetime(
        first.year, first.month, rng.randint(1, days), rng.randint(7, 19), rng.randrange(60), tzinfo=_BERLIN
    )


def _customer(index: int, rng: Random) -> DemoCustomer:
    foreign = index > 1 and rng.random() < 0.14
    place = rng.choice(FOREIGN_PLACES if foreign else HOME_PLACES)
    is_company = foreign or rng.random() < 0.8
    tax_type = None
    if foreign:
        tax_type = "export" if place.country in OUTSIDE_THE_UNION else "intra-community-trade"
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    form = FOREIGN_FORMS.get(place.country) or rng.choice(COMPANY_FORMS)
    row = {
        "customer_number": _customer_number(index, foreign),
        "company_name": f"{rng.choice(COMPANY_WORDS)} {place.city} {form}" if is_company else None,
        "first_name": first if rng.random() < 0.7 or not is_company else None,
        "last_name": last if rng.random() < 0.7 or not is_company else None,
        "street": f"{place.street or rng.choice(STREETS)} {rng.randint(1, 140)}{rng.choice(('', '', 'a', ' - Hof 2'))}",
        "zip_code": place.zip_code,
        "city": place.city,
        "state": place.state,
        "country": place.country,
        "email": f"rechnung+{index}@kunde.example",
        "phone": place.phone.format(rng.randrange(1, 200)) if place.phone else None,
        "vat_id": _vat_id(place, rng) if is_company else None,
        "tax_type": tax_type,
        "currency": place.currency,
        "payment_type": rng.choice(("Überweisung", "SEPA-Lastschrift", None)),
        "is_test": int(index % 100 == 50),
    }
    return DemoCustomer(
        row,
        place,
        vat_percent="0.00" if tax_type else DOMESTIC_VAT,
        activity=rng.choice((0.25, 0.6, 0.9, 1.0)),
        size=rng.choice((1.2, 2.5, 4.0, 9.0)) if is_company else 1.0,
    )


def _vat_id(place: Place, rng: Random) -> str:
    """A made-up VAT id of the place's country, with right check digits where it is in the EU."""
    made = _with_digits(place.vat_id, rng)
    while place.country not in OUTSIDE_THE_UNION and not vat.is_valid(made):
        # With digits of its own, so that the customer is otherwise the same however long it takes.
        made = _with_digits(place.vat_id, seeded("vat_id", made))
    return made


def _with_digits(pattern: str, rng: Random) -> str:
    return re.sub("#", lambda _: str(rng.randrange(10)), pattern)


def _customer_number(index: int, foreign: bool) -> str:
    if index == 7:
        return "4711/2"  # not every number is made of digits
    if foreign:
        return f"E-{1000 + index}"
    return f"{index:05d}" if index % 10 == 4 else str(10000 + index)


def _add_ordinary_month(rows: Rows, customer: DemoCustomer, place: str, month: str, rng: Random) -> None:
    key = month[2:].replace("-", "")
    count = 1 + min(40, int(rng.expovariate(1 / customer.size)))
    for number in range(1, count + 1):
        offer = rng.choices(OFFERS, [offer.weight for offer in OFFERS])[0]
        service = service_row(customer, offer, f"SV{key}-{place}-{number:02d}", random_time(month, rng), rng)
        luck = rng.random()
        if luck < 0.03:
            service.update(status="planned", completed_at=None)
        elif luck < 0.07:
            service.update(status="cancelled", cancelled_at=service["completed_at"], completed_at=None)
            rows["cancellation_fees"].append(_fee_row(customer, service, rng))
        elif luck < 0.09:
            # Done, then taken back: it is in the month's extract, and on no invoice.
            service.update(status="cancelled", cancelled_at=service["updated_at"])
        rows["services"].append(service)
        rows["service_tasks"] += task_rows(offer, service)


def _add_edges_of_month(rows: Rows, customer: DemoCustomer, month: str, rng: Random) -> None:
    period = period_of(month, TIMEZONE)
    key = month[2:].replace("-", "")
    moments = (period.start, period.end - timedelta(seconds=1))
    for offer, number, moment in zip(OFFERS, ("01", "02"), moments, strict=False):
        service = service_row(customer, offer, f"SV{key}-0000-{number}", moment, rng)
        service["completed_at"] = instant_text(moment)
        rows["services"].append(service)
        rows["service_tasks"] += task_rows(offer, service)


def _add_nothing_billable(rows: Rows, customer: DemoCustomer, month: str, rng: Random) -> None:
    key = month[2:].replace("-", "")
    service = service_row(customer, OFFERS[0], f"SV{key}-0001-01", random_time(month, rng), rng)
    service.update(status="cancelled", sub_status="by customer", cancelled_at=service["updated_at"])
    rows["services"].append(service)


def _fee_row(customer: DemoCustomer, service: Row, rng: Random) -> Row:
    fee_type, amount, description = rng.choice(FEES)
    return {
        "fee_id": f"GB{service['service_id'][2:]}",
        "service_id": service["service_id"],
        "customer_number": customer.number,
        "fee_type": fee_type,
        "description": _filled_in(description, rng),
        "amount_net": amount,
        "vat_percent": customer.vat_percent,
        "currency": customer.place.currency,
        "charged_at": service["cancelled_at"],
        "updated_at": service["updated_at"],
    }


def _filled_in(template: str, rng: Random) -> str:
    return template.format(
        scooter=rng.randrange(1000, 9999), fleet=rng.choice(FLEETS), place=f"{rng.randrange(1, 80):03d}"
    )
