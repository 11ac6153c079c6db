"""What can be wrong, and the words for people: problem codes, problems as data, and the errors that end a command.

A *problem* is a fact about one customer's month; it blocks that customer and nobody else, and is collected,
never raised. An *error* ends the command; it says what is wrong, where, and what to do, in one line, and carries
the exit status of 5-interfaces. No I/O here, and nothing about Dagster.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

# Every command imports this module, and pandas takes half a second to load.
if TYPE_CHECKING:
    import pandas as pd


class Code(StrEnum):
    """The codes by which people and scripts recognise a problem; they change only with a changelog entry."""

    CUSTOMER_UNKNOWN = "CUSTOMER_UNKNOWN"
    CUSTOMER_INCOMPLETE = "CUSTOMER_INCOMPLETE"
    PRICE_MISSING = "PRICE_MISSING"
    PRICE_INVALID = "PRICE_INVALID"
    QUANTITY_INVALID = "QUANTITY_INVALID"
    VAT_INVALID = "VAT_INVALID"
    VAT_NOT_ALLOWED = "VAT_NOT_ALLOWED"
    TASK_SUM_MISMATCH = "TASK_SUM_MISMATCH"
    CURRENCY_INVALID = "CURRENCY_INVALID"
    MIXED_CURRENCIES = "MIXED_CURRENCIES"
    COUNTRY_INVALID = "COUNTRY_INVALID"
    TEXT_INVALID = "TEXT_INVALID"
    TEXT_TOO_LONG = "TEXT_TOO_LONG"
    DUPLICATE_KEY = "DUPLICATE_KEY"
    TIMESTAMP_WITHOUT_ZONE = "TIMESTAMP_WITHOUT_ZONE"
    LAYOUT_INVALID = "LAYOUT_INVALID"
    MONTH_NOT_SETTLED = "MONTH_NOT_SETTLED"
    ALREADY_BILLED = "ALREADY_BILLED"
    CHANGED_AFTER_DELIVERY = "CHANGED_AFTER_DELIVERY"
    NOT_IN_EASYBILL = "NOT_IN_EASYBILL"
    DRAFT_MISMATCH = "DRAFT_MISMATCH"
    # The life of a row (6-life-of-a-row).
    RULE_CHANGED = "RULE_CHANGED"
    POSSIBLE_REPLACEMENT = "POSSIBLE_REPLACEMENT"
    OMS_IDENTITY_CHANGED = "OMS_IDENTITY_CHANGED"
    STATUS_UNKNOWN = "STATUS_UNKNOWN"
    EXPORT_OUTDATED = "EXPORT_OUTDATED"
    LATE_OUT_OF_REACH = "LATE_OUT_OF_REACH"
    NOT_BILLED = "NOT_BILLED"
    DRAFT_TO_REMOVE = "DRAFT_TO_REMOVE"
    PRESUMED_DELIVERED = "PRESUMED_DELIVERED"
    STORED_FILE_DAMAGED = "STORED_FILE_DAMAGED"
    TIMESTAMP_MISSING = "TIMESTAMP_MISSING"
    TAX_TYPE_UNSUPPORTED = "TAX_TYPE_UNSUPPORTED"
    VAT_ID_INVALID = "VAT_ID_INVALID"
    NEGATIVE_TOTAL = "NEGATIVE_TOTAL"
    TOTAL_OVER_LIMIT = "TOTAL_OVER_LIMIT"
    # What looks unusual, and what an e-invoice would lack: told, and nobody is blocked.
    TOTAL_UNUSUAL = "TOTAL_UNUSUAL"
    COUNT_UNUSUAL = "COUNT_UNUSUAL"
    PRICE_UNUSUAL = "PRICE_UNUSUAL"
    CANCELLATIONS_UNUSUAL = "CANCELLATIONS_UNUSUAL"
    CUSTOMER_VANISHED = "CUSTOMER_VANISHED"
    ENTERED_TWICE = "ENTERED_TWICE"
    E_INVOICE_INCOMPLETE = "E_INVOICE_INCOMPLETE"
    # Delivery's own (4-delivery).
    DELIVERY_FAILED = "DELIVERY_FAILED"
    DELIVERY_IN_PROGRESS = "DELIVERY_IN_PROGRESS"
    NAME_COLLISION = "NAME_COLLISION"
    LEDGER_BEHIND = "LEDGER_BEHIND"
    REJECTED_BY_RECEIVER = "REJECTED_BY_RECEIVER"
    NOT_DELIVERED_YET = "NOT_DELIVERED_YET"
    NOT_APPROVED = "NOT_APPROVED"
    APPROVAL_OUTDATED = "APPROVAL_OUTDATED"
    MONTH_HELD_BACK = "MONTH_HELD_BACK"
    DRAFT_MISSING = "DRAFT_MISSING"


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of one customer's month.

    `source_id` is the OMS row (empty where the customer itself is meant), `field` the column, `value` what stood
    there, as text. `message` says what is wrong and what to do about it.
    """

    code: Code
    customer_number: str
    message: str
    source_id: str = ""
    field: str = ""
    value: str = ""

    def as_json(self) -> dict[str, str]:
        """The problem with the keys of 5-interfaces, in the order in which people read them."""
        return {
            "code": str(self.code),
            "customer_number": self.customer_number,
            "source_id": self.source_id,
            "field": self.field,
            "value": self.value,
            "message": self.message,
        }


PERSONAL_FIELDS = frozenset(
    [
        "company_name",
        "first_name",
        "last_name",
        "name",
        "street",
        "zip_code",
        "city",
        "email",
        "phone",
        "vat_id",
        "recipient",
        "address",
    ]
)
_SHOWN = re.compile(rf"""\b({"|".join(sorted(PERSONAL_FIELDS))}) ('.*'|".*")""", re.DOTALL)


def without_personal_values(problem: Problem) -> Problem:
    """The problem as it may stand where many can read it, and for long: what a name, address, e-mail or VAT id was is
    left out; which of them it was, and whose, is not.
    """
    message = masked_text(problem.message)
    if problem.field not in PERSONAL_FIELDS or not problem.value:
        return replace(problem, message=message)
    value = masked(problem.value)
    if len(problem.value) > 2:
        message = message.replace(problem.value, value)
    return replace(problem, message=message, value=value)


def masked_text(message: str) -> str:
    """A message without the values that it quotes of personal fields."""
    return _SHOWN.sub(lambda shown: f"{shown[1]} '{masked(shown[2][1:-1])}'", message)


def masked(value: str) -> str:
    """How long it is, and where it begins: enough to find it in the OMS."""
    return f"{value[:1]}… ({len(value)} characters)"


def problem_of(told: Mapping[str, str]) -> Problem:
    """The problem that `Problem.as_json` told of."""
    return Problem(code=Code(told["code"]), **{name: text for name, text in told.items() if name != "code"})


PROBLEM_COLUMNS: tuple[str, ...] = ("code", "customer_number", "source_id", "field", "value", "message")


def problems_frame(problems: Iterable[Problem]) -> pd.DataFrame:
    """One row per problem, `PROBLEM_COLUMNS`, all Arrow strings, in the order given."""
    import pandas as pd
    import pyarrow as pa

    rows = [asdict(problem) for problem in problems]
    text = pd.ArrowDtype(pa.string())
    return pd.DataFrame(
        {column: pd.Series([str(row[column]) for row in rows], dtype=text) for column in PROBLEM_COLUMNS}
    )


def problems_of(frame: pd.DataFrame) -> list[Problem]:
    """The problems of a frame made by `problems_frame`."""
    return problems_of_rows(frame.to_dict("records"))


def problems_of_rows(rows: Iterable[Mapping[Any, Any]]) -> list[Problem]:
    """The problems of the rows of such a frame."""
    return [
        Problem(
            code=Code(row["code"]), **{column: row[column] for column in PROBLEM_COLUMNS if column != "code"}
        )
        for row in rows
    ]


class PipelineError(Exception):
    """The run itself failed: OMS, ledger or inbox out of reach, a relation that is not as the contract says.

    The message is one line for people: what is wrong, where (setting, relation, host), what to do.
    """

    exit_status = 3


class UsageError(PipelineError):
    """Usage or settings are wrong, or the month is not over or settled: nothing was read or sent."""

    exit_status = 2


_SECRET_OPTION = re.compile(
    r"(?i)(?<=[?&;])([^=&;#]*(?:pass|pwd|secret|token|key|sig|credential)[^=&;#]*)=[^&;#]*"
)
_PASSWORD = re.compile(r"(?<=//)([^/@:]*):[^/@]*@")


def without_secrets(url: str) -> str:
    """A URL as people may be shown it: without a password, and with `***` for what its options keep secret."""
    return _SECRET_OPTION.sub(r"\1=***", _PASSWORD.sub(r"\1@", url))
