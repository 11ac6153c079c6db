"""Several hosts on one machine: Celery workers and a daemon that share a broker, databases and an object store.

Each host has folders of its own and, where this machine lets us, processes of its own: a host then sees no process
of another, as on separate machines, and all of its processes die in the same instant.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from billing_pipeline_tests.support.ports import free_port
from billing_pipeline_tests.support.requires import find_program, require_program

TOP = Path(__file__).parents[2]
BESIDE_PYTHON = Path(sys.executable).parent
START_S = 60
_OWN_PROCESSES = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """The URL of a Redis on loopback, with a password; it ends with the block."""
    program = require_program("redis-server", package="redis-server")
    folder.mkdir()
    password = secrets.token_hex(16)
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--requirepass", password], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait_for_port(port, process)
        yield f"redis://:{password}@127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(30)


class Host:
    """One host with one process on it, which may have started others."""

    def __init__(self, folder: Path, instance_yaml: str, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.log = folder / "log.txt"
        home = folder / "dagster"
        home.mkdir(parents=True)
        (home / "dagster.yaml").write_text(instance_yaml, encoding="utf-8")
        (folder / "tmp").mkdir()
        foreign = ("BILLING_", "DAGSTER_", "AWS_", "HTTP", "http")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
            **environment,
            "PATH": f"{BESIDE_PYTHON}{os.pathsep}{os.environ['PATH']}",
            "DAGSTER_HOME": str(home),
            "BILLING_HOME": str(folder / "billing"),
            "TMPDIR": str(folder / "tmp"),
            "PYTHONWARNINGS": "ignore",
        }

    @contextmanager
    def running(self, command: Sequence[str]) -> Iterator[None]:
        """Starts it; it ends with the block, if it has not been killed."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*_prefix(), *command],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield
        finally:
            self.kill()

    def run(self, *command: str) -> str:
        """What a command on this host prints; it must succeed."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def kill(self) -> None:
        """SIGKILL to every process of the host, at once."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)

    def wait_until_it_says(self, words: str) -> None:
        """Until these words are in its log."""
        deadline = time.monotonic() + START_S * 2
        while words not in self.log.read_text(encoding="utf-8", errors="replace"):
            told = self.log.read_text(encoding="utf-8", errors="replace")
            assert self._process.poll() is None, told
            assert time.monotonic() < deadline, told
            time.sleep(0.5)


@cache
def _prefix() -> tuple[str, ...]:
    if find_program(_OWN_PROCESSES[0]) is None:
        return ()
    tried = subprocess.run([*_OWN_PROCESSES, "true"], capture_output=True, check=False)
    return _OWN_PROCESSES if tried.returncode == 0 else ()


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("redis-server did not start") from None
            time.sleep(0.05)
        else:
            return
