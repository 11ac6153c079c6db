"""What the ledger knows of the past when a month is billed: which months are closed, and which rows are billed."""

from billing_pipeline.billing.late import BilledSource, LedgerView
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.oms.extract import Extract
from billing_pipeline.oms.period import months_back


def lookback_months(month: str, late_months: int) -> list[str]:
    """The months before `month` in which late rows are looked for, oldest first."""
    return [months_back(month, count) for count in range(late_months, 0, -1)]


def first_lookback_month(ledger: Ledger, month: str, late_months: int) -> str | None:
    """The oldest of these months that anything is closed in; None where there is nothing to look for."""
    months = lookback_months(month, late_months)
    closed = {month_closed for _, month_closed in ledger.deliveries.closed(months)} | ledger.months.finished(
        months
    )
    return min(closed, default=None)


def ledger_view(ledger: Ledger, extract: Extract, month: str, late_months: int) -> LedgerView:
    """The facts for `bill_month`.

    A customer of whom a finished month had no row is closed for it, as one with nothing to bill is. One of whose
    month a correction is planned, and not sent yet, is billed as if it had not been delivered: by the next revision.
    """
    months = [*lookback_months(month, late_months), month]
    finished = ledger.months.finished(months)
    known = {(row.export.customer_number, past) for past in finished for row in ledger.months.customers(past)}
    without_rows = {
        (number, past) for number, past in _customers_with_rows(extract) if past in finished
    } - known
    view = LedgerView.of(
        ledger.deliveries.closed(months) | without_rows,
        [
            BilledSource(
                source_kind=row.source_kind,
                source_id=row.source_id,
                customer_number=row.customer_number,
                billed_month=row.delivery_month,
                month=row.month,
                order_number=row.order_number,
                fingerprint=row.fingerprint,
            )
            for row in ledger.deliveries.billed_rows(months, _names(extract))
            if row.committed
        ],
    )
    for number in ledger.deliveries.open_corrections(month):
        view = view.reopened(number, month)
    return view


def _names(extract: Extract) -> dict[str, list[str]]:
    """Every row of the extract: where one has moved here from a month that is not looked at, it is still billed."""
    return {
        "service": extract.services["service_id"].tolist(),
        "fee": extract.cancellation_fees["fee_id"].tolist(),
    }


def _customers_with_rows(extract: Extract) -> set[tuple[str, str]]:
    return {
        pair
        for frame in (extract.services, extract.cancellation_fees)
        for pair in zip(frame["customer_number"], frame["month"].fillna(""), strict=True)
    }
