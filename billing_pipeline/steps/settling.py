"""Whether a month may be billed: it is over, its settling hours have passed, and it exists here. Pure."""

from datetime import UTC, datetime, timedelta

from billing_pipeline.billing.rules import Rules
from billing_pipeline.local_time import local_time
from billing_pipeline.oms.period import period_of
from billing_pipeline.problems import Code, UsageError
from billing_pipeline.settings import Settings


class MonthNotSettled(UsageError):
    """The month is not over, or its settling hours have not passed."""


class MonthUnknown(UsageError):
    """The month lies before `BILLING_FIRST_MONTH`, or has not begun."""


def require_settled(
    month: str, *, now: datetime, timezone: str, settling_hours: int, first_month: str
) -> None:
    """Raises: MonthNotSettled or MonthUnknown (UsageError), where the month may not be billed yet, or at all."""
    end = period_of(month, timezone).end
    _require_known(month, first_month)
    settled = end + timedelta(hours=settling_hours)
    if now < settled:
        state = "is not over" if now < end else f"has not settled (settling_hours = {settling_hours})"
        raise MonthNotSettled(
            f"{Code.MONTH_NOT_SETTLED}: {month} {state}: it can be billed from "
            f"{local_time(settled, timezone)} on; --before-end bills what there is now"
        )


def require_open(
    settings: Settings, rules: Rules, month: str, *, before_end: bool = False, now: datetime | None = None
) -> None:
    """As `require_settled`, by the settings and the rules; with `before_end` the month need only have begun."""
    now = now or utc_now()
    if before_end:
        _require_known(month, settings.first_month)
        if now < period_of(month, settings.timezone).start:
            raise MonthUnknown(f"{month} has not begun: there is nothing to bill yet")
        return
    hours = settings.settling_hours if rules.settling_hours is None else rules.settling_hours
    require_settled(
        month,
        now=now,
        timezone=settings.timezone,
        settling_hours=hours,
        first_month=settings.first_month,
    )


def _require_known(month: str, first_month: str) -> None:
    if month < first_month:
        raise MonthUnknown(
            f"{month} lies before BILLING_FIRST_MONTH={first_month}: rows before it do not exist here"
        )


def utc_now() -> datetime:
    """The present instant, where a month is asked whether it is over."""
    return datetime.now(UTC)
