"""What is on record of a whole month, and of the account: reports, seals, approvals, requests."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
    UniqueConstraint,
)

from billing_pipeline.delivery.ledger.table_columns import (
    key_column,
    metadata,
    number_column,
    text_column,
    time_column,
    words_column,
)

month_reports = Table(
    "month_reports",
    metadata,
    key_column(),
    text_column("month"),
    text_column("facts_sha256"),
    text_column("page_sha256"),
    time_column("at"),
    Index(None, "month"),
    comment="Each report of a month that told something new: its facts and its page in the store, by hash",
)


seals = Table(
    "seals",
    metadata,
    key_column(),
    text_column("month"),
    text_column("sha256"),
    text_column("previous_sha256"),
    text_column("facts_sha256"),
    time_column("at"),
    UniqueConstraint("sha256"),
    UniqueConstraint("previous_sha256"),  # one chain, however many seal at once
    Index(None, "month"),
    comment="What stood delivered of a month at one time, sealed: its content is in the store; never changed",
)


approvals = Table(
    "approvals",
    metadata,
    key_column(),
    text_column("month"),
    # "month": of all that the month would send; "correction": of one customer's file.
    text_column("kind"),
    text_column("manifest_sha256"),
    words_column("author"),
    time_column("at"),
    Index(None, "month"),
    comment="Who has approved what of a month, and when; never changed",
)


approved_files = Table(
    "approved_files",
    metadata,
    Column("approval_id", ForeignKey("approvals.id"), primary_key=True),
    Column("customer_number", Text, primary_key=True),
    text_column("file_name"),
    text_column("sha256"),
    text_column("document_sha256"),
    number_column("size_bytes"),
    comment="The exact files that each approval is of; never changed",
)


account_requests = Table(
    "account_requests",
    metadata,
    Column("account", Text, primary_key=True),
    number_column("version"),
    Column("booked", JSON, nullable=False),
    comment="When each account of EASY Bill's API is asked next: the last requests booked, of all processes and hosts",
)
