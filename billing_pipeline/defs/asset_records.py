"""What Dagster is told of each customer and month: materializations, check evaluations, and the final verdict."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

# What `AssetCheckEvaluation` asks for; Dagster has no public name for it.
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from billing_pipeline.defs.metadata import problems_table
from billing_pipeline.defs.partitions import partition_key
from billing_pipeline.delivery.records import DeliveryResult, Export
from billing_pipeline.money import format_minor
from billing_pipeline.problems import Problem

CSV = dg.AssetKey("easybill_csv")
UPLOAD = dg.AssetKey("easybill_upload")
LAYOUT_CHECK = "easybill_layout"
DATA_VERSION_TAG = "dagster/data_version"
# What the run says of who is not delivered; the whole list is in the checks and in `billing-pipeline status`.
NAMED_IN_FAILURE = 200

# In the metadata of a run that failed for its customers alone; `alerts` knows it by that.
CUSTOMERS_IN_FAILURE = "customers"

NOT_BILLED = frozenset({"nothing_to_bill", "omitted"})


class CustomerRecords:
    """Logs each record at once, for its own partition, and remembers who was not delivered and why."""

    def __init__(self, context: dg.AssetExecutionContext, *, language: str) -> None:
        self._context = context
        self._language = language
        self._refused: dict[tuple[str, str], tuple[Problem, ...]] = {}
        self._checked_all = True

    def files(self, exports: Sequence[Export]) -> None:
        """Each customer's file and its check; or the check failed with the reasons, and no file.

        A check that does not name the materialization it looked at is shown as missing. Their places in the log are
        asked for once, for all of them.
        """
        for export in exports:
            if export.outcome == "blocked":
                self._checked_all = False
                self._refused[export.customer_number, export.month] = export.problems
            else:
                key = partition_key(export.customer_number, export.month)
                self._materialized(CSV, key, self._file_metadata(export), export.sha256)
        keys = {export: partition_key(export.customer_number, export.month) for export in exports}
        places = self._context.instance.get_latest_storage_id_by_partition(
            CSV, dg.DagsterEventType.ASSET_MATERIALIZATION, {str(key) for key in keys.values()}
        )
        for export, key in keys.items():
            self._checked(export, key, places.get(key))

    def _checked(self, export: Export, key: str, materialization: int | None) -> None:
        blocked = export.outcome == "blocked"
        self._context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=CSV,
                check_name=LAYOUT_CHECK,
                passed=not blocked,
                partition=key,
                description=_reasons(export.problems) or None,
                metadata={"problems": problems_table(export.problems)} if blocked else {},
                target_materialization_data=None
                if materialization is None
                else AssetCheckEvaluationTargetMaterializationData(
                    storage_id=materialization,
                    run_id=self._context.run.run_id,
                    timestamp=datetime.now(UTC).timestamp(),
                ),
            )
        )

    def upload(self, export: Export, result: DeliveryResult) -> None:
        """The delivery, where there is nothing left to do for the customer; else why not."""
        if result.outcome in {"blocked", "failed", "held"}:
            self._refused[export.customer_number, export.month] = result.problems
            return
        metadata: dict[str, Any] = {"outcome": result.outcome}
        if result.problems:
            metadata["warnings"] = problems_table(result.problems)
        if result.at is not None:
            metadata |= {
                "order_number": result.order_number,
                "remote_path": result.remote_path,
                "sha256": result.sha256,
                "bytes": result.size_bytes,
                "delivered_at": dg.MetadataValue.timestamp(result.at),
                "gross": format_minor(export.gross, export.currency, self._language),
            }
        self._materialized(
            UPLOAD, partition_key(export.customer_number, export.month), metadata, export.sha256
        )

    def nothing_to_bill(self, customer_number: str, month: str, *, making: bool, sending: bool) -> None:
        """A customer whom the range covers and who has no row in the month."""
        key = partition_key(customer_number, month)
        if making:
            self._materialized(CSV, key, {"outcome": "nothing_to_bill"}, "")
        if sending:
            self._materialized(UPLOAD, key, {"outcome": "nothing_to_bill"}, "")

    def verdict(self, *, check_selected: bool) -> Iterator[dg.AssetCheckResult]:
        """The check over all of them; then the run fails, if anybody was not delivered, and names them.

        An op that declares a check must yield a result for it, or the step fails for that reason instead.
        """
        if check_selected:
            yield dg.AssetCheckResult(
                asset_key=CSV,
                check_name=LAYOUT_CHECK,
                passed=self._checked_all,
                description=None if self._checked_all else _verdict(self._refused),
            )
        if self._refused:
            raise dg.Failure(
                description=_verdict(self._refused),
                metadata={
                    CUSTOMERS_IN_FAILURE: len(self._refused),
                    "problems": problems_table(
                        [problem for problems in self._refused.values() for problem in problems]
                    ),
                },
                allow_retries=False,
            )

    def _file_metadata(self, export: Export) -> dict[str, Any]:
        if export.outcome != "rendered":
            return {"outcome": export.outcome, **({"reason": export.reason} if export.reason else {})}
        return {
            "outcome": export.outcome,
            "order_number": export.order_number,
            "file": export.file_name,
            "lines": export.line_count,
            "bytes": export.size_bytes,
            "sha256": export.sha256,
            **{
                name: format_minor(getattr(export, name), export.currency, self._language)
                for name in ("net", "vat", "gross")
            },
            **({"late_rows_waiting": export.late_rows} if export.late_rows else {}),
        }

    def _materialized(self, asset: dg.AssetKey, key: str, metadata: dict[str, Any], sha256: str) -> None:
        self._context.log_event(
            dg.AssetMaterialization(
                asset_key=asset,
                partition=key,
                metadata=metadata,
                tags={DATA_VERSION_TAG: sha256} if sha256 else {},
            )
        )


def _verdict(refused: dict[tuple[str, str], tuple[Problem, ...]]) -> str:
    named = [
        f"{number} ({month}): {_reasons(problems)}"
        for (number, month), problems in list(refused.items())[:NAMED_IN_FAILURE]
    ]
    more = len(refused) - len(named)
    return "\n".join(
        [
            f"Not delivered: {len(refused)}. Mend what is named, then run the failed partitions again:",
            *named,
            *([f"... and {more} more: billing-pipeline status MONTH"] if more else []),
        ]
    )


def _reasons(problems: Sequence[Problem]) -> str:
    return "; ".join(
        f"{problem.code}{f' ({problem.source_id})' if problem.source_id else ''}: {problem.message}"
        for problem in problems
    )
