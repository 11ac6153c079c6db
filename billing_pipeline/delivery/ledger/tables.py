"""The ledger's tables, as SQLAlchemy Core. What they mean is said here; how they came about, in `migrations`.

A test holds that the migrations, run on an empty database, make exactly these tables. Times are UTC instants; amounts
are minor units; text that is not known is "", never NULL.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)


class Instant(TypeDecorator[datetime]):
    """A UTC instant: `timestamptz` on PostgreSQL; on SQLite without its offset, put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone was to be written to the ledger: {value}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Words(TypeDecorator[str]):
    """Text from outside (a server's reply, a cell's content); what PostgreSQL cannot keep becomes U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


VERSION_TABLE = "ledger_version"
"""Where Alembic notes the schema; not under its usual name, for Dagster's own migrations use that in one database."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _key() -> Column[int]:
    # SQLite counts up only an INTEGER primary key.
    return Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _words(name: str) -> Column[str]:
    return Column(name, Words, nullable=False)


def _number(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> Column[datetime]:
    return Column(name, Instant, nullable=nullable)


def _file() -> list[Column[Any]]:
    """What was made for a customer's month: the same columns on the export and on the delivery."""
    return [
        _text("order_number"),
        _text("file_name"),
        _text("sha256"),
        _text("document_sha256"),
        _number("size_bytes"),
        _number("line_count"),
        _text("currency"),
        _number("net"),
        _number("vat"),
        _number("gross"),
        _text("layout"),
    ]


extracts = Table(
    "extracts",
    metadata,
    _key(),
    _text("month"),
    _text("kind"),
    Column("frames", JSON, nullable=False),
    _text("run_id"),
    _time("at"),
    # The oldest month of which all rows were read; NULL where a release before 0.2 read it.
    Column("first_month", Text, nullable=True),
    Index(None, "month"),
    comment="One read of a month from the OMS: the stored frames of its four relations, by hash",
)

billings = Table(
    "billings",
    metadata,
    _key(),
    Column("extract_id", ForeignKey("extracts.id"), nullable=False),
    _text("month"),
    _text("kind"),
    Column("customers", JSON, nullable=False),
    Column("frames", JSON, nullable=False),
    _text("rules_sha256"),
    Column("layouts", JSON, nullable=False),
    _text("run_id"),
    _time("at"),
    Index(None, "month"),
    Index(None, "run_id"),
    comment="What was billed of a month at one time: which stored frames belong together; never changed",
)

month_customers = Table(
    "month_customers",
    metadata,
    Column("month", Text, primary_key=True),
    Column("customer_number", Text, primary_key=True),
    _text("export_outcome"),
    *_file(),
    _number("billing_id", nullable=True),
    _text("made_of", nullable=True),
    Column("problems", JSON, nullable=False),
    _number("late_rows"),
    _words("reason"),
    _text("export_run_id"),
    _time("exported_at"),
    Column("delivery_outcome", Text, nullable=True),
    Column("delivery_problems", JSON, nullable=False),
    _text("delivery_sha256"),
    _text("delivery_run_id"),
    _time("delivered_at", nullable=True),
    _time("closed_at", nullable=True),
    comment="The current word on each customer's month: its last export and its last delivery's outcome",
)

finished_months = Table(
    "finished_months",
    metadata,
    Column("month", Text, primary_key=True),
    _text("run_id"),
    _time("finished_at"),
    # When the rows that were not billed were noted; NULL where a release before 0.2 finished the month.
    _time("census_at", nullable=True),
    comment="Months whose delivery to all their customers has finished once; rows that turn up later are late",
)

deliveries = Table(
    "deliveries",
    metadata,
    _key(),
    _text("customer_number"),
    _text("month"),
    Column("revision", Integer, nullable=False),
    *_file(),
    _number("billing_id", nullable=True),
    _text("remote_dir"),
    _text("transport"),
    _words("endpoint"),
    _text("state"),
    _text("token"),
    _words("holder"),
    _text("temporary_path"),
    Column("leftovers", JSON, nullable=False),
    _text("remote_path"),
    _text("held_code"),
    _words("held_reason"),
    _text("accepted_sha256"),
    _text("released_as"),
    _words("reason"),
    _words("author"),
    _text("run_id"),
    _time("created_at"),
    _time("updated_at"),
    _time("committed_at", nullable=True),
    _time("published_at", nullable=True),
    _number("draft_id", nullable=True),
    _number("draft_net", nullable=True),
    _number("draft_gross", nullable=True),
    _time("confirmed_at", nullable=True),
    # When its file or draft was known not to be in EASY Bill any more: taken back, removed, cancelled.
    _time("gone_at", nullable=True),
    # When it was taken for delivered although nobody has seen it arrive; NULL once somebody has.
    _time("presumed_at", nullable=True),
    UniqueConstraint("customer_number", "month", "revision"),
    UniqueConstraint("order_number"),
    Index(None, "month"),
    comment="One row per customer, month and revision: it alone decides whether something may be sent",
)

billed_rows = Table(
    "billed_rows",
    metadata,
    _key(),
    _text("source_kind"),
    _text("source_id"),
    _text("fingerprint"),
    _text("customer_number"),
    _text("month"),
    Column("delivery_id", ForeignKey("deliveries.id"), nullable=False, index=True),
    # Of a correction's row: the entry of the file it replaces, which bills it again should the correction be given up.
    Column("taken_over_id", ForeignKey("billed_rows.id"), nullable=True),
    _time("released_at", nullable=True),
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
    _key(),
    _time("at"),
    _text("month"),
    _text("customer_number"),
    Column("revision", Integer, nullable=False),
    _text("order_number"),
    _text("kind"),
    _text("action"),
    _text("outcome"),
    _words("detail"),
    _text("run_id"),
    Index(None, "month", "customer_number"),
    Index(None, "customer_number"),
    comment="Every export, exchange and decision; append-only, held by triggers",
)

sightings = Table(
    "sightings",
    metadata,
    _key(),
    _text("month"),
    _text("customer_number"),
    Column("revision", Integer, nullable=False),
    _words("path"),
    _text("sha256"),
    _words("reason"),
    _words("author"),
    _time("at"),
    Index(None, "month", "customer_number"),
    comment="Files that a person had looked at in the inbox, and that the ledger did not know",
)

omissions = Table(
    "omissions",
    metadata,
    _key(),
    _text("month"),
    _text("customer_number"),
    _text("service_id"),
    Column("fee_id", Text, nullable=False, server_default=text("''")),
    _words("reason"),
    _words("author"),
    _time("created_at"),
    _words("removed_reason"),
    _words("removed_by"),
    _time("removed_at", nullable=True),
    comment="Customers or services left out of a month, or ('always') of all; removal is marked, never deleted",
)

adjustments = Table(
    "adjustments",
    metadata,
    _key(),
    _text("month"),
    _text("customer_number"),
    _time("created_at"),
    Index(None, "month"),
    comment="Rows that a person added to a customer's month; what they say is in adjustment_versions",
)

row_standings = Table(
    "row_standings",
    metadata,
    Column("source_kind", Text, primary_key=True),
    Column("source_id", Text, primary_key=True),
    _text("month"),
    _text("customer_number"),
    _text("standing"),
    _text("code"),
    _words("message"),
    _text("fingerprint"),
    _text("related_id"),
    _text("order_number"),
    _number("net", nullable=True),
    _text("currency"),
    _text("run_id"),
    _time("since"),
    _time("seen_at"),
    _time("ended_at", nullable=True),
    Index(None, "month"),
    comment="The current word on each OMS row that is not simply billed: why, since when, and how it looked",
)

admissions = Table(
    "admissions",
    metadata,
    _key(),
    _text("source_kind"),
    _text("source_id"),
    _text("month"),
    _text("customer_number"),
    _text("fingerprint"),
    _text("related_id"),
    _text("same_as"),
    _words("reason"),
    _words("author"),
    _time("created_at"),
    _time("ended_at", nullable=True),
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
    _text("run_id"),
    _time("at"),
    comment="The last account of each month's rows: how many have which standing, and their money",
)

month_looks = Table(
    "month_looks",
    metadata,
    Column("month", Text, primary_key=True),
    _number("row_count"),
    _text("digest"),
    _text("billed_state"),
    Column("absent", JSON, nullable=False),
    _time("looked_at"),
    comment="The last look at each month: which rows the OMS had, what of them was billed, and what had gone",
)

month_reports = Table(
    "month_reports",
    metadata,
    _key(),
    _text("month"),
    _text("facts_sha256"),
    _text("page_sha256"),
    _time("at"),
    Index(None, "month"),
    comment="Each report of a month that told something new: its facts and its page in the store, by hash",
)

seals = Table(
    "seals",
    metadata,
    _key(),
    _text("month"),
    _text("sha256"),
    _text("previous_sha256"),
    _text("facts_sha256"),
    _time("at"),
    UniqueConstraint("sha256"),
    UniqueConstraint("previous_sha256"),  # one chain, however many seal at once
    Index(None, "month"),
    comment="What stood delivered of a month at one time, sealed: its content is in the store; never changed",
)

adjustment_versions = Table(
    "adjustment_versions",
    metadata,
    Column("adjustment_id", ForeignKey("adjustments.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    _text("action"),
    _words("title"),
    _text("quantity"),
    _text("unit_price_net"),
    _text("vat_percent"),
    _words("unit"),
    _words("item_number"),
    Column("deleted", Boolean, nullable=False),
    _words("reason"),
    _words("author"),
    _time("at"),
    comment="The history of each adjustment, one row per change; the highest version is what counts",
)

approvals = Table(
    "approvals",
    metadata,
    _key(),
    _text("month"),
    # "month": of all that the month would send; "correction": of one customer's file.
    _text("kind"),
    _text("manifest_sha256"),
    _words("author"),
    _time("at"),
    Index(None, "month"),
    comment="Who has approved what of a month, and when; never changed",
)

approved_files = Table(
    "approved_files",
    metadata,
    Column("approval_id", ForeignKey("approvals.id"), primary_key=True),
    Column("customer_number", Text, primary_key=True),
    _text("file_name"),
    _text("sha256"),
    _text("document_sha256"),
    _number("size_bytes"),
    comment="The exact files that each approval is of; never changed",
)
