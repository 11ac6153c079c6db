"""Which services are billable by the rules of their customers, and which have a status that no rule names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import FLAG, TEXT, all_of, array, by_distinct, constant, negation
from billing_pipeline.billing.rules import CustomerRules, Rules
from billing_pipeline.problems import Code


@dataclass(frozen=True, slots=True, order=True)
class _ServiceFilter:
    """The rules that say which services of a customer are billable."""

    lines: str
    billable: tuple[str, ...]
    not_billable: tuple[str, ...]
    sub_statuses: tuple[str, ...]
    providers: tuple[str, ...]

    @classmethod
    def of(cls, rules: CustomerRules) -> Self:
        return cls(
            rules.lines,
            rules.billable_statuses,
            rules.not_billable_statuses,
            rules.billable_sub_statuses,
            rules.providers,
        )


def billable_services(services: pd.DataFrame, rules: Rules) -> tuple[pa.Array, pa.Array]:
    """Whether each service is billable, and whether only its status stands in the way, which no rule names.

    By its customer's rules: kind of row, status, sub-status, provider.
    """
    status, sub_status, provider = (array(services[name]) for name in ("status", "sub_status", "provider"))
    filters = sorted({_ServiceFilter.of(rules.for_customer(number)) for number in ["", *rules.customers]})
    # Many customers share few filters, so each filter is applied to all services at once.
    whose = by_distinct(
        lambda number: filters.index(_ServiceFilter.of(rules.for_customer(number))),
        pa.int32(),
        array(services["customer_number"]),
    )
    billable = unknown = constant(False, FLAG, len(services))
    for place, one in enumerate(filters):
        if one.lines == "fees_only":
            continue
        wanted = [pc.equal(whose, place)]
        wanted += [pc.is_in(sub_status, pa.array(one.sub_statuses, TEXT))] if one.sub_statuses else []
        wanted += [pc.is_in(provider, pa.array(one.providers, TEXT))] if one.providers else []
        is_billable = pc.is_in(status, pa.array(one.billable, TEXT))
        is_named = pc.is_in(status, pa.array([*one.billable, *one.not_billable], TEXT))
        billable = pc.or_(billable, all_of(*wanted, is_billable))
        unknown = pc.or_(unknown, all_of(*wanted, pc.is_valid(status), negation(is_named)))
    return billable, unknown


def lacks_instant(services: pd.DataFrame) -> pa.Array:
    """Whether each service has no `completed_at`; one whose instant is there and wrong is not meant."""
    # As row_rules writes it; within a text of the JSON the quotes would be escaped.
    return pc.match_substring(array(services["faults"]), f'"code": "{Code.TIMESTAMP_MISSING}"')
