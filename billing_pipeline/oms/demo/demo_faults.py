"""Deliberate faults of the demo, so that people see what a month with faults looks like and how to fix it.

Each fault is one more service of a customer whose month is valid otherwise; so the customer is blocked as a whole.
Faulty master data get customers of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final

from billing_pipeline.oms.demo.catalogue import HOME_PLACES, OFFERS
from billing_pipeline.oms.demo.demo_rows import (
    DemoCustomer,
    Rows,
    random_time,
    seeded,
    service_row,
    task_rows,
)

# The cells that turn a valid service into a faulty one.
_FAULTY_SERVICES: Final[tuple[dict[str, Any], ...]] = (
    {"unit_price_net": None},
    {"unit_price_net": "-49.00"},
    {"vat_percent": None},
    {"currency": "CHF"},
    {"quantity": "0"},
    {"description": "Scooter 4711\x0bZeilenumbruch der alten Erfassung"},
)
_PRICE_UNLIKE_TASK_SUM: Final = "140.00"  # the tasks cost 150.00
_FAULTY_CUSTOMERS: Final[tuple[dict[str, Any], ...]] = (
    {"company_name": None, "last_name": None},
    {"country": "UK"},
)
_UNKNOWN_CUSTOMER: Final = "19999"
# By how many months before the last one, so that older months are not all green.
_OLDER_FAULTS: Final[dict[int, dict[str, Any]]] = {4: {"unit_price_net": None}, 9: {"vat_percent": "119.00"}}


def deliberate_faults(
    customers: Sequence[DemoCustomer], rows: Rows, month: str, back: int, seed: int
) -> Rows:
    """The faulty rows of a month, `back` months before the last one; most months have none. `rows`: its valid rows."""
    rng = seeded(seed, month, "faults")
    active = {service["customer_number"] for service in rows["services"]}
    # The first two customers stay valid: they show the edges of a month, and one with nothing to bill.
    victims = [
        customer
        for customer in customers[2:]
        if customer.number in active and customer.is_real and customer.place in HOME_PLACES
    ]
    rng.shuffle(victims)
    if back == 0:
        return _last_month(victims, month, rng)
    faulty = _OLDER_FAULTS.get(back)
    return {"services": [_service(victims[0], month, rng, 1) | faulty]} if faulty and victims else {}


def _last_month(victims: Sequence[DemoCustomer], month: str, rng: Random) -> Rows:
    added: Rows = {"customers": [], "services": [], "service_tasks": []}
    for number, (victim, faulty) in enumerate(zip(victims, _FAULTY_SERVICES, strict=False), start=1):
        added["services"].append(_service(victim, month, rng, number) | faulty)
    if others := victims[len(_FAULTY_SERVICES) :]:
        mismatched = _service(others[0], month, rng, 40) | {"unit_price_net": _PRICE_UNLIKE_TASK_SUM}
        added["services"].append(mismatched)
        added["service_tasks"] += task_rows(OFFERS[0], mismatched)
        without_zone = _service(others[-1], month, rng, 50)
        without_zone["completed_at"] = without_zone["completed_at"][:19]
        added["services"].append(without_zone)
    if victims:
        unknown = _service(victims[0], month, rng, 51) | {"customer_number": _UNKNOWN_CUSTOMER}
        added["services"].append(unknown)
    for number, (victim, faulty) in enumerate(zip(victims, _FAULTY_CUSTOMERS, strict=False), start=60):
        stranger = f"N{_key(month)}-{number}"
        added["customers"].append({**victim.row, **faulty, "customer_number": stranger})
        added["services"].append(_service(victim, month, rng, number) | {"customer_number": stranger})
    return added


def _service(customer: DemoCustomer, month: str, rng: Random, number: int) -> dict[str, Any]:
    return service_row(customer, OFFERS[0], f"SV{_key(month)}-X-{number:02d}", random_time(month, rng), rng)


def _key(month: str) -> str:
    return month[2:].replace("-", "")
