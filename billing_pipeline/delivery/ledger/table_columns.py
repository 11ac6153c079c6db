"""What the ledger's tables have in common: their metadata, and the types and kinds of their columns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    Text,
    TypeDecorator,
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


def key_column() -> Column[int]:
    """A number that counts up."""
    # SQLite counts up only an INTEGER primary key.
    return Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True)


def text_column(name: str, *, nullable: bool = False) -> Column[str]:
    """Text of our own making."""
    return Column(name, Text, nullable=nullable)


def words_column(name: str) -> Column[str]:
    """Text from outside."""
    return Column(name, Words, nullable=False)


def number_column(name: str, *, nullable: bool = False) -> Column[int]:
    """A whole number."""
    return Column(name, BigInteger, nullable=nullable)


def time_column(name: str, *, nullable: bool = False) -> Column[datetime]:
    """A UTC instant."""
    return Column(name, Instant, nullable=nullable)


def file_columns() -> list[Column[Any]]:
    """What was made for a customer's month: the same columns on the export and on the delivery."""
    return [
        text_column("order_number"),
        text_column("file_name"),
        text_column("sha256"),
        text_column("document_sha256"),
        number_column("size_bytes"),
        number_column("line_count"),
        text_column("currency"),
        number_column("net"),
        number_column("vat"),
        number_column("gross"),
        text_column("layout"),
    ]
