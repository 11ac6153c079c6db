"""`dagster dev` on PostgreSQL, as a process: the web UI, the daemon and the code location of a test's installation.

The instance is the dagster.yaml at the top, unchanged. Tests speak to it through GraphQL, as people's scripts do,
or through a browser.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import sqlalchemy

from billing_pipeline_tests.support.ports import free_port

TOP = Path(__file__).parents[2]
QUICK_DAEMON = Path(__file__).parent / "quick_daemon"
START_S = 120
DONE_BULK = {"COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}
DONE_RUN = {"SUCCESS", "FAILURE", "CANCELED"}

Found = TypeVar("Found")

LAUNCH_BACKFILL = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""


class DagsterDev:
    """A running `dagster dev`, at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, text: str, **variables: Any) -> dict[str, Any]:
        """The data that GraphQL answers; fails with its errors."""
        answer = httpx.post(
            f"{self.url}/graphql", json={"query": text, "variables": variables}, timeout=60, trust_env=False
        ).json()
        assert not answer.get("errors"), answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    def is_loaded(self) -> bool:
        """Whether the code location is there."""
        try:
            nodes = self.query("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }")
        except httpx.TransportError:
            return False
        return bool(nodes["repositoriesOrError"].get("nodes"))

    def customers(self) -> list[str]:
        """The keys of the registered customers."""
        return self._keys("customer")

    def months(self) -> list[str]:
        """The months, oldest first; the last one is running."""
        return self._keys("month")

    def assets(self) -> list[str]:
        """Every asset of the code location."""
        nodes = self.query("{ assetNodes { assetKey { path } } }")["assetNodes"]
        return ["/".join(node["assetKey"]["path"]) for node in nodes]

    def _keys(self, dimension: str) -> list[str]:
        said = self.query(
            '{ assetNodes(assetKeys: [{path: ["easybill_csv"]}]) '
            "{ partitionKeysByDimension { name partitionKeys } } }"
        )
        (node,) = said["assetNodes"]
        (keys,) = (
            one["partitionKeys"] for one in node["partitionKeysByDimension"] if one["name"] == dimension
        )
        return list(keys)

    def backfill(self, assets: Sequence[str], partitions: Sequence[str]) -> str:
        """Launches a backfill of these assets over these partitions, and waits for its end: its status."""
        launched = self.query(
            LAUNCH_BACKFILL,
            params={
                "assetSelection": [{"path": [asset]} for asset in assets],
                "partitionNames": list(partitions),
            },
        )["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return self.end_of_backfill(launched["backfillId"])

    def end_of_backfill(self, backfill_id: str) -> str:
        """Its status, once it has ended."""

        def status() -> str | None:
            said = self.query(
                "query Q($id: String!) { partitionBackfillOrError(backfillId: $id) "
                "{ __typename ... on PartitionBackfill { status } } }",
                id=backfill_id,
            )["partitionBackfillOrError"]
            return str(said["status"]) if said["status"] in DONE_BULK else None

        return wait_for(status, f"the end of backfill {backfill_id}")

    def backfill_ids(self) -> list[str]:
        """Newest first."""
        said = self.query("{ partitionBackfillsOrError { ... on PartitionBackfills { results { id } } } }")
        return [one["id"] for one in said["partitionBackfillsOrError"]["results"]]

    def runs(self, **tags: str) -> list[dict[str, Any]]:
        """The runs with these tags, newest first: runId, jobName, status, tags."""
        said = self.query(
            "query Q($filter: RunsFilter) { runsOrError(filter: $filter) { ... on Runs { results "
            "{ runId jobName status tags { key value } } } } }",
            filter={"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        )
        return list(said["runsOrError"]["results"])

    def wait_for_runs(self, job: str, count: int, **tags: str) -> list[dict[str, Any]]:
        """At least so many runs of a job, all ended."""

        def ended() -> list[dict[str, Any]] | None:
            found = [run for run in self.runs(**tags) if run["jobName"] == job]
            return found if len(found) >= count and all(run["status"] in DONE_RUN for run in found) else None

        return wait_for(ended, f"{count} runs of {job}")

    def partitions(self, asset: str) -> dict[str, set[str]]:
        """The partitions of a customer's asset that are "materialized" and "failed", as the UI shows them."""
        said = self.query(
            "query Q($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode "
            "{ assetPartitionStatuses { ... on MultiPartitionStatuses { ranges { primaryDimStartKey "
            "primaryDimEndKey secondaryDim { ... on DefaultPartitionStatuses "
            "{ materializedPartitions failedPartitions } } } } } } } }",
            key={"path": [asset]},
        )
        found: dict[str, set[str]] = {"materialized": set(), "failed": set()}
        for months in said["assetNodeOrError"]["assetPartitionStatuses"]["ranges"]:
            first, last = months["primaryDimStartKey"], months["primaryDimEndKey"]
            for month in self.months():
                if first <= month <= last:
                    for state, keys in found.items():
                        keys |= {f"{key}|{month}" for key in months["secondaryDim"][f"{state}Partitions"]}
        return found


@contextmanager
def dagster_dev(home: Path, database: str, environment: Mapping[str, str]) -> Iterator[DagsterDev]:
    """Starts it on this PostgreSQL database with the installation's environment; it ends with the block."""
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text((TOP / "dagster.yaml").read_text("utf-8"), "utf-8")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BILLING_", "DAGSTER_", "HTTP", "http"))
    }
    variables = {
        **kept,
        **environment,
        **instance_variables(database),
        "DAGSTER_HOME": str(home),
        "PYTHONPATH": str(QUICK_DAEMON),
        "PYTHONWARNINGS": "ignore",
    }
    port = free_port()
    command = [
        *(sys.executable, "-m", "dagster", "dev", "-w", str(TOP / "workspace.yaml")),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    with (home / "dagster-dev.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=TOP, env=variables, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            served = DagsterDev(f"http://127.0.0.1:{port}")
            wait_for(served.is_loaded, "dagster dev", seconds=START_S)
            yield served
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


def instance_variables(database: str) -> dict[str, str]:
    """The variables that dagster.yaml asks for, of this PostgreSQL database."""
    url = sqlalchemy.make_url(database)
    return {
        "DAGSTER_PG_HOST": str(url.host),
        "DAGSTER_PG_PORT": str(url.port),
        "DAGSTER_PG_USERNAME": str(url.username),
        "DAGSTER_PG_PASSWORD": str(url.password),
        "DAGSTER_PG_DB": str(url.database),
    }


def wait_for(ask: Callable[[], Found | None], what: str, *, seconds: float = 280) -> Found:
    """The first answer that is one."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
        time.sleep(0.5)
    return answer
