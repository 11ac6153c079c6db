"""What is billed and what is sent: reads, billings, months, deliveries with the rows they bill, and their log."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)

from billing_pipeline.delivery.ledger.table_columns import (
    file_columns,
    key_column,
    metadata,
    number_column,
    text_column,
    time_column,
    words_column,
)

extracts = Table(
    "extracts",
    metadata,
    key_column(),
    text_column("month"),
    text_column("kind"),
    Column("frames", JSON, nullable=False),
    text_column("run_id"),
    time_column("at"),
    # The oldest month of which all rows were read; NULL where a release before 0.2 read it.
    Column("first_month", Text, nullable=True),
    Index(None, "month"),
    comment="One read of a month from the OMS: the stored frames of its four relations, by hash",
)


billings = Table(
    "billings",
    metadata,
    key_column(),
    Column("extract_id", ForeignKey("extracts.id"), nullable=False),
    text_column("month"),
    text_column("kind"),
    Column("customers", JSON, nullable=False),
    Column("frames", JSON, nullable=False),
    text_column("rules_sha256"),
    Column("layouts", JSON, nullable=False),
    text_column("run_id"),
    time_column("at"),
    Index(None, "month"),
    Index(None, "run_id"),
    comment="What was billed of a month at one time: which stored frames belong together; never changed",
)


month_customers = Table(
    "month_customers",
    metadata,
    Column("month", Text, primary_key=True),
    Column("customer_number", Text, primary_key=True),
    text_column("export_outcome"),
    *file_columns(),
    number_column("billing_id", nullable=True),
    text_column("made_of", nullable=True),
    Column("problems", JSON, nullable=False),
    number_column("late_rows"),
    words_column("reason"),
    text_column("export_run_id"),
    time_column("exported_at"),
    Column("delivery_outcome", Text, nullable=True),
    Column("delivery_problems", JSON, nullable=False),
    text_column("delivery_sha256"),
    text_column("delivery_run_id"),
    time_column("delivered_at", nullable=True),
    time_column("closed_at", nullable=True),
    comment="The current word on each customer's month: its last export and its last delivery's outcome",
)


finished_months = Table(
    "finished_months",
    metadata,
    Column("month", Text, primary_key=True),
    text_column("run_id"),
    time_column("finished_at"),
    # When the rows that were not billed were noted; NULL where a release before 0.2 finished the month.
    time_column("census_at", nullable=True),
    comment="Months whose delivery to all their customers has finished once; rows that turn up later are late",
)


deliveries = Table(
    "deliveries",
    metadata,
    key_column(),
    text_column("customer_number"),
    text_column("month"),
    Column("revision", Integer, nullable=False),
    *file_columns(),
    number_column("billing_id", nullable=True),
    text_column("remote_dir"),
    text_column("transport"),
    words_column("endpoint"),
    text_column("state"),
    text_column("token"),
    words_column("holder"),
    text_column("temporary_path"),
    Column("leftovers", JSON, nullable=False),
    text_column("remote_path"),
    text_column("held_code"),
    words_column("held_reason"),
    text_column("accepted_sha256"),
    text_column("released_as"),
    words_column("reason"),
    words_column("author"),
    text_column("run_id"),
    time_column("created_at"),
    time_column("updated_at"),
    time_column("committed_at", nullable=True),
    time_column("published_at", nullable=True),
    number_column("draft_id", nullable=True),
    number_column("draft_net", nullable=True),
    number_column("draft_gross", nullable=True),
    time_column("confirmed_at", nullable=True),
    # When its file or draft was known not to be in EASY Bill any more: taken back, removed, cancelled.
    time_column("gone_at", nullable=True),
    # When it was taken for delivered although nobody has seen it arrive; NULL once somebody has.
    time_column("presumed_at", nullable=True),
    UniqueConstraint("customer_number", "month", "revision"),
    UniqueConstraint("order_number"),
    Index(None, "month"),
    comment="One row per customer, month and revision: it alone decides whether something may be sent",
)


billed_rows = Table(
    "billed_rows",
    metadata,
    key_column(),
    text_column("source_kind"),
    text_column("source_id"),
    text_column("fingerprint"),
    text_column("customer_number"),
    text_column("month"),
    Column("delivery_id", ForeignKey("deliveries.id"), nullable=False, index=True),
    # Of a correction's row: the entry of the file it replaces, which bills it again should the correction be given up.
    Column("taken_over_id", ForeignKey("billed_rows.id"), nullable=True),
    time_column("released_at", nullable=True),
    # How the row looked when a person said that it stands as it was sent, "gone" where the OMS had it no more.
    Column("accepted", Text, nullable=True),
    Index(None, "month"),
    comment="Which OMS rows each delivery bills; a row is billed by one delivery at a time",
)
Index(
    "uq_billed_rows_once",
    billed_rows.c.source_kind,
    billed_rows.c.source_id,
    unique=True,
    sqlite_where=billed_rows.c.released_at.is_(None),
    postgresql_where=billed_rows.c.released_at.is_(None),
)


events = Table(
    "events",
    metadata,
    key_column(),
    time_column("at"),
    text_column("month"),
    text_column("customer_number"),
    Column("revision", Integer, nullable=False),
    text_column("order_number"),
    text_column("kind"),
    text_column("action"),
    text_column("outcome"),
    words_column("detail"),
    text_column("run_id"),
    Index(None, "month", "customer_number"),
    Index(None, "customer_number"),
    comment="Every export, exchange and decision; append-only, held by triggers",
)


sightings = Table(
    "sightings",
    metadata,
    key_column(),
    text_column("month"),
    text_column("customer_number"),
    Column("revision", Integer, nullable=False),
    words_column("path"),
    text_column("sha256"),
    words_column("reason"),
    words_column("author"),
    time_column("at"),
    Index(None, "month", "customer_number"),
    comment="Files that a person had looked at in the inbox, and that the ledger did not know",
)
