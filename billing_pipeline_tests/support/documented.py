"""A page of documentation as a test: its rows, its rules and its commands are real, and so is what they print.

- A table whose first header cell is a key of the contract (`customer_number`, `service_id` …) under a heading with the
  relation's name in backticks holds OMS rows; an empty cell is NULL.
- A `toml` block is the rules file; an `sql` block is executed on the OMS.
- A `console` block has commands after `$ `, each followed by what it prints: stdout, then stderr without the lines that
  only count progress, then `(exit status N)` where it is not 0.

`python -m billing_pipeline_tests.support.documented PAGE` writes what the commands print into the page, to be read
before it is committed.
"""

from __future__ import annotations

import re
import shlex
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from billing_pipeline.oms.contract import RELATIONS
from billing_pipeline_tests.support.installation import Answer, Installation
from billing_pipeline_tests.support.oms_database import Row

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TABLE = re.compile(
    r"^#+ .*`(\w+)`[^\n]*\n(?:(?!#)[^\n]*\n)*?(\|[^\n]+\|\n\|[-| ]+\|\n(?:\|[^\n]*\|\n)+)", re.MULTILINE
)
_PROGRESS = re.compile(r"^\d{4}-\d\d, customers processed: \d+ of \d+$")
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? CES?T"), "TIME"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "SHA256"),
    (re.compile(r"\.[0-9a-f]{24}\.tmp"), ".TOKEN.tmp"),
)


@dataclass(frozen=True)
class Page:
    """A page of Markdown, as it stands."""

    text: str

    def rows(self) -> Iterator[tuple[str, Row]]:
        """The OMS rows of its tables, each with its relation."""
        for name, table in _TABLE.findall(self.text):
            if name in RELATIONS:
                header, _, *rows = (
                    [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
                    for line in table.splitlines()
                )
                for row in rows:
                    yield name, {column: cell or None for column, cell in zip(header, row, strict=True)}

    def replayed(self, folder: Path) -> str:
        """The page with what its commands print now, one after another, on an installation in `folder`."""
        rules = "".join(text for kind, text in _BLOCK.findall(self.text) if kind == "toml")
        installation = Installation(folder, rules=rules)
        for name, row in self.rows():
            _insert(installation, name, row)

        def replay(block: re.Match[str]) -> str:
            if block[1] == "sql":
                with closing(sqlite3.connect(installation.oms.file)) as connection, connection:
                    connection.executescript(block[2])
            if block[1] != "console":
                return block[0]
            commands = re.findall(r"^\$ billing-pipeline (.*)$", block[2], re.MULTILINE)
            answers = [
                f"$ billing-pipeline {command}\n{printed(installation.command(*shlex.split(command)))}"
                for command in commands
            ]
            return f"```console\n{''.join(answers)}```"

        return _BLOCK.sub(replay, self.text)


def printed(answer: Answer) -> str:
    """What a reader sees of a command."""
    lines = answer.out.splitlines()
    lines += [line for line in answer.err.splitlines() if not _PROGRESS.match(line)]
    if answer.status != 0:
        lines.append(f"(exit status {answer.status})")
    return "".join(f"{line.rstrip()}\n" for line in lines)


def comparable(text: str) -> str:
    """The text without what differs from run to run: times, hashes, tokens."""
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return text


def _insert(installation: Installation, name: str, row: Row) -> None:
    with closing(sqlite3.connect(installation.oms.file)) as connection, connection:
        if "customer_number" in row and name != "customers" and "currency" not in row:
            (currency,) = connection.execute(
                "SELECT currency FROM customers WHERE customer_number = ?", [row["customer_number"]]
            ).fetchone()
            row = {**row, "currency": currency}
        if name in {"services", "cancellation_fees"}:
            row = {**row, "updated_at": "2026-10-01T06:00:00Z"}
        columns = ", ".join(row)
        marks = ", ".join("?" for _ in row)
        connection.execute(f"INSERT INTO {name} ({columns}) VALUES ({marks})", list(row.values()))


def main(path: Path) -> None:
    """Writes what the commands print into the page at `path`."""
    with TemporaryDirectory() as folder:
        replayed = Page(path.read_text("utf-8")).replayed(Path(folder))
    path.write_text(replayed, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
