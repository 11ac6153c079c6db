"""A whole installation in a folder: a small OMS, a home, an inbox that is a folder, and its command line.

Commands run in this process, as the console script would run them: what they print and their exit status are the
answer. A command in a process of its own costs seconds; one test per command has that too.
"""

from __future__ import annotations

import copy
import io
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import typer.main

from billing_pipeline.cli import main as cli
from billing_pipeline.delivery.ledger import Ledger, open_ledger
from billing_pipeline.easybill.document import file_name
from billing_pipeline.settings import Settings, load_settings
from billing_pipeline_tests.support.small_oms import SmallOms

Result = TypeVar("Result")


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """Its output as one JSON value."""
        return json.loads(self.out)


class Installation:
    """`oms` is empty at first; `inbox` is what the receiver sees; `rules`, if given, is the rules' TOML text."""

    def __init__(self, folder: Path, *, rules: str = "", **settings: str) -> None:
        self.folder = folder
        self.oms = SmallOms(folder / "oms.db")
        self.inbox = folder / "share" / "import"
        self.inbox.mkdir(parents=True)
        self.home = folder / "home"
        self.environment = {
            "BILLING_HOME": str(self.home),
            "BILLING_OMS_URL": self.oms.url,
            "BILLING_TRANSPORT": "folder",
            "BILLING_FOLDER": str(folder / "share"),
            **settings,
        }
        if rules:
            (folder / "rules.toml").write_text(rules, encoding="utf-8")
            self.environment["BILLING_RULES"] = str(folder / "rules.toml")

    def copy(self, folder: Path) -> Installation:
        """The same installation as it is now, in another folder, which is empty."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        other = copy.copy(self)
        other.folder, other.oms = folder, self.oms.in_file(folder / self.oms.file.name)
        other.inbox, other.home = folder / "share" / "import", folder / "home"
        instance = other.home / "dagster" / "dagster.yaml"
        if instance.exists():
            # It names its folder, and Dagster would go on writing into the other's.
            text = instance.read_text("utf-8").replace(str(self.folder), str(folder))
            instance.write_text(text, encoding="utf-8")
        ledger = other.home / "ledger.db"
        if ledger.exists():
            # What was sent was sent into its own inbox.
            with closing(sqlite3.connect(ledger)) as connection, connection:
                moved = "UPDATE deliveries SET endpoint = replace(endpoint, ?, ?)"
                connection.execute(moved, (str(self.folder), str(folder)))
        other.environment = {
            name: value.replace(str(self.folder), str(folder)) for name, value in self.environment.items()
        }
        return other

    @property
    def ledger(self) -> Ledger:
        """The ledger, as any other process would open it."""
        return open_ledger(f"sqlite:///{self.home / 'ledger.db'}")

    def files(self) -> dict[str, str]:
        """What lies in the inbox, by name."""
        return {path.name: path.read_text("utf-8") for path in sorted(self.inbox.iterdir())}

    def files_of(self, customer_number: str, month: str = "2026-10") -> str:
        """The customer's file in the inbox."""
        return (self.inbox / file_name(month, customer_number)).read_text("utf-8")

    def command(self, *arguments: str) -> Answer:
        """`billing-pipeline` with these arguments."""
        return command_in(self.folder, self.environment, *arguments)

    def do(self, action: Callable[[Settings], Result]) -> Result:
        """What a function makes of the installation's settings, under its environment alone."""
        with _environment(self.environment):
            return action(load_settings(self.environment))

    def run_json(self, month: str, *options: str) -> dict[str, Any]:
        """`billing-pipeline run MONTH --json`, whatever its exit status."""
        answer = self.command("run", month, "--json", *options)
        assert answer.out, answer.err
        result: dict[str, Any] = answer.json()
        return result


def command_in(folder: Path, environment: Mapping[str, str], *arguments: str) -> Answer:
    """`billing-pipeline` with these arguments, in a folder, and under no other variables of its own than these."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with _environment(environment), chdir(folder), redirect_stdout(out), redirect_stderr(err):
        status = _exit_status(list(arguments))
    return Answer(status, _text(out), _text(err))


@contextmanager
def _environment(environment: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    for name in before:
        if name.startswith("BILLING_") or name == "DAGSTER_HOME":
            del os.environ[name]
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def customer_in(result: dict[str, Any], customer_number: str = "10023") -> dict[str, Any]:
    """The entry of a customer in `run --json` or `status --json`."""
    (found,) = (one for one in result["customers"] if one["customer_number"] == customer_number)
    entry: dict[str, Any] = found
    return entry


def outcomes_in(result: dict[str, Any]) -> dict[str, str]:
    """The outcome of each customer in `run --json` or `status --json`."""
    return {one["customer_number"]: one["outcome"] for one in result["customers"]}


def _exit_status(arguments: list[str]) -> int:
    before = sys.argv
    sys.argv = ["billing-pipeline", *arguments]
    try:
        with _parsers_made_once():
            cli.main()
    except SystemExit as done:
        return int(done.code or 0)
    finally:
        sys.argv = before
    return 0


@contextmanager
def _parsers_made_once() -> Iterator[None]:
    """typer reads all commands' signatures for each call: once is enough for the thousands of calls of a session."""
    made = typer.main.get_command
    typer.main.get_command = _parser_of
    try:
        yield
    finally:
        typer.main.get_command = made


_parser_of = cache(typer.main.get_command)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode("utf-8")
