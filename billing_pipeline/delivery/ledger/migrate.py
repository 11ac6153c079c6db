"""Bringing a ledger to the current schema when it is opened, one process at a time.

The migrations themselves are in `delivery/migrations`, packaged with it; nothing else about the ledger
belongs here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from billing_pipeline.delivery.ledger.database import (
    LedgerTooNew,
    database_file,
    unavailable,
)
from billing_pipeline.delivery.ledger.tables import VERSION_TABLE
from billing_pipeline.problems import without_secrets
from billing_pipeline.store.home import locked

# An advisory lock is a number of one's own choosing; it is free again when its session ends, however it ends.
_ADVISORY_LOCK = 0x62_69_6C_6C_69_6E_67


def migrations() -> Config:
    """Alembic's configuration for the packaged migrations."""
    config = Config()
    config.set_main_option("script_location", "billing_pipeline.delivery.ledger:migrations")
    return config


def migrate(engine: sa.Engine) -> None:
    """Bring the database to the newest schema. Raises: LedgerTooNew, LedgerUnavailable."""
    where = without_secrets(engine.url.render_as_string(hide_password=False))
    config = migrations()
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
    known = {script.revision for script in scripts.walk_revisions()}
    try:
        with _alone(engine) as connection:
            found = MigrationContext.configure(
                connection, opts={"version_table": VERSION_TABLE}
            ).get_current_revision()
            if found == newest:
                return
            if found is not None and found not in known:
                raise LedgerTooNew(
                    f"the ledger {where} has schema {found}, this billing_pipeline knows up to {newest}: "
                    "use the version that migrated it, or a later one"
                )
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        raise unavailable(where, error) from error


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
