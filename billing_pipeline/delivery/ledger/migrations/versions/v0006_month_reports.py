"""The reports of a month: which facts were told last, so that a report can say what has changed since."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "month_reports",
        # SQLite counts up only an INTEGER primary key.
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("facts_sha256", sa.Text(), nullable=False),
        sa.Column("page_sha256", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_month_reports")),
        comment="Each report of a month that told something new: its facts and its page in the store, by hash",
    )
    op.create_index(op.f("ix_month_reports_month"), "month_reports", ["month"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER month_reports_are_kept BEFORE DELETE OR TRUNCATE ON month_reports "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()"
        )
    else:
        op.execute(
            "CREATE TRIGGER month_reports_refuse_delete BEFORE DELETE ON month_reports "
            "BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of month_reports'); END"
        )


def downgrade() -> None:
    raise NotImplementedError("nothing in the ledger is ever deleted: restore a backup instead")
