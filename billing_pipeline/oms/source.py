"""Opening the OMS: one snapshot over the four relations, as text, whatever database it is.

Belongs here: the protocol of a source, which implementation serves a URL, and the check of a query's columns.
Does not: what a database needs (`sqlite_source`, `postgres_source`, `other_source`), nor what the text means
(`conform`). Nothing here writes to the OMS; a read-only role is enough.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from billing_pipeline.oms.contract import Relation
from billing_pipeline.oms.oms_errors import OmsSettingWrong
from billing_pipeline.oms.queries import load_queries


class Snapshot(Protocol):
    """One moment of the OMS: whatever is written meanwhile, every read sees the same."""

    def read(self, relation: Relation, start: datetime, end: datetime) -> pa.Table:
        """The rows of the relation for `start <= instant < end` (UTC): its columns, all strings, in any order.

        Raises OmsShapeWrong or OmsUnavailable.
        """


class OmsSource(Protocol):
    """A database that holds the four relations, or can be queried for them."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Connects, and holds one snapshot until the block ends. Raises OmsUnavailable."""


def open_source(url: str, queries: Path | None = None) -> OmsSource:
    """The OMS at `url` (SQLAlchemy), read by the queries of a folder or by the packaged ones; connects only later.

    Raises OmsSettingWrong for a URL that cannot be used, OmsShapeWrong for a missing query file.
    """
    # Each driver is imported where it is needed: neither makes the other's users wait, or install it.
    from billing_pipeline.oms.other_source import OtherSource
    from billing_pipeline.oms.postgres_source import PostgresSource
    from billing_pipeline.oms.sqlite_source import SqliteSource

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # SQLAlchemy's own message might repeat the URL, password and all.
        raise OmsSettingWrong(
            "BILLING_OMS_URL is not a SQLAlchemy URL: write, for example, postgresql://user@host/oms"
        ) from None
    if "@" in (parsed.host or ""):
        raise OmsSettingWrong("BILLING_OMS_URL: write an @ in the password as %40, a slash as %2F")
    backend = parsed.get_backend_name()
    loaded = load_queries(backend, queries)
    if backend == "sqlite":
        return SqliteSource(parsed, loaded)
    if backend == "postgresql":
        return PostgresSource(parsed, loaded)
    return OtherSource(parsed, loaded)
