"""Each folder of migrations is read once per process of the tests, not anew for every database.

Alembic imports all scripts of a folder for each look at a database's version. A command needs that once; a test
session makes thousands of databases, of Dagster's and of ours, and spent a fifth of its time there.
"""

from __future__ import annotations

from alembic.config import Config
from alembic.script import ScriptDirectory

_read = ScriptDirectory.from_config
_known: dict[tuple[tuple[str, str], ...], ScriptDirectory] = {}


def _read_once(config: Config) -> ScriptDirectory:
    options = config.get_section(config.config_ini_section) or {}
    # Where the scripts are, and how they are read; not whose database it is about.
    about_scripts = tuple(sorted((name, text) for name, text in options.items() if name != "sqlalchemy.url"))
    if about_scripts not in _known:
        _known[about_scripts] = _read(config)
    return _known[about_scripts]


def read_migrations_once() -> None:
    """In this process, from now on."""
    ScriptDirectory.from_config = staticmethod(_read_once)  # type: ignore[method-assign]
