"""What is known of rows beside what is billed, and what people have decided about them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    text,
)

from billing_pipeline.delivery.ledger.table_columns import (
    key_column,
    metadata,
    number_column,
    text_column,
    time_column,
    words_column,
)

omissions = Table(
    "omissions",
    metadata,
    key_column(),
    text_column("month"),
    text_column("customer_number"),
    text_column("service_id"),
    Column("fee_id", Text, nullable=False, server_default=text("''")),
    words_column("reason"),
    words_column("author"),
    time_column("created_at"),
    words_column("removed_reason"),
    words_column("removed_by"),
    time_column("removed_at", nullable=True),
    comment="Customers or services left out of a month, or ('always') of all; removal is marked, never deleted",
)


adjustments = Table(
    "adjustments",
    metadata,
    key_column(),
    text_column("month"),
    text_column("customer_number"),
    time_column("created_at"),
    Index(None, "month"),
    comment="Rows that a person added to a customer's month; what they say is in adjustment_versions",
)


adjustment_versions = Table(
    "adjustment_versions",
    metadata,
    Column("adjustment_id", ForeignKey("adjustments.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    text_column("action"),
    words_column("title"),
    text_column("quantity"),
    text_column("unit_price_net"),
    text_column("vat_percent"),
    words_column("unit"),
    words_column("item_number"),
    Column("deleted", Boolean, nullable=False),
    words_column("reason"),
    words_column("author"),
    time_column("at"),
    comment="The history of each adjustment, one row per change; the highest version is what counts",
)


row_standings = Table(
    "row_standings",
    metadata,
    Column("source_kind", Text, primary_key=True),
    Column("source_id", Text, primary_key=True),
    text_column("month"),
    text_column("customer_number"),
    text_column("standing"),
    text_column("code"),
    words_column("message"),
    text_column("fingerprint"),
    text_column("related_id"),
    text_column("order_number"),
    number_column("net", nullable=True),
    text_column("currency"),
    text_column("run_id"),
    time_column("since"),
    time_column("seen_at"),
    time_column("ended_at", nullable=True),
    Index(None, "month"),
    comment="The current word on each OMS row that is not simply billed: why, since when, and how it looked",
)


admissions = Table(
    "admissions",
    metadata,
    key_column(),
    text_column("source_kind"),
    text_column("source_id"),
    text_column("month"),
    text_column("customer_number"),
    text_column("fingerprint"),
    text_column("related_id"),
    text_column("same_as"),
    words_column("reason"),
    words_column("author"),
    time_column("created_at"),
    time_column("ended_at", nullable=True),
    Index(None, "source_kind", "source_id"),
    comment="Rows that were set aside and that a person lets be billed, as they looked; an end is marked",
)


audits = Table(
    "audits",
    metadata,
    Column("month", Text, primary_key=True),
    Column("rows", JSON, nullable=False),
    Column("amounts", JSON, nullable=False),
    Column("findings", JSON, nullable=False),
    text_column("run_id"),
    time_column("at"),
    comment="The last account of each month's rows: how many have which standing, and their money",
)


month_looks = Table(
    "month_looks",
    metadata,
    Column("month", Text, primary_key=True),
    number_column("row_count"),
    text_column("digest"),
    text_column("billed_state"),
    Column("absent", JSON, nullable=False),
    time_column("looked_at"),
    comment="The last look at each month: which rows the OMS had, what of them was billed, and what had gone",
)
