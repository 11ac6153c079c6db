"""The first schema: exports, deliveries with the rows they bill, the event log, and what people decide."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite counts up only an INTEGER primary key.
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)

NEVER_DELETED = (
    "month_customers",
    "finished_months",
    "deliveries",
    "billed_rows",
    "events",
    "omissions",
    "adjustments",
    "adjustment_versions",
)
NEVER_CHANGED = ("events", "adjustment_versions")


def upgrade() -> None:
    op.create_table(
        "adjustments",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("customer_number", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adjustments")),
        comment="Rows that a person added to a customer's month; what they say is in adjustment_versions",
    )
    op.create_index(op.f("ix_adjustments_month"), "adjustments", ["month"])
    op.create_table(
        "deliveries",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("customer_number", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("document_sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("line_count", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=False),
        sa.Column("vat", sa.BigInteger(), nullable=False),
        sa.Column("gross", sa.BigInteger(), nullable=False),
        sa.Column("layout", sa.Text(), nullable=False),
        sa.Column("remote_dir", sa.Text(), nullable=False),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("temporary_path", sa.Text(), nullable=False),
        sa.Column("leftovers", sa.JSON(), nullable=False),
        sa.Column("remote_path", sa.Text(), nullable=False),
        sa.Column("held_code", sa.Text(), nullable=False),
        sa.Column("held_reason", sa.Text(), nullable=False),
        sa.Column("accepted_sha256", sa.Text(), nullable=False),
        sa.Column("released_as", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("committed_at", INSTANT, nullable=True),
        sa.Column("published_at", INSTANT, nullable=True),
        sa.Column("draft_id", sa.BigInteger(), nullable=True),
        sa.Column("draft_net", sa.BigInteger(), nullable=True),
        sa.Column("draft_gross", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint(
            "customer_number", "month", "revision", name=op.f("uq_deliveries_customer_number_month_revision")
        ),
        sa.UniqueConstraint("order_number", name=op.f("uq_deliveries_order_number")),
        comment="One row per customer, month and revision: it alone decides whether something may be sent",
    )
    op.create_index(op.f("ix_deliveries_month"), "deliveries", ["month"])
    op.create_table(
        "events",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("customer_number", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        comment="Every export, exchange and decision; append-only, held by triggers",
    )
    op.create_index(op.f("ix_events_customer_number"), "events", ["customer_number"])
    op.create_index(op.f("ix_events_month_customer_number"), "events", ["month", "customer_number"])
    op.create_table(
        "month_customers",
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("customer_number", sa.Text(), nullable=False),
        sa.Column("export_outcome", sa.Text(), nullable=False),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("document_sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("line_count", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=False),
        sa.Column("vat", sa.BigInteger(), nullable=False),
        sa.Column("gross", sa.BigInteger(), nullable=False),
        sa.Column("layout", sa.Text(), nullable=False),
        sa.Column("problems", sa.JSON(), nullable=False),
        sa.Column("late_rows", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("export_run_id", sa.Text(), nullable=False),
        sa.Column("exported_at", INSTANT, nullable=False),
        sa.Column("delivery_outcome", sa.Text(), nullable=True),
        sa.Column("delivery_problems", sa.JSON(), nullable=False),
        sa.Column("delivery_sha256", sa.Text(), nullable=False),
        sa.Column("delivery_run_id", sa.Text(), nullable=False),
        sa.Column("delivered_at", INSTANT, nullable=True),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("month", "customer_number", name=op.f("pk_month_customers")),
        comment="The current word on each customer's month: its last export and its last delivery's outcome",
    )
    op.create_table(
        "finished_months",
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("finished_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_finished_months")),
        comment="Months whose delivery to all their customers has finished once; rows that turn up later are late",
    )
    op.create_table(
        "omissions",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("customer_number", sa.Text(), nullable=False),
        sa.Column("service_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("removed_reason", sa.Text(), nullable=False),
        sa.Column("removed_by", sa.Text(), nullable=False),
        sa.Column("removed_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_omissions")),
        comment="Customers or services left out of a month, or ('always') of all; removal is marked, never deleted",
    )
    op.create_table(
        "adjustment_versions",
        sa.Column("adjustment_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Text(), nullable=False),
        sa.Column("unit_price_net", sa.Text(), nullable=False),
        sa.Column("vat_percent", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("item_number", sa.Text(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["adjustment_id"], ["adjustments.id"], name=op.f("fk_adjustment_versions_adjustment_id")
        ),
        sa.PrimaryKeyConstraint("adjustment_id", "version", name=op.f("pk_adjustment_versions")),
        comment="The history of each adjustment, one row per change; the highest version is what counts",
    )
    op.create_table(
        "billed_rows",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("customer_number", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("delivery_id", KEY, nullable=False),
        sa.Column("taken_over_id", KEY, nullable=True),
        sa.Column("released_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_billed_rows_delivery_id")),
        sa.ForeignKeyConstraint(
            ["taken_over_id"], ["billed_rows.id"], name=op.f("fk_billed_rows_taken_over_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billed_rows")),
        comment="Which OMS rows each delivery bills; a row is billed by one delivery at a time",
    )
    op.create_index(op.f("ix_billed_rows_delivery_id"), "billed_rows", ["delivery_id"])
    op.create_index(op.f("ix_billed_rows_month"), "billed_rows", ["month"])
    op.create_index(
        "uq_billed_rows_once",
        "billed_rows",
        ["source_kind", "source_id"],
        unique=True,
        sqlite_where=sa.text("released_at IS NULL"),
        postgresql_where=sa.text("released_at IS NULL"),
    )

    _refuse_deletions()


def _refuse_deletions() -> None:
    """What the application never does, nobody does by accident either."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        op.execute(
            "CREATE FUNCTION ledger_refuses() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the ledger keeps every row of %', TG_TABLE_NAME; END $$"
        )
    for table in NEVER_DELETED:
        changes = ("UPDATE", "DELETE") if table in NEVER_CHANGED else ("DELETE",)
        if postgresql:
            op.execute(
                f"CREATE TRIGGER {table}_are_kept BEFORE {' OR '.join(changes)} OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()"
            )
            continue
        for change in changes:
            op.execute(
                f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of {table}'); END"
            )


def downgrade() -> None:
    raise NotImplementedError("nothing in the ledger is ever deleted: restore a backup instead")
