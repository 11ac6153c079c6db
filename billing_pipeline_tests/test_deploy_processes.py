"""The three processes of deploy/compose.yaml, started by its own commands and judged by its own health checks.

Without containers: only host names, ports and folders differ from what the compose file says.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import sqlalchemy
import yaml

from billing_pipeline_tests.support.ports import free_port

TOP = Path(__file__).parents[1]
DEPLOY = TOP / "deploy"
START_SECONDS = 120


class Containers:
    """Runs what an image's or a service's command says, with its addresses and folders mapped to this machine's."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.home = home
        self.environment = environment
        self.ports = {"3000": str(free_port()), "4000": str(free_port())}

    def mapped(self, text: str) -> str:
        for container, here in self.ports.items():
            text = text.replace(container, here)
        return text.replace("/opt/dagster/dagster_home", str(self.home)).replace("0.0.0.0", "127.0.0.1")

    @contextmanager
    def running(self, command: list[str]) -> Iterator[None]:
        with (self.home / f"{command[0]}.log").open("wb") as log:
            process = subprocess.Popen(
                [self.mapped(word) for word in command],
                env=self.environment,
                cwd=self.home,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                yield
            finally:
                process.terminate()
                process.wait(60)

    def wait_until_it_listens(self, port: str) -> None:
        """Before it does, its health check is a process a second that takes what it needs to start."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(self.ports[port])), timeout=5).close()
            except OSError:
                assert time.monotonic() < deadline, f"nobody listens on {port}"
                time.sleep(0.2)
            else:
                return

    def wait_until_healthy(self, check: list[str]) -> None:
        deadline = time.monotonic() + START_SECONDS
        command = [self.mapped(word) for word in check]
        while subprocess.run(command, env=self.environment, capture_output=True, check=False).returncode != 0:
            logs = "\n".join(log.read_text() for log in self.home.glob("*.log"))
            assert time.monotonic() < deadline, f"{shlex.join(command)} stayed unhealthy:\n{logs}"
            time.sleep(0.5)


def from_dockerfile(instruction: str) -> list[str]:
    """The last command in exec form of a line that holds this instruction."""
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    line = next(line for line in reversed(lines) if line.startswith(instruction))
    command: list[str] = json.loads(line[line.index("[") :])
    return command


@pytest.fixture
def containers(postgres_database: str, tmp_path: Path) -> Containers:
    url = sqlalchemy.make_url(postgres_database)
    beside_python = Path(sys.executable).parent
    made = Containers(
        tmp_path,
        {
            "PATH": f"{beside_python}{os.pathsep}{os.environ['PATH']}",
            "DAGSTER_HOME": str(tmp_path),
            "BILLING_HOME": str(tmp_path / "billing"),
            "DAGSTER_PG_HOST": str(url.host),
            "DAGSTER_PG_PORT": str(url.port),
            "DAGSTER_PG_USERNAME": str(url.username),
            "DAGSTER_PG_PASSWORD": str(url.password),
            "DAGSTER_PG_DB": str(url.database),
        },
    )
    (tmp_path / "dagster.yaml").write_text((TOP / "dagster.yaml").read_text(encoding="utf-8"))
    workspace = (
        (DEPLOY / "workspace.yaml").read_text(encoding="utf-8").replace("host: code", "host: 127.0.0.1")
    )
    (tmp_path / "workspace.yaml").write_text(made.mapped(workspace))
    return made


def test_the_processes_find_each_other_and_say_that_they_are_well(containers: Containers) -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    with ExitStack() as stack:
        stack.enter_context(containers.running(from_dockerfile("CMD")))
        containers.wait_until_it_listens("4000")
        containers.wait_until_healthy(from_dockerfile("HEALTHCHECK"))
        for name in ("daemon", "webserver"):
            stack.enter_context(containers.running(services[name]["command"]))
        for name in ("webserver", "daemon"):
            containers.wait_until_healthy(services[name]["healthcheck"]["test"][1:])
        query = "{ repositoriesOrError { ... on RepositoryConnection { nodes { location { name } jobs { name } } } } }"
        request = urllib.request.Request(
            f"http://127.0.0.1:{containers.ports['3000']}/graphql",
            data=json.dumps({"query": query}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            (repository,) = json.load(response)["data"]["repositoriesOrError"]["nodes"]
    assert repository["location"]["name"] == "billing_pipeline"
    assert {"monthly_billing", "customer_delivery"} <= {job["name"] for job in repository["jobs"]}
