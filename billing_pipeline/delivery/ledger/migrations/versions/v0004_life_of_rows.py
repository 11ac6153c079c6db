"""The life of a row: what became of rows that were not billed, what people admitted, and what is gone from EASY Bill.

Months that were finished before have no census: what is known of their unbilled rows is nothing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# SQLite counts up only an INTEGER primary key.
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
NEVER_DELETED = ("row_standings", "admissions", "audits", "month_looks")


def upgrade() -> None:
    op.create_table(
        "row_standings",
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("customer_number", sa.Text(), nullable=False),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("related_id", sa.Text(), nullable=False),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("source_kind", "source_id", name=op.f("pk_row_standings")),
        comment="The current word on each OMS row that is not simply billed: why, since when, and how it looked",
    )
    op.create_index(op.f("ix_row_standings_month"), "row_standings", ["month"])
    op.create_table(
        "admissions",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("customer_number", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("related_id", sa.Text(), nullable=False),
        sa.Column("same_as", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admissions")),
        comment="Rows that were set aside and that a person lets be billed, as they looked; an end is marked",
    )
    op.create_index(op.f("ix_admissions_source_kind_source_id"), "admissions", ["source_kind", "source_id"])
    op.create_table(
        "audits",
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("rows", sa.JSON(), nullable=False),
        sa.Column("amounts", sa.JSON(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_audits")),
        comment="The last account of each month's rows: how many have which standing, and their money",
    )
    op.create_table(
        "month_looks",
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("billed_state", sa.Text(), nullable=False),
        sa.Column("absent", sa.JSON(), nullable=False),
        sa.Column("looked_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_month_looks")),
        comment="The last look at each month: which rows the OMS had, what of them was billed, and what had gone",
    )
    op.add_column("extracts", sa.Column("first_month", sa.Text(), nullable=True))
    op.add_column("omissions", sa.Column("fee_id", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("billed_rows", sa.Column("accepted", sa.Text(), nullable=True))
    op.add_column("deliveries", sa.Column("gone_at", INSTANT, nullable=True))
    op.add_column("deliveries", sa.Column("presumed_at", INSTANT, nullable=True))
    op.add_column("finished_months", sa.Column("census_at", INSTANT, nullable=True))
    _refuse_deletions()


def _refuse_deletions() -> None:
    for table in NEVER_DELETED:
        if op.get_bind().dialect.name == "postgresql":
            op.execute(
                f"CREATE TRIGGER {table}_are_kept BEFORE DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()"
            )
            continue
        op.execute(
            f"CREATE TRIGGER {table}_refuse_delete BEFORE DELETE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of {table}'); END"
        )


def downgrade() -> None:
    raise NotImplementedError("nothing in the ledger is ever deleted: restore a backup instead")
