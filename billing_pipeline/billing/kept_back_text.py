"""What people are told of rows that could be billed and are not. Without columns, for `status` answers at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from billing_pipeline.money import format_minor
from billing_pipeline.problems import Code, Problem

_SHOWN: Final = 5
NAME_IT: Final = (
    "which no rule names. Set aside until then: correct the status in the OMS, or name it in billable_statuses or "
    "not_billable_statuses of the rules"
)


def kept_back_told(kept_back: Iterable[Any], language: str) -> list[Problem]:
    """What people are told of these rows (`kept_back.KEPT_BACK`, with the columns as attributes).

    Unknown statuses are one sentence for each status, all others are told row by row. Money is as people of `language`
    read it.
    """
    told: list[Problem] = []
    by_status: dict[str, list[Any]] = {}
    for row in kept_back:
        if row.code == Code.STATUS_UNKNOWN:
            by_status.setdefault(row.value, []).append(row)
        else:
            told.append(
                Problem(Code(row.code), row.customer_number, row.message, row.source_id, row.field, row.value)
            )
    for status, rows in sorted(by_status.items()):
        count = "1 service has" if len(rows) == 1 else f"{len(rows)} services have"
        customers = sorted({row.customer_number for row in rows})
        shown = ", ".join(customers[:_SHOWN]) + (
            f" and {len(customers) - _SHOWN} more" * (len(customers) > _SHOWN)
        )
        told.append(
            Problem(
                Code.STATUS_UNKNOWN,
                "",
                f"{count} the status {status!r} ({_sums(rows, language)} net; customers {shown}), {NAME_IT}",
                field="status",
                value=status,
            )
        )
    return told


def _sums(rows: Iterable[Any], language: str) -> str:
    sums: dict[str, int] = {}
    for row in rows:
        if row.net is not None:
            sums[row.currency] = sums.get(row.currency, 0) + row.net
    return (
        ", ".join(format_minor(net, currency, language) for currency, net in sorted(sums.items()))
        or "no price"
    )
