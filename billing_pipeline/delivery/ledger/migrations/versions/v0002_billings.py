"""A billing is a value: extracts and billings get tables, exports and deliveries name their billing.

Sightings get a table of their own: until now they were read out of the text of the log.
"""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# SQLite counts up only an INTEGER primary key.
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
NEVER_CHANGED = ("extracts", "billings", "sightings")
# How version 0.1.0 wrote a sighting into the log: "AUTHOR: REASON (saw PATH, sha256 HASH)".
SEEN = re.compile(
    r"(?P<author>.*?): (?P<reason>.*) \(saw (?P<path>.+), sha256 (?P<sha256>[0-9a-f]{64}|unreadable)\)",
    re.DOTALL,
)


def upgrade() -> None:
    op.create_table(
        "extracts",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("frames", sa.JSON(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_extracts")),
        comment="One read of a month from the OMS: the stored frames of its four relations, by hash",
    )
    op.create_index(op.f("ix_extracts_month"), "extracts", ["month"])
    op.create_table(
        "billings",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("extract_id", KEY, nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("customers", sa.JSON(), nullable=False),
        sa.Column("frames", sa.JSON(), nullable=False),
        sa.Column("rules_sha256", sa.Text(), nullable=False),
        sa.Column("layouts", sa.JSON(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["extract_id"], ["extracts.id"], name=op.f("fk_billings_extract_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billings")),
        comment="What was billed of a month at one time: which stored frames belong together; never changed",
    )
    op.create_index(op.f("ix_billings_month"), "billings", ["month"])
    op.create_index(op.f("ix_billings_run_id"), "billings", ["run_id"])
    op.create_table(
        "sightings",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("customer_number", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sightings")),
        comment="Files that a person had looked at in the inbox, and that the ledger did not know",
    )
    op.create_index(op.f("ix_sightings_month_customer_number"), "sightings", ["month", "customer_number"])
    op.add_column("month_customers", sa.Column("billing_id", sa.BigInteger(), nullable=True))
    op.add_column("deliveries", sa.Column("billing_id", sa.BigInteger(), nullable=True))
    _take_over_sightings()
    _refuse_changes()


def _take_over_sightings() -> None:
    connection = op.get_bind()
    events = sa.table(
        "events", *map(sa.column, ("id", "month", "customer_number", "revision", "action", "detail"))
    )
    events_at = sa.column("at", INSTANT)
    sightings = sa.table(
        "sightings",
        *map(sa.column, ("month", "customer_number", "revision", "path", "sha256", "reason", "author")),
        sa.column("at", INSTANT),
    )
    noted = connection.execute(
        sa.select(
            events.c.month,
            events.c.customer_number,
            events.c.revision,
            events.c.detail,
            events_at.label("at"),
        )
        .select_from(events)
        .where(events.c.action == "reconcile", events.c.detail.contains(" (saw "))
        .order_by(events.c.id)
    ).all()
    for event in noted:
        seen = SEEN.fullmatch(event.detail)
        if seen is not None:
            connection.execute(
                sa.insert(sightings).values(
                    month=event.month,
                    customer_number=event.customer_number,
                    revision=event.revision,
                    path=seen["path"],
                    sha256="" if seen["sha256"] == "unreadable" else seen["sha256"],
                    reason=seen["reason"],
                    author=seen["author"],
                    at=event.at,
                )
            )


def _refuse_changes() -> None:
    """What the application never does, nobody does by accident either."""
    for table in NEVER_CHANGED:
        if op.get_bind().dialect.name == "postgresql":
            op.execute(
                f"CREATE TRIGGER {table}_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()"
            )
            continue
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of {table}'); END"
            )


def downgrade() -> None:
    raise NotImplementedError("nothing in the ledger is ever deleted: restore a backup instead")
