"""The checks of a month's assets, evaluated by the ops that make them, on the frames they hold already.

A check of its own op would read the frames again, and cost a step. A check is evidence; what stops a delivery is
code: a customer with a faulty row is blocked in `billing/`, an absurd month by `MonthSuspicious`. Those of one
customer's file (`easybill_layout`) are in `delivery_assets`.
"""

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import pandas as pd

from billing_pipeline.billing.arrow import distinct
from billing_pipeline.billing.bill import BilledMonth
from billing_pipeline.billing.dispositions import Reconciliation, accounting_faults, reconcile
from billing_pipeline.billing.rules import Rules
from billing_pipeline.billing.size import SizeVerdict
from billing_pipeline.defs.metadata import problems_table
from billing_pipeline.defs.partitions import Partitions
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.money import format_minor
from billing_pipeline.oms.extract import Extract
from billing_pipeline.oms.row_rules import row_problems
from billing_pipeline.problems import Problem

VALID_ROWS = "valid_rows"
RECONCILIATION = "reconciliation"
CUSTOMERS_ACCOUNTED_FOR = "customers_accounted_for"
MONTH_SIZE = "month_size"
INVOICE_LINES = "invoice_lines"
# More are one fault of this program.
SHOWN_FAULTS = 500

_ON_LINES = {
    RECONCILIATION: "Every service and fee of the month is in a line or has another disposition, and amounts "
    "tie to the cent.",
    CUSTOMERS_ACCOUNTED_FOR: "Every customer with a row in the month has one outcome, and lines if they are billed.",
    MONTH_SIZE: "The month is neither much smaller nor much larger than the months before it.",
}


def relation_check_specs(assets: Collection[str], partitions: Partitions) -> list[dg.AssetCheckSpec]:
    """A check per relation of the OMS."""
    return [
        month_check_spec(
            VALID_ROWS,
            asset,
            partitions,
            "Every row keeps the OMS contract. A row that does not blocks its customer's month, and nobody else's.",
        )
        for asset in assets
    ]


def line_check_specs(partitions: Partitions) -> list[dg.AssetCheckSpec]:
    """The checks of `invoice_lines`."""
    return [
        month_check_spec(name, INVOICE_LINES, partitions, description)
        for name, description in _ON_LINES.items()
    ]


def relation_checks(extract: Extract, month: str, assets: Mapping[str, str]) -> Iterator[dg.AssetCheckResult]:
    """Per relation of the extract whether its rows are good, with those that are not as a table.

    `assets`: asset → relation. They warn: the others' month goes on.
    """
    for asset, relation in assets.items():
        found = list(_problems_in(extract, relation, month))
        customers = {problem.customer_number for problem in found}
        yield dg.AssetCheckResult(
            asset_key=asset,
            check_name=VALID_ROWS,
            passed=not found,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{_count(len(found), 'fault')} of {_count(len(customers), 'customer')}"
            if found
            else None,
            metadata={"problems": problems_table(found)} if found else {},
        )


def line_checks(
    extract: Extract,
    billed: BilledMonth,
    month: str,
    rules: Rules,
    *,
    ledger: Ledger,
    size: SizeVerdict,
) -> Iterator[dg.AssetCheckResult]:
    """The verdicts on `invoice_lines`."""
    found = reconcile(extract, billed, month, rules, billed_before=ledger.billed.with_other_months(month))
    yield _verdict(RECONCILIATION, found.faults, _dispositions(found, rules.language))
    yield _verdict(CUSTOMERS_ACCOUNTED_FOR, list(accounting_faults(extract, billed, month)), {})
    yield dg.AssetCheckResult(
        asset_key=INVOICE_LINES,
        check_name=MONTH_SIZE,
        passed=size.size == "usual",
        severity=dg.AssetCheckSeverity.ERROR if size.size == "absurd" else dg.AssetCheckSeverity.WARN,
        description=size.sentence,
    )


def month_check_spec(name: str, asset: str, partitions: Partitions, description: str) -> dg.AssetCheckSpec:
    """A check of an asset that is partitioned by month."""
    with warnings.catch_warnings():
        # A check with partitions is a preview feature of Dagster, and says so at every load.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(name, asset=asset, partitions_def=partitions.months, description=description)


def _problems_in(extract: Extract, relation: str, month: str) -> Iterator[Problem]:
    """The faults of a relation's rows of this month, or of a month that nobody can tell."""
    rows: pd.DataFrame = getattr(extract, relation)
    faulty = rows[rows["faults"].notna()]
    if not len(faulty):
        return
    services, fees = extract.services, extract.cancellation_fees
    if relation == "services":
        yield from row_problems(_of_month(faulty, month), "service_id")
    elif relation == "cancellation_fees":
        yield from row_problems(_of_month(faulty, month), "fee_id")
    elif relation == "service_tasks":
        owners = _of_month(services[services["service_id"].isin(faulty["service_id"])], month)
        yield from row_problems(faulty.merge(owners[["service_id", "customer_number"]]), "service_id")
    else:
        numbers = {
            number
            for frame in (services, fees)
            for number in distinct(_of_month(frame[["customer_number", "month"]], month)["customer_number"])
        }
        yield from row_problems(faulty[faulty["customer_number"].isin(numbers)])


def _of_month(frame: pd.DataFrame, month: str) -> pd.DataFrame:
    return frame[frame["month"].isna() | (frame["month"] == month)]


def _verdict(check: str, faults: Sequence[str], metadata: dict[str, Any]) -> dg.AssetCheckResult:
    """Passed without faults; else how many, the first of them, and all as a table."""
    told = None
    if faults:
        told = f"{_count(len(faults), 'fault')}, the first: {faults[0]}"
        metadata = {**metadata, "faults": _faults_table(faults)}
    return dg.AssetCheckResult(
        asset_key=INVOICE_LINES,
        check_name=check,
        passed=not faults,
        description=told,
        metadata=metadata,
    )


def _faults_table(faults: Sequence[str]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        records=[dg.TableRecord({"fault": fault}) for fault in faults[:SHOWN_FAULTS]],
        schema=dg.TableSchema(columns=[dg.TableColumn("fault")]),
    )


def _dispositions(found: Reconciliation, language: str) -> dict[str, Any]:
    """Where the rows of the month ended, as a table whose first rows add up to its last."""
    rows = [
        dg.TableRecord(
            {
                "rows of the month": one.name,
                "count": one.rows,
                "net": "; ".join(
                    format_minor(net, currency, language) for currency, net in sorted(one.net.items())
                ),
            }
        )
        for one in found.dispositions
    ]
    total = dg.TableRecord({"rows of the month": "all", "count": found.rows, "net": ""})
    return {
        "dispositions": dg.MetadataValue.table(
            records=[*rows, total],
            schema=dg.TableSchema(
                columns=[
                    dg.TableColumn("rows of the month"),
                    dg.TableColumn("count", "int"),
                    dg.TableColumn("net"),
                ]
            ),
        )
    }


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
