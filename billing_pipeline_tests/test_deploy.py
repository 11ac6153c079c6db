"""deploy/: what can be proven about it without a Docker engine or a cluster."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from billing_pipeline.defs.storage import PooledPostgresEventLogStorage, PooledPostgresRunStorage
from billing_pipeline.settings import load_settings
from billing_pipeline_tests.support.requires import require_program

TOP = Path(__file__).parents[1]
DEPLOY = TOP / "deploy"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def example(name: str) -> dict[str, str]:
    lines = (DEPLOY / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_dockerfile_passes_its_linter() -> None:
    beside_python = Path(sys.executable).with_name("hadolint")
    hadolint = (
        str(beside_python) if beside_python.exists() else require_program("hadolint", package="hadolint")
    )
    result = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_the_image_copies_files_that_exist_and_that_its_ignore_file_lets_through() -> None:
    copies = [
        line.split()[1:-1]
        for line in (DEPLOY / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ")
    ]
    sources = {source for copy in copies if not copy[0].startswith("--from") for source in copy}
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert sources == allowed
    assert not [source for source in sources if not (TOP / source).exists()]


def test_the_compose_file_is_valid_with_the_example_settings(tmp_path: Path) -> None:
    compose = require_program("docker-compose", package="docker-compose")
    folder = shutil.copytree(DEPLOY, tmp_path / "deploy")
    for name in ("dagster.env", "billing.env"):
        shutil.copy(folder / f"{name}.example", folder / name)
    command = [compose, "--file", str(folder / "compose.yaml"), "config", "--services"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    # Compose 1 tells those of a profile too, Compose 2 not.
    assert set(result.stdout.split()) - {"proxy"} == {
        "postgres",
        "code",
        "daemon",
        "webserver",
    }


def test_only_the_code_location_knows_the_pipelines_settings() -> None:
    services = load(DEPLOY / "compose.yaml")["services"]
    assert [name for name, service in services.items() if "billing.env" in service.get("env_file", ())] == [
        "code"
    ]


def test_the_example_settings_are_ones_that_the_product_takes() -> None:
    settings = load_settings(example("billing.env.example"))
    assert settings.sftp_host == "inbox.example.internal"


def test_the_example_names_every_variable_of_the_instance() -> None:
    config = (TOP / "dagster.yaml").read_text(encoding="utf-8")
    assert {name for name in example("dagster.env.example") if name.startswith("DAGSTER_")} == {
        line.split("env:")[1].strip(" }") for line in config.splitlines() if "env:" in line
    }


# As the chart writes it, in front of what the values add.
CHART_INSTANCE = """\
run_storage:
  module: dagster_postgres.run_storage
  class: PostgresRunStorage
  config:
    postgres_db: {hostname: nowhere, username: nobody, db_name: none}
event_log_storage:
  module: dagster_postgres.event_log
  class: PostgresEventLogStorage
  config:
    postgres_db: {hostname: nowhere, username: nobody, db_name: none}
telemetry: {enabled: false}
"""


def test_the_values_put_the_pooled_storages_in_place_of_the_charts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_database: str
) -> None:
    added = load(DEPLOY / "helm-values.yaml")["additionalInstanceConfig"]
    for storage in ("run_storage", "event_log_storage"):
        assert added[storage]["config"]["postgres_db"]["password"] == {"env": "DAGSTER_PG_PASSWORD"}
        added[storage]["config"] = {"postgres_url": postgres_database}
    (tmp_path / "dagster.yaml").write_text(CHART_INSTANCE + yaml.safe_dump(added))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.run_storage, PooledPostgresRunStorage)
        assert isinstance(instance.event_log_storage, PooledPostgresEventLogStorage)


def test_kubernetes_queues_and_retries_as_the_production_instance_does() -> None:
    values, instance = load(DEPLOY / "helm-values.yaml"), load(TOP / "dagster.yaml")
    added = values["additionalInstanceConfig"]
    for key in ("concurrency", "run_retries", "backfills", "nux"):
        assert added[key] == instance[key]
    daemon = values["dagsterDaemon"]
    assert daemon["sensors"]["numWorkers"] == instance["sensors"]["num_workers"]
    assert daemon["schedules"]["numWorkers"] == instance["schedules"]["num_workers"]
    assert (
        daemon["runMonitoring"]["startTimeoutSeconds"] == instance["run_monitoring"]["start_timeout_seconds"]
    )


def test_image_and_chart_are_of_the_projects_versions() -> None:
    project = (TOP / "pyproject.toml").read_text(encoding="utf-8")
    values = load(DEPLOY / "helm-values.yaml")
    assert f'version = "{values["dagsterWebserver"]["image"]["tag"]}"' in project
    assert (
        f"billing-pipeline:{values['dagsterWebserver']['image']['tag']}"
        in (DEPLOY / "compose.yaml").read_text()
    )
    chart = (DEPLOY / "helm-values.yaml").read_text().split("--version ")[1].split()[0]
    assert f'"dagster=={chart}"' in project
