"""The home that release 0.1.0 made (`homes/v0_1`), restored into a folder, with the command line of today on it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from billing_pipeline_tests.support.installation import Installation

KEPT = Path(__file__).parents[1] / "homes" / "v0_1"
# Where its inbox lay when it was made: the address that its ledger knows.
MADE_AT = "/tmp/billing-home-v0_1/inbox"


def restored(folder: Path) -> tuple[Installation, dict[str, Any]]:
    """The installation in this folder, and what release 0.1.0 said of it (`expected.json`)."""
    installation = Installation(
        folder,
        # Its customers have no street, which 0.1.0 did not ask for.
        rules="require_address = false\n",
        BILLING_REMOTE_DIR="/import",
        BILLING_REMOTE_ARCHIVE_DIR="/archive",
    )
    inbox = folder / "share"
    (folder / "oms.db").unlink(missing_ok=True)
    _database(folder / "oms.db", (KEPT / "oms.sql").read_text("utf-8"))
    shutil.copytree(KEPT / "store", installation.home / "store")
    shutil.copytree(KEPT / "inbox", inbox, dirs_exist_ok=True)
    ledger = (KEPT / "ledger.sql").read_text("utf-8").replace(MADE_AT, str(inbox))
    _database(installation.home / "ledger.db", ledger)
    expected: dict[str, Any] = json.loads(
        (KEPT / "expected.json").read_text("utf-8").replace(MADE_AT, str(inbox))
    )
    return installation, expected


def _database(file: Path, script: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)
