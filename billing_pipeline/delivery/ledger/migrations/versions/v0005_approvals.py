"""Approvals: who has approved which exact files of a month before they are sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# SQLite counts up only an INTEGER primary key.
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
NEVER_CHANGED = ("approvals", "approved_files")


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("manifest_sha256", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
        comment="Who has approved what of a month, and when; never changed",
    )
    op.create_index(op.f("ix_approvals_month"), "approvals", ["month"])
    op.create_table(
        "approved_files",
        sa.Column("approval_id", KEY, nullable=False),
        sa.Column("customer_number", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("document_sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approvals.id"], name=op.f("fk_approved_files_approval_id")
        ),
        sa.PrimaryKeyConstraint("approval_id", "customer_number", name=op.f("pk_approved_files")),
        comment="The exact files that each approval is of; never changed",
    )
    for table in NEVER_CHANGED:
        _refuse_changes(table)


def _refuse_changes(table: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE TRIGGER {table}_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()"
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of {table}'); END"
        )


def downgrade() -> None:
    raise NotImplementedError("nothing in the ledger is ever deleted: restore a backup instead")
