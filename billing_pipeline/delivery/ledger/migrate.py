"""Bringing a ledger to the current schema when it is opened, one process at a time.

The migrations themselves are in `delivery/migrations`, packaged with it; nothing else about the ledger
belongs here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import (
    LedgerTooNew,
    database_file,
    unavailable,
)
from billing_pipeline.delivery.ledger.tables import VERSION_TABLE
from billing_pipeline.problems import without_secrets
from billing_pipeline.store.home import locked

# It takes a moment to load, and a ledger that is open every day has its schema already.
if TYPE_CHECKING:
    from alembic.config import Config

_VERSIONS = "billing_pipeline.delivery.ledger.migrations.versions"
# An advisory lock is a number of one's own choosing; it is free again when its session ends, however it ends.
_ADVISORY_LOCK = 0x62_69_6C_6C_69_6E_67


def migrations() -> Config:
    """Alembic's configuration for the packaged migrations."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "billing_pipeline.delivery.ledger:migrations")
    return config


def migrate(engine: sa.Engine) -> None:
    """Bring the database to the newest schema. Raises: LedgerTooNew, LedgerUnavailable."""
    where = without_secrets(engine.url.render_as_string(hide_password=False))
    try:
        with _alone(engine) as connection:
            found = _schema_of(connection)
            if found != newest_schema():
                _upgrade(connection, found, where)
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        raise unavailable(where, error) from error


def newest_schema() -> str:
    """The newest schema that this program knows, by the names of its migrations: `v0007_….py` is 0007."""
    names = (entry.name for entry in resources.files(_VERSIONS).iterdir())
    return max(name[1:5] for name in names if name.startswith("v") and name.endswith(".py"))


def _schema_of(connection: sa.Connection) -> str | None:
    """The schema that the ledger has; None for an empty database."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    version = sa.table(VERSION_TABLE, sa.column("version_num", sa.Text))
    found: str | None = connection.execute(sa.select(version.c.version_num)).scalar_one_or_none()
    return found


def _upgrade(connection: sa.Connection, found: str | None, where: str) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = migrations()
    scripts = ScriptDirectory.from_config(config)
    if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
        raise LedgerTooNew(
            f"the ledger {where} has schema {found}, this billing_pipeline knows up to {scripts.get_current_head()}: "
            "use the version that migrated it, or a later one"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def _alone(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction in which no other process migrates: it is committed whole, or nothing of it."""
    if engine.dialect.name == "sqlite":
        file = database_file(engine.url)
        # Setting the journal mode on first connection cannot wait for a busy database, so it is inside the lock.
        with locked(file.with_name(f"{file.name}.lock"), timeout_s=120), engine.begin() as connection:
            yield connection
        return
    with engine.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        yield connection
