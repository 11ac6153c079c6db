"""Alembic's entry: runs the migrations on the connection that `ledger.migrate` has opened and locked.

There is no offline mode and no URL here: a ledger is migrated when it is opened, in the opener's transaction.
"""

from __future__ import annotations

from alembic import context

from billing_pipeline.delivery.ledger.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
context.run_migrations()
