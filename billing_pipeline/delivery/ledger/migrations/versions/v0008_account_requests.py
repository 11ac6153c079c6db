"""The requests of EASY Bill's account are counted in the ledger, for all processes and hosts together."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account_requests",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("booked", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_account_requests")),
        comment="When each account of EASY Bill's API is asked next: the last requests booked, of all processes and "
        "hosts",
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER account_requests_are_kept BEFORE DELETE OR TRUNCATE ON account_requests "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()"
        )
        return
    op.execute(
        "CREATE TRIGGER account_requests_refuse_delete BEFORE DELETE ON account_requests "
        "BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of account_requests'); END"
    )


def downgrade() -> None:
    raise NotImplementedError("nothing in the ledger is ever deleted: restore a backup instead")
