"""Beyond one machine: two hosts with a Celery worker each bill one month; one of them dies in the middle.

Nothing is shared but what is shared in production: the broker, PostgreSQL (Dagster's records, OMS and ledger), the
object store and the inbox. 100 customers in 4 runs; with FULL_TESTS=1, 1,000 in 8.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy

from billing_pipeline.delivery.ledger import open_ledger
from billing_pipeline_tests.support.celery_hosts import TOP, Host, redis_server
from billing_pipeline_tests.support.extent import FULL
from billing_pipeline_tests.support.oms_database import customer, service, write_postgres
from billing_pipeline_tests.support.postgres import fresh_database
from billing_pipeline_tests.support.s3 import BUCKET, s3_server

MONTH = "2026-10"
CUSTOMERS = [f"{number:05d}" for number in range(1_000 if FULL else 100)]
RUNS = 8 if FULL else 4
END_S = 1_500
WORKER = (
    "celery",
    "--app",
    "billing_pipeline.defs.celery_worker",
    "worker",
    "--concurrency",
    "1",
    "--loglevel",
    "INFO",
)


class Receiver:
    """Takes files from the inbox into its archive as it sees them, and keeps a log of its own."""

    def __init__(self, share: Path) -> None:
        self.inbox, self.archive = share / "import", share / "archive"
        self.inbox.mkdir(parents=True)
        self.archive.mkdir()
        self.log: list[str] = []

    @contextmanager
    def polling(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=self._poll, args=[stop], daemon=True)
        thread.start()
        yield
        stop.set()
        thread.join()

    def _poll(self, stop: threading.Event) -> None:
        while not stop.wait(0.05):
            for file in self.inbox.iterdir():
                if not file.name.startswith("."):
                    file.rename(self.archive / f"{len(self.log):05d}.{file.name}")
                    self.log.append(file.name)


def instance_yaml() -> str:
    """The production instance with Celery's launcher; only, it looks sooner than once a minute after its workers."""
    text = (TOP / "dagster.yaml").read_text("utf-8") + (TOP / "deploy/celery-run-launcher.yaml").read_text(
        "utf-8"
    )
    assert "poll_interval_seconds: 60" in text
    assert "max_concurrent_runs: 8" in text
    return text.replace("poll_interval_seconds: 60", "poll_interval_seconds: 2").replace(
        "max_concurrent_runs: 8", "max_concurrent_runs: 2"
    )


def shared_environment(dagster: str, billing: str, share: Path) -> dict[str, str]:
    url = sqlalchemy.make_url(dagster)
    return {
        "DAGSTER_PG_HOST": str(url.host),
        "DAGSTER_PG_PORT": str(url.port),
        "DAGSTER_PG_USERNAME": str(url.username),
        "DAGSTER_PG_PASSWORD": str(url.password),
        "DAGSTER_PG_DB": str(url.database),
        "BILLING_OMS_URL": billing,
        "BILLING_LEDGER_URL": billing,
        "BILLING_STORE_URL": f"s3://{BUCKET}/store",
        "BILLING_TRANSPORT": "folder",
        "BILLING_FOLDER": str(share),
        "BILLING_REMOTE_ARCHIVE_DIR": "/archive",
        "BILLING_CUSTOMERS_PER_RUN": str(len(CUSTOMERS) // RUNS),
    }


def wait_until(happened: Callable[[], bool], what: str, hosts: list[Host]) -> None:
    deadline = time.monotonic() + END_S
    while not happened():
        if time.monotonic() > deadline:
            logs = "\n".join(
                f"{host.folder.name}:\n{host.log.read_text('utf-8', 'replace')[-4000:]}" for host in hosts
            )
            raise AssertionError(f"{what} did not come to be:\n{logs}")
        time.sleep(0.2)


def delivery_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    return list(instance.get_runs(dg.RunsFilter(job_name="customer_delivery")))


def why_failed(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    (failure,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    return str(failure.user_message) + str(failure.dagster_event and failure.dagster_event.message)


def is_at_work_on_a_run(host: Host) -> bool:
    """Between two runs it would die unnoticed; and of one that it has taken but not begun, nobody asks it for minutes:
    such a run fails when it has not started in time.
    """
    of_the_last_run = host.log.read_text("utf-8", "replace").rpartition("] received")[2]
    return "RUN_START - " in of_the_last_run and "] succeeded" not in of_the_last_run


@pytest.mark.timeout(END_S + 300)
def test_a_month_comes_to_its_end_though_one_of_two_hosts_dies_in_the_middle(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        broker = stack.enter_context(redis_server(tmp_path / "redis"))
        s3 = stack.enter_context(s3_server())
        dagster = stack.enter_context(fresh_database(postgres_url))
        billing = stack.enter_context(fresh_database(postgres_url))
        receiver = Receiver(tmp_path / "share")
        rows = {
            "customers": [customer(number) for number in CUSTOMERS],
            "services": [service(f"S-{number}", number) for number in CUSTOMERS],
        }
        write_postgres(billing, rows)
        shared = {
            **shared_environment(dagster, billing, tmp_path / "share"),
            **s3.environment,
            "AWS_MAX_ATTEMPTS": "5",
            "DAGSTER_CELERY_BROKER_URL": broker,
        }
        first, second, daemon = (
            Host(tmp_path / name, instance_yaml(), shared) for name in ("one", "two", "daemon")
        )
        hosts = [first, second, daemon]
        for name, value in {**shared, "DAGSTER_HOME": daemon.environment["DAGSTER_HOME"]}.items():
            monkeypatch.setenv(name, value)
        instance = stack.enter_context(dg.DagsterInstance.get())
        workspace = ("--workspace", str(TOP / "workspace.yaml"))
        stack.enter_context(receiver.polling())
        stack.enter_context(daemon.running(["dagster-daemon", "run", *workspace]))
        for host in (first, second):
            stack.enter_context(host.running([*WORKER, "--hostname", f"worker@{host.folder.name}"]))
            host.wait_until_it_says(" ready.")
        daemon.run(
            *("dagster", "job", "launch", *workspace, "--job", "monthly_billing"),
            *("--tags", f'{{"dagster/partition": "{MONTH}"}}'),
        )

        wait_until(lambda: len(receiver.log) > len(CUSTOMERS) // 4, "a quarter of the deliveries", hosts)
        wait_until(lambda: is_at_work_on_a_run(first), "a run that the first host is at work on", hosts)
        first.kill()
        after_the_kill = len(receiver.log)

        def has_ended() -> bool:
            runs = delivery_runs(instance)
            return len(set(receiver.log)) == len(CUSTOMERS) and all(run.is_finished for run in runs)

        wait_until(has_ended, "the end of the month", hosts)
        assert after_the_kill < len(CUSTOMERS)
        # Nothing lost, nothing doubled: by the receiver's own log.
        expected = [f"easybill_{MONTH}_{number}.csv" for number in CUSTOMERS]
        assert Counter(receiver.log) == Counter(expected)
        assert not [file for file in receiver.inbox.iterdir() if not file.name.endswith(".tmp")]
        # As told by the ledger.
        told = open_ledger(billing).months.customers(MONTH)
        assert {row.export.customer_number for row in told} == set(CUSTOMERS)
        assert not [row for row in told if row.delivery_outcome not in {"delivered", "unchanged"}]
        # And as Dagster shows it: what the dead host had in hand failed, was started again, and is green.
        runs = delivery_runs(instance)
        lost = [run for run in runs if run.status == dg.DagsterRunStatus.FAILURE]
        assert lost
        for run in lost:
            # Its worker had taken it, or was just about to.
            assert "worker@one had taken" in why_failed(instance, run) or "to start" in why_failed(
                instance, run
            )
            retried = [other for other in runs if other.parent_run_id == run.run_id]
            assert [other.status for other in retried] == [dg.DagsterRunStatus.SUCCESS]
        assert len(runs) == RUNS + len(lost)
        uploaded = instance.get_materialized_partitions(dg.AssetKey("easybill_upload"))
        assert uploaded == {f"{number}|{MONTH}" for number in CUSTOMERS}
        # What the hosts shared, they shared through services: none kept a file of the store for itself.
        assert not [host for host in hosts if (host.folder / "billing" / "store").exists()]
