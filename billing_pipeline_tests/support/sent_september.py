"""September of one customer, sent: where the lives of rows begin that a test tells, and what it asks of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from billing_pipeline_tests.support.installation import Installation
from billing_pipeline_tests.support.plain_months import PlainMonths

_MADE_IN = TemporaryDirectory(prefix="billing-september-")  # goes with the process
AUGUST, SEPTEMBER, OCTOBER, NOVEMBER = "2026-08", "2026-09", "2026-10", "2026-11"


def sent_september(folder: Path) -> PlainMonths:
    """September of customer 10023, with two services, sent; made once per process, and copied into the folder."""
    return PlainMonths.on(_made().copy(folder))


@cache
def _made() -> Installation:
    months = PlainMonths(Path(_MADE_IN.name))
    months.oms.customer("10023")
    service(months, "S-1", SEPTEMBER, 10)
    service(months, "S-2", SEPTEMBER, 11, unit_price_net="20.00")
    months.run(SEPTEMBER)
    months.ledger.close()
    return months.installation


def service(months: PlainMonths, service_id: str, month: str, day: int = 15, **cells: str | None) -> None:
    """A service of that day, of 10023 unless told."""
    number = cells.pop("customer_number", None) or "10023"
    months.oms.service(service_id, number, **({"completed_at": f"{month}-{day:02d}T08:00:00Z"} | cells))


def codes(months: PlainMonths) -> list[tuple[str, str]]:
    """What is open: code and row."""
    return [(item.code, item.source_id) for item in months.open()]
