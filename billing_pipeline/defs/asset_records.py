"""What Dagster is told of each customer and month, as it becomes known; and how a step fails, in one line for people.

Nothing is yielded for these assets: a record is logged for its own partition, and at the end one failure names whoever
needs a person.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any

import dagster as dg

# What `AssetCheckEvaluation` asks for; Dagster has no public name for it.
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from billing_pipeline.defs.event_batches import BatchedEventLog
from billing_pipeline.defs.metadata import PROBLEM_ROWS, problems_table
from billing_pipeline.defs.partitions import partition_key
from billing_pipeline.problems import PipelineError, Problem, without_personal_values

CSV = dg.AssetKey("easybill_csv")
UPLOAD = dg.AssetKey("easybill_upload")
DRAFT = dg.AssetKey("easybill_draft")
LAYOUT_CHECK = "easybill_layout"
DRAFT_CHECK = "draft_as_sent"
DATA_VERSION_TAG = "dagster/data_version"
# In the metadata of a run that failed for its customers alone; `alert_sensors` knows it by that.
CUSTOMERS_IN_FAILURE = "customers"


class AssetRecords:
    """The records of one run over customers and months, and who needs a person.

    `check` is the check of `asset`; `headline` begins the failure at the end, before the number of those it names.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        asset: dg.AssetKey,
        check: str,
        headline: str,
        remedy: str,
    ) -> None:
        self._context = context
        self._asset = asset
        self._check = check
        self._headline = headline
        self._remedy = remedy
        self._refused: dict[tuple[str, str], Sequence[Problem]] = {}
        self._all_passed = True

    def together(self) -> AbstractContextManager[None]:
        """While it lasts, records may reach the log together, a second after they were made at most.

        Not while anything is asked of the log.
        """
        log = self._context.instance.event_log_storage
        return log.together() if isinstance(log, BatchedEventLog) else nullcontext()

    def materialized(
        self,
        asset: dg.AssetKey,
        customer_number: str,
        month: str,
        metadata: dict[str, Any],
        version: str = "",
    ) -> None:
        """The asset is there for a customer and month; `version` is its data version."""
        self._context.log_event(
            dg.AssetMaterialization(
                asset_key=asset,
                partition=partition_key(customer_number, month),
                metadata=metadata,
                tags={DATA_VERSION_TAG: version} if version else {},
            )
        )

    def observed(
        self, asset: dg.AssetKey, customer_number: str, month: str, metadata: dict[str, Any]
    ) -> None:
        """What became known of a customer's asset since it was made."""
        self._context.log_event(
            dg.AssetObservation(
                asset_key=asset, partition=partition_key(customer_number, month), metadata=metadata
            )
        )

    def checked(
        self,
        customer_number: str,
        month: str,
        problems: Sequence[Problem],
        metadata: dict[str, Any],
        *,
        materialization: int | None = None,
    ) -> None:
        """The check of a customer and month, failed where there are problems.

        `materialization`: the place in the log of what it looked at (`places_of`).
        """
        self._all_passed = self._all_passed and not problems
        self._context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=self._asset,
                check_name=self._check,
                passed=not problems,
                partition=partition_key(customer_number, month),
                description=_reasons(problems) or None,
                metadata=metadata,
                target_materialization_data=None
                if materialization is None
                else AssetCheckEvaluationTargetMaterializationData(
                    storage_id=materialization,
                    run_id=self._context.run.run_id,
                    timestamp=datetime.now(UTC).timestamp(),
                ),
            )
        )

    def places_of(self, customers: Collection[str], month: str) -> dict[str, int]:
        """Where the log has each customer's materialization of the checked asset, asked for all at once.

        A check that does not name the materialization it looked at is shown as missing.
        """
        keys = {str(partition_key(number, month)): number for number in customers}
        found = self._context.instance.get_latest_storage_id_by_partition(
            self._asset, dg.DagsterEventType.ASSET_MATERIALIZATION, set(keys)
        )
        return {keys[key]: place for key, place in found.items()}

    def refused(self, customer_number: str, month: str, problems: Sequence[Problem]) -> None:
        """The customer needs a person: their partition is left out, and the failure at the end says why."""
        self._refused[customer_number, month] = problems

    def verdict(self) -> Iterator[dg.AssetCheckResult]:
        """The check over all of them, if it was selected; then the run fails, if anybody needs a person.

        An op that declares a check must yield a result for it, or the step fails for that reason instead.
        """
        if any(key.name == self._check for key in self._context.selected_asset_check_keys):
            yield dg.AssetCheckResult(
                asset_key=self._asset,
                check_name=self._check,
                passed=self._all_passed,
                description=None if self._all_passed else self._sentence(),
                metadata={"problems": self._table()} if self._refused else {},
            )
        if self._refused:
            raise dg.Failure(
                description=self._sentence(),
                metadata={
                    CUSTOMERS_IN_FAILURE: len(self._refused),
                    "problems": self._table(),
                },
                allow_retries=False,
            )

    def _table(self) -> dg.TableMetadataValue:
        return problems_table([problem for problems in self._refused.values() for problem in problems])

    def _sentence(self) -> str:
        """How many, of which months, and how often each reason; who they are is in the table."""
        reasons = Counter(problem.code for problems in self._refused.values() for problem in problems)
        counted = ", ".join(f"{code} {times}" for code, times in sorted(reasons.items()))
        months = sorted({month for _, month in self._refused})
        count = len(self._refused)
        whose = f"{count} customer{'' if count == 1 else 's'} of {', '.join(months)}"
        more = ""
        if reasons.total() > PROBLEM_ROWS:
            more = f" The table has the first {PROBLEM_ROWS}, `billing-pipeline status {months[0]}` has all."
        return f"{self._headline}: {whose} ({counted}). {self._remedy}.{more}"


@contextmanager
def plain_failures() -> Iterator[None]:
    """Turns a `PipelineError` into a `Failure` with its message, one line in the UI; the error stays the cause.

    Retries belong to the rooms, which know what is transient: a second level here would multiply them.
    """
    try:
        yield
    except PipelineError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def _reasons(problems: Sequence[Problem]) -> str:
    return "; ".join(
        f"{problem.code}{f' ({problem.source_id})' if problem.source_id else ''}: {problem.message}"
        for problem in map(without_personal_values, problems)
    )
