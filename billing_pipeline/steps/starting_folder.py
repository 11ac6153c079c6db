"""A folder to start from: a commented `.env`, the rules, and the four queries, for `billing-pipeline init DIR`.

Rules and queries are the packaged ones, and `.env` is written from the settings themselves, so none can go stale.
"""

from __future__ import annotations

import os
import textwrap
from importlib import resources
from pathlib import Path
from typing import Final

from billing_pipeline.oms.contract import RELATIONS
from billing_pipeline.problems import UsageError
from billing_pipeline.settings import PREFIX, SECRETS, Settings

ENV_FILE: Final = ".env"
RULES_FILE: Final = "rules.toml"
QUERIES: Final = "queries"

# A heading before the setting that begins each part.
_PARTS: Final = {
    "home": "Where everything is",
    "timezone": "Which month a row is in, and by which rules it is billed",
    "transport": "How the files reach EASY Bill",
    "sftp_host": "BILLING_TRANSPORT=sftp",
    "ftps_host": "BILLING_TRANSPORT=ftps",
    "folder": "BILLING_TRANSPORT=folder",
    "easybill_api_url": "EASY Bill's REST API: looks customers up, and reads the drafts back",
    "customers_per_run": "Runs, and who is told",
}
_URLS: Final = {
    "postgresql": "postgresql://reader@oms.example.com/shop   (a role that may only read; its password in ~/.pgpass)",
    "sqlite": "sqlite:////data/oms.db   (four slashes: an absolute path)",
}
DATABASES: Final = tuple(_URLS)
_INTRODUCTION: Final = """\
# The settings of billing_pipeline, as `billing-pipeline init` wrote them. The commands read this file in the
# working directory: call them from here. What the environment says goes first. A line that begins with # is not
# set, and shows the default, where there is one. Paths are relative to the working directory.
#
# No secret needs to be in here: a variable that ends in _FILE names a file that holds it.
# `billing-pipeline doctor` tries it all, and says what to fix next.
"""


def write_starting_folder(folder: Path, database: str) -> list[Path]:
    """Writes what is there to start from, for an OMS on this kind of database; returns the files.

    Raises: UsageError where one of them is there already, and then writes nothing.
    """
    contents = {folder / name: text for name, text in _contents(database).items()}
    if taken := [str(path) for path in contents if path.exists() or path.is_symlink()]:
        raise UsageError(
            f"{', '.join(taken)}: is there already, and is not overwritten; name another folder, or move it away"
        )
    try:
        for path, text in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_new(path, text, mode=0o600 if path.name == ENV_FILE else 0o644)
    except OSError as error:
        raise UsageError(
            f"{error.filename}: cannot be written ({error.strerror}); name another folder"
        ) from None
    return list(contents)


def _write_new(path: Path, text: str, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)


def _contents(database: str) -> dict[str, str]:
    package = resources.files("billing_pipeline")
    queries = package.joinpath("oms", "queries", database)
    return {
        ENV_FILE: _env(database),
        RULES_FILE: package.joinpath("billing", "rules.toml").read_text("utf-8"),
        **{f"{QUERIES}/{name}.sql": queries.joinpath(f"{name}.sql").read_text("utf-8") for name in RELATIONS},
    }


def _env(database: str) -> str:
    """Every setting with its meaning. Those that name what is in the folder are set, the others commented out."""
    given = {"oms_queries": QUERIES, "rules": RULES_FILE}
    parts = [_INTRODUCTION]
    for name, field in Settings.model_fields.items():
        if name in _PARTS:
            parts.append(f"\n# ---- {_PARTS[name]} ".ljust(110, "-") + "\n")
        told = field.description or ""
        variable = PREFIX + name.upper()
        if name == "oms_url":
            told += f" For example {_URLS[database]}"
        if name in SECRETS:
            variable += "_FILE"
            told += " The path of a file that holds it, readable by its owner alone."
        value = "" if field.default is None else str(field.default)
        line = f"{variable}={given.get(name, value.lower() if isinstance(field.default, bool) else value)}"
        comment = textwrap.fill(
            told, 108, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
        )
        parts.append(f"\n{comment}\n{line if name in given else '#' + line}\n")
    return "".join(parts)
