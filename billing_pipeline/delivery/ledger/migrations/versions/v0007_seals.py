"""The seals of months: what stood delivered, by hash, each linked to the seal made before it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "seals",
        # SQLite counts up only an INTEGER primary key.
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("previous_sha256", sa.Text(), nullable=False),
        sa.Column("facts_sha256", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seals")),
        sa.UniqueConstraint("sha256", name=op.f("uq_seals_sha256")),
        sa.UniqueConstraint("previous_sha256", name=op.f("uq_seals_previous_sha256")),
        comment="What stood delivered of a month at one time, sealed: its content is in the store; never changed",
    )
    op.create_index(op.f("ix_seals_month"), "seals", ["month"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER seals_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON seals "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()"
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER seals_refuse_{change.lower()} BEFORE {change} ON seals "
            "BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of seals'); END"
        )


def downgrade() -> None:
    raise NotImplementedError("nothing in the ledger is ever deleted: restore a backup instead")
