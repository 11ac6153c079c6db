"""Dagster's instance of a home: made on first use, behind the home's lock, and opened.

Without the lock, two processes that migrate an empty home at once leave Dagster's SQLite files broken for good.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from billing_pipeline.defs.partitions import CUSTOMER
from billing_pipeline.settings import Settings
from billing_pipeline.store.home import first_use

# What a home of its own gets; the production instance, on PostgreSQL, is the dagster.yaml at the top.
INSTANCE_YAML = """\
# Made by billing-pipeline on first use of this home; yours to change.
event_log_storage:
  # Connections stay open: a month records three events per customer (docs/decisions/0010-event-log-storage.md).
  module: billing_pipeline.defs.storage
  class: PooledSqliteEventLogStorage
  config: {{base_dir: {runs}}}
telemetry:
  enabled: false
nux:
  enabled: false
"""


def prepare_instance(settings: Settings) -> None:
    """Makes the instance, where there is none, with all its tables; safe for several processes at once."""
    with open_instance(settings):
        pass


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance in `DAGSTER_HOME`, or in the home's own folder."""
    home = settings.dagster_home
    with first_use(settings.home):
        home.mkdir(parents=True, exist_ok=True)
        config = home / "dagster.yaml"
        if not config.exists():
            config.write_text(
                INSTANCE_YAML.format(runs=json.dumps(str(home / "history" / "runs"))), encoding="utf-8"
            )
        # Dagster reads the folder from its own variable only, here and in every process that it starts.
        os.environ["DAGSTER_HOME"] = str(home)
        instance = dg.DagsterInstance.get()
        # The run, event and schedule storages are made when they are first asked: ask while the lock is held.
        instance.get_dynamic_partitions(CUSTOMER)
        instance.get_run_records(limit=1)
        instance.all_instigator_state()
    with instance:
        yield instance
