"""The billing rules as one typed object, read strictly from TOML; order numbers, whose format is a rule.

`rules.toml` has the defaults and says what each rule does. A rule is applied by the module it is about.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources
from itertools import takewhile
from pathlib import Path
from string import Formatter
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self

import pycountry
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from billing_pipeline.billing.tax import vat_rates_of
from billing_pipeline.problems import UsageError

Language = Literal["de", "en"]
Tasks = Literal["described", "itemised"]
PriceBasis = Literal["gross", "net"]
MissingPrice = Literal["block", "zero"]
Lines = Literal["all", "services_only", "fees_only"]
PurchaseDate = Literal["last_day_of_month", "first_day_of_next_month", "last_service_date"]
DeliveryPolicy = Literal["best_effort", "all_or_nothing"]
NotInEasyBill = Literal["warn", "block", "off"]


_FEE_TITLES: Final[Mapping[str, str]] = MappingProxyType({"de": "Stornogebühr", "en": "Cancellation fee"})
_ORDER_NUMBERS: Final = "order_numbers"
_DUPLICATES: Final = "duplicates"
_VAT_RATES: Final = "vat_rates"
_COUNTRY: Final = "country"
_LIKE_A_REVISION: Final = re.compile(r"([-_]|%(25)*(2D|5F))r([2-9]|[1-9][0-9]+)\Z")
_REQUIRED_PLACEHOLDERS: Final = ("month", "customer", "revision")
_PLACEHOLDERS: Final = ("prefix", *_REQUIRED_PLACEHOLDERS)


class RulesInvalid(UsageError):
    """A rules file is missing or wrong; the message names file, line and key, and what the value may be."""


def _no_duplicates(names: tuple[str, ...]) -> tuple[str, ...]:
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise PydanticCustomError(_DUPLICATES, f"must not name {duplicates[0]!r} twice")
    return names


Text = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f-\x9f\ufeff]+$")]
UnitCode = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,3}$")]
Names = Annotated[tuple[Text, ...], Field(strict=False), AfterValidator(_no_duplicates)]


def _as_vat_rates(value: object) -> object:
    try:
        return vat_rates_of(value)
    except (ValueError, ArithmeticError) as fault:
        raise PydanticCustomError(
            _VAT_RATES, "is {value}: {fault}", {"value": repr(value), "fault": str(fault)}
        ) from None


def _as_country(code: str) -> str:
    if pycountry.countries.get(alpha_2=code) is None:
        raise PydanticCustomError(_COUNTRY, f"is {code!r}; it must be an ISO 3166-1 alpha-2 code, such as DE")
    return code


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FeeText(_Strict):
    """Article number and title of a type of cancellation fee; None: as without an entry."""

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
    not_billable_statuses: Names
    billable_sub_statuses: Names
    providers: Names
    vat_rates: Annotated[str | Mapping[str, tuple[str, ...]], BeforeValidator(_as_vat_rates)]
    vat_exempt_codes: Names
    require_address: bool
    plain_units: Names
    most_net_per_month: Annotated[int, Field(ge=0, le=10**9)]
    purchase_date: PurchaseDate
    layout: Text | None = None
    cancellation_fees: Mapping[Text, FeeText]

    @property
    def plain(self) -> frozenset[str]:
        """`plain_units` and no unit, in the form in which units are compared."""
        return frozenset(unit.casefold() for unit in ("", *self.plain_units))

    def fee_item_number(self, fee_type: str) -> str:
        """The article number of a fee: the one set for its type, or the type in capitals."""
        return self.cancellation_fees.get(fee_type, FeeText()).item_number or fee_type.upper()

    def fee_title(self, fee_type: str) -> str:
        """The title of a fee: the one set for its type, or "Stornogebühr (no_show)" in the customer's language."""
        title = self.cancellation_fees.get(fee_type, FeeText()).title
        return title or f"{_FEE_TITLES[self.language]} ({fee_type})"


class Rules(CustomerRules):
    """All rules: those for customers without rules of their own, and those for the month as a whole."""

    only_customers: Names
    seller_country: Annotated[str, AfterValidator(_as_country)]
    late_months: Annotated[int, Field(ge=0, le=36)]
    audit_day: Annotated[int, Field(ge=1, le=28)]
    rehearsal_day: Annotated[int, Field(ge=1, le=28)]
    settling_hours: Annotated[int | None, Field(ge=0, le=27 * 24)] = None
    delivery_policy: DeliveryPolicy
    not_in_easybill: NotInEasyBill
    draft_deadline_hours: Annotated[int, Field(ge=1, le=31 * 24)]
    draft_template: Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f\ufeff]*$")]
    order_number_prefix: Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f\ufeff]*$")]
    order_number_format: Text
    unit_codes: Mapping[Text, UnitCode]
    public_bodies: Mapping[Text, Annotated[str, Field(max_length=200)]]
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

    @property
    def all_billable_statuses(self) -> tuple[str, ...]:
        """Every status that is billable for some customer."""
        return tuple(
            sorted({status for one in (self, *self.customers.values()) for status in one.billable_statuses})
        )

    def for_customer(self, customer_number: str) -> CustomerRules:
        """The rules for this customer's lines."""
        return self.customers.get(customer_number, self)

    def order_number(self, month: str, customer_number: str, revision: int) -> str:
        """The order number of a customer's month: "2026-10-10023", "2026-10-10023-r2"."""
        return order_number(
            self.order_number_format, self.order_number_prefix, month, customer_number, revision
        )


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
    # A customer's section inherits the general rules and their faults: only what the file itself sets is reported.
    first, *others = sorted({fault for fault in faults if fault.line}) or faults
    place = f"{path}, line {first.line}" if first.line else str(path)
    more = f" (and {len(others)} more)" if others else ""
    raise RulesInvalid(f"BILLING_RULES: {place}: {first.key} {first.message}{more}")


def _over(general: Mapping[str, Any], special: Mapping[str, Any]) -> dict[str, Any]:
    """`general` overridden by `special`; fee types are added to those of `general`."""
    fees = special.get(_FEES)
    if not isinstance(fees, Mapping):
        return {**general, **special}
    return {**general, **special, _FEES: {**general[_FEES], **fees}}


def order_number(template: str, prefix: str, month: str, customer_number: str, revision: int) -> str:
    """The order number of a document; `{revision}` is empty for the first one, `-r2`, `-r3` … for corrections.

    `template` must have passed `check_order_number_format`. Then numbers of different documents differ.
    """
    return template.format(
        prefix=prefix,
        month=month,
        customer=without_revision_suffix(customer_number),
        revision="" if revision == 1 else f"-r{revision}",
    )


def without_revision_suffix(customer_number: str) -> str:
    """The number as order numbers and file names have it: what looks like the suffix of a revision does not any more.

    `10023-r2` becomes `10023%2Dr2`, `10023_r2` becomes `10023%5Fr2`, and what looks like these is told from them in the
    same way (`10023%2Dr2` becomes `10023%252Dr2`). All other numbers stay as they are.
    """
    match = _LIKE_A_REVISION.search(customer_number)
    if match is None:
        return customer_number
    separator = customer_number[match.start()]
    return f"{customer_number[: match.start()]}%{ord(separator):02X}{customer_number[match.start() + 1 :]}"


def check_order_number_format(template: str, prefix: str) -> None:
    """Raises ValueError, saying what to do, where two documents could get the same number with this format."""
    parts = _parts(template)
    named = [name for name, _ in parts if name]
    for name in _REQUIRED_PLACEHOLDERS:
        if name not in named:
            raise ValueError(f"without {{{name}}} two documents could get the same number: add it")
    for name in _PLACEHOLDERS:
        if named.count(name) > 1:
            raise ValueError(f"{{{name}}} stands twice: once is enough")
    if prefix and "prefix" not in named:
        raise ValueError(f"order_number_prefix is {prefix!r}, but the format has no {{prefix}}: add it")
    after = parts[[name for name, _ in parts].index("revision") + 1 :]
    fixed = list(takewhile(lambda part: part[0] in ("", "prefix"), after))
    text = "".join(prefix if name else literal for name, literal in fixed)
    follower = after[len(fixed)][0] if len(fixed) < len(after) else ""
    if text[:1].isdigit() or (not text and follower == "customer"):
        raise ValueError("after {revision} a digit could be read as part of it: put a separator between them")


def line_of(text: str, path: Sequence[str]) -> int | None:
    """The number (from 1) of the line that sets the key at `path`; None where no line does.

    Python's TOML parser does not tell lines. So the text, which must be valid TOML, is parsed up to each line until the
    key is there: slow, and only for messages.
    """
    lines = text.splitlines(keepends=True)
    statement = 0
    for end in range(1, len(lines) + 1):
        try:
            known = tomllib.loads("".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a value of several lines
        if _has(known, path):
            while lines[statement].lstrip().startswith(("#", "\n", "\r")) or not lines[statement].strip():
                statement += 1
            return statement + 1
        statement = end
    return None


@dataclass(frozen=True, slots=True, order=True)
class _Fault:
    """A fault of the file. `line`: from 1; 0 where the file does not set the key."""

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
    if kind in (_ORDER_NUMBERS, _DUPLICATES, _VAT_RATES, _COUNTRY):
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


def _has(table: object, path: Sequence[str]) -> bool:
    for key in path:
        if not isinstance(table, dict) or key not in table:
            return False
        table = table[key]
    return True


def _parts(template: str) -> list[tuple[str, str]]:
    """The parts of a format in order: (placeholder, "") or ("", literal text)."""
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as fault:
        raise ValueError(f"{fault}; write placeholders such as {{month}}") from None
    parts = []
    for literal, name, form, conversion in parsed:
        if literal:
            parts.append(("", literal))
        if name is not None:
            if name not in _PLACEHOLDERS or form or conversion:
                raise ValueError(
                    f"{{{name}}} is no placeholder as it stands; known: {', '.join(_PLACEHOLDERS)}"
                )
            parts.append((name, ""))
    return parts
