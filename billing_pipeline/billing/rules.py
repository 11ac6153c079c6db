"""The billing rules as one typed object, and reading them strictly from TOML.

Belongs here: what may be set, and for whom. The defaults, and what each rule does, are `rules.toml`, which is
loaded first. Does not: applying a rule, which is the business of the module it is about.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from billing_pipeline.billing.order_numbers import check_order_number_format, order_number
from billing_pipeline.billing.toml_lines import line_of
from billing_pipeline.problems import UsageError

Language = Literal["de", "en"]
Tasks = Literal["described", "itemised"]
PriceBasis = Literal["gross", "net"]
MissingPrice = Literal["block", "zero"]
Lines = Literal["all", "services_only", "fees_only"]
PurchaseDate = Literal["last_day_of_month", "first_day_of_next_month", "last_service_date"]
DeliveryPolicy = Literal["best_effort", "all_or_nothing"]
NotInEasyBill = Literal["warn", "block", "off"]


class RulesInvalid(UsageError):
    """A rules file is missing or wrong; the message names file, line and key, and what the value may be."""


def _no_twins(names: tuple[str, ...]) -> tuple[str, ...]:
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise PydanticCustomError("twins", f"must not name {twins[0]!r} twice")
    return names


Text = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f-\x9f\ufeff]+$")]
Names = Annotated[tuple[Text, ...], Field(strict=False), AfterValidator(_no_twins)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FeeText(_Strict):
    """What a type of cancellation fee is called on the invoice; None leaves it as without an entry."""

    item_number: Text | None = None
    title: Text | None = None


class CustomerRules(_Strict):
    """The rules by which one customer's lines are made; `rules.toml` says what each does."""

    language: Language
    tasks: Tasks
    price_basis: PriceBasis
    missing_price: MissingPrice
    group_lines: bool
    lines: Lines
    billable_statuses: Annotated[Names, Field(min_length=1)]
    billable_sub_statuses: Names
    providers: Names
    purchase_date: PurchaseDate
    layout: Text | None = None
    cancellation_fees: Mapping[Text, FeeText]


class Rules(CustomerRules):
    """All rules: those of every customer without rules of their own, and those of the month."""

    only_customers: Names
    late_months: Annotated[int, Field(ge=0, le=36)]
    settling_hours: Annotated[int | None, Field(ge=0, le=27 * 24)] = None
    delivery_policy: DeliveryPolicy
    not_in_easybill: NotInEasyBill
    draft_deadline_hours: Annotated[int, Field(ge=1, le=31 * 24)]
    draft_template: Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f\ufeff]*$")]
    order_number_prefix: Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f\ufeff]*$")]
    order_number_format: Text
    customers: Mapping[Text, CustomerRules] = MappingProxyType({})

    @model_validator(mode="after")
    def _order_numbers_differ(self) -> Self:
        try:
            check_order_number_format(self.order_number_format, self.order_number_prefix)
        except ValueError as fault:
            raise PydanticCustomError(
                _ORDER_NUMBERS,
                "is {format}: {fault}",
                {"format": repr(self.order_number_format), "fault": str(fault)},
            ) from None
        return self

    def for_customer(self, customer_number: str) -> CustomerRules:
        """The rules by which this customer's lines are made."""
        return self.customers.get(customer_number, self)

    def order_number(self, month: str, customer_number: str, revision: int) -> str:
        """The order number of a customer's month: "2026-10-10023", "2026-10-10023-r2"."""
        return order_number(
            self.order_number_format, self.order_number_prefix, month, customer_number, revision
        )


_ORDER_NUMBERS: Final = "order_numbers"
_SECTIONS: Final = "customers"
_FEES: Final = "cancellation_fees"


def load_rules(path: Path | None = None) -> Rules:
    """The packaged defaults, and over them what the file at `path` sets.

    Raises RulesInvalid, naming file, line and key.
    """
    if path is None:
        return _packaged_rules()
    try:
        text = path.read_text("utf-8")
        own = tomllib.loads(text)
    except OSError as fault:
        raise RulesInvalid(
            f"BILLING_RULES: {path} cannot be read: {fault.strerror}; name a TOML file"
        ) from None
    except UnicodeDecodeError:
        raise RulesInvalid(f"BILLING_RULES: {path} is not UTF-8; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as fault:
        end = f"at line {len(text.splitlines())}"
        raise RulesInvalid(
            f"BILLING_RULES: {path} is not TOML: {str(fault).replace('at end of document', end)}"
        ) from None
    return _rules_of(own, text, path)


@cache
def _packaged_rules() -> Rules:
    return Rules.model_validate(_packaged_table())


@cache
def _packaged_table() -> Mapping[str, Any]:
    return tomllib.loads((resources.files(__package__) / "rules.toml").read_text("utf-8"))


def _rules_of(own: Mapping[str, Any], text: str, path: Path) -> Rules:
    general = _over(_packaged_table(), {key: value for key, value in own.items() if key != _SECTIONS})
    shared = {key: value for key, value in general.items() if key in CustomerRules.model_fields}
    sections = own.get(_SECTIONS, {})
    if isinstance(sections, Mapping):
        sections = {
            number: _over(shared, section) if isinstance(section, Mapping) else section
            for number, section in sections.items()
        }
    try:
        return Rules.model_validate({**general, _SECTIONS: sections})
    except ValidationError as fault:
        faults = [_Fault.of(error, text) for error in fault.errors()]
    # A customer's section shares the general rules, and so their faults: what was not written is not told.
    first, *others = sorted({fault for fault in faults if fault.line}) or faults
    place = f"{path}, line {first.line}" if first.line else str(path)
    more = f" (and {len(others)} more)" if others else ""
    raise RulesInvalid(f"BILLING_RULES: {place}: {first.key} {first.message}{more}")


def _over(general: Mapping[str, Any], special: Mapping[str, Any]) -> dict[str, Any]:
    """`special` over `general`, in which fee types are added to those of `general`."""
    fees = special.get(_FEES)
    if not isinstance(fees, Mapping):
        return {**general, **special}
    return {**general, **special, _FEES: {**general[_FEES], **fees}}


@dataclass(frozen=True, slots=True, order=True)
class _Fault:
    """A fault of the file. `line`: from 1; 0 where the file itself sets no such key."""

    line: int
    key: str
    message: str

    @classmethod
    def of(cls, error: ErrorDetails, text: str) -> Self:
        place = [str(part) for part in error["loc"] if isinstance(part, str) and part != "[key]"]
        if error["type"] == _ORDER_NUMBERS:
            place = ["order_number_format"]
        line = line_of(text, place)
        if line is None and error["type"] == _ORDER_NUMBERS:
            line = line_of(text, ["order_number_prefix"])
        return cls(line or 0, ".".join(_quoted(part) for part in place), _message(error, place))


def _quoted(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _message(error: ErrorDetails, place: list[str]) -> str:
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        return _unknown(place)
    if kind in ("model_type", "mapping_type", "dict_type"):
        return f"is {value!r}; it must be a table"
    if kind.startswith("string_pattern"):
        return f"is {value!r}; it must be text without control characters"
    if kind in (_ORDER_NUMBERS, "twins"):
        return error["msg"]
    must = error["msg"].replace("Input should be", "it must be").replace("String should", "it must")
    return f"is {value!r}; {must}"


def _unknown(place: list[str]) -> str:
    *table, key = place
    if table[:1] == [_FEES] or _FEES in table[2:3]:
        known = list(FeeText.model_fields)
    elif table[:1] == [_SECTIONS]:
        known = list(CustomerRules.model_fields)
        if key in Rules.model_fields:
            return "holds for all customers: move it out of the customer's table, above all tables"
    else:
        known = list(Rules.model_fields)
    near = get_close_matches(key, known, 1)
    return "is unknown; " + (f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}")
